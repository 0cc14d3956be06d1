"""The bounded memory of what changed, and the readers that follow it.

Committed changes come in through `append`, in the order of versions; every reader holds its own
place in its collection's log and waits for a wake-up, so a slow reader costs nothing but is told
`Compacted` once the bounds (a count and bytes over all collections) have pushed out what it had
not read. A log belongs to one collection, hence a watch never sees another collection's changes,
and a quiet collection can be resumed from an old version for as long as none of its own changes
were pushed out.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from stagezero.store.base import Change, Compacted


@dataclass(frozen=True)
class HistoryLimits:
    """How much is remembered; whichever bound is reached first pushes out the oldest change."""

    changes: int = 16_384
    # Encoded objects only: the state before a change is as a rule the data of an earlier entry.
    size_bytes: int = 32 * 1024 * 1024


class _Log:
    """One collection's changes; `first` counts those that were pushed out, `floor` dates them."""

    __slots__ = ("changes", "first", "floor", "news")

    def __init__(self, floor: int) -> None:
        self.changes: deque[Change] = deque()
        self.first = 0
        self.floor = floor
        self.news = asyncio.Event()

    def drop_oldest(self) -> Change:
        dropped = self.changes.popleft()
        self.first += 1
        self.floor = dropped.version
        return dropped

    def wake(self) -> None:
        # Whoever waits is released by `set`; whoever comes later waits for the next change.
        self.news.set()
        self.news.clear()


class History:
    """All logs, in one order of versions; `version` is the last one appended."""

    def __init__(self, start: int = 0, limits: HistoryLimits | None = None) -> None:
        self.version = start
        self.is_closed = False
        self._start = start
        self._limits = limits or HistoryLimits()
        self._logs: dict[str, _Log] = {}
        self._order: deque[_Log] = deque()
        self._size_bytes = 0

    def append(self, changes: Iterable[Change]) -> None:
        """Remember committed changes and wake the readers of their collections."""
        touched: set[_Log] = set()
        for change in changes:
            assert change.version > self.version, "changes are appended in the order of versions"
            log = self._log(change.key.collection)
            log.changes.append(change)
            self._order.append(log)
            self._size_bytes += len(change.data)
            self.version = change.version
            touched.add(log)
        self._keep_bounds()
        for log in touched:
            log.wake()

    def _keep_bounds(self) -> None:
        limits = self._limits
        # The newest change stays whatever its size: readers that keep up must get it.
        while len(self._order) > 1 and (
            len(self._order) > limits.changes or self._size_bytes > limits.size_bytes
        ):
            # The oldest of all is the oldest of its collection.
            self._size_bytes -= len(self._order.popleft().drop_oldest().data)

    def _log(self, collection: str) -> _Log:
        log = self._logs.get(collection)
        if log is None:
            log = self._logs[collection] = _Log(self._start)
        return log

    def watch(self, collection: str, since: int, namespace: str = "") -> "Watcher":
        """Return a reader of what comes after version `since`; Compacted at once if too old.

        A version that was never given out (of another life of this store) is Compacted too.
        """
        log = self._log(collection)
        if since < log.floor or since > self.version:
            raise Compacted(since, log.floor)
        offset = bisect_right(log.changes, since, key=lambda change: change.version)
        return Watcher(self, log, log.first + offset, since, namespace)

    def close(self) -> None:
        """End all readers once they have read what is there."""
        self.is_closed = True
        for log in self._logs.values():
            log.wake()


class Watcher:
    """One reader's place; cancelling a wait for the next change loses nothing."""

    def __init__(self, history: History, log: _Log, place: int, since: int, namespace: str) -> None:
        self._history = history
        self._log = log
        self._place = place
        self._seen = since
        self._namespace = namespace
        self._is_closed = False

    @property
    def version(self) -> int:
        """The version up to which nothing is left to read: what a bookmark may say."""
        if self._place == self._log.first + len(self._log.changes):
            return self._history.version
        return self._seen

    def __aiter__(self) -> "Watcher":
        return self

    async def __anext__(self) -> Change:
        while not self._is_closed:
            change = self._next_here()
            if change is not None:
                return change
            if self._history.is_closed:
                break
            await self._log.news.wait()
        raise StopAsyncIteration

    def _next_here(self) -> Change | None:
        log = self._log
        offset = self._place - log.first
        if offset < 0:
            raise Compacted(self._seen, log.floor)
        while offset < len(log.changes):
            change = log.changes[offset]
            offset += 1
            self._place += 1
            self._seen = change.version
            if not self._namespace or change.key.namespace == self._namespace:
                return change
        return None

    async def aclose(self) -> None:
        """End this reader, also one that waits in another task."""
        self._is_closed = True
        self._log.wake()
