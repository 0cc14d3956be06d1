"""How `kubectl get pods` sums up a pod: the one word under STATUS, ready containers, restarts."""

from dataclasses import dataclass
from datetime import datetime

from stagezero.api.container import ContainerStateTerminated, ContainerStatus
from stagezero.api.durations import age
from stagezero.api.pod import Pod

Cell = str | int


@dataclass
class _Summary:
    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: str = ""
    is_initializing: bool = False

    def count_restarts(self, status: ContainerStatus) -> None:
        self.restarts += status.restart_count
        ended = status.last_state.terminated
        if ended is not None and ended.finished_at:
            self.last_restart = max(self.last_restart, ended.finished_at)


def pod_cells(pod: Pod, now: datetime) -> list[Cell]:
    """Ready, status, restarts, age, then IP, node, nominated node, readiness gates."""
    summary = _summarize(pod)
    restarts: Cell = str(summary.restarts)
    if summary.restarts and summary.last_restart:
        restarts = f"{summary.restarts} ({age(summary.last_restart, now)} ago)"
    return [
        f"{summary.ready}/{len(pod.spec.containers) + _sidecars(pod)}",
        summary.reason,
        restarts,
        age(pod.metadata.creation_timestamp, now),
        (pod.status.pod_ips[0].ip if pod.status.pod_ips else pod.status.pod_ip) or "<none>",
        pod.spec.node_name or "<none>",
        pod.status.nominated_node_name or "<none>",
        _readiness_gates(pod),
    ]


def pod_status_word(pod: Pod) -> str:
    """The word under STATUS."""
    return _summarize(pod).reason


def _sidecars(pod: Pod) -> int:
    return sum(container.restart_policy == "Always" for container in pod.spec.init_containers)


def _summarize(pod: Pod) -> _Summary:
    summary = _Summary(pod.status.reason or pod.status.phase)
    if any(
        condition.type == "PodScheduled" and condition.reason == "SchedulingGated"
        for condition in pod.status.conditions
    ):
        summary.reason = "SchedulingGated"
    _count_init_containers(pod, summary)
    if not summary.is_initializing or _is_true(pod, "Initialized"):
        _count_containers(pod, summary)
    if pod.is_deleting and pod.status.reason == "NodeLost":
        summary.reason = "Unknown"
    elif pod.is_deleting and pod.status.phase not in ("Succeeded", "Failed"):
        summary.reason = "Terminating"
    return summary


def _count_init_containers(pod: Pod, summary: _Summary) -> None:
    sidecars = {
        container.name
        for container in pod.spec.init_containers
        if container.restart_policy == "Always"
    }
    for number, status in enumerate(pod.status.init_container_statuses):
        summary.count_restarts(status)
        ended = status.state.terminated
        if ended is not None and ended.exit_code == 0:
            continue
        if status.name in sidecars and status.started:
            summary.ready += status.ready
            continue
        waiting = status.state.waiting
        if ended is not None:
            summary.reason = f"Init:{_ending(ended)}"
        elif waiting is not None and waiting.reason not in ("", "PodInitializing"):
            summary.reason = f"Init:{waiting.reason}"
        else:
            summary.reason = f"Init:{number}/{len(pod.spec.init_containers)}"
        summary.is_initializing = True
        return


def _count_containers(pod: Pod, summary: _Summary) -> None:
    summary.restarts, summary.last_restart = 0, ""
    has_running = False
    for status in reversed(pod.status.container_statuses):
        summary.count_restarts(status)
        state = status.state
        if state.waiting is not None and state.waiting.reason:
            summary.reason = state.waiting.reason
        elif state.terminated is not None:
            summary.reason = _ending(state.terminated)
        elif status.ready and state.running is not None:
            has_running = True
            summary.ready += 1
    if summary.reason == "Completed" and has_running:
        summary.reason = "Running" if _is_true(pod, "Ready") else "NotReady"


def _ending(ended: ContainerStateTerminated) -> str:
    if ended.reason:
        return ended.reason
    return f"Signal:{ended.signal}" if ended.signal else f"ExitCode:{ended.exit_code}"


def _is_true(pod: Pod, condition_type: str) -> bool:
    return any(
        condition.type == condition_type and condition.status == "True"
        for condition in pod.status.conditions
    )


def _readiness_gates(pod: Pod) -> str:
    gates = [gate.condition_type for gate in pod.spec.readiness_gates]
    if not gates:
        return "<none>"
    return f"{sum(_is_true(pod, gate) for gate in gates)}/{len(gates)}"
