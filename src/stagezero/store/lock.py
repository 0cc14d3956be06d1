"""One process at a time has a state file open; it writes its pid into the lock beside the file."""

import os
from pathlib import Path

from stagezero.kit.filelock import FileLock
from stagezero.store.base import StoreBusy


def take(path: Path) -> FileLock:
    """Take the lock of a state file; StoreBusy if another process has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(_beside(path))
    if not lock.try_acquire():
        raise StoreBusy(path, _beside(path).read_text().strip())
    os.ftruncate(lock.descriptor, 0)
    os.write(lock.descriptor, f"{os.getpid()}\n".encode())
    return lock


def holder(path: Path) -> int | None:
    """The pid of the process that has a state file open; None if none has.

    Looks and does not try: whoever takes the lock at this moment must not find it taken.
    """
    lock = _beside(path)
    try:
        pid = int(lock.read_text())
        held = {os.path.realpath(file) for file in Path(f"/proc/{pid}/fd").iterdir()}
    except (OSError, ValueError):
        return None
    return pid if os.path.realpath(lock) in held else None


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".lock")
