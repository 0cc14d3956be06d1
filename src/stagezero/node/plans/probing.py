"""When to probe and what a row of results means: Kubernetes' rules, made quick at the start. Pure.

Until a container is ready for the first time it is asked at once and then ever more slowly, from
every 25 ms to five times a second: nobody shall wait ten seconds for a server up after one.
Such early failures do not count; those that come a period after the last counted one do.
"""

from dataclasses import dataclass, replace
from enum import Enum

from stagezero.api.container import Probe

FIRST_DELAY_S = 0.025
GROWTH = 1.1
EARLY_LIMIT_S = 0.2
DEFAULT_PERIOD_S = 10.0
AGGRESSIVE_PERIOD_S = 1.0
"""The period where none is given or 0 is: Knative's way of asking for a quick probe."""


class ProbeKind(Enum):
    """What a probe decides."""

    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"


@dataclass(frozen=True)
class ProbeRules:
    """A probe's numbers with Kubernetes' defaults filled in; times in seconds."""

    initial_delay_s: float
    period_s: float
    timeout_s: float
    successes: int
    failures: int

    @classmethod
    def of(cls, probe: Probe) -> "ProbeRules":
        """Read a probe."""
        return cls(
            float(probe.initial_delay_seconds),
            float(probe.period_seconds or AGGRESSIVE_PERIOD_S),
            float(probe.timeout_seconds or 1),
            probe.success_threshold or 1,
            probe.failure_threshold or 3,
        )


@dataclass(frozen=True)
class ProbeState:
    """A row of results: `passed` None until the first threshold is reached.

    `counted_at_s` is when the last failure that counts came, on the loop's clock.
    """

    passed: bool | None = None
    successes: int = 0
    failures: int = 0
    attempts: int = 0
    counted_at_s: float | None = None


def after_result(state: ProbeState, rules: ProbeRules, is_success: bool, at_s: float) -> ProbeState:
    """The state after one more result."""
    state = replace(state, attempts=state.attempts + 1)
    if is_success:
        state = replace(state, successes=state.successes + 1, failures=0, counted_at_s=None)
        return replace(state, passed=True) if state.successes >= rules.successes else state
    if not _counts(state, rules, at_s):
        return replace(state, successes=0)
    state = replace(state, successes=0, failures=state.failures + 1, counted_at_s=at_s)
    return replace(state, passed=False) if state.failures >= rules.failures else state


def _counts(state: ProbeState, rules: ProbeRules, at_s: float) -> bool:
    slack_s = rules.period_s * 0.05
    return state.counted_at_s is None or at_s - state.counted_at_s >= rules.period_s - slack_s


def next_delay_s(kind: ProbeKind, state: ProbeState, rules: ProbeRules) -> float:
    """How long to wait before the next attempt."""
    is_early = state.passed is not True and kind is not ProbeKind.LIVENESS
    if not is_early or state.passed is False:
        return rules.period_s
    growing_s = FIRST_DELAY_S * GROWTH ** min(max(state.attempts - 1, 0), 64)
    return min(rules.period_s, EARLY_LIMIT_S, growing_s)


def first_delay_s(kind: ProbeKind, rules: ProbeRules) -> float:
    """How long to wait before the first attempt: what the probe asks for, else nothing."""
    if kind is ProbeKind.LIVENESS:
        return rules.initial_delay_s or rules.period_s
    return rules.initial_delay_s
