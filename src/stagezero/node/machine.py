"""The facts of this machine, read from the operating system."""

import os
import platform
import shutil
import socket
from pathlib import Path

from stagezero.node.plans.node_object import Machine
from stagezero.node.supervisor.identity import boot_id


def read_machine(name: str, address: str, folder: Path) -> Machine:
    """Look at the machine; `folder` lies on the disk that pods write to."""
    memory = _memory()
    disk = shutil.disk_usage(folder)
    return Machine(
        name=name,
        hostname=socket.gethostname(),
        address=address,
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=memory.get("MemTotal", 0),
        free_memory_bytes=memory.get("MemAvailable", 0),
        disk_bytes=disk.total,
        free_disk_bytes=disk.free,
        kernel=platform.release(),
        os_image=_os_image(),
        architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(
            platform.machine(), platform.machine()
        ),
        machine_id=_text("/etc/machine-id"),
        boot_id=boot_id(),
    )


def _memory() -> dict[str, int]:
    found = {}
    for line in _text("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words:
            found[name] = int(words[0]) * 1024
    return found


def _os_image() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
