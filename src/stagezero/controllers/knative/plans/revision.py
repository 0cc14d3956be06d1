"""A Revision's plan: its Deployment, its PodAutoscaler, its Images, and what they say of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from stagezero.api import names_knative as names
from stagezero.api.apps import Deployment
from stagezero.api.autoscaling_knative import PodAutoscaler, PodAutoscalerSpec, ScaleTargetRef
from stagezero.api.base import ObjectMeta, controlled_by
from stagezero.api.conditions import FALSE, TRUE, UNKNOWN, find
from stagezero.api.config_knative import KnativeConfig
from stagezero.api.pod import Pod
from stagezero.api.serving_knative import (
    ContainerImageStatus,
    Image,
    ImageSpec,
    Revision,
    RevisionStatus,
)
from stagezero.controllers.knative.plans import children, pod_trouble
from stagezero.controllers.knative.plans.conditions import (
    READY,
    YES,
    Mark,
    became_true,
    copied,
    info,
    no,
    settle,
    status_of,
    unknown,
)
from stagezero.controllers.knative.plans.deployment import (
    annotations,
    labels,
    make_deployment,
    protocol,
)
from stagezero.controllers.knative.plans.scale import initial_scale
from stagezero.runtime.plan import NOTHING, Happening, Plan, normal

DEPLOYING = unknown("Deploying")


@dataclass(frozen=True)
class Observed:
    """A Revision and its children."""

    revision: Revision
    deployment: Deployment | None = None
    autoscaler: PodAutoscaler | None = None
    images: Sequence[Image] = ()
    pods: Sequence[Pod] = ()
    config: KnativeConfig = field(default_factory=KnativeConfig)


def plan(observed: Observed, now: datetime) -> Plan:
    """Write the children where they differ; sum up what they say."""
    revision = observed.revision
    if revision.is_deleting:
        return NOTHING
    status = _status(observed, now)
    return Plan(
        apply=(*_deployment(observed), *_autoscaler(observed), *_images(observed)),
        status=msgspec.structs.replace(revision, status=status),
        events=_events(revision, status),
    )


def _deployment(observed: Observed) -> tuple[Deployment, ...]:
    revision, existing = observed.revision, observed.deployment
    if existing is not None and not children.is_owned(existing, revision):
        return ()
    replicas = initial_scale(revision.metadata.annotations, observed.config.autoscaler)
    return (make_deployment(revision, None if existing else replicas, observed.config),)


def make_autoscaler(revision: Revision, reachability: str) -> PodAutoscaler:
    """The PodAutoscaler of a revision."""
    meta = revision.metadata
    return PodAutoscaler(
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            labels=labels(revision),
            annotations=annotations(revision),
            owner_references=[controlled_by(revision)],
        ),
        spec=PodAutoscalerSpec(
            container_concurrency=revision.spec.container_concurrency or 0,
            scale_target_ref=ScaleTargetRef("apps/v1", "Deployment", names.deployment(meta.name)),
            reachability=reachability,
            protocol_type=protocol(revision),
        ),
    )


def _autoscaler(observed: Observed) -> tuple[PodAutoscaler, ...]:
    revision, existing = observed.revision, observed.autoscaler
    if existing is not None and not children.is_owned(existing, revision):
        return ()
    return children.changed(existing, make_autoscaler(revision, reachability(revision)))


def reachability(revision: Revision) -> str:
    """Whether requests can come to a revision: what its routing state and conditions say."""
    conditions = revision.status.conditions
    is_active = revision.metadata.labels.get(names.ROUTING_STATE) == "active"
    if status_of(conditions, READY) == FALSE and not is_active:
        return "Unreachable"
    if status_of(conditions, "Active") == UNKNOWN:
        return ""
    return "Reachable" if is_active else "Unreachable"


def _images(observed: Observed) -> tuple[Image, ...]:
    revision = observed.revision
    meta = revision.metadata
    known = children.names(observed.images)
    return tuple(
        Image(
            metadata=ObjectMeta(
                name=names.image(meta.name, container.name),
                namespace=meta.namespace,
                labels=labels(revision),
                owner_references=[controlled_by(revision)],
            ),
            spec=ImageSpec(
                image=container.image, service_account_name=revision.spec.service_account_name
            ),
        )
        for container in revision.spec.containers
        if names.image(meta.name, container.name) not in known
    )


def _status(observed: Observed, now: datetime) -> RevisionStatus:
    revision, autoscaler = observed.revision, observed.autoscaler
    scale = autoscaler.status if autoscaler else None
    marks = _marks(observed)
    return RevisionStatus(
        observed_generation=revision.metadata.generation,
        conditions=settle(
            marks, revision.status.conditions, now, {"Active": info(_active(autoscaler))}
        ),
        container_statuses=[
            ContainerImageStatus(container.name) for container in revision.spec.containers
        ],
        actual_replicas=_known(scale.actual_scale if scale else None),
        desired_replicas=_known(scale.desired_scale if scale else None),
    )


def _known(scale: int | None) -> int | None:
    return scale if scale is not None and scale >= 0 else None


def _marks(observed: Observed) -> dict[str, Mark]:
    """ContainerHealthy before ResourcesAvailable: of two failures the crash is the cause."""
    healthy, available = DEPLOYING, DEPLOYING
    if _is_initialized(observed.autoscaler):
        healthy = available = YES
    trouble = _trouble(observed)
    return {
        "ContainerHealthy": trouble.container_healthy or healthy,
        "ResourcesAvailable": trouble.resources_available or available,
    }


def _is_initialized(autoscaler: PodAutoscaler | None) -> bool:
    if autoscaler is None or not autoscaler.status.service_name:
        return False
    return status_of(autoscaler.status.conditions, "ScaleTargetInitialized") == TRUE


def _trouble(observed: Observed) -> pod_trouble.Trouble:
    foreign = _foreign(observed)
    if foreign is not None:
        return pod_trouble.Trouble(resources_available=foreign)
    deployment = observed.deployment
    if deployment is None:
        return pod_trouble.NO_TROUBLE
    failed = _deployment_failure(deployment) or _never_initialized(observed.autoscaler)
    trouble = pod_trouble.NO_TROUBLE
    wanted = deployment.spec.replicas
    if (wanted is None or wanted > 0) and deployment.status.available_replicas == 0:
        trouble = pod_trouble.of_pods(observed.pods)
    if trouble.resources_available is None and failed is not None:
        trouble = trouble._replace(resources_available=failed)
    return trouble


def _foreign(observed: Observed) -> Mark | None:
    for child in (observed.deployment, observed.autoscaler):
        if child is not None and not children.is_owned(child, observed.revision):
            message = children.not_owned(child.resource.kind, child.metadata.name)
            return no("NotOwned", message)
    return None


def _deployment_failure(deployment: Deployment) -> Mark | None:
    conditions = deployment.status.conditions
    failure = find(conditions, "ReplicaFailure")
    if failure is not None and failure.status == TRUE:
        return no(failure.reason, failure.message)
    progressing = find(conditions, "Progressing")
    is_stuck = deployment.status.available_replicas == 0
    if progressing is not None and progressing.status == FALSE and is_stuck:
        return no(progressing.reason, progressing.message)
    return None


def _never_initialized(autoscaler: PodAutoscaler | None) -> Mark | None:
    if autoscaler is None or _is_initialized(autoscaler):
        return None
    ready = find(autoscaler.status.conditions, READY)
    if ready is not None and ready.status == FALSE and ready.reason == "TimedOut":
        return no("ProgressDeadlineExceeded", "Initial scale was never achieved")
    return None


def _active(autoscaler: PodAutoscaler | None) -> Mark:
    if autoscaler is None or find(autoscaler.status.conditions, READY) is None:
        return DEPLOYING
    return copied(autoscaler.status.conditions, READY)


def _events(revision: Revision, after: RevisionStatus) -> tuple[Happening, ...]:
    if not became_true(revision.status.conditions, after.conditions, READY):
        return ()
    return (normal("RevisionReady", "Revision becomes ready upon all resources being ready"),)
