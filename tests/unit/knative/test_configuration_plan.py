"""A Configuration's plan: revisions, the newest ready one, failures, and old ones removed."""

from typing import Any

import pytest
from msgspec.structs import replace

from stagezero.api import names_knative as names
from stagezero.api import serving_knative as serving
from stagezero.controllers.knative.plans.configuration import Observed, make_revision, plan
from stagezero.runtime.plan import Plan
from support.knative_objects import (
    FIRST,
    NAME,
    NOW,
    NOW_TEXT,
    configuration,
    meta,
    ready,
    revision,
    told,
)

SECOND = f"{NAME}-00002"
OPEN = ready("Unknown")


def planned(of: serving.Configuration, *revisions: serving.Revision, **more: Any) -> Plan:
    return plan(Observed(of, revisions, **more), NOW)


def at(generation: int, **status: Any) -> serving.Configuration:
    of = configuration(**status)
    return replace(of, metadata=replace(of.metadata, generation=generation))


def status_of(found: Plan) -> serving.ConfigurationStatus:
    assert isinstance(found.status, serving.Configuration)
    return found.status.status


def test_a_new_generation_makes_a_revision() -> None:
    found = planned(at(1))
    (made,) = found.apply
    assert made.metadata.name == FIRST
    assert found.events[0].message == f'Created Revision "{FIRST}"'
    assert status_of(found).latest_created_revision_name == FIRST
    assert told(found.status) == ("Unknown", "", "")


def test_a_revision_carries_where_it_comes_from() -> None:
    of = configuration()
    marked = meta(
        NAME,
        labels={names.SERVICE: NAME, names.SERVICE_UID: "u", "team": "a"},
        annotations={names.LAST_MODIFIER: "ann"},
    )
    made = make_revision(replace(of, metadata=marked), NOW)
    assert made.metadata.labels == {
        names.CONFIGURATION: NAME,
        names.CONFIGURATION_UID: f"uid-{NAME}",
        names.CONFIGURATION_GENERATION: "1",
        names.ROUTING_STATE: "pending",
        names.SERVICE: NAME,
        names.SERVICE_UID: "u",
    }
    assert made.metadata.annotations == {
        names.CREATOR: "ann",
        names.ROUTING_STATE_MODIFIED: NOW_TEXT,
    }
    assert made.spec == of.spec.template.spec


def test_the_revision_of_the_generation_is_found_again() -> None:
    assert planned(at(1), revision(conditions=OPEN)).apply == ()


def test_a_ready_revision_makes_the_configuration_ready() -> None:
    found = planned(at(1), revision())
    assert told(found.status) == ("True", "", "")
    assert status_of(found).latest_ready_revision_name == FIRST
    assert [event.reason for event in found.events] == ["ConfigurationReady", "LatestReadyUpdate"]


def test_the_second_ready_revision_is_no_first_time() -> None:
    of = at(2, latest_ready=FIRST)
    found = planned(of, revision(), revision(SECOND, generation=2))
    assert [event.message for event in found.events] == [
        f'LatestReadyRevisionName updated to "{SECOND}"'
    ]


def test_the_old_revision_stays_while_the_new_one_is_open() -> None:
    found = planned(at(2), revision(), revision(SECOND, generation=2, conditions=OPEN))
    assert status_of(found).latest_ready_revision_name == FIRST
    assert status_of(found).latest_created_revision_name == SECOND
    assert told(found.status)[0] == "Unknown"


def test_a_failed_revision_is_skipped_and_told() -> None:
    failed = revision(SECOND, generation=2, conditions=ready("False", "ExitCode1", "boom"))
    found = planned(at(2, latest_ready=FIRST), revision(), failed)
    assert told(found.status) == (
        "False",
        "RevisionFailed",
        f'Revision "{SECOND}" failed with message: boom.',
    )
    assert status_of(found).latest_ready_revision_name == FIRST
    assert [event.message for event in found.events] == [
        f'Latest created revision "{SECOND}" has failed'
    ]


def test_a_failure_is_told_once() -> None:
    failed = revision(conditions=ready("False", "ExitCode1", "boom"))
    first = planned(at(1), failed)
    assert isinstance(first.status, serving.Configuration)
    assert planned(first.status, failed).events == ()


def test_the_newest_ready_revision_is_never_left_for_an_older_one() -> None:
    of = at(3, latest_ready=SECOND)
    second = revision(SECOND, generation=2, conditions=OPEN)
    third = revision(f"{NAME}-00003", generation=3, conditions=OPEN)
    found = planned(of, revision(), second, third)
    assert status_of(found).latest_ready_revision_name == SECOND


def named(generation: int = 1) -> serving.Configuration:
    of = at(generation)
    template = replace(of.spec.template, metadata=meta(f"{NAME}-mine"))
    return replace(of, spec=serving.ConfigurationSpec(template))


def test_the_authors_name_is_used() -> None:
    (made,) = planned(named()).apply
    assert made.metadata.name == f"{NAME}-mine"


def test_going_back_to_a_named_revision_takes_it_up_again() -> None:
    mine = revision(f"{NAME}-mine", generation=1)
    newer = revision(SECOND, generation=2)
    found = planned(named(3), mine, newer, named_revision=mine)
    assert found.apply == ()
    assert status_of(found).latest_ready_revision_name == f"{NAME}-mine"


@pytest.mark.parametrize(
    "taken",
    [
        replace(revision(f"{NAME}-mine"), metadata=meta(f"{NAME}-mine")),
        replace(revision(f"{NAME}-mine", generation=7), spec=serving.RevisionSpec()),
    ],
    ids=["of somebody else", "with another spec"],
)
def test_a_taken_name_is_told(taken: serving.Revision) -> None:
    found = planned(named(), taken, named_revision=taken)
    assert found.apply == ()
    assert told(found.status) == (
        "False",
        "RevisionFailed",
        "Revision creation failed with message: "
        f'revisions.serving.knative.dev "{NAME}-mine" already exists.',
    )


def test_a_ready_revision_behind_its_generation_does_not_count() -> None:
    stale = revision()
    behind = replace(stale, metadata=replace(stale.metadata, generation=2))
    assert status_of(planned(at(1), behind)).latest_ready_revision_name == ""
