"""What a pod's status says to those who count pods."""

from datetime import datetime

from stagezero.api.pod import Pod
from stagezero.api.times import seconds_since
from stagezero.controllers.workloads.plans.conditions import find, is_true

ENDED = frozenset({"Succeeded", "Failed"})


def is_active(pod: Pod) -> bool:
    """Whether the pod still counts: it has not ended and is not being deleted."""
    return pod.status.phase not in ENDED and not pod.is_deleting


def is_ready(pod: Pod) -> bool:
    """Whether the pod takes requests."""
    return is_true(pod.status.conditions, "Ready")


def ready_for_s(pod: Pod, now: datetime) -> float:
    """Seconds that the pod has been ready; 0 if it is not."""
    ready = find(pod.status.conditions, "Ready")
    if ready is None or ready.status != "True":
        return 0.0
    return max(0.0, seconds_since(ready.last_transition_time, now))


def is_available(pod: Pod, min_ready_s: float, now: datetime) -> bool:
    """Whether the pod has been ready for long enough."""
    return is_ready(pod) and (min_ready_s <= 0 or ready_for_s(pod, now) >= min_ready_s)


def restarts(pod: Pod) -> int:
    """How often the pod's containers were restarted, at most."""
    return max((status.restart_count for status in pod.status.container_statuses), default=0)
