"""Ends containers gracefully: hook, SIGTERM, wait for the grace, SIGKILL."""

import asyncio
import logging
from contextlib import suppress

from stagezero.api.container import Probe
from stagezero.node.probe_calls import Target, call
from stagezero.node.sandbox.runtime import ContainerId, Runtime

log = logging.getLogger(__name__)

KILL_LIMIT_S = 5.0


class PodStopper:
    """Stops runs of containers."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: dict[str, list[asyncio.Event]] = {}
        runtime.on_change(self._changed)

    def _changed(self, uid: str) -> None:
        for event in self._waiting.get(uid, ()):
            event.set()

    async def stop(self, run: ContainerId, grace_s: float, target: Target | None = None) -> None:
        """End a run; it has ended when this returns, or does not obey SIGKILL."""
        if target is not None and grace_s > 0:
            await self._before_stop(run, target, grace_s)
        if grace_s > 0:
            await self._runtime.stop(run)
            if await self._ends_within(run, grace_s):
                return
        await self._runtime.stop(run, is_forced=True)
        if not await self._ends_within(run, KILL_LIMIT_S):
            log.error("%s does not end on SIGKILL", run)

    async def _before_stop(self, run: ContainerId, target: Target, grace_s: float) -> None:
        lifecycle = target.container.lifecycle
        hook = lifecycle.pre_stop if lifecycle else None
        if hook is None:
            return
        if hook.sleep is not None:
            await asyncio.sleep(min(grace_s, hook.sleep.seconds))
            return
        probe = Probe(exec=hook.exec, http_get=hook.http_get, tcp_socket=hook.tcp_socket)
        result = await call(probe, target, grace_s)
        if not result.is_success:
            log.warning("preStop hook of %s failed: %s", run, result.message)

    def _is_running(self, run: ContainerId) -> bool:
        return any(known.id == run and known.is_running for known in self._runtime.runs(run.uid))

    async def _ends_within(self, run: ContainerId, limit_s: float) -> bool:
        event = asyncio.Event()
        waiting = self._waiting.setdefault(run.uid, [])
        waiting.append(event)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    while self._is_running(run):
                        event.clear()
                        await event.wait()
        finally:
            waiting.remove(event)
            if not waiting:
                self._waiting.pop(run.uid, None)
        return not self._is_running(run)
