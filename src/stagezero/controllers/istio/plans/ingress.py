"""A KIngress's plan: its VirtualServices, and Ready when Envoy has said that it carries them.

The mesh writes what Envoy acknowledged or refused into the VirtualService's condition `Reconciled`;
here it becomes the KIngress's state. Nothing is Ready on belief.
"""

from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from stagezero.api import names_knative as names
from stagezero.api.base import Condition, controller_of
from stagezero.api.conditions import FALSE, TRUE, UNKNOWN, find, settle
from stagezero.api.istio import VirtualService
from stagezero.api.networking_knative import (
    Ingress,
    IngressStatus,
    LoadBalancerIngressStatus,
    LoadBalancerStatus,
)
from stagezero.controllers.istio.plans.gateways import Gateways
from stagezero.controllers.istio.plans.virtual_service import (
    ingress_name,
    make_virtual_services,
    mesh_name,
)
from stagezero.runtime.plan import NOTHING, Happening, Plan, normal, warning

RECONCILED = "Reconciled"
WAITING = ("Uninitialized", "Waiting for load balancer to be ready")


@dataclass(frozen=True)
class Observed:
    """A KIngress, the VirtualServices of its names, and the gateways in use."""

    ingress: Ingress
    for_gateways: VirtualService | None = None
    for_mesh: VirtualService | None = None
    gateways: Gateways = field(default_factory=Gateways)


def is_ours(ingress: Ingress) -> bool:
    """Whether the KIngress asks for Istio; one that asks for nothing does."""
    annotations = ingress.metadata.annotations
    return names.INGRESS_CLASS.read(annotations, names.INGRESS_CLASS_ISTIO) == (
        names.INGRESS_CLASS_ISTIO
    )


def plan(observed: Observed, now: datetime) -> Plan:
    """Write the VirtualServices where they differ; say how far Envoy is with them."""
    ingress = observed.ingress
    if ingress.is_deleting or not is_ours(ingress):
        return NOTHING
    existing = {ingress_name(ingress): observed.for_gateways, mesh_name(ingress): observed.for_mesh}
    desired = make_virtual_services(ingress, observed.gateways)
    foreign = [one for one in existing.values() if one is not None and not _is_owned(one, ingress)]
    wanted = {one.metadata.name for one in desired}
    applied = (
        ()
        if foreign
        else tuple(one for one in desired if not _is_same(existing[one.metadata.name], one))
    )
    marks = _marks(observed, foreign, ingress_name(ingress) in {a.metadata.name for a in applied})
    status = IngressStatus(
        observed_generation=ingress.metadata.generation,
        conditions=_settled(ingress, marks, now),
        public_load_balancer=_balancer(observed.gateways.public_host),
        private_load_balancer=_balancer(observed.gateways.local_host),
    )
    return Plan(
        apply=applied,
        delete=tuple(
            one
            for name, one in existing.items()
            if one is not None and name not in wanted and one not in foreign
        ),
        status=replace(ingress, status=status),
        events=_events(existing, applied, marks, ingress),
    )


def _is_owned(service: VirtualService, ingress: Ingress) -> bool:
    ref = controller_of(service)
    return ref is not None and ref.uid == ingress.uid


def _is_same(existing: VirtualService | None, desired: VirtualService) -> bool:
    if existing is None or existing.spec != desired.spec:
        return False
    meta, wanted = existing.metadata, desired.metadata
    return (
        wanted.labels.items() <= meta.labels.items()
        and wanted.annotations.items() <= meta.annotations.items()
    )


def _balancer(host: str) -> LoadBalancerStatus:
    return LoadBalancerStatus([LoadBalancerIngressStatus(domain_internal=host)])


def _marks(
    observed: Observed, foreign: list[VirtualService], is_written: bool
) -> tuple[Condition, Condition]:
    """NetworkConfigured and LoadBalancerReady."""
    if foreign:
        name = foreign[0].metadata.name
        message = f'There is an existing VirtualService "{name}" that we do not own.'
        configured = Condition("NetworkConfigured", FALSE, reason="NotOwned", message=message)
        return configured, Condition("LoadBalancerReady", UNKNOWN)
    configured = Condition("NetworkConfigured", TRUE)
    waiting = Condition("LoadBalancerReady", UNKNOWN, reason=WAITING[0], message=WAITING[1])
    service = observed.for_gateways
    if service is None or is_written or not _is_told(service):
        return configured, waiting
    found = find(service.status.conditions, RECONCILED)
    if found is None or found.status == UNKNOWN:
        return configured, waiting
    if found.status == FALSE:
        message = f"{found.reason}: {found.message}" if found.reason else found.message
        reason = "ReconcileVirtualServiceFailed"
        return Condition("NetworkConfigured", FALSE, reason=reason, message=message), waiting
    return configured, Condition("LoadBalancerReady", TRUE)


def _is_told(service: VirtualService) -> bool:
    return service.status.observed_generation == service.metadata.generation


def _settled(
    ingress: Ingress, marks: tuple[Condition, Condition], now: datetime
) -> list[Condition]:
    worst = next((one for one in marks if one.status == FALSE), None)
    worst = worst or next((one for one in marks if one.status == UNKNOWN), marks[0])
    ready = replace(worst, type="Ready")
    return settle(ingress.status.conditions, (*marks, ready), now)


def _events(
    existing: dict[str, VirtualService | None],
    applied: tuple[VirtualService, ...],
    marks: tuple[Condition, Condition],
    ingress: Ingress,
) -> tuple[Happening, ...]:
    events = [
        normal("Created", f'Created VirtualService "{one.metadata.name}"')
        for one in applied
        if existing[one.metadata.name] is None
    ]
    before = find(ingress.status.conditions, "NetworkConfigured")
    failed = marks[0]
    if failed.status == FALSE and (before is None or before.message != failed.message):
        events.append(warning(failed.reason, failed.message))
    return tuple(events)
