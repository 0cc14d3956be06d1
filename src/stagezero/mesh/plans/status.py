"""What is told of a VirtualService and a Gateway: one condition, `Reconciled`, and events.

True needs Envoy's word for everything: the routes, the clusters, and at least one endpoint of each
that is wanted and acknowledged. Waiting for that word does not take back a True of the same
generation: when the control plane comes back, Envoy has served all along.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from stagezero.api.base import Condition
from stagezero.api.istio import Gateway, IstioStatus, VirtualService
from stagezero.mesh.plans.values import Problem
from stagezero.runtime.plan import Happening, Plan, warning

RECONCILED = "Reconciled"
ENVOY_REJECTED = "EnvoyRejected"
WAITING = "WaitingForEnvoy"
REFUSED_ROUTES = "Envoy refused its routes: "
_SHOWN = 3


@dataclass(frozen=True)
class Witness:
    """What is known of a VirtualService: planned, refused, waited for, without endpoints."""

    is_planned: bool = False
    is_mesh_only: bool = False
    rejection: str = ""
    problems: tuple[Problem, ...] = ()
    waiting_for: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class GatewayWitness:
    """What is known of a Gateway."""

    problems: tuple[Problem, ...] = ()
    rejection: str = ""
    waiting_for: tuple[str, ...] = ()


def virtual_service_plan(service: VirtualService, witness: Witness, now: datetime) -> Plan:
    """The status of a VirtualService, and events where it got worse."""
    condition = _of_service(witness)
    status = service.status
    if condition.reason == WAITING and _was_true(status, service.metadata.generation):
        return Plan()
    fresh = _status(status, condition, service.metadata.generation, now)
    return Plan(
        status=msgspec.structs.replace(service, status=fresh), events=_events(status, condition)
    )


def gateway_plan(gateway: Gateway, witness: GatewayWitness, now: datetime) -> Plan:
    """The status of a Gateway, and events where it got worse."""
    condition = _of_gateway(witness)
    status = gateway.status
    if condition.reason == WAITING and _was_true(status, gateway.metadata.generation):
        return Plan()
    fresh = _status(status, condition, gateway.metadata.generation, now)
    return Plan(
        status=msgspec.structs.replace(gateway, status=fresh), events=_events(status, condition)
    )


def was_rejected(service: VirtualService) -> str:
    """Envoy's words about its routes, if they were about this very generation."""
    found = _condition(service.status)
    is_current = service.status.observed_generation == service.metadata.generation
    if found is not None and is_current and found.message.startswith(REFUSED_ROUTES):
        return found.message.removeprefix(REFUSED_ROUTES)
    return ""


def _of_service(witness: Witness) -> Condition:
    if witness.rejection:
        return _said("False", ENVOY_REJECTED, witness.rejection)
    if not witness.is_planned:
        return _said("Unknown", WAITING, "the routes are being planned")
    if witness.problems:
        return _problem(witness.problems)
    if witness.waiting_for:
        return _said("Unknown", WAITING, f"not acknowledged yet: {_list(witness.waiting_for)}")
    if witness.empty:
        return _said("Unknown", "NoEndpoints", f"no ready endpoint behind {_list(witness.empty)}")
    if witness.is_mesh_only:
        text = "bound to the mesh alone; there are no sidecars here"
        return _said("True", "NothingToProgram", text)
    text = f"not obeyed yet: {', '.join(witness.notes)}" if witness.notes else ""
    return _said("True", "Acknowledged", text)


def _of_gateway(witness: GatewayWitness) -> Condition:
    if witness.rejection:
        return _said("False", ENVOY_REJECTED, witness.rejection)
    if witness.problems:
        return _problem(witness.problems)
    if witness.waiting_for:
        return _said("Unknown", WAITING, f"not acknowledged yet: {_list(witness.waiting_for)}")
    return _said("True", "Acknowledged", "")


def _problem(problems: tuple[Problem, ...]) -> Condition:
    texts = dict.fromkeys(problem.message for problem in problems)
    return _said("False", problems[0].reason.value, "; ".join(texts))


def _said(status: str, reason: str, message: str) -> Condition:
    return Condition(type=RECONCILED, status=status, reason=reason, message=message)


def _list(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _condition(status: IstioStatus) -> Condition | None:
    return next((found for found in status.conditions if found.type == RECONCILED), None)


def _was_true(status: IstioStatus, generation: int) -> bool:
    found = _condition(status)
    return found is not None and found.status == "True" and status.observed_generation == generation


def _status(
    status: IstioStatus, condition: Condition, generation: int, now: datetime
) -> IstioStatus:
    before = _condition(status)
    moment: str | None = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if before is not None and before.status == condition.status:
        moment = before.last_transition_time
    fresh = msgspec.structs.replace(condition, last_transition_time=moment)
    others = [found for found in status.conditions if found.type != RECONCILED]
    return msgspec.structs.replace(
        status, conditions=[*others, fresh], observed_generation=generation
    )


def _events(status: IstioStatus, condition: Condition) -> tuple[Happening, ...]:
    before = _condition(status)
    is_news = before is None or (before.reason, before.message) != (
        condition.reason,
        condition.message,
    )
    if condition.status == "False" and is_news:
        return (warning(condition.reason, condition.message),)
    return ()
