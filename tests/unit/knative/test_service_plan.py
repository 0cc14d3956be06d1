"""A Service's plan: its Configuration and Route, and what they say of it."""

from typing import Any

import pytest
from msgspec.structs import replace

from stagezero.api import serving_knative as serving
from stagezero.api.base import Object, to_raw
from stagezero.controllers.knative.plans.service import (
    Observed,
    make_configuration,
    make_route,
    plan,
)
from stagezero.runtime.plan import NOTHING, Plan
from support.knative_objects import (
    FIRST,
    NAME,
    NOW,
    configuration,
    meta,
    pinned,
    ready,
    revision,
    service,
    template,
    told,
)


def made_configuration(of: serving.Service, **status: Any) -> serving.Configuration:
    made = make_configuration(of)
    fields: dict[str, Any] = {
        "observed_generation": 1,
        "conditions": ready(),
        "latest_ready_revision_name": FIRST,
    }
    return replace(
        made,
        metadata=replace(made.metadata, uid="uid-configuration", generation=1),
        status=serving.ConfigurationStatus(**(fields | status)),
    )


def made_route(of: serving.Service, **status: Any) -> serving.Route:
    made = make_route(of)
    shown = serving.TrafficTarget(revision_name=FIRST, latest_revision=True, percent=100)
    fields: dict[str, Any] = {
        "observed_generation": 1,
        "conditions": ready(),
        "url": "http://x",
        "traffic": [shown],
    }
    return replace(
        made,
        metadata=replace(made.metadata, uid="uid-route", generation=1),
        status=serving.RouteStatus(**(fields | status)),
    )


def planned(of: serving.Service, **observed: Any) -> Plan:
    fields: dict[str, Any] = {
        "configuration": made_configuration(of),
        "route": made_route(of),
    } | observed
    return plan(Observed(service=of, **fields), NOW)


def test_a_new_service_gets_configuration_and_route() -> None:
    found = planned(service(), configuration=None, route=None)
    assert [type(one) for one in found.apply] == [serving.Configuration, serving.Route]
    assert [event.message for event in found.events] == [
        f'Created Configuration "{NAME}"',
        f'Created Route "{NAME}"',
    ]
    assert told(found.status)[:2] == ("Unknown", "OutOfDate")


def test_children_carry_the_services_labels() -> None:
    of = replace(service(), metadata=meta(NAME, labels={"team": "a"}))
    wanted = {
        "team": "a",
        "serving.knative.dev/service": NAME,
        "serving.knative.dev/serviceUID": f"uid-{NAME}",
    }
    assert make_configuration(of).metadata.labels == wanted
    assert make_route(of).metadata.labels == wanted


@pytest.mark.parametrize(
    ("key", "on_configuration", "on_route"),
    [
        ("example.com/a", True, True),
        ("serving.knative.dev/creator", True, True),
        ("serving.knative.dev/rollout-duration", False, True),
        ("serving.knative.dev/rolloutDuration", False, True),
        ("kubectl.kubernetes.io/last-applied-configuration", False, False),
    ],
)
def test_annotations_go_where_they_mean_something(
    key: str, on_configuration: bool, on_route: bool
) -> None:
    of = replace(service(), metadata=meta(NAME, annotations={key: "x"}))
    assert (key in make_configuration(of).metadata.annotations) is on_configuration
    assert (key in make_route(of).metadata.annotations) is on_route


def test_targets_without_a_revision_follow_the_configuration() -> None:
    traffic = [serving.TrafficTarget(latest_revision=True, percent=90), pinned(FIRST, 10)]
    made = make_route(service(traffic=traffic))
    assert [target.configuration_name for target in made.spec.traffic] == [NAME, ""]


def test_what_is_as_wanted_is_not_written() -> None:
    found = planned(service())
    assert found.apply == ()
    assert told(found.status) == ("True", "", "")


def test_the_status_is_configuration_and_route_in_one() -> None:
    found = planned(service())
    assert isinstance(found.status, serving.Service)
    status = found.status.status
    assert (status.url, status.latest_ready_revision_name) == ("http://x", FIRST)
    assert [one.type for one in status.conditions] == [
        "ConfigurationsReady",
        "Ready",
        "RoutesReady",
    ]
    assert status.observed_generation == 1


def test_a_changed_template_is_written() -> None:
    of = service()
    changed = replace(of, spec=replace(of.spec, template=template(image="other")))
    found = plan(
        Observed(changed, made_configuration(of), made_route(of)),
        NOW,
    )
    assert [type(one) for one in found.apply] == [serving.Configuration]
    assert told(found.status, "ConfigurationsReady")[1] == "OutOfDate"


@pytest.mark.parametrize("part", ["configuration", "route"])
def test_a_child_behind_its_generation_is_out_of_date(part: str) -> None:
    of = service()
    made = {"configuration": made_configuration, "route": made_route}[part]
    found = planned(of, **{part: made(of, observed_generation=0)})
    assert told(found.status)[:2] == ("Unknown", "OutOfDate")


@pytest.mark.parametrize(
    ("kind", "condition"),
    [("configuration", "ConfigurationsReady"), ("route", "RoutesReady")],
)
def test_a_child_of_somebody_else_is_told(kind: str, condition: str) -> None:
    foreign: dict[str, Object] = {
        "configuration": serving.Configuration(metadata=meta(NAME)),
        "route": serving.Route(metadata=meta(NAME)),
    }
    found = planned(service(), **{kind: foreign[kind]})
    name = kind.capitalize()
    message = f'There is an existing {name} "{NAME}" that we do not own.'
    assert told(found.status, condition) == ("False", "NotOwned", message)
    assert found.apply == ()


def test_the_true_cause_of_a_failure_is_told() -> None:
    of = service()
    cause = f'Revision "{FIRST}" failed with message: boom.'
    failed = made_configuration(of, conditions=ready("False", "RevisionFailed", cause))
    missing = f'Configuration "{NAME}" does not have any ready Revision.'
    waiting = made_route(of, conditions=ready("False", "RevisionMissing", missing))
    found = planned(of, configuration=failed, route=waiting)
    assert told(found.status) == ("False", "RevisionFailed", cause)
    assert told(found.status, "RoutesReady")[1] == "RevisionMissing"


def test_requests_that_still_go_to_the_old_revision_are_told() -> None:
    of = service()
    newer = made_configuration(of, latest_ready_revision_name=f"{NAME}-00002")
    found = planned(of, configuration=newer)
    assert told(found.status, "RoutesReady") == (
        "Unknown",
        "TrafficNotMigrated",
        "Traffic is not yet migrated to the latest revision.",
    )


def named() -> serving.Service:
    of = service()
    wanted = replace(of.spec.template, metadata=meta(f"{NAME}-v2"))
    return replace(of, spec=replace(of.spec, template=wanted))


def test_a_named_revision_holds_the_route_back_until_it_is_known() -> None:
    found = planned(named(), configuration=None, route=None)
    assert [type(one) for one in found.apply] == [serving.Configuration]


def test_a_taken_revision_name_moves_no_requests() -> None:
    of = named()
    other = replace(revision(f"{NAME}-v2"), metadata=meta(f"{NAME}-v2"))
    found = planned(of, route=None, named_revision=other)
    assert found.apply == ()
    assert told(found.status, "RoutesReady")[:2] == ("False", "RevisionNameTaken")


def test_a_label_that_is_gone_is_taken_away() -> None:
    of = service()
    marked = replace(of, metadata=meta(NAME, labels={"team": "a"}, annotations={"note": "x"}))
    found = planned(of, configuration=made_configuration(marked), route=made_route(marked))
    for written in found.apply:
        assert to_raw(written)["metadata"]["labels"]["team"] is None
        assert to_raw(written)["metadata"]["annotations"]["note"] is None
    assert len(found.apply) == 2


def test_a_service_that_goes_is_left_alone() -> None:
    of = service()
    going = replace(of, metadata=replace(of.metadata, deletion_timestamp="2026-01-01T00:00:00Z"))
    assert planned(going) == NOTHING


def test_planning_twice_says_the_same() -> None:
    of = service()
    first = planned(of).status
    assert isinstance(first, serving.Service)
    again = planned(first)
    assert again.status == first


def test_the_builders_configuration_is_not_the_services_own() -> None:
    assert not configuration().metadata.owner_references
