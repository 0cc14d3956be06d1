"""The loop: keys in, one step a key, again when asked or when it failed.

Only here is retried, slept and broadly caught. A step gets a key and returns after how many seconds
to look again (None: when something changes). A Conflict is not a failure: the key runs again soon,
on fresh caches.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from stagezero.api import errors
from stagezero.api.base import Key, Object
from stagezero.client.cache import Caches
from stagezero.kit.backoff import Backoff
from stagezero.kit.workqueue import WorkQueue

log = logging.getLogger(__name__)

Step = Callable[[Key], Awaitable[float | None]]
Keys = Callable[[Object, Caches], Iterable[Key]]


class StepFailed(Exception):
    """A step could not reach its goal and says why: one line in the log, again with back-off."""


class Loop:
    """Runs `step` for every key that was added; one key never runs twice at the same time."""

    def __init__(self, name: str, step: Step, workers: int = 4) -> None:
        self.name = name
        self._step = step
        self._workers = workers
        self._queue: WorkQueue[Key] = WorkQueue()
        self._backoff = Backoff()
        # A cache that lags brings the same conflict again: the first try is soon, the tenth is not.
        self._conflicts = Backoff(first_s=0.005, limit_s=1.0)

    def add(self, key: Key) -> None:
        """Run the key soon."""
        self._queue.add(key)

    def wake_on(self, caches: Caches, kind: type[Object], keys: Keys) -> None:
        """Run the keys that an object of `kind` concerns whenever it changes, comes or goes."""

        def changed(before: Object | None, after: Object | None) -> None:
            for thing in (before, after):
                if thing is not None:
                    self._wake(keys, thing, caches)

        caches.add(kind).subscribe(changed)

    def _wake(self, keys: Keys, thing: Object, caches: Caches) -> None:
        try:
            for key in keys(thing, caches):
                self._queue.add(key)
        except Exception:
            # The cache must go on for everybody else.
            kind = thing.resource.kind
            log.exception("%s: cannot tell whom %s %s concerns", self.name, kind, thing.key)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._workers):
                    group.create_task(self._work(), name=f"{self.name}/worker-{number}")
        finally:
            self._queue.close()

    async def idle(self) -> None:
        """Wait until nothing is queued or worked on."""
        await self._queue.idle()

    async def _work(self) -> None:
        while True:
            key = await self._queue.take()
            try:
                delay_s = await self._run(key)
            finally:
                self._queue.done(key)
            if delay_s is not None:
                self._queue.add_after(key, delay_s)

    async def _run(self, key: Key) -> float | None:
        try:
            recheck_s = await self._step(key)
        except errors.Conflict as error:
            log.debug("%s %s: %s", self.name, key, error.message)
            return self._conflicts.failed(key)
        except (errors.ApiError, StepFailed) as error:
            log.warning("%s %s: %s", self.name, key, error)
            return self._backoff.failed(key)
        except Exception:
            log.exception("%s %s failed", self.name, key)
            return self._backoff.failed(key)
        self._backoff.forget(key)
        self._conflicts.forget(key)
        return recheck_s
