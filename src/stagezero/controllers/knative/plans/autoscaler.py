"""A PodAutoscaler's plan: ServerlessService, Metric, the Deployment's replicas, and its state."""

from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

import msgspec

from stagezero.api import names_knative as names
from stagezero.api.apps import Deployment, DeploymentSpec
from stagezero.api.autoscaling_knative import (
    Metric,
    MetricSpec,
    PodAutoscaler,
    PodAutoscalerStatus,
)
from stagezero.api.base import ObjectMeta, controlled_by
from stagezero.api.conditions import TRUE
from stagezero.api.config_knative_autoscaler import AutoscalerConfig
from stagezero.api.go_values import SECOND_NS, parse_duration, parse_float
from stagezero.api.networking_knative import ServerlessService, ServerlessServiceSpec
from stagezero.api.pod import ObjectReference
from stagezero.controllers.knative.plans import children
from stagezero.controllers.knative.plans.conditions import (
    READY,
    YES,
    Mark,
    copied,
    no,
    settle,
    status_of,
    unknown,
)
from stagezero.controllers.knative.plans.scale import desired_scale, initial_scale, min_scale
from stagezero.runtime.plan import NOTHING, Plan

INITIALIZED = "ScaleTargetInitialized"
QUEUED = unknown(
    "Queued", "Requests to the target are being buffered as resources are provisioned."
)
NO_TRAFFIC = no("NoTraffic", "The target is not receiving traffic.")
SERVE = "Serve"


@dataclass(frozen=True)
class Observed:
    """A PodAutoscaler, its children, its Deployment, and how many pods are ready."""

    autoscaler: PodAutoscaler
    service: ServerlessService | None = None
    metric: Metric | None = None
    deployment: Deployment | None = None
    ready_pods: int = 0
    config: AutoscalerConfig = field(default_factory=AutoscalerConfig)


def plan(observed: Observed, now: datetime) -> Plan:
    """Decide the scale, tell the Deployment, and say how far it has come."""
    autoscaler = observed.autoscaler
    if autoscaler.is_deleting:
        return NOTHING
    wanted = desired_scale(
        autoscaler.metadata.annotations,
        observed.config,
        reachability=autoscaler.spec.reachability,
        is_initialized=_is_initialized(autoscaler),
    )
    status = _status(observed, wanted, now)
    return Plan(
        apply=(
            *children.changed(observed.service, _service(observed)),
            *children.changed(observed.metric, _metric(observed)),
            *_replicas(observed.deployment, wanted),
        ),
        status=msgspec.structs.replace(autoscaler, status=status),
    )


def _is_initialized(autoscaler: PodAutoscaler) -> bool:
    return status_of(autoscaler.status.conditions, INITIALIZED) == TRUE


def _metadata(autoscaler: PodAutoscaler) -> ObjectMeta:
    meta = autoscaler.metadata
    return ObjectMeta(
        name=meta.name,
        namespace=meta.namespace,
        labels=dict(meta.labels),
        annotations=children.without(meta.annotations),
        owner_references=[controlled_by(autoscaler)],
    )


def _service(observed: Observed) -> ServerlessService:
    autoscaler = observed.autoscaler
    target = autoscaler.spec.scale_target_ref
    return ServerlessService(
        metadata=_metadata(autoscaler),
        spec=ServerlessServiceSpec(
            mode=SERVE,
            object_ref=ObjectReference(
                api_version=target.api_version, kind=target.kind, name=target.name
            ),
            protocol_type=autoscaler.spec.protocol_type,
            num_activators=_activators(observed),
        ),
    )


def _activators(observed: Observed) -> int:
    """How many activators Knative would use; shown only, there are none here."""
    config, autoscaler = observed.config, observed.autoscaler
    burst = _number(autoscaler, names.TARGET_BURST_CAPACITY, config.target_burst_capacity)
    if burst == 0:
        return 2
    total = autoscaler.spec.container_concurrency or config.container_concurrency_target_default
    capacity = observed.ready_pods * total + max(burst, 0.0)
    return max(2, ceil(capacity / config.activator_capacity))


def _number(autoscaler: PodAutoscaler, annotation: names.Annotation, default: float) -> float:
    try:
        return parse_float(annotation.read(autoscaler.metadata.annotations))
    except ValueError:
        return default


def _metric(observed: Observed) -> Metric:
    autoscaler, config = observed.autoscaler, observed.config
    try:
        stable = parse_duration(names.WINDOW.read(autoscaler.metadata.annotations))
    except ValueError:
        stable = config.stable_window_ns
    share = _number(autoscaler, names.PANIC_WINDOW, config.panic_window_percentage)
    panic = max(SECOND_NS, round(stable * share / 100 / SECOND_NS) * SECOND_NS)
    target = names.private_service(autoscaler.metadata.name)
    return Metric(
        metadata=_metadata(autoscaler),
        spec=MetricSpec(stable_window=stable, panic_window=panic, scrape_target=target),
    )


def _replicas(deployment: Deployment | None, wanted: int) -> tuple[Deployment, ...]:
    if deployment is None or deployment.spec.replicas == wanted:
        return ()
    meta = deployment.metadata
    return (
        Deployment(
            metadata=ObjectMeta(name=meta.name, namespace=meta.namespace),
            spec=DeploymentSpec(replicas=wanted),
        ),
    )


def _status(observed: Observed, wanted: int, now: datetime) -> PodAutoscalerStatus:
    autoscaler, service = observed.autoscaler, observed.service
    marks = {
        "SKSReady": _service_ready(service),
        INITIALIZED: _initialized(observed),
        "Active": _active(observed, wanted),
    }
    before = autoscaler.status
    return PodAutoscalerStatus(
        observed_generation=autoscaler.metadata.generation,
        conditions=settle(marks, before.conditions, now),
        service_name=service.status.service_name if service else before.service_name,
        metrics_service_name=service.status.private_service_name if service else "",
        desired_scale=wanted,
        actual_scale=observed.ready_pods,
    )


def _active(observed: Observed, wanted: int) -> Mark:
    if wanted == 0:
        return NO_TRAFFIC
    annotations = observed.autoscaler.metadata.annotations
    least = max(min_scale(annotations, observed.config), 1)
    if not _is_initialized(observed.autoscaler):
        least = max(least, initial_scale(annotations, observed.config))
    return YES if observed.ready_pods >= min(least, wanted) else QUEUED


def _service_ready(service: ServerlessService | None) -> Mark:
    if service is None:
        return unknown("NotReady", "No Private Service Name")
    ready = copied(service.status.conditions, READY)
    return YES if ready.status == TRUE else unknown("NotReady", ready.message)


def _initialized(observed: Observed) -> Mark:
    """True once as many pods as asked for were ready behind the Services, and true for ever."""
    if _is_initialized(observed.autoscaler):
        return YES
    needed = initial_scale(observed.autoscaler.metadata.annotations, observed.config)
    is_reached = observed.ready_pods >= needed
    return YES if is_reached and _service_ready(observed.service) == YES else unknown("")
