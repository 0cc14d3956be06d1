"""Differences as merge patches."""

import pytest

from stagezero.api.base import Raw
from stagezero.runtime.difference import covers, desired_patch, exact, overlay


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": None}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": {"b": 1}}, {"a": 3}, {"a": 3}),
        ({"a": 3}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": None}, {"a": None}, {}),
    ],
    ids=["same", "change", "remove", "add", "remove-inner", "list", "to-scalar", "to-map", "null"],
)
def test_exact_makes_equal(before: Raw, after: Raw, patch: Raw) -> None:
    assert exact(before, after) == patch


@pytest.mark.parametrize(
    ("before", "wanted", "patch"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, {}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1}}, {}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 3}}, {"a": {"x": 3}}),
        ({"l": [{"n": 1, "default": 5}]}, {"l": [{"n": 1}]}, {}),
        ({"l": [{"n": 1, "default": 5}]}, {"l": [{"n": 2}]}, {"l": [{"n": 2}]}),
        ({"l": [1]}, {"l": [1, 2]}, {"l": [1, 2]}),
        ({}, {"a": {}}, {"a": {}}),
    ],
    ids=["rest-kept", "inner-kept", "inner", "defaults", "element", "length", "empty-map"],
)
def test_overlay_keeps_the_rest(before: Raw, wanted: Raw, patch: Raw) -> None:
    assert overlay(before, wanted) == patch


def test_lists_of_other_length_do_not_cover() -> None:
    assert not covers([1, 2], [1])


def test_builtin_spec_is_laid_over() -> None:
    before = {"spec": {"replicas": 1, "revisionHistoryLimit": 10}}
    assert desired_patch(before, {"spec": {"replicas": 2}}, is_builtin=True) == {
        "spec": {"replicas": 2}
    }


def test_custom_spec_is_replaced() -> None:
    before = {"spec": {"old": 1, "same": 2}}
    patch = desired_patch(before, {"spec": {"same": 2}}, is_builtin=False)
    assert patch == {"spec": {"old": None}}


def test_status_is_never_in_the_patch() -> None:
    assert desired_patch({}, {"status": {"x": 1}}, is_builtin=False) == {}


def test_labels_of_others_stay() -> None:
    before = {"metadata": {"labels": {"theirs": "1"}}}
    patch = desired_patch(before, {"metadata": {"labels": {"ours": "2"}}}, is_builtin=False)
    assert patch == {"metadata": {"labels": {"ours": "2"}}}


def test_data_of_config_maps_is_laid_over() -> None:
    patch = desired_patch({"data": {"a": "1"}}, {"data": {"b": "2"}}, is_builtin=True)
    assert patch == {"data": {"b": "2"}}


def test_missing_spec_is_not_touched() -> None:
    assert desired_patch({"spec": {"a": 1}}, {"metadata": {}}, is_builtin=False) == {}
