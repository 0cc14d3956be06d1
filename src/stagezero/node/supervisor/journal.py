"""The journal: what was started and how it ended, one JSON line each, read back after a crash.

Appended before a child may run, so that no child is ever unknown; an exit is fsynced, for it is
known only once. A line torn by a crash is skipped. The file is rewritten when it has grown and at
every start, then holds only what is not forgotten.
"""

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
        if self._size and not _ends_a_line(path):
            self._append(b"\n")

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
        """Add an entry; with `is_flushed` it is on disk when this returns."""
        self._append(_line(entry))
        if is_flushed:
            os.fdatasync(self._file)

    def _append(self, data: bytes) -> None:
        while data:
            written = os.write(self._file, data)
            self._size += written
            data = data[written:]

    @property
    def is_due_for_rewriting(self) -> bool:
        """Whether the file has grown beyond what is worth keeping."""
        return self._size > REWRITE_BYTES

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Replace the file by these entries, atomically."""
        fresh = self._path + ".new"
        data = b"".join(_line(entry) for entry in entries)
        file = os.open(fresh, _APPENDING | os.O_TRUNC, 0o600)
        old, self._file, self._size = self._file, file, 0
        self._append(data)
        os.fdatasync(file)
        os.rename(fresh, self._path)
        os.close(old)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _ends_a_line(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
