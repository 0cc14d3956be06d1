"""What a container finds in its own file tree: a private /tmp, a small /dev, the pod's names.

Pure but for looking whether devices exist. Everything else is the machine's own tree.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from stagezero.node.sandbox.runtime import Bind
from stagezero.node.supervisor.spec import Mount

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_GRAPHICS = ("nvidia", "dri", "kfd")
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
PRIVATE = ("/tmp", "/var/tmp")


def device_mounts() -> list[Mount]:
    """A /dev with what containers have: no disks, no consoles."""
    mounts = [Mount("/dev", kind="tmpfs", options="mode=0755,size=64k")]
    names = [name for name in _DEVICES if os.path.exists(f"/dev/{name}")]
    names += [name for name in os.listdir("/dev") if name.startswith(_GRAPHICS)]
    mounts += [Mount(f"/dev/{name}", f"/dev/{name}") for name in (*names, "pts")]
    mounts += [Mount(f"/dev/{name}", target, "link") for name, target in _LINKS]
    return [*mounts, Mount("/dev/shm", kind="tmpfs", options="mode=1777")]


def private_mounts(private: Path) -> list[Mount]:
    """A private /tmp and /var/tmp."""
    return [Mount(folder, str(private)) for folder in PRIVATE]


def visible_mounts(visible: Iterable[str], covered: Iterable[str]) -> list[Mount]:
    """What lies below a covered folder and must be seen nevertheless, put back in place."""
    below = tuple(f"{folder.rstrip('/')}/" for folder in covered)
    return [Mount(path, path) for path in dict.fromkeys(visible) if path.startswith(below)]


def name_mounts(etc: Path) -> list[Mount]:
    """The pod's hosts file and resolver configuration."""
    return [Mount(f"/etc/{name}", str(etc / name)) for name in ("hosts", "resolv.conf")]


def bind_mounts(binds: Sequence[Bind]) -> list[Mount]:
    """The container's volumes; a file's or folder's owner stays who it is."""
    return [Mount(bind.path, str(bind.source), read_only=bind.is_read_only) for bind in binds]


def hidden_mounts(hidden: Iterable[Path]) -> list[Mount]:
    """Empty folders over what a container must not read, such as the keys of the control plane."""
    return [
        Mount(str(path), kind="tmpfs", read_only=True, options="mode=0555,size=4k")
        for path in hidden
        if path.is_dir()
    ]


def without_shadowed(mounts: Sequence[Mount]) -> list[Mount]:
    """One mount a target: of two, the later one counts."""
    return list({mount.target.rstrip("/"): mount for mount in mounts}.values())
