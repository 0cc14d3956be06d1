"""Why a revision has no pod: the true cause, taken from its first pod.

Knative tells a pull error after ten minutes; here a cause is told as soon as the node reports it,
and goes away when the pod recovers.
"""

from collections.abc import Sequence
from typing import NamedTuple

from stagezero.api.conditions import FALSE, find
from stagezero.api.container import ContainerStatus
from stagezero.api.pod import Pod
from stagezero.controllers.knative.plans.conditions import Mark, no

_PULL_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)
_START_REASONS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}
)
# The node says so of a program that ignores the port it was given on a shared network.
_OWN_NETWORK, _FIXED_PORT = "node.stagezero.dev/OwnNetwork", "FixedPort"


class Trouble(NamedTuple):
    """What a pod's state says about the revision's two conditions; None is nothing to say."""

    container_healthy: Mark | None = None
    resources_available: Mark | None = None


NO_TROUBLE = Trouble()


def of_pods(pods: Sequence[Pod]) -> Trouble:
    """The trouble of the newest pod that is not going away."""
    living = [pod for pod in pods if not pod.is_deleting]
    if not living:
        return NO_TROUBLE
    pod = max(living, key=lambda one: (one.metadata.creation_timestamp or "", one.metadata.name))
    scheduled = find(pod.status.conditions, "PodScheduled")
    if scheduled is not None and scheduled.status == FALSE:
        return Trouble(resources_available=no(scheduled.reason, scheduled.message))
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        trouble = _of_container(status)
        if trouble != NO_TROUBLE:
            return trouble
    network = find(pod.status.conditions, _OWN_NETWORK)
    if network is not None and network.reason == _FIXED_PORT:
        return Trouble(container_healthy=no(network.reason, network.message))
    if pod.status.phase == "Failed" and pod.status.reason:
        return Trouble(resources_available=no(pod.status.reason, pod.status.message))
    return NO_TROUBLE


def _of_container(status: ContainerStatus) -> Trouble:
    ended = status.state.terminated or status.last_state.terminated
    waiting = status.state.waiting
    if waiting is not None and waiting.reason in _PULL_REASONS:
        message = f'Unable to fetch image "{status.image}": {waiting.message or waiting.reason}'
        return Trouble(container_healthy=no("ContainerMissing", message))
    if waiting is not None and waiting.reason in _START_REASONS:
        return Trouble(resources_available=no(waiting.reason, waiting.message))
    if ended is None or status.ready or (status.state.terminated and ended.exit_code == 0):
        return NO_TROUBLE
    said = ended.message or ("container exited with no error" if not ended.exit_code else "")
    said = said or ended.reason or "no message"
    return Trouble(
        container_healthy=no(f"ExitCode{ended.exit_code}", f"Container failed with: {said}")
    )
