"""Deployment → ReplicaSets: one for the template of today, the older ones step by step to zero.

In: the Deployment, its ReplicaSets, and how many pods the old ones still have. Out: ReplicaSets to
create, scale or delete, the revision, the status with its conditions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from stagezero.api.apps import Deployment, ReplicaSet, ReplicaSetSpec
from stagezero.api.base import LabelSelector, ObjectMeta, controlled_by
from stagezero.api.pod import PodTemplateSpec
from stagezero.controllers.workloads.plans import rollout
from stagezero.controllers.workloads.plans.claims import claims
from stagezero.controllers.workloads.plans.deployment_status import (
    DeploymentState,
    deployment_status,
    is_complete,
    seconds_to_deadline,
)
from stagezero.controllers.workloads.plans.names import template_hash
from stagezero.controllers.workloads.plans.replicasets import wanted_replicas
from stagezero.runtime.plan import NOTHING, Happening, Plan, normal

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", REVISION, DESIRED, MAX_REPLICAS}
)


@dataclass(frozen=True)
class DeploymentObserved:
    """A Deployment, the ReplicaSets it controls, and by name the pods that these really have.

    `pods` counts every pod that is not gone yet, also those that are being deleted; `orphans` are
    ReplicaSets without controller that carry the Deployment's labels.
    """

    deployment: Deployment
    replica_sets: tuple[ReplicaSet, ...]
    pods: Mapping[str, int] = field(default_factory=dict)
    orphans: tuple[ReplicaSet, ...] = ()


@dataclass(frozen=True)
class _Family:
    """The ReplicaSets sorted: the one of today's template, if there is one, and the older ones."""

    new: ReplicaSet | None
    old: tuple[ReplicaSet, ...]


def plan_deployment(observed: DeploymentObserved, now: datetime) -> Plan:
    """Move the rollout by one step and say how far it is."""
    deployment = observed.deployment
    if deployment.is_deleting:
        return NOTHING
    claimed = claims(deployment, deployment.spec.selector, observed.replica_sets, observed.orphans)
    if claimed:
        return Plan(claim=claimed)
    family = _family(observed)
    collisions = _collisions(observed, family)
    new, sizes = family.new, _sizes(observed, family)
    revision = _revision(family)
    wanted_sets = [
        _scaled(deployment, replica_set, sizes[replica_set.metadata.name])
        for replica_set in family.old
        if sizes[replica_set.metadata.name] != wanted_replicas(replica_set)
    ]
    has_created = False
    if new is not None:
        size = sizes[new.metadata.name]
        wanted_sets.insert(0, _refreshed(deployment, new, size, revision))
    elif not deployment.spec.paused:
        new = _new_set(deployment, _first_size(observed, family), revision, collisions)
        wanted_sets.insert(0, new)
        has_created = True
    state = DeploymentState(
        deployment, new, (*family.old, *((family.new,) if family.new else ())), has_created
    )
    status = replace(deployment_status(state, now), collision_count=collisions or None)
    return Plan(
        apply=(*wanted_sets, *_with_revision(deployment, new, revision)),
        delete=tuple(_outdated(deployment, family, sizes)) if is_complete(state) else (),
        status=replace(deployment, status=status),
        events=tuple(_told(wanted_sets, observed.replica_sets)),
        recheck_s=seconds_to_deadline(deployment, status.conditions, now),
    )


def _family(observed: DeploymentObserved) -> _Family:
    template = observed.deployment.spec.template
    by_age = sorted(
        observed.replica_sets,
        key=lambda found: (found.metadata.creation_timestamp or "", found.metadata.name),
    )
    same = [found for found in by_age if _without_hash(found.spec.template) == template]
    new = same[0] if same else None
    return _Family(new, tuple(found for found in by_age if found is not new))


def _without_hash(template: PodTemplateSpec) -> PodTemplateSpec:
    labels = {key: value for key, value in template.metadata.labels.items() if key != HASH_LABEL}
    return replace(template, metadata=replace(template.metadata, labels=labels))


def _collisions(observed: DeploymentObserved, family: _Family) -> int:
    """Count one more if the name of the new ReplicaSet belongs to one with another template."""
    count = observed.deployment.status.collision_count or 0
    if family.new is not None:
        return count
    name = _set_name(observed.deployment, count)
    return count + any(found.metadata.name == name for found in family.old)


def _set_name(deployment: Deployment, collisions: int) -> str:
    return f"{deployment.metadata.name}-{template_hash(deployment.spec.template, collisions)}"


def _wanted(deployment: Deployment) -> int:
    return 1 if deployment.spec.replicas is None else deployment.spec.replicas


def _bounds(deployment: Deployment) -> rollout.Bounds:
    strategy = deployment.spec.strategy
    if strategy.type == "Recreate":
        return rollout.Bounds(0, _wanted(deployment))
    rolling = strategy.rolling_update
    return rollout.bounds(
        _wanted(deployment),
        rolling.max_surge if rolling else None,
        rolling.max_unavailable if rolling else None,
    )


def _count(replica_set: ReplicaSet) -> rollout.Count:
    return rollout.Count(wanted_replicas(replica_set), replica_set.status.available_replicas)


def _sizes(observed: DeploymentObserved, family: _Family) -> dict[str, int]:
    """The number of pods that every existing ReplicaSet shall have in this step."""
    deployment = observed.deployment
    if deployment.spec.paused:
        return _paused_sizes(deployment, family)
    if deployment.spec.strategy.type == "Recreate":
        return _recreate_sizes(observed, family)
    wanted, limit = _wanted(deployment), _bounds(deployment)
    old = {found.metadata.name: _count(found) for found in family.old}
    if family.new is None:
        return {name: count.wanted for name, count in old.items()}
    new = _count(family.new)
    size = rollout.new_size(wanted, new, old, limit)
    if size > new.wanted:
        return {name: count.wanted for name, count in old.items()} | {
            family.new.metadata.name: size
        }
    return rollout.old_sizes(wanted, new, old, limit) | {family.new.metadata.name: size}


def _paused_sizes(deployment: Deployment, family: _Family) -> dict[str, int]:
    """A paused rollout still scales: its youngest ReplicaSet with pods takes the difference."""
    everyone = [*family.old, *((family.new,) if family.new else ())]
    sizes = {found.metadata.name: wanted_replicas(found) for found in everyone}
    active = [found for found in everyone if wanted_replicas(found)] or everyone[-1:]
    if active:
        name = active[-1].metadata.name
        sizes[name] = max(0, sizes[name] + _wanted(deployment) - sum(sizes.values()))
    return sizes


def _recreate_sizes(observed: DeploymentObserved, family: _Family) -> dict[str, int]:
    sizes = {found.metadata.name: 0 for found in family.old}
    if family.new is not None:
        ready_to_start = not _has_old_pods(observed, family)
        sizes[family.new.metadata.name] = (
            _wanted(observed.deployment) if ready_to_start else wanted_replicas(family.new)
        )
    return sizes


def _has_old_pods(observed: DeploymentObserved, family: _Family) -> bool:
    return any(
        wanted_replicas(found) or observed.pods.get(found.metadata.name, 0) for found in family.old
    )


def _first_size(observed: DeploymentObserved, family: _Family) -> int:
    """The size that a new ReplicaSet begins with."""
    deployment = observed.deployment
    if deployment.spec.strategy.type == "Recreate":
        return 0 if _has_old_pods(observed, family) else _wanted(deployment)
    old = {found.metadata.name: _count(found) for found in family.old}
    return rollout.new_size(_wanted(deployment), rollout.Count(0, 0), old, _bounds(deployment))


def _revision(family: _Family) -> int:
    highest = max((revision_of(found) for found in family.old), default=0)
    return max(highest + 1, revision_of(family.new) if family.new is not None else 0)


def revision_of(thing: ReplicaSet | Deployment) -> int:
    """The revision written on an object; 0 if there is none."""
    text = thing.metadata.annotations.get(REVISION, "")
    return int(text) if text.isdigit() else 0


def _annotations(deployment: Deployment) -> dict[str, str]:
    wanted = _wanted(deployment)
    return {
        DESIRED: str(wanted),
        MAX_REPLICAS: str(wanted + _bounds(deployment).surge),
    }


def _new_set(deployment: Deployment, size: int, revision: int, collisions: int) -> ReplicaSet:
    name = _set_name(deployment, collisions)
    template = deployment.spec.template
    labels = template.metadata.labels | {HASH_LABEL: name.rpartition("-")[2]}
    copied = {
        key: value
        for key, value in deployment.metadata.annotations.items()
        if key not in _NOT_COPIED
    }
    selector = deployment.spec.selector
    return ReplicaSet(
        metadata=ObjectMeta(
            name=name,
            namespace=deployment.metadata.namespace,
            labels=labels,
            annotations=copied | _annotations(deployment) | {REVISION: str(revision)},
            owner_references=[controlled_by(deployment)],
        ),
        spec=ReplicaSetSpec(
            replicas=size,
            min_ready_seconds=deployment.spec.min_ready_seconds,
            selector=LabelSelector(
                selector.match_labels | {HASH_LABEL: labels[HASH_LABEL]},
                selector.match_expressions,
            ),
            template=replace(template, metadata=replace(template.metadata, labels=labels)),
        ),
    )


def _scaled(deployment: Deployment, replica_set: ReplicaSet, size: int) -> ReplicaSet:
    return ReplicaSet(
        metadata=ObjectMeta(
            name=replica_set.metadata.name,
            namespace=replica_set.metadata.namespace,
            annotations=_annotations(deployment),
        ),
        spec=ReplicaSetSpec(replicas=size),
    )


def _refreshed(deployment: Deployment, new: ReplicaSet, size: int, revision: int) -> ReplicaSet:
    scaled = _scaled(deployment, new, size)
    annotations = scaled.metadata.annotations | {REVISION: str(revision)}
    return replace(
        scaled,
        metadata=replace(scaled.metadata, annotations=annotations),
        spec=replace(scaled.spec, min_ready_seconds=deployment.spec.min_ready_seconds),
    )


def _with_revision(
    deployment: Deployment, new: ReplicaSet | None, revision: int
) -> tuple[Deployment, ...]:
    if new is None or revision_of(deployment) == revision:
        return ()
    metadata = ObjectMeta(
        name=deployment.metadata.name,
        namespace=deployment.metadata.namespace,
        annotations={REVISION: str(revision)},
    )
    return (Deployment(metadata=metadata),)


def _outdated(
    deployment: Deployment, family: _Family, sizes: Mapping[str, int]
) -> list[ReplicaSet]:
    limit = deployment.spec.revision_history_limit
    empty = [
        found
        for found in sorted(family.old, key=revision_of)
        if not sizes[found.metadata.name] and not found.status.replicas and not found.is_deleting
    ]
    return empty[: max(0, len(empty) - (10 if limit is None else limit))]


def _told(wanted: Sequence[ReplicaSet], existing: Sequence[ReplicaSet]) -> list[Happening]:
    before = {found.metadata.name: wanted_replicas(found) for found in existing}
    told = []
    for replica_set in wanted:
        name, size = replica_set.metadata.name, wanted_replicas(replica_set)
        was = before.get(name, 0)
        if size != was:
            way = "up" if size > was else "down"
            message = f"Scaled {way} replica set {name} from {was} to {size}"
            told.append(normal("ScalingReplicaSet", message))
    return told
