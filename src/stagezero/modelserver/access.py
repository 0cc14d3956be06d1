"""One line a request, written in bulk: a system call a line would halve the throughput.

Lines wait at most a quarter of a second, or until 32 KiB have gathered.
"""

import asyncio
import os
import time

_FLUSH_AFTER_S = 0.25
_FLUSH_BYTES = 32768


class AccessLog:
    """Collects access lines and writes them to a file descriptor."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        self._loop = loop
        self._descriptor = descriptor
        self._lines: list[str] = []
        self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def write(self, line: str) -> None:
        """Add one line; the date is put before it, as of the second in which it is written."""
        self._lines.append(line)
        self._waiting_bytes += len(line)
        if self._timer is None:
            self._timer = self._loop.call_later(_FLUSH_AFTER_S, self.flush)
        elif self._waiting_bytes > _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered; a log that cannot be written must not stop the server."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines, self._waiting_bytes = self._lines, [], 0
        if not lines:
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime())
        data = "".join(f"{stamp}{line}\n" for line in lines).encode("utf-8", "replace")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            return
