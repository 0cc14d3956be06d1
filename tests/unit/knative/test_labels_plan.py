"""The routing state of a revision follows from the Routes."""

from msgspec.structs import replace

from stagezero.api import names_knative as names
from stagezero.api import serving_knative as serving
from stagezero.controllers.knative.plans.labels import Observed, plan
from stagezero.runtime.plan import NOTHING, Plan
from support.knative_objects import (
    FIRST,
    NAME,
    NOW,
    NOW_TEXT,
    configuration,
    latest,
    pinned,
    revision,
    route,
)


def planned(of: serving.Revision, *routes: serving.Route, current: str = FIRST) -> Plan:
    newest = configuration(latest_created_revision_name=current)
    return plan(Observed(of, newest, routes), NOW)


def routed() -> serving.Route:
    status = serving.RouteStatus(traffic=[serving.TrafficTarget(revision_name=FIRST)])
    return replace(route(latest(100)), status=status)


def test_a_routed_revision_is_active() -> None:
    (noted,) = planned(revision(state="pending"), routed()).apply
    assert noted.metadata.labels == {names.ROUTING_STATE: "active"}
    assert noted.metadata.annotations == {
        names.ROUTES: NAME,
        names.ROUTING_STATE_MODIFIED: NOW_TEXT,
    }
    assert isinstance(noted, serving.Revision)
    assert noted.spec.containers == []


def test_a_revision_that_is_asked_for_is_active() -> None:
    assert planned(revision(state="pending"), route(pinned(FIRST, 100))).apply


def test_a_revision_without_routes_is_in_reserve() -> None:
    (noted,) = planned(revision(state="active")).apply
    assert noted.metadata.labels == {names.ROUTING_STATE: "reserve"}


def test_a_new_revision_waits() -> None:
    assert planned(revision(state="pending")) == NOTHING


def test_a_waiting_revision_that_is_overtaken_is_in_reserve() -> None:
    (noted,) = planned(revision(state="pending"), current=f"{NAME}-00002").apply
    assert noted.metadata.labels == {names.ROUTING_STATE: "reserve"}


def test_what_is_noted_is_not_noted_again() -> None:
    of = revision(state="active", annotations={names.ROUTES: NAME})
    assert planned(of, routed()) == NOTHING


def test_the_time_of_change_stays_while_the_state_does() -> None:
    of = revision(state="active", annotations={names.ROUTING_STATE_MODIFIED: "before"})
    (noted,) = planned(of, routed()).apply
    assert names.ROUTING_STATE_MODIFIED not in noted.metadata.annotations
