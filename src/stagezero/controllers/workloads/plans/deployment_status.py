"""The status of a Deployment: counts, and the conditions Available and Progressing.

Reasons and messages are Kubernetes' own: `kubectl rollout status` and Knative read them.
"""

from dataclasses import dataclass
from datetime import datetime

from stagezero.api.apps import Deployment, DeploymentStatus, ReplicaSet
from stagezero.api.base import Condition
from stagezero.api.times import seconds_since
from stagezero.controllers.workloads.plans import rollout
from stagezero.controllers.workloads.plans.conditions import find, with_condition

COMPLETE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
DEFAULT_DEADLINE_S = 600


@dataclass(frozen=True)
class DeploymentState:
    """A Deployment, its ReplicaSet of today (perhaps only planned), and all that exist."""

    deployment: Deployment
    new: ReplicaSet | None
    existing: tuple[ReplicaSet, ...]
    has_created: bool = False

    @property
    def wanted(self) -> int:
        """The number of pods wanted."""
        replicas = self.deployment.spec.replicas
        return 1 if replicas is None else replicas


def deployment_status(state: DeploymentState, now: datetime) -> DeploymentStatus:
    """Count the pods of all ReplicaSets and judge availability and progress."""
    counts = _counts(state)
    conditions = with_condition(state.deployment.status.conditions, _available(state, counts), now)
    conditions = _with_progress(state, counts, conditions, now)
    return DeploymentStatus(
        observed_generation=state.deployment.metadata.generation,
        replicas=counts.replicas,
        updated_replicas=counts.updated_replicas,
        ready_replicas=counts.ready_replicas,
        available_replicas=counts.available_replicas,
        unavailable_replicas=counts.unavailable_replicas,
        conditions=sorted(conditions, key=lambda condition: condition.type),
    )


def _counts(state: DeploymentState) -> DeploymentStatus:
    new_name = state.new.metadata.name if state.new is not None else ""
    asked = sum(
        1 if found.spec.replicas is None else found.spec.replicas for found in state.existing
    )
    available = sum(found.status.available_replicas for found in state.existing)
    return DeploymentStatus(
        replicas=sum(found.status.replicas for found in state.existing),
        updated_replicas=sum(
            found.status.replicas for found in state.existing if found.metadata.name == new_name
        ),
        ready_replicas=sum(found.status.ready_replicas for found in state.existing),
        available_replicas=available,
        unavailable_replicas=max(0, asked - available),
    )


def is_complete(state: DeploymentState) -> bool:
    """Whether all wanted pods are of today's template and available, and no other pod is there."""
    return _is_complete(state.wanted, _counts(state))


def _is_complete(wanted: int, counts: DeploymentStatus) -> bool:
    return (counts.updated_replicas, counts.replicas, counts.available_replicas) == (wanted,) * 3


def _available(state: DeploymentState, counts: DeploymentStatus) -> Condition:
    strategy = state.deployment.spec.strategy
    missing = 0
    if strategy.type != "Recreate":
        rolling = strategy.rolling_update
        missing = rollout.bounds(
            state.wanted,
            rolling.max_surge if rolling else None,
            rolling.max_unavailable if rolling else None,
        ).unavailable
    if counts.available_replicas >= state.wanted - missing:
        message = "Deployment has minimum availability."
        return Condition("Available", "True", reason="MinimumReplicasAvailable", message=message)
    message = "Deployment does not have minimum availability."
    return Condition("Available", "False", reason="MinimumReplicasUnavailable", message=message)


def _progressing(status: str, reason: str, message: str) -> Condition:
    return Condition("Progressing", status, reason=reason, message=message)


def _with_progress(
    state: DeploymentState,
    counts: DeploymentStatus,
    conditions: list[Condition],
    now: datetime,
) -> list[Condition]:
    spec = state.deployment.spec
    old = find(conditions, "Progressing")
    if spec.paused:
        paused = _progressing("Unknown", PAUSED, "Deployment is paused")
        return with_condition(conditions, paused, now)
    if old is not None and old.reason == PAUSED:
        resumed = _progressing("Unknown", RESUMED, "Deployment is resumed")
        return with_condition(conditions, resumed, now)
    if state.has_created or old is None:
        return with_condition(conditions, _found(state), now, is_news=True)
    if old.reason == COMPLETE and counts.replicas == counts.updated_replicas:
        return conditions
    name = state.new.metadata.name if state.new is not None else state.deployment.metadata.name
    if _is_complete(state.wanted, counts):
        message = f'ReplicaSet "{name}" has successfully progressed.'
        return with_condition(conditions, _progressing("True", COMPLETE, message), now)
    if _has_progressed(state.deployment.status, counts):
        message = f'ReplicaSet "{name}" is progressing.'
        updated = _progressing("True", "ReplicaSetUpdated", message)
        return with_condition(conditions, updated, now, is_news=True)
    if _is_late(state.deployment, conditions, now):
        message = f'ReplicaSet "{name}" has timed out progressing.'
        return with_condition(conditions, _progressing("False", TIMED_OUT, message), now)
    return conditions


def _found(state: DeploymentState) -> Condition:
    name = state.new.metadata.name if state.new is not None else ""
    if state.has_created:
        return _progressing("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
    return _progressing("True", "FoundNewReplicaSet", f'Found new replica set "{name}"')


def _has_progressed(before: DeploymentStatus, now: DeploymentStatus) -> bool:
    old_pods_before = before.replicas - before.updated_replicas
    return (
        now.updated_replicas > before.updated_replicas
        or now.replicas - now.updated_replicas < old_pods_before
        or now.ready_replicas > before.ready_replicas
        or now.available_replicas > before.available_replicas
    )


def _is_late(deployment: Deployment, conditions: list[Condition], now: datetime) -> bool:
    left_s = seconds_to_deadline(deployment, conditions, now)
    return left_s is not None and left_s <= 0


def seconds_to_deadline(
    deployment: Deployment, conditions: list[Condition], now: datetime
) -> float | None:
    """Seconds until a rollout that makes no progress is late; None if it is over, or stands."""
    progress = find(conditions, "Progressing")
    if progress is None or progress.reason in (COMPLETE, TIMED_OUT, PAUSED):
        return None
    limit_s = deployment.spec.progress_deadline_seconds
    since = progress.last_update_time or progress.last_transition_time
    return (DEFAULT_DEADLINE_S if limit_s is None else limit_s) - seconds_since(since, now)
