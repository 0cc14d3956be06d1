"""The one thread that writes the state file, and its group commit.

Writes come in by `submit`; all that have arrived while the last group was written make the next
one. A group with a user's write in it is forced to the disk before it is reported, a group of
derived ones is reported when committed and forced within `Pace.flush_s`. Groups are reported to the
event loop in the order in which they were submitted, each with the error that it failed with.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stagezero.store.base import Change, Durability, Stored
from stagezero.store.database import Database

log = logging.getLogger(__name__)

# The statement for a group is compiled by size, and a huge group delays everybody in it.
_GROUP_WRITES = 64
_GROUP_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Pace:
    """When the writer forces derived writes to the disk and moves the log into the file."""

    # How long a derived write may be committed without being on the disk.
    flush_s: float = 0.010
    # The log is emptied when nothing happens, and in the midst of work only when it gets big.
    idle_s: float = 0.25
    idle_wal_bytes: int = 1024 * 1024
    busy_wal_bytes: int = 24 * 1024 * 1024
    # After a failed flush or checkpoint (a full disk, most likely).
    retry_s: float = 1.0


@dataclass(frozen=True)
class Write:
    """A change on its way to the disk, and where its writer waits."""

    change: Change
    durability: Durability
    done: asyncio.Future[Stored]


class Writer:
    """Runs the thread; `settled` is called on the event loop for each group, with its error."""

    def __init__(
        self,
        database: Database,
        settled: Callable[[Sequence[Write], Exception | None], None],
        pace: Pace,
    ) -> None:
        self._database = database
        self._pace = pace
        self._settled = settled
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._flush_due_s = 0.0
        self._tidy_from_s = 0.0
        self._ended: asyncio.Future[None] = self._loop.create_future()
        # A daemon: a program that ends without `stop` has lost nothing that is committed.
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, write: Write) -> None:
        """Queue a write; its group is reported to `settled`."""
        self._queue.put(write)

    async def stop(self) -> None:
        """Write what is queued, close the file and end the thread."""
        self._queue.put(None)
        await self._ended
        self._thread.join()

    def _run(self) -> None:
        try:
            while (group := self._take_group()) is not None:
                self._commit(group)
        finally:
            # Also when this thread dies of a bug: whoever still waits must hear of it.
            self._database.close()
            self._report(self._report_end)

    def _report_end(self) -> None:
        self._settled(self._left_over(), RuntimeError("the store's writer has ended"))
        if not self._ended.done():
            self._ended.set_result(None)

    def _left_over(self) -> list[Write]:
        left: list[Write] = []
        with contextlib.suppress(queue.Empty):
            while True:
                write = self._queue.get_nowait()
                if write is not None:
                    left.append(write)
        return left

    def _take_group(self) -> list[Write] | None:
        write = self._wait()
        group: list[Write] = []
        size_bytes = 0
        while write is not None:
            group.append(write)
            size_bytes += len(write.change.data)
            if len(group) >= _GROUP_WRITES or size_bytes >= _GROUP_BYTES:
                return group
            try:
                write = self._queue.get_nowait()
            except queue.Empty:
                return group
        if group:
            # The end was asked for behind this group: meet it again after the group.
            self._queue.put(None)
            return group
        return None

    def _wait(self) -> Write | None:
        while True:
            try:
                return self._queue.get(timeout=self._patience_s())
            except queue.Empty:
                self._tidy(is_idle=True)

    def _patience_s(self) -> float | None:
        now_s = time.monotonic()
        if self._database.has_unflushed:
            return max(0.0, self._flush_due_s - now_s)
        if self._database.wal_bytes >= self._pace.idle_wal_bytes:
            return max(self._pace.idle_s, self._tidy_from_s - now_s)
        return None

    def _commit(self, group: list[Write]) -> None:
        changes = [write.change for write in group]
        is_forced = any(write.durability is Durability.INTENT for write in group)
        was_flushed = not self._database.has_unflushed
        try:
            self._database.commit(changes, is_forced)
        except (sqlite3.Error, ValueError) as error:  # the second for text that is not Unicode
            failure = error
            self._report(lambda: self._settled(group, failure))
        else:
            self._report(lambda: self._settled(group, None))
        if was_flushed:
            self._flush_due_s = time.monotonic() + self._pace.flush_s
        self._tidy(is_idle=False)

    def _tidy(self, is_idle: bool) -> None:
        """Flush and empty the log as far as it is time; errors are tried again later."""
        now_s, database, pace = time.monotonic(), self._database, self._pace
        # Idle time counts from the flush: a pause of ten milliseconds is not yet rest.
        rests = is_idle and not database.has_unflushed
        try:
            if database.has_unflushed and now_s >= self._flush_due_s:
                database.flush()
            limit_bytes = pace.idle_wal_bytes if rests else pace.busy_wal_bytes
            if database.wal_bytes >= limit_bytes and now_s >= self._tidy_from_s:
                database.checkpoint()
        except sqlite3.Error as error:
            log.error("cannot tidy %s: %s; again in %g s", database.path, error, pace.retry_s)
            self._flush_due_s = self._tidy_from_s = now_s + pace.retry_s

    def _report(self, report: Callable[[], None]) -> None:
        # The loop may be gone when a program ends without `stop`.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(report)
