"""Named tasks with an owner: each ends awaited, and an unexpected end is logged with its name."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class TaskOwner:
    """Owns background tasks: starts them by name, and on `stop` cancels and awaits every one.

    A task that fails is logged at once, and its error is raised again by `stop`'s owner through
    `failure`, so that the program that must not run without it can end.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self.failure: asyncio.Future[BaseException] | None = None

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run `work` in the background under `owner/name`."""
        task = asyncio.create_task(work, name=f"{self._name}/{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        log.error("task %s ended with an error", task.get_name(), exc_info=error)
        if self.failure is not None and not self.failure.done():
            self.failure.set_result(error)

    async def stop(self, grace_s: float = 5.0) -> None:
        """Cancel all tasks and wait for their ends; names those that hang past `grace_s`."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, hanging = await asyncio.wait(tasks, timeout=grace_s)
        for task in hanging:
            log.error(
                "task %s did not end within %.1f s of being cancelled", task.get_name(), grace_s
            )
