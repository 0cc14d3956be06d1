"""Rotation of log files by copy and truncate: the writer keeps its descriptor and notices nothing.

A writer that appends (O_APPEND) goes on at the new end of the file. `x.log.1` is the youngest copy.
A copy holds no more than the limit, however fast the writer was: the end of what it wrote.
"""

import contextlib
import os

LIMIT_BYTES = 10 << 20
COPIES = 4
_CHUNK_BYTES = 1 << 20


def rotate_if_large(path: str, limit_bytes: int = LIMIT_BYTES, copies: int = COPIES) -> bool:
    """Move the content of a file beyond its limit into a copy; says whether it did."""
    try:
        if os.stat(path).st_size <= limit_bytes:
            return False
    except FileNotFoundError:
        return False
    fresh = f"{path}.new"
    source = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _copy_end(source, fresh, limit_bytes)
        for number in range(copies - 1, 0, -1):
            if os.path.exists(f"{path}.{number}"):
                os.replace(f"{path}.{number}", f"{path}.{number + 1}")
        # In place before the truncation: a reader that sees the file shrink finds the rest here.
        os.replace(fresh, f"{path}.1")
        os.ftruncate(source, 0)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise
    finally:
        os.close(source)
    return True


def _copy_end(source: int, path: str, limit_bytes: int) -> None:
    """Copy the end of a file, from the first line that begins within the limit."""
    start = os.fstat(source).st_size - limit_bytes
    if start > _CHUNK_BYTES:  # a little above the limit is kept whole
        head = os.pread(source, _CHUNK_BYTES, start)
        os.lseek(source, start + head.find(b"\n") + 1, os.SEEK_SET)
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        while chunk := os.read(source, _CHUNK_BYTES):
            while chunk:
                chunk = chunk[os.write(target, chunk) :]
    finally:
        os.close(target)


def rotated_paths(path: str, copies: int = COPIES) -> list[str]:
    """The copies that exist, oldest first."""
    names = [f"{path}.{number}" for number in range(copies, 0, -1)]
    return [name for name in names if os.path.exists(name)]
