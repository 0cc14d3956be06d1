"""The status of an InferenceService, from its components' Knative Services (spec §1.7)."""

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from stagezero.api import serving_knative as serving
from stagezero.api.base import Condition
from stagezero.api.conditions import FALSE, INFO, TRUE, UNKNOWN, find, settle
from stagezero.api.istio import VirtualService
from stagezero.api.serving_knative import Addressable
from stagezero.api.serving_kserve import (
    ComponentStatus,
    InferenceService,
    InferenceServiceStatus,
)
from stagezero.controllers.kserve.plans.components import PREDICTOR, service_name
from stagezero.controllers.kserve.plans.ingress import cluster_host, entry_component, service_url
from stagezero.runtime.plan import Refusal

READY, INGRESS_READY = "Ready", "IngressReady"
Services = Mapping[str, serving.Service]


def component_status(before: ComponentStatus, service: serving.Service) -> ComponentStatus:
    """A component's revisions and traffic; remembers which revision was rolled out last."""
    seen = service.status
    rolled_out = before.latest_rolledout_revision
    previous = before.previous_rolledout_revision
    latest_ready = seen.latest_ready_revision_name
    for target in seen.traffic:
        if not target.latest_revision or target.revision_name != latest_ready:
            continue
        percent = target.percent or 0
        if rolled_out != latest_ready and percent == 100:
            previous, rolled_out = rolled_out, latest_ready
        elif rolled_out == latest_ready and percent < 100:
            is_newest = latest_ready == seen.latest_created_revision_name
            rolled_out = previous if is_newest else rolled_out
    return ComponentStatus(
        latest_ready_revision=latest_ready,
        latest_created_revision=seen.latest_created_revision_name,
        previous_rolledout_revision=previous,
        latest_rolledout_revision=rolled_out,
        traffic=seen.traffic,
        url=seen.url,
        address=seen.address,
    )


def component_conditions(kind: str, service: serving.Service | None) -> list[Condition]:
    """The component's own readiness, and its Route's and Configuration's for information."""
    title = kind.capitalize()
    route = "RoutesReady" if kind == "explainer" else "RouteReady"
    return [
        _copied(f"{title}Ready", service, "Ready", ""),
        _copied(f"{title}{route}", service, "RoutesReady", INFO),
        _copied(f"{title}ConfigurationReady", service, "ConfigurationsReady", INFO),
    ]


def _copied(kind: str, service: serving.Service | None, source: str, severity: str) -> Condition:
    found = None if service is None else find(service.status.conditions, source)
    is_current = (
        service is not None and service.status.observed_generation == service.metadata.generation
    )
    if found is None or (found.status == TRUE and not is_current):
        return Condition(type=kind, status=UNKNOWN, severity=severity)
    return Condition(
        type=kind,
        status=found.status,
        severity=severity,
        reason=found.reason,
        message=found.message,
    )


def ingress_condition(isvc: InferenceService, url: str, route: VirtualService | None) -> Condition:
    """Whether the gateway has taken the service's routes; Envoy's own word stands behind it."""
    if not url:
        reason = f"{entry_component(isvc).capitalize()} ingress not created"
        return Condition(type=INGRESS_READY, status=FALSE, reason=reason)
    taken = None if route is None else find(route.status.conditions, "Reconciled")
    is_current = route is not None and route.status.observed_generation == route.metadata.generation
    if taken is None or not is_current:
        return Condition(
            type=INGRESS_READY,
            status=UNKNOWN,
            reason="Uninitialized",
            message="Waiting for the gateway to take the routes of the VirtualService.",
        )
    if taken.status == TRUE:
        return Condition(type=INGRESS_READY, status=TRUE)
    return Condition(
        type=INGRESS_READY, status=taken.status, reason=taken.reason, message=taken.message
    )


def ready_condition(conditions: list[Condition]) -> Condition:
    """Ready: False if anything it depends on is, Unknown if anything is, else True."""
    needed = [condition for condition in conditions if condition.severity != INFO]
    for status in (FALSE, UNKNOWN):
        failed = next((condition for condition in needed if condition.status == status), None)
        if failed is not None:
            return Condition(
                type=READY, status=status, reason=failed.reason, message=failed.message
            )
    return Condition(type=READY, status=TRUE)


def address_url(isvc: InferenceService) -> str:
    """The URL for callers within the cluster, with the path of the protocol.

    A transformer speaks V1; a server of many models has no path of its own.
    """
    name = isvc.metadata.name
    model = isvc.spec.predictor.model
    path = f"/v1/models/{name}:predict"
    if model is not None and isvc.spec.transformer is None:
        if not model.storage_uri:
            path = ""
        elif model.protocol_version == "v2":
            path = f"/v2/models/{name}/infer"
    return f"http://{cluster_host(isvc)}{path}"


def status_of(
    isvc: InferenceService, services: Services, route: VirtualService | None, now: datetime
) -> InferenceServiceStatus:
    """The whole status, from what is."""
    kinds = [PREDICTOR]
    kinds += [kind for kind in ("transformer", "explainer") if getattr(isvc.spec, kind) is not None]
    old = isvc.status
    components = {
        kind: component_status(old.components.get(kind, ComponentStatus()), services[kind])
        for kind in kinds
        if kind in services
    }
    entry = components.get(entry_component(isvc), ComponentStatus())
    url = service_url(entry.url) if entry.url and entry.latest_ready_revision else ""
    conditions = [
        condition for kind in kinds for condition in component_conditions(kind, services.get(kind))
    ]
    conditions.append(ingress_condition(isvc, url, route))
    conditions.append(ready_condition(conditions))
    return InferenceServiceStatus(
        observed_generation=isvc.metadata.generation,
        conditions=settle(old.conditions, conditions, now),
        url=url,
        address=Addressable(url=address_url(isvc)) if url else None,
        components=components,
    )


def refused_status(
    isvc: InferenceService, reason: str, message: str, now: datetime
) -> InferenceServiceStatus:
    """The status of a service that cannot run as it is written; what runs already stays as it is.

    KServe 0.8 leaves the status empty here, and users look in vain: better, not different.
    """
    refusal = Condition(type="PredictorReady", status=FALSE, reason=reason, message=message)
    kept = [
        condition
        for condition in isvc.status.conditions
        if condition.type not in (READY, "PredictorReady")
    ]
    ready = replace(refusal, type=READY)
    return replace(
        isvc.status,
        observed_generation=isvc.metadata.generation,
        conditions=settle(isvc.status.conditions, [*kept, refusal, ready], now),
    )


def denied_status(
    isvc: InferenceService, status: InferenceServiceStatus, refusal: Refusal, now: datetime
) -> InferenceServiceStatus:
    """The status when the API refuses an object that the service needs; its words for the user."""
    titles = {name: f"{kind.capitalize()}Ready" for kind, name in names(isvc).items()}
    is_component = isinstance(refusal.thing, serving.Service)
    kind = titles[refusal.thing.metadata.name] if is_component else INGRESS_READY
    denial = Condition(type=kind, status=FALSE, reason=refusal.reason, message=refusal.message)
    kept = [condition for condition in status.conditions if condition.type not in (READY, kind)]
    conditions = [*kept, denial, replace(denial, type=READY)]
    return replace(status, conditions=settle(isvc.status.conditions, conditions, now))


def names(isvc: InferenceService) -> dict[str, str]:
    """The Knative Services of all components that could exist, by component."""
    return {kind: service_name(isvc, kind) for kind in (PREDICTOR, "transformer", "explainer")}
