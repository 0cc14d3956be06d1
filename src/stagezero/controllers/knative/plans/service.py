"""A Service's plan: a Configuration and a Route of its name, and their state in its status."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from stagezero.api import names_knative as names
from stagezero.api.base import ObjectMeta, controlled_by
from stagezero.api.conditions import TRUE
from stagezero.api.serving_knative import (
    Configuration,
    ConfigurationSpec,
    Revision,
    Route,
    RouteSpec,
    Service,
    ServiceStatus,
    TrafficTarget,
)
from stagezero.controllers.knative.plans import children
from stagezero.controllers.knative.plans.conditions import (
    READY,
    Mark,
    copied,
    no,
    settle,
    unknown,
)
from stagezero.controllers.knative.plans.revision_names import is_name_taken
from stagezero.runtime.plan import NOTHING, Happening, Plan, normal

CONFIGURATION_OUT_OF_DATE = unknown(
    "OutOfDate",
    "The Configuration is still working to reflect the latest desired specification.",
)
ROUTE_OUT_OF_DATE = unknown(
    "OutOfDate", "The Route is still working to reflect the latest desired specification."
)
NOT_MIGRATED = unknown("TrafficNotMigrated", "Traffic is not yet migrated to the latest revision.")


@dataclass(frozen=True)
class Observed:
    """A Service, the objects of its name, and the revision of the name it asks for."""

    service: Service
    configuration: Configuration | None
    route: Route | None
    named_revision: Revision | None = None


def plan(observed: Observed, now: datetime) -> Plan:
    """Write Configuration and Route where they differ; copy their state."""
    service = observed.service
    if service.is_deleting:
        return NOTHING
    configuration_plan = _configuration(observed)
    is_held_back = _is_held_back(observed)
    route_plan = Plan() if is_held_back else _route(observed)
    applied = (*configuration_plan.apply, *route_plan.apply)
    return Plan(
        apply=applied,
        status=_with_status(observed, bool(configuration_plan.apply), bool(route_plan.apply), now),
        events=(*configuration_plan.events, *route_plan.events),
    )


def make_configuration(service: Service) -> Configuration:
    """The Configuration of a Service."""
    return Configuration(
        metadata=_metadata(
            service, children.without(service.metadata.annotations, *_ROLLOUT_SPELLINGS)
        ),
        spec=ConfigurationSpec(template=service.spec.template),
    )


_ROLLOUT_SPELLINGS = (names.ROLLOUT_DURATION.key, *names.ROLLOUT_DURATION.old)


def make_route(service: Service) -> Route:
    """The Route of a Service: targets without a revision follow its Configuration."""
    traffic = [_route_target(service, target) for target in service.spec.traffic]
    annotations = children.without(service.metadata.annotations)
    return Route(metadata=_metadata(service, annotations), spec=RouteSpec(traffic=traffic))


def _route_target(service: Service, target: TrafficTarget) -> TrafficTarget:
    if target.revision_name:
        return target
    return msgspec.structs.replace(target, configuration_name=service.metadata.name)


def _metadata(service: Service, annotations: dict[str, str]) -> ObjectMeta:
    meta = service.metadata
    return ObjectMeta(
        name=meta.name,
        namespace=meta.namespace,
        labels={**meta.labels, names.SERVICE: meta.name, names.SERVICE_UID: meta.uid},
        annotations=annotations,
        owner_references=[controlled_by(service)],
    )


def _configuration(observed: Observed) -> Plan:
    service, existing = observed.service, observed.configuration
    if existing is not None and not children.is_owned(existing, service):
        return Plan()
    apply = children.replaced(existing, make_configuration(service))
    return Plan(apply=apply, events=_created("Configuration", service, existing is None))


def _route(observed: Observed) -> Plan:
    service, existing = observed.service, observed.route
    if existing is not None and not children.is_owned(existing, service):
        return Plan()
    apply = children.replaced(existing, make_route(service))
    return Plan(apply=apply, events=_created("Route", service, existing is None))


def _created(kind: str, service: Service, is_new: bool) -> tuple[Happening, ...]:
    return (normal("Created", f'Created {kind} "{service.metadata.name}"'),) if is_new else ()


def _is_held_back(observed: Observed) -> bool:
    """Requests move to a revision named by the user only when it is known to be the right one."""
    if not observed.service.spec.template.metadata.name:
        return False
    configuration = observed.configuration
    if configuration is None or not _is_reconciled(configuration):
        return True
    return is_name_taken(configuration, observed.named_revision)


def _is_reconciled(thing: Configuration | Route) -> bool:
    return thing.status.observed_generation == thing.metadata.generation


def _with_status(
    observed: Observed, writes_configuration: bool, writes_route: bool, now: datetime
) -> Service:
    service, configuration, route = observed.service, observed.configuration, observed.route
    before = service.status
    marks = {
        "ConfigurationsReady": _configurations_ready(observed, writes_configuration),
        "RoutesReady": _routes_ready(observed, writes_route),
    }
    status = ServiceStatus(
        observed_generation=service.metadata.generation,
        conditions=settle(marks, before.conditions, now),
        latest_created_revision_name=before.latest_created_revision_name,
        latest_ready_revision_name=before.latest_ready_revision_name,
        url=before.url,
        address=before.address,
        traffic=before.traffic,
    )
    if configuration is not None and children.is_owned(configuration, service):
        status = msgspec.structs.replace(
            status,
            latest_created_revision_name=configuration.status.latest_created_revision_name,
            latest_ready_revision_name=configuration.status.latest_ready_revision_name,
        )
    if route is not None and children.is_owned(route, service):
        status = msgspec.structs.replace(
            status,
            url=route.status.url,
            address=route.status.address,
            traffic=route.status.traffic,
        )
    return msgspec.structs.replace(service, status=status)


def _configurations_ready(observed: Observed, is_written: bool) -> Mark:
    configuration = observed.configuration
    if configuration is None:
        return CONFIGURATION_OUT_OF_DATE
    if not children.is_owned(configuration, observed.service):
        return no("NotOwned", children.not_owned("Configuration", configuration.metadata.name))
    if is_written or not _is_reconciled(configuration):
        return CONFIGURATION_OUT_OF_DATE
    return copied(configuration.status.conditions, READY)


def _routes_ready(observed: Observed, is_written: bool) -> Mark:
    route, configuration = observed.route, observed.configuration
    if configuration is not None and is_name_taken(configuration, observed.named_revision):
        return no(
            "RevisionNameTaken",
            f'The revision name "{configuration.spec.template.metadata.name}" is taken by a '
            "conflicting Revision, so traffic will not be migrated",
        )
    if route is None:
        return ROUTE_OUT_OF_DATE
    if not children.is_owned(route, observed.service):
        return no("NotOwned", children.not_owned("Route", route.metadata.name))
    if is_written or not _is_reconciled(route):
        return ROUTE_OUT_OF_DATE
    mark = copied(route.status.conditions, READY)
    if mark.status == TRUE and not _is_migrated(route, configuration):
        return NOT_MIGRATED
    return mark


def _is_migrated(route: Route, configuration: Configuration | None) -> bool:
    latest = configuration.status.latest_ready_revision_name if configuration else ""
    wanted = {(target.tag, target.revision_name or latest) for target in route.spec.traffic}
    return wanted == {(target.tag, target.revision_name) for target in route.status.traffic}
