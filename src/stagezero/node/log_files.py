"""Reading a run's log, which is one file and its rotated copies: from the end, or on and on.

Rotation copies the file to `<name>.1` and truncates it. A follower therefore finishes the copy when
a new one appears, then begins the file anew, and misses nothing.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from stagezero.node.supervisor.rotation import rotated_paths

CHUNK_BYTES = 64 << 10


def read_whole(path: Path, end: int | None = None) -> Iterator[bytes]:
    """All that is kept of a log, oldest first, in pieces; of the newest file up to `end`."""
    for name in rotated_paths(str(path)):
        yield from _read_from(name, 0)
    yield from _read_from(str(path), 0, end)


def read_tail(path: Path, lines: int, end: int | None = None) -> Iterator[bytes]:
    """The last `lines` lines of a log, in pieces; of the newest file up to `end`."""
    if lines <= 0:
        return
    parts: list[tuple[str, int, int | None]] = []
    wanted = lines
    for name in [str(path), *reversed(rotated_paths(str(path)))]:
        limit = end if name == str(path) else None
        offset, found = _line_offset(name, wanted, limit)
        parts.append((name, offset, limit))
        wanted -= found
        if wanted <= 0:
            break
    for name, offset, limit in reversed(parts):
        yield from _read_from(name, offset, limit)


def _read_from(name: str, offset: int, end: int | None = None) -> Iterator[bytes]:
    try:
        with open(name, "rb") as file:
            file.seek(offset)
            while chunk := file.read(_room(offset, end)):
                offset += len(chunk)
                yield chunk
    except FileNotFoundError:
        return


def _room(offset: int, end: int | None) -> int:
    return CHUNK_BYTES if end is None else max(0, min(CHUNK_BYTES, end - offset))


def _line_offset(name: str, lines: int, end: int | None) -> tuple[int, int]:
    """Where the last `lines` lines of a file begin, and how many lines there are from there."""
    size = _size(Path(name))
    end = size if end is None else min(end, size)
    if end == 0:
        return 0, 0
    found = 0
    with open(name, "rb") as file:
        position = end
        while position > 0:
            start = max(0, position - CHUNK_BYTES)
            file.seek(start)
            chunk = file.read(position - start)
            index = len(chunk)
            while (index := chunk.rfind(b"\n", 0, index)) >= 0:
                if start + index == end - 1:
                    continue  # the line feed that ends the last line
                found += 1
                if found == lines:
                    return start + index + 1, found
            position = start
    return 0, found + 1


class Follower:
    """Reads on where it stopped, over rotations."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copy = path.with_name(f"{path.name}.1")
        self.position = _size(path)
        self._copied = _mark(self._copy)

    def read(self) -> Iterator[bytes]:
        """What was written since the last call."""
        mark = _mark(self._copy)
        if mark != self._copied:
            self._copied = mark
            yield from _read_from(str(self._copy), self.position)
            self.position = 0
        elif _size(self._path) < self.position:
            self.position = 0
        for chunk in _read_from(str(self._path), self.position):
            self.position += len(chunk)
            yield chunk


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _mark(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (stat.st_ino, stat.st_mtime_ns)


def last_written(path: Path) -> datetime | None:
    """When something was written last; lines bear no times of their own."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    except FileNotFoundError:
        return None
