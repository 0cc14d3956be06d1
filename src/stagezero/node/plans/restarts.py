"""When a container that has ended is started again: at once, then after 10 s, doubling to 5 min."""

from datetime import datetime, timedelta

from stagezero.node.plans.observed import Run

FIRST_S = 10.0
LIMIT_S = 300.0
FORGIVEN_AFTER_S = 600.0


def shall_restart(policy: str, exit_code: int) -> bool:
    """Whether the pod's restart policy wants another run."""
    return policy in ("", "Always") or (policy == "OnFailure" and exit_code != 0)


def delay_s(restarts: int) -> float:
    """How long to wait before run number `restarts` + 1, counted from the end of the last."""
    return 0.0 if restarts < 1 else min(LIMIT_S, FIRST_S * 2 ** min(restarts - 1, 16))


def due_at(runs: tuple[Run, ...]) -> datetime:
    """When the next run may start, given those that were: a long one forgives all before."""
    last = runs[-1]
    assert last.exited_at is not None, "the last run has ended"
    if (last.exited_at - last.started_at).total_seconds() >= FORGIVEN_AFTER_S:
        return last.exited_at
    return last.exited_at + timedelta(seconds=delay_s(last.restart))
