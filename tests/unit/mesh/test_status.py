"""What VirtualServices and Gateways are told."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from stagezero.api.base import Condition
from stagezero.api.istio import Gateway, IstioStatus, VirtualService
from stagezero.mesh.plans.status import (
    REFUSED_ROUTES,
    GatewayWitness,
    Witness,
    gateway_plan,
    virtual_service_plan,
    was_rejected,
)
from stagezero.mesh.plans.values import Problem, Reason
from support.mesh import gateway, to, virtual_service

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ROUTE = virtual_service("x", ["x.y"], {"route": [to("a")]}, generation=2)
MISSING = Problem(Reason.DESTINATION_NOT_FOUND, "there is no Service a")


def told(service: VirtualService, witness: Witness) -> Condition:
    status = virtual_service_plan(service, witness, NOW).status
    assert isinstance(status, VirtualService)
    return status.status.conditions[0]


def with_status(
    *, status: str, reason: str = "", message: str = "", seen: int = 2
) -> VirtualService:
    condition = Condition("Reconciled", status, "2026-01-01T00:00:00Z", reason, message)
    return msgspec.structs.replace(ROUTE, status=IstioStatus(seen, [condition]))


@pytest.mark.parametrize(
    ("witness", "status", "reason", "words"),
    [
        pytest.param(Witness(), "Unknown", "WaitingForEnvoy", "being planned", id="unplanned"),
        pytest.param(Witness(True), "True", "Acknowledged", "", id="all there"),
        pytest.param(
            Witness(True, waiting_for=("routes of x.y:80",)),
            "Unknown", "WaitingForEnvoy", "not acknowledged yet: routes of x.y:80", id="no ack",
        ),
        pytest.param(
            Witness(True, empty=("c",)), "Unknown", "NoEndpoints", "no ready endpoint behind c",
            id="no endpoints",
        ),
        pytest.param(
            Witness(True, problems=(MISSING,)), "False", "DestinationNotFound",
            "there is no Service a", id="problem",
        ),
        pytest.param(
            Witness(True, rejection="Envoy refused its routes: no"), "False", "EnvoyRejected",
            "no", id="refused",
        ),
        pytest.param(
            Witness(True, is_mesh_only=True), "True", "NothingToProgram", "mesh alone", id="mesh"
        ),
        pytest.param(
            Witness(True, notes=("spec.tcp",)), "True", "Acknowledged",
            "not obeyed yet: spec.tcp", id="notes",
        ),
    ],
)  # fmt: skip
def test_a_virtual_service_is_told(witness: Witness, status: str, reason: str, words: str) -> None:
    condition = told(ROUTE, witness)
    assert (condition.type, condition.status, condition.reason) == ("Reconciled", status, reason)
    assert words in condition.message


def test_the_generation_that_was_seen_is_told() -> None:
    plan = virtual_service_plan(ROUTE, Witness(True), NOW)
    assert isinstance(plan.status, VirtualService)
    assert plan.status.status.observed_generation == 2


def test_waiting_does_not_take_back_true() -> None:
    plan = virtual_service_plan(with_status(status="True"), Witness(), NOW)
    assert plan.status is None


def test_waiting_takes_back_true_of_an_older_generation() -> None:
    assert told(with_status(status="True", seen=1), Witness()).status == "Unknown"


def test_lost_endpoints_take_back_true() -> None:
    assert told(with_status(status="True"), Witness(True, empty=("c",))).status == "Unknown"


def test_the_time_of_transition_stays_while_the_status_stays() -> None:
    condition = told(with_status(status="True"), Witness(True))
    assert condition.last_transition_time == "2026-01-01T00:00:00Z"


def test_a_transition_has_its_time() -> None:
    condition = told(with_status(status="False"), Witness(True))
    assert condition.last_transition_time == "2026-01-02T00:00:00Z"


def test_the_time_is_written_in_utc() -> None:
    east = NOW.astimezone().astimezone(tz=None) + timedelta(0)
    plan = virtual_service_plan(ROUTE, Witness(True), east)
    assert isinstance(plan.status, VirtualService)
    assert plan.status.status.conditions[0].last_transition_time == "2026-01-02T00:00:00Z"


def test_other_conditions_are_left_alone() -> None:
    other = Condition("Seen", "True")
    service = msgspec.structs.replace(ROUTE, status=IstioStatus(2, [other]))
    plan = virtual_service_plan(service, Witness(True), NOW)
    assert isinstance(plan.status, VirtualService)
    assert plan.status.status.conditions[0] == other


def test_bad_news_are_an_event() -> None:
    (event,) = virtual_service_plan(ROUTE, Witness(True, rejection="no"), NOW).events
    assert (event.type, event.reason, event.message) == ("Warning", "EnvoyRejected", "no")


def test_old_news_are_no_event() -> None:
    service = with_status(status="False", reason="EnvoyRejected", message="no")
    assert virtual_service_plan(service, Witness(True, rejection="no"), NOW).events == ()


def test_good_news_are_no_event() -> None:
    assert virtual_service_plan(ROUTE, Witness(True), NOW).events == ()


@pytest.mark.parametrize(
    ("message", "seen", "expected"),
    [(REFUSED_ROUTES + "no", 2, "no"), (REFUSED_ROUTES + "no", 1, ""), ("cluster: no", 2, "")],
)
def test_a_former_rejection_is_remembered(message: str, seen: int, expected: str) -> None:
    service = with_status(status="False", reason="EnvoyRejected", message=message, seen=seen)
    assert was_rejected(service) == expected


def test_a_long_list_is_cut() -> None:
    condition = told(ROUTE, Witness(True, empty=tuple("abcde")))
    assert condition.message == "no ready endpoint behind a, b, c and 2 more"


@pytest.mark.parametrize(
    ("witness", "status", "reason"),
    [
        (GatewayWitness(), "True", "Acknowledged"),
        (GatewayWitness(waiting_for=("listener",)), "Unknown", "WaitingForEnvoy"),
        (GatewayWitness(problems=(MISSING,)), "False", "DestinationNotFound"),
        (GatewayWitness(rejection="in use"), "False", "EnvoyRejected"),
    ],
)
def test_a_gateway_is_told(witness: GatewayWitness, status: str, reason: str) -> None:
    plan = gateway_plan(gateway(), witness, NOW)
    assert isinstance(plan.status, Gateway)
    condition = plan.status.status.conditions[0]
    assert (condition.status, condition.reason) == (status, reason)
