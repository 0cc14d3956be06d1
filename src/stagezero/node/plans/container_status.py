"""One container's status, word for word as a kubelet writes it."""

from datetime import datetime

from stagezero.api.container import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
)
from stagezero.api.times import write_time
from stagezero.node.plans import restarts
from stagezero.node.plans.observed import Health, ImagePhase, Observed, Run

COMPLETED, ERROR = "Completed", "Error"
UNKNOWN = "ContainerStatusUnknown"


def container_status(
    seen: Observed, container: Container, is_held_back: bool, now: datetime
) -> ContainerStatus:
    """The status of a container; `is_held_back` until the init containers are through."""
    runs = seen.runs.get(container.name, ())
    state = _state(seen, container, runs, is_held_back, now)
    is_running = state.running is not None
    health = seen.health.get(container.name, Health())
    shown = runs[-1] if runs else None
    return ContainerStatus(
        name=container.name,
        ready=is_running and health.is_started and health.is_ready,
        started=is_running and health.is_started,
        restart_count=shown.restart if shown else 0,
        image=container.image,
        image_id=seen.image(container.image).image_id,
        container_id=_container_id(seen, container.name, shown),
        state=state,
        last_state=_last_state(seen, container.name, runs, state),
    )


def init_container_status(seen: Observed, container: Container, now: datetime) -> ContainerStatus:
    """The status of an init container: ready once it has completed."""
    if container.restart_policy == "Always":  # a sidecar
        return container_status(seen, container, False, now)
    status = container_status(seen, container, True, now)
    ended = status.state.terminated
    is_done = ended is not None and ended.exit_code == 0
    return _with_ready(status, is_done)


def _with_ready(status: ContainerStatus, is_ready: bool) -> ContainerStatus:
    return ContainerStatus(
        name=status.name,
        ready=is_ready,
        started=False,
        restart_count=status.restart_count,
        image=status.image,
        image_id=status.image_id,
        container_id=status.container_id,
        state=status.state,
        last_state=status.last_state,
    )


def _state(
    seen: Observed,
    container: Container,
    runs: tuple[Run, ...],
    is_held_back: bool,
    now: datetime,
) -> ContainerState:
    if not runs:
        return ContainerState(waiting=_waiting(seen, container, is_held_back))
    last = runs[-1]
    if last.is_running:
        return ContainerState(running=ContainerStateRunning(write_time(last.started_at)))
    policy = container.restart_policy or seen.pod.spec.restart_policy
    is_done = not restarts.shall_restart(policy, last.exit_code) or seen.pod.is_deleting
    if is_done or (is_held_back and last.exit_code == 0):
        return ContainerState(terminated=_terminated(seen, container.name, last))
    problem = seen.config_problems.get(container.name)
    if problem is not None:
        return ContainerState(waiting=ContainerStateWaiting(problem.reason, problem.message))
    if restarts.due_at(runs) > now:
        return ContainerState(waiting=_crash_loop(seen, container.name, last))
    return ContainerState(terminated=_terminated(seen, container.name, last))


def _crash_loop(seen: Observed, name: str, last: Run) -> ContainerStateWaiting:
    delay = _go_duration(restarts.delay_s(last.restart))
    return ContainerStateWaiting(
        "CrashLoopBackOff",
        f"back-off {delay} restarting failed container={name} pod={full_name(seen)}",
    )


def full_name(seen: Observed) -> str:
    """The pod's name, namespace and uid in one, as the kubelet's messages have them."""
    meta = seen.pod.metadata
    return f"{meta.name}_{meta.namespace}({meta.uid})"


def _go_duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _waiting(seen: Observed, container: Container, is_held_back: bool) -> ContainerStateWaiting:
    image = seen.image(container.image)
    if image.phase is ImagePhase.FAILED:
        return ContainerStateWaiting(image.reason, image.message)
    config = seen.config_problems.get(container.name)
    if config is not None:
        return ContainerStateWaiting(config.reason, config.message)
    reason = "PodInitializing" if is_held_back else "ContainerCreating"
    problem = seen.sandbox_problem or seen.mount_problem
    return ContainerStateWaiting(reason, image.message or (problem.message if problem else ""))


def _terminated(seen: Observed, name: str, run: Run) -> ContainerStateTerminated:
    assert run.exited_at is not None, "only a run that has ended is terminated"
    return ContainerStateTerminated(
        exit_code=run.exit_code,
        signal=run.signal,
        reason=run.reason or (COMPLETED if run.exit_code == 0 else ERROR),
        message=run.message,
        started_at=write_time(run.started_at),
        finished_at=write_time(run.exited_at),
        container_id=_container_id(seen, name, run),
    )


def _last_state(
    seen: Observed, name: str, runs: tuple[Run, ...], state: ContainerState
) -> ContainerState:
    before = [run for run in runs if not run.is_running]
    if state.terminated is not None:
        before = before[:-1]  # that one is the present state
    if not before:
        return ContainerState()
    return ContainerState(terminated=_terminated(seen, name, before[-1]))


def _container_id(seen: Observed, name: str, run: Run | None) -> str:
    return f"stagezero://{seen.pod.uid}/{name}/{run.restart}" if run else ""
