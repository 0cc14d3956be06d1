"""Advisory locks on files: they hold between processes and end with their holder, however it ends.

The kernel drops a `flock` when the last copy of the file descriptor closes, so a crash leaves no
stale lock behind. A child that inherits the descriptor keeps the lock for as long as it lives.
"""

import asyncio
import fcntl
import os
from pathlib import Path
from types import TracebackType

# Another process cannot wake our event loop, and a thread blocked in flock cannot be cancelled.
_LOOK_AGAIN_S = 0.05


class FileLock:
    """One lock on one path; `shared` locks go together, an exclusive one stands alone."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self._path = path
        self._mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open file descriptor, to be inherited by a child that must keep the lock."""
        assert self._descriptor is not None, "the lock is not held"
        return self._descriptor

    def try_acquire(self) -> bool:
        """Take the lock if nobody else holds it, and say whether it is ours."""
        assert self._descriptor is None, "the lock is already held"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, self._mode | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    async def acquire(self) -> None:
        """Wait until the lock is ours."""
        while not self.try_acquire():  # noqa: ASYNC110 - see _LOOK_AGAIN_S
            await asyncio.sleep(_LOOK_AGAIN_S)

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    async def __aenter__(self) -> "FileLock":
        await self.acquire()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
