"""Knative's conditions: what Ready sums up, and when times move."""

from datetime import timedelta

import pytest

from stagezero.api.base import Condition
from stagezero.controllers.knative.plans.conditions import (
    WAITING,
    YES,
    Mark,
    became_true,
    info,
    no,
    settle,
    summed_up,
    unknown,
)
from support.knative_objects import NOW, NOW_TEXT

LATER = NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("marks", "ready"),
    [
        ((YES, YES), YES),
        ((YES, WAITING), WAITING),
        ((unknown("A", "a"), YES), unknown("A", "a")),
        ((unknown("A", "a"), WAITING), unknown("A", "a")),
        ((unknown("A", "a"), unknown("B", "b")), unknown("B", "b")),
        ((no("A", "a"), unknown("B", "b")), no("A", "a")),
        ((unknown("A", "a"), no("B", "b")), no("B", "b")),
        ((no("A", "a"), no("B", "b")), no("A", "a")),
        ((Mark("True", "Fine", "all is well"), YES), YES),
    ],
    ids=[
        "all true",
        "one open",
        "reason told",
        "silent one passed over",
        "last open speaks",
        "false trumps",
        "false trumps later",
        "first false speaks",
        "reasons of true are kept off",
    ],
)
def test_ready_sums_its_dependents_up(marks: tuple[Mark, ...], ready: Mark) -> None:
    assert summed_up(marks) == ready


def test_conditions_are_sorted_and_dated() -> None:
    found = settle({"B": YES, "A": YES}, [], NOW, {"Info": info(no("X", "x"))})
    assert [one.type for one in found] == ["A", "B", "Info", "Ready"]
    assert {one.last_transition_time for one in found} == {NOW_TEXT}
    assert found[2].severity == "Info"
    assert found[3].status == "True"


def test_a_condition_that_says_the_same_keeps_its_time() -> None:
    before = settle({"A": unknown("R", "m")}, [], NOW)
    assert settle({"A": unknown("R", "m")}, before, LATER) == before


@pytest.mark.parametrize(
    "mark", [YES, unknown("Other", "m"), unknown("R", "other")], ids=["status", "reason", "message"]
)
def test_a_condition_that_says_something_else_is_dated_anew(mark: Mark) -> None:
    before = settle({"A": unknown("R", "m")}, [], NOW)
    after = settle({"A": mark}, before, LATER)
    assert after[0].last_transition_time == "2026-01-01T12:05:00Z"


@pytest.mark.parametrize(
    ("before", "after", "became"),
    [("Unknown", "True", True), ("True", "True", False), ("True", "False", False)],
)
def test_becoming_true_is_told_apart(before: str, after: str, became: bool) -> None:
    found = became_true([Condition("Ready", before)], [Condition("Ready", after)], "Ready")
    assert found is became
