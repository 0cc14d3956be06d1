"""Which ports a process and its descendants listen on, as /proc tells it.

On a shared network a program was given other ports than its pod declares; one that ignores them is
found out here. Looked at only when a probe has failed, so that it costs nothing else.
"""

import os
from pathlib import Path

_LISTEN = "0A"


def family(pid: int) -> list[int]:
    """A process and its descendants, as far as they can be seen."""
    members = [pid]
    for member in members:
        try:
            text = Path(f"/proc/{member}/task/{member}/children").read_text()
        except OSError:
            continue
        members += [int(word) for word in text.split()]
    return members


def ports_of(pid: int) -> frozenset[int]:
    """The TCP ports on which the process or a descendant of it listens."""
    sockets = {inode for member in family(pid) for inode in _sockets(member)}
    return frozenset(
        port
        for table in ("tcp", "tcp6")
        for inode, port in _listeners(Path(f"/proc/{pid}/net/{table}"))
        if inode in sockets
    )


def _sockets(pid: int) -> set[str]:
    """The inodes of a process's sockets; none if it has ended or may not be looked at."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return set()
    found = set()
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:
            continue  # closed meanwhile
        if target.startswith("socket:["):
            found.add(target[len("socket:[") : -1])
    return found


def _listeners(table: Path) -> list[tuple[str, int]]:
    """Inode and port of every listening socket of a table of the kernel."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [(row[9], int(row[1].rpartition(":")[2], 16)) for row in rows if row[3] == _LISTEN]
