"""Where a node keeps what: one place decides every path.

<root>/supervisor/                     lock, socket, journal, output
<root>/pods/<uid>/sandbox.json         address and ports
<root>/pods/<uid>/etc/                 hosts, resolv.conf
<root>/pods/<uid>/volumes/<name>/      what containers mount
<root>/pods/<uid>/containers/<name>/   tmp/, termination-log
<root>/logs/<ns>_<pod>_<uid>/<container>/<restart>.log
<root>/network.json                    the instance's subnet
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from stagezero.node.sandbox.runtime import ContainerId


@dataclass(frozen=True)
class NodeFolders:
    """The folders of one node under one root."""

    root: Path

    @property
    def instance(self) -> str:
        """Six letters that name this instance on the machine (in names of network devices)."""
        return hashlib.sha256(os.fsencode(self.root.resolve())).hexdigest()[:6]

    @property
    def supervisor(self) -> Path:
        """The supervisor's own folder."""
        return self.root / "supervisor"

    @property
    def network(self) -> Path:
        """The file that remembers the instance's subnet."""
        return self.root / "network.json"

    @property
    def pods(self) -> Path:
        """The parent of all pods' folders."""
        return self.root / "pods"

    @property
    def logs(self) -> Path:
        """The parent of all pods' logs."""
        return self.root / "logs"

    @property
    def memory(self) -> Path:
        """The parent of volumes in memory: a tmpfs that needs no root to be used."""
        return Path("/dev/shm") / f"stagezero-{self.instance}"

    def pod(self, uid: str) -> Path:
        """A pod's folder."""
        return self.pods / uid

    def volume(self, uid: str, name: str) -> Path:
        """A volume's folder."""
        return self.pods / uid / "volumes" / name

    def memory_volume(self, uid: str, name: str) -> Path:
        """A volume's folder in memory."""
        return self.memory / uid / name

    def container(self, uid: str, name: str) -> Path:
        """A container's private folder."""
        return self.pods / uid / "containers" / name

    def pod_logs(self, namespace: str, pod: str, uid: str) -> Path:
        """The folder of a pod's logs."""
        return self.logs / f"{namespace}_{pod}_{uid}"

    def log(self, namespace: str, pod: str, run: ContainerId) -> Path:
        """The log of one run of a container."""
        return self.pod_logs(namespace, pod, run.uid) / run.container / f"{run.restart}.log"

    def termination(self, run: ContainerId) -> Path:
        """Where a run leaves its last words."""
        return self.container(run.uid, run.container) / f"termination-{run.restart}"
