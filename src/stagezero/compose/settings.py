"""Everything that can be set, read once; the layout of an installation's folder."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from stagezero.node.sandbox.runtime import Isolation


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stagezero"


@dataclass(frozen=True)
class Settings:
    """What `up` was told.

    `state`: the folder of this installation; two installations need two.
    `host`: the address of all listeners; loopback, as everything is for this machine alone.
    `api_port`: kubectl's port; 0 takes a free one, and the kubeconfig says which.
    `http_port`, `https_port`: the gateway's; None tries 80 and 443, then 8080 and 8443, then any.
    `local_port`: the port of the cluster-local gateway on `host`; 0 takes a free one.
    `mirrors`: prefix → folder or URL that stands in for it (`gs://kserve/` → `file:///models/`).
    `catalogues`: folders with image entries of the user's own.
    `env_root`, `model_root`: environments and downloaded models, shared by installations.
    `network`: how pods are kept apart; None takes the best that the machine allows.
    `domain`: the domain that config-domain has at the first start; `*.localhost` needs no DNS.
    """

    state: Path
    host: str = "127.0.0.1"
    api_port: int = 0
    http_port: int | None = None
    https_port: int | None = None
    local_port: int = 0
    mirrors: Mapping[str, str] = field(default_factory=dict)
    catalogues: tuple[Path, ...] = ()
    env_root: Path = field(default_factory=lambda: _cache_home() / "envs")
    model_root: Path = field(default_factory=lambda: _cache_home() / "models")
    network: Isolation | None = None
    domain: str = "localhost"

    @property
    def kubeconfig(self) -> Path:
        """What kubectl needs to come in."""
        return self.state / "kubeconfig"

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.state / "store.sqlite"

    @property
    def pki(self) -> Path:
        """The authority, the server's certificate and the token."""
        return self.state / "pki"

    @property
    def node(self) -> Path:
        """The node's folder: the supervisor's socket, journal and logs, the pods' folders."""
        return self.state / "node"

    @property
    def envoy(self) -> Path:
        """Envoy's bootstrap and sockets."""
        return self.state / "envoy"

    @property
    def running(self) -> Path:
        """Written while the control plane runs: its pid, ports and catalogues."""
        return self.state / "running.json"

    @property
    def log(self) -> Path:
        """The control plane's log when it runs detached."""
        return self.state / "control-plane.log"


def to_json(settings: Settings) -> str:
    """Settings as a text for another process."""
    return msgspec.json.encode(settings, enc_hook=str).decode()


def from_json(text: str) -> Settings:
    """Read settings that `to_json` wrote."""
    return msgspec.json.decode(text, type=Settings, dec_hook=lambda kind, value: kind(value))
