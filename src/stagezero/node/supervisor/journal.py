"""The journal: what was started and how it ended, one JSON line each, read back after a crash.

Appended before a child may run, so that no child is ever unknown; an exit is fsynced, for it is
known only once. A line torn by a crash is skipped. The file is rewritten when it has grown and at
every start, then holds only what is not forgotten. While the disk is full, entries wait in memory:
pods and gateway shall be kept up meanwhile, and a supervisor that ends could not.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from typing import Any

REWRITE_BYTES = 4 << 20
_APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

Entry = dict[str, Any]


class Journal:
    """An append-only file of entries; the writer holds the supervisor's lock."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = os.open(path, _APPENDING, 0o600)
        self._size = os.fstat(self._file).st_size
        self._waiting = b""
        if self._size and not _ends_a_line(path):
            self._waiting = b"\n"

    def entries(self) -> list[Entry]:
        """Read every whole entry."""
        found = []
        with open(self._path, "rb") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    found.append(entry)
        return found

    def append(self, entry: Entry, *, is_flushed: bool = False) -> None:
        """Add an entry; with `is_flushed` it is on disk when this returns, if the disk takes it."""
        self._waiting += _line(entry)
        self.retry()
        if is_flushed:
            with contextlib.suppress(OSError):
                os.fdatasync(self._file)

    @property
    def is_behind(self) -> bool:
        """Whether entries wait for the disk to take them."""
        return bool(self._waiting)

    def retry(self) -> None:
        """Write what waits; what the disk does not take waits on, and leaves no torn line."""
        try:
            _write(self._file, self._waiting)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            return
        self._size += len(self._waiting)
        self._waiting = b""

    @property
    def is_due_for_rewriting(self) -> bool:
        """Whether the file has grown beyond what is worth keeping."""
        return self._size > REWRITE_BYTES

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Replace the file by these entries, atomically; a disk that is full keeps the old one."""
        fresh = self._path + ".new"
        data = b"".join(_line(entry) for entry in entries)
        try:
            file = os.open(fresh, _APPENDING | os.O_TRUNC, 0o600)
        except OSError:
            return
        try:
            _write(file, data)
            os.fdatasync(file)
            os.rename(fresh, self._path)
        except OSError:
            os.close(file)
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            return
        os.close(self._file)
        self._file, self._size, self._waiting = file, len(data), b""

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _ends_a_line(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
