"""A container runtime in thought: runs begin and end as a test says, in virtual time.

A program is a function of its command line: the seconds it runs and its exit code, None for one
that runs until it is stopped.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from stagezero.kit.clock import Clock
from stagezero.node.sandbox.runtime import (
    CannotStart,
    ContainerId,
    ContainerRun,
    ContainerSpec,
    ExecResult,
    Isolation,
    RuntimeFailed,
    RuntimeInfo,
    Sandbox,
    SandboxSpec,
    Stats,
)

Program = Callable[[ContainerSpec], tuple[float, int] | None]


class FakeRuntime:
    """Implements `runtime.Runtime` without processes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.info = RuntimeInfo(Isolation.BRIDGE, True)
        self.program: Program = lambda spec: None
        self.ignores_sigterm = False
        self.sandbox_error = ""
        self.start_error = ""
        self.exec_code = 0
        self.started: list[ContainerSpec] = []
        self.stops: list[tuple[ContainerId, bool]] = []
        self._sandboxes: dict[str, Sandbox] = {}
        self._runs: dict[ContainerId, ContainerRun] = {}
        self._listeners: list[Callable[[str], None]] = []

    def on_change(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call `listener` on every change."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _changed(self, uid: str) -> None:
        for listener in tuple(self._listeners):
            listener(uid)

    async def prepare(self, spec: SandboxSpec) -> Sandbox:
        """Give out the next address."""
        if self.sandbox_error:
            raise RuntimeFailed(self.sandbox_error)
        if spec.uid not in self._sandboxes:
            ip = f"10.244.0.{len(self._sandboxes) + 2}"
            self._sandboxes[spec.uid] = Sandbox(
                spec.uid, spec.namespace, spec.name, ip, self.info.isolation
            )
        return self._sandboxes[spec.uid]

    async def close(self) -> None:
        """Nothing is under way."""

    def sandbox(self, uid: str) -> Sandbox | None:
        """The pod's sandbox."""
        return self._sandboxes.get(uid)

    def uids(self) -> set[str]:
        """The pods of which anything is left."""
        return set(self._sandboxes) | {run.uid for run in self._runs}

    async def release(self, uid: str) -> None:
        """Forget everything of a pod."""
        self._runs = {run: state for run, state in self._runs.items() if run.uid != uid}
        self._sandboxes.pop(uid, None)

    async def start(self, spec: ContainerSpec) -> None:
        """Begin a run."""
        if spec.id.uid not in self._sandboxes:
            raise RuntimeFailed(f"pod {spec.id.uid} has no sandbox")
        if self.start_error:
            raise CannotStart(self.start_error)
        if spec.id in self._runs:
            return
        self.started.append(spec)
        self._runs[spec.id] = ContainerRun(spec.id, len(self.started), self._clock.now())
        self._changed(spec.id.uid)
        life = self.program(spec)
        if life is not None:
            asyncio.get_running_loop().call_later(life[0], self.end, spec.id, life[1])

    def end(self, run: ContainerId, code: int, number: int = 0) -> None:
        """End a run, unless it has ended."""
        state = self._runs.get(run)
        if state is not None and state.is_running:
            self._runs[run] = replace(state, exited_at=self._now(), exit_code=code, signal=number)
            self._changed(run.uid)

    def _now(self) -> datetime:
        return self._clock.now()

    async def stop(self, run: ContainerId, *, is_forced: bool = False) -> None:
        """End a run as a signal would."""
        self.stops.append((run, is_forced))
        if is_forced:
            self.end(run, 137, 9)
        elif not self.ignores_sigterm:
            self.end(run, 143, 15)

    def runs(self, uid: str) -> Sequence[ContainerRun]:
        """The known runs, oldest first."""
        return [state for run, state in self._runs.items() if run.uid == uid]

    async def forget(self, run: ContainerId) -> None:
        """Drop a run."""
        self._runs.pop(run, None)

    async def execute(self, run: ContainerId, argv: Sequence[str], timeout_s: float) -> ExecResult:
        """Answer every command alike."""
        state = self._runs.get(run)
        if state is None or not state.is_running:
            raise RuntimeFailed(f'container "{run.container}" does not run')
        return ExecResult(self.exec_code, "")

    def stats(self, run: ContainerId) -> Stats | None:
        """Nothing is used."""
        state = self._runs.get(run)
        return Stats(0.0, 0) if state is not None and state.is_running else None
