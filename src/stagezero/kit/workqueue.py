"""A queue of keys: each key at most once, never two workers on one key, later if asked.

Adding a key that is waiting does nothing; adding one that is being worked on marks it dirty, and it
returns to the queue when its worker is done. Delays keep only the earliest wish for each key.
"""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Deduplicating queue with per-key exclusion and delayed additions."""

    def __init__(self) -> None:
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()
        self._working: set[K] = set()
        self._dirty: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, key: K) -> None:
        """Queue a key now; a delayed wish for the same key is thereby fulfilled."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._working:
            self._dirty.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._idle.clear()
            self._arrived.set()

    def add_after(self, key: K, delay_s: float) -> None:
        """Queue a key after `delay_s`, unless it is due earlier anyway."""
        if delay_s <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._due, key)

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def take(self) -> K:
        """Wait for a key and mark it as being worked on; `done` must follow."""
        while not self._ready:
            self._arrived.clear()
            await self._arrived.wait()
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """End the work on a key; it returns to the queue if it was added meanwhile."""
        self._working.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)
        elif not self._ready and not self._working:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until nothing is queued or worked on (delayed keys do not count)."""
        await self._idle.wait()

    def close(self) -> None:
        """Drop all delayed keys, so that no timer outlives the queue."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def __len__(self) -> int:
        return len(self._ready)
