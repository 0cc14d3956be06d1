"""A Route's plan: its KIngress, its placeholder Services, and where and how it answers.

Ready waits for the KIngress, which waits for the network layer; the Route itself assumes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from stagezero.api import names_knative as names
from stagezero.api.base import ObjectMeta, controlled_by
from stagezero.api.conditions import FALSE, TRUE
from stagezero.api.config_knative import KnativeConfig
from stagezero.api.go_template import TemplateError
from stagezero.api.networking_knative import Ingress
from stagezero.api.service import Service, ServicePort, ServiceSpec
from stagezero.api.serving_knative import (
    Addressable,
    Configuration,
    Revision,
    Route,
    RouteStatus,
    TrafficTarget,
)
from stagezero.controllers.knative.plans import children
from stagezero.controllers.knative.plans.conditions import (
    READY,
    WAITING,
    YES,
    Mark,
    copied,
    no,
    settle,
    unknown,
)
from stagezero.controllers.knative.plans.hosts import GatewayPorts, Namer
from stagezero.controllers.knative.plans.ingress import make_ingress
from stagezero.controllers.knative.plans.traffic import Traffic, resolve
from stagezero.runtime.plan import NOTHING, Happening, Plan, normal

NOT_CONFIGURED = unknown("IngressNotConfigured", "Ingress has not yet been reconciled.")
UNINITIALIZED = unknown("Uninitialized", "Waiting for load balancer to be ready")


@dataclass(frozen=True)
class Observed:
    """A Route, what it refers to, what it made, and the configuration that names hosts."""

    route: Route
    configurations: Mapping[str, Configuration] = field(default_factory=dict)
    revisions: Mapping[str, Revision] = field(default_factory=dict)
    ingress: Ingress | None = None
    services: Sequence[Service] = ()
    config: KnativeConfig = field(default_factory=KnativeConfig)
    ports: GatewayPorts = field(default_factory=GatewayPorts)


def plan(observed: Observed, now: datetime) -> Plan:
    """Decide hosts and splits; write KIngress and Services; sum up how far they are."""
    route = observed.route
    if route.is_deleting:
        return NOTHING
    namer = _namer(observed)
    try:
        url = namer.url("")
        traffic = resolve(route, observed.configurations, observed.revisions)
        if isinstance(traffic, Mark):
            return _waiting(observed, url, traffic, now)
        return _configured(observed, namer, traffic, now)
    except TemplateError as error:
        mark = no("DomainTemplateFailed", f"No host name: {error}")
        return _waiting(observed, route.status.url, mark, now)


def _namer(observed: Observed) -> Namer:
    local = frozenset(
        service.metadata.name
        for service in observed.services
        if names.is_cluster_local(service.metadata.labels)
    )
    return Namer(observed.route, observed.config, observed.ports, local)


def _waiting(observed: Observed, url: str, assigned: Mark, now: datetime) -> Plan:
    """Traffic has no targets yet: what was configured before stays."""
    route = observed.route
    marks = {
        "AllTrafficAssigned": assigned,
        "CertificateProvisioned": WAITING,
        "IngressReady": WAITING,
    }
    status = msgspec.structs.replace(
        route.status,
        observed_generation=route.metadata.generation,
        conditions=settle(marks, route.status.conditions, now),
        url=url,
    )
    return Plan(status=msgspec.structs.replace(route, status=status))


def _configured(observed: Observed, namer: Namer, traffic: Traffic, now: datetime) -> Plan:
    route = observed.route
    desired = make_ingress(namer, traffic)
    is_foreign = observed.ingress is not None and not children.is_owned(observed.ingress, route)
    applied = () if is_foreign else children.changed(observed.ingress, desired)
    ready = _ingress_ready(observed, bool(applied))
    placeholders = _placeholders(namer, traffic, observed, ready)
    clash = _clash(observed, placeholders)
    marks = {
        "AllTrafficAssigned": YES,
        "CertificateProvisioned": _certificate(namer),
        "IngressReady": clash or ready,
    }
    status = RouteStatus(
        observed_generation=route.metadata.generation,
        conditions=settle(marks, route.status.conditions, now),
        url=namer.url(""),
        address=Addressable(namer.local_url("")),
        traffic=[_shown(namer, target.target) for target in traffic.targets],
    )
    wanted = children.names(placeholders)
    return Plan(
        apply=(*(() if clash else placeholders), *applied),
        delete=tuple(
            service
            for service in observed.services
            if children.is_owned(service, route) and service.metadata.name not in wanted
        ),
        status=msgspec.structs.replace(route, status=status),
        events=_events(observed, placeholders),
    )


def _shown(namer: Namer, target: TrafficTarget) -> TrafficTarget:
    return TrafficTarget(
        tag=target.tag,
        revision_name=target.revision_name,
        latest_revision=target.latest_revision,
        percent=target.percent,
        url=namer.url(target.tag) if target.tag else "",
    )


def _ingress_ready(observed: Observed, is_written: bool) -> Mark:
    ingress = observed.ingress
    if ingress is None or is_written:
        return NOT_CONFIGURED
    if not children.is_owned(ingress, observed.route):
        return no("NotOwned", children.not_owned("Ingress", ingress.metadata.name))
    if ingress.status.observed_generation != ingress.metadata.generation:
        return NOT_CONFIGURED
    mark = copied(ingress.status.conditions, READY)
    if mark.status in (TRUE, FALSE) or mark.reason:
        return mark
    return UNINITIALIZED


def _certificate(namer: Namer) -> Mark:
    if namer.is_local(""):
        return Mark(TRUE, "TLSNotEnabled", "TLS is not enabled for cluster-local")
    if namer.config.network.auto_tls:
        message = "autoTLS is enabled, but no certificates are issued here: downgrade HTTP."
        return Mark(TRUE, "HTTPDowngrade", message)
    return Mark(TRUE, "TLSNotEnabled", "autoTLS is not enabled")


def _placeholders(
    namer: Namer, traffic: Traffic, observed: Observed, ready: Mark
) -> tuple[Service, ...]:
    return tuple(_placeholder(namer, tag, observed, ready) for tag in sorted(traffic.groups))


def _placeholder(namer: Namer, tag: str, observed: Observed, ready: Mark) -> Service:
    """The Service that gives a target its name inside the cluster: an alias of the gateway."""
    route = namer.route
    meta = route.metadata
    labels = {names.ROUTE: meta.name}
    if names.SERVICE in meta.labels:
        labels[names.SERVICE] = meta.labels[names.SERVICE]
    name = namer.target_name(tag)
    return Service(
        metadata=ObjectMeta(
            name=name,
            namespace=meta.namespace,
            labels=labels,
            owner_references=[controlled_by(route)],
        ),
        spec=ServiceSpec(
            type="ExternalName",
            external_name=_alias(namer, tag, observed, ready),
            session_affinity="None",
            ports=[ServicePort(80, name="http2", protocol="TCP", target_port=80)],
        ),
    )


def _alias(namer: Namer, tag: str, observed: Observed, ready: Mark) -> str:
    """The external host at first; the local gateway for good once the network layer names it."""
    balancer = observed.ingress.status.private_load_balancer if observed.ingress else None
    if balancer is not None and balancer.ingress and balancer.ingress[0].domain_internal:
        return balancer.ingress[0].domain_internal
    return names.LOCAL_GATEWAY_HOST if namer.is_local(tag) else namer.external_host(tag)


def _clash(observed: Observed, placeholders: Sequence[Service]) -> Mark | None:
    wanted = children.names(placeholders)
    for service in observed.services:
        name = service.metadata.name
        if name in wanted and not children.is_owned(service, observed.route):
            return no("NotOwned", children.not_owned("placeholder Service", name))
    return None


def _events(observed: Observed, placeholders: Sequence[Service]) -> tuple[Happening, ...]:
    known = children.names(observed.services)
    events = [
        normal("Created", f'Created placeholder service "{service.metadata.name}"')
        for service in placeholders
        if service.metadata.name not in known
    ]
    if observed.ingress is None:
        events.append(normal("Created", f'Created Ingress "{observed.route.metadata.name}"'))
    return tuple(events)
