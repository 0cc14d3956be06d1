"""Wakes on changes of files and folders (inotify), so that whoever follows a log need not poll."""

import asyncio
import ctypes
import os
from pathlib import Path

_IN_MODIFY = 0x2
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_DELETE = 0x200
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


class FolderWatch:
    """Wakes on everything that happens to the files directly in some folders; close it."""

    def __init__(self) -> None:
        self._descriptor = _checked(_libc.inotify_init1(_FLAGS), "inotify_init1")
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._read)

    def add(self, folder: Path) -> None:
        """Watch one more folder."""
        mask = ctypes.c_uint32(_IN_MODIFY | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE)
        result = _libc.inotify_add_watch(self._descriptor, os.fsencode(folder), mask)
        _checked(result, "inotify_add_watch")

    def _read(self) -> None:
        try:
            os.read(self._descriptor, 65536)
        except BlockingIOError:
            return
        self._changed.set()

    def wake(self) -> None:
        """Wake whoever waits, for a reason of our own."""
        self._changed.set()

    def expect(self) -> None:
        """From now on, a change wakes the next `changed`."""
        self._changed.clear()

    async def changed(self) -> None:
        """Wait for a change since `expect`."""
        await self._changed.wait()

    def close(self) -> None:
        """Stop watching."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)


def _checked(result: int, call: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result
