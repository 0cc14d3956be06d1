"""Probes of running containers: a task for each, started and ended with the container's run."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from stagezero.api.container import Container, Probe
from stagezero.kit.tasks import TaskOwner
from stagezero.node.plans.observed import Health
from stagezero.node.plans.probing import (
    ProbeKind,
    ProbeRules,
    ProbeState,
    after_result,
    first_delay_s,
    next_delay_s,
)
from stagezero.node.probe_calls import ProbeResult, Target, call
from stagezero.node.sandbox.runtime import ContainerId

QUIET_START_S = 3.0
"""While a program starts, that it does not answer yet is no news."""


@dataclass
class _Probed:
    """A run under probes."""

    target: Target
    states: dict[ProbeKind, ProbeState] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the start-up probe has passed; the others wait for it."""


class Prober:
    """Probes runs; `changed` is called with the pod's uid, `failed` with each failed probe."""

    def __init__(
        self,
        changed: Callable[[str], None],
        failed: Callable[[ContainerId, ProbeKind, ProbeResult], None],
    ) -> None:
        self._changed = changed
        self._failed = failed
        self._probed: dict[ContainerId, _Probed] = {}
        self._tasks = TaskOwner("probes")

    def watch(self, run: ContainerId, target: Target, told: Health | None = None) -> None:
        """Begin to probe a run, unless it is probed already.

        `told` is what was known of this run before we came: it holds until a probe knows better,
        so that nothing stops being ready because the control plane was started again.
        """
        if run in self._probed:
            return
        probed = self._probed[run] = _Probed(target)
        probes = probes_of(target.container)
        if ProbeKind.STARTUP not in probes:
            probed.may_go_on.set()
        for kind, probe in probes.items():
            probed.states[kind] = _initial_state(kind, told)
            if kind is ProbeKind.STARTUP and probed.states[kind].passed:
                probed.may_go_on.set()
                continue
            work = self._probe(run, probed, kind, probe)
            task = self._tasks.start(work, f"{run.uid}/{run.container}/{kind.value}")
            probed.tasks.append(task)

    def forget(self, run: ContainerId) -> None:
        """Stop probing a run."""
        probed = self._probed.pop(run, None)
        for task in probed.tasks if probed else ():
            task.cancel()

    def forget_others(self, uid: str, runs: set[ContainerId]) -> None:
        """Stop probing all runs of a pod but these."""
        for run in [run for run in self._probed if run.uid == uid and run not in runs]:
            self.forget(run)

    def health(self, run: ContainerId) -> Health:
        """What is known of a run; nothing yet counts as not ready if there is a probe for it."""
        probed = self._probed.get(run)
        if probed is None:
            return Health(is_started=False, is_ready=False)
        passed = {kind: state.passed for kind, state in probed.states.items()}
        is_started = passed.get(ProbeKind.STARTUP, True) is True
        return Health(
            is_started=is_started,
            is_ready=is_started and passed.get(ProbeKind.READINESS, True) is True,
            is_failing=False in (passed.get(ProbeKind.LIVENESS), passed.get(ProbeKind.STARTUP)),
        )

    async def close(self) -> None:
        """Stop all probes."""
        await self._tasks.stop()

    async def _probe(
        self, run: ContainerId, probed: _Probed, kind: ProbeKind, probe: Probe
    ) -> None:
        rules = ProbeRules.of(probe)
        loop = asyncio.get_running_loop()
        if kind is not ProbeKind.STARTUP:
            await probed.may_go_on.wait()
        began_s = loop.time()
        await asyncio.sleep(first_delay_s(kind, rules))
        while True:
            result = await call(probe, probed.target, rules.timeout_s)
            before = probed.states[kind]
            after = after_result(before, rules, result.is_success, loop.time())
            probed.states[kind] = after
            is_early = after.passed is None and loop.time() - began_s < QUIET_START_S
            if not result.is_success and not is_early:
                self._failed(run, kind, result)
            if after.passed != before.passed:
                self._settle(run, probed, kind)
            if kind is ProbeKind.STARTUP and after.passed:
                return
            await asyncio.sleep(next_delay_s(kind, after, rules))

    def _settle(self, run: ContainerId, probed: _Probed, kind: ProbeKind) -> None:
        if kind is ProbeKind.STARTUP and probed.states[kind].passed:
            probed.may_go_on.set()
        self._changed(run.uid)


def _initial_state(kind: ProbeKind, told: Health | None) -> ProbeState:
    if told is None:
        return ProbeState()
    passed = {
        ProbeKind.STARTUP: told.is_started,
        ProbeKind.READINESS: told.is_ready,
        ProbeKind.LIVENESS: True,
    }
    return ProbeState(passed=True) if passed[kind] else ProbeState()


def probes_of(container: Container) -> dict[ProbeKind, Probe]:
    """The probes that a container asks for."""
    asked = {
        ProbeKind.STARTUP: container.startup_probe,
        ProbeKind.READINESS: container.readiness_probe,
        ProbeKind.LIVENESS: container.liveness_probe,
    }
    return {kind: probe for kind, probe in asked.items() if probe is not None}
