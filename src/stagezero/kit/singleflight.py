"""One piece of work for all who ask for the same thing at the same time.

The first to ask starts the work, the others join; each hears its progress and gets its result or
error. Work goes on when those who asked are cancelled, since its result is kept for the next one.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
P = TypeVar("P")
R = TypeVar("R")

Listener = Callable[[P], None]


class SingleFlight(Generic[K, P, R]):
    """Work under way by key; `P` is what it tells of its progress, `R` its result."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: dict[K, asyncio.Task[R]] = {}
        self._listeners: dict[K, list[Listener[P]]] = {}

    async def run(
        self, key: K, work: Callable[[Listener[P]], Coroutine[Any, Any, R]], listener: Listener[P]
    ) -> R:
        """Join the work on `key`, started with `work` if none is under way, and await its end."""
        task = self._tasks.get(key)
        if task is None:
            listeners = self._listeners[key] = []
            tell: Listener[P] = lambda progress: self._tell(listeners, progress)  # noqa: E731
            task = asyncio.create_task(work(tell), name=f"{self._name}/{key}")
            self._tasks[key] = task
            task.add_done_callback(lambda ended: self._ended(key, ended))
        listeners = self._listeners[key]
        listeners.append(listener)
        try:
            return await asyncio.shield(task)
        finally:
            listeners.remove(listener)

    async def close(self) -> None:
        """Cancel all work under way and await its end."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _tell(self, listeners: list[Listener[P]], progress: P) -> None:
        for listener in tuple(listeners):
            listener(progress)

    def _ended(self, key: K, task: asyncio.Task[R]) -> None:
        del self._tasks[key], self._listeners[key]
        if not task.cancelled():
            task.exception()  # those who asked may all have gone; nobody's error is not a leak
