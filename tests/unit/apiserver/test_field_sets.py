"""Sets of fields: which a value sets, how they are written, what is left without them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagezero.apiserver import field_sets

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "args": {"type": "array", "items": {"type": "string"}},
        "finalizers": {"type": "array", "x-kubernetes-list-type": "set"},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic"},
        "containers": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": {}, "image": {}}},
        },
    },
}
A = 'k:{"name":"a"}'
B = 'k:{"name":"b"}'


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ({"replicas": 1}, {("f:replicas",)}),
        ({"labels": {"a": "1", "b": "2"}}, {("f:labels", "f:a"), ("f:labels", "f:b")}),
        ({"labels": {}}, {("f:labels",)}),
        ({"args": ["a", "b"]}, {("f:args",)}),
        ({"finalizers": ["x"]}, {("f:finalizers", 'v:"x"')}),
        ({"whole": {"a": 1}}, {("f:whole",)}),
        (
            {"containers": [{"name": "a", "image": "i"}]},
            {
                ("f:containers", A),
                ("f:containers", A, "f:name"),
                ("f:containers", A, "f:image"),
            },
        ),
        ({"unknown": {"x": [1]}}, {("f:unknown", "f:x")}),
    ],
    ids=["leaf", "map", "empty map", "plain list", "set", "atomic map", "keyed list", "free"],
)
def test_a_value_sets_its_fields(value: Any, paths: set[Any]) -> None:
    assert field_sets.fields_of(value, SCHEMA) == paths


def test_a_set_is_written_as_kubernetes_writes_it() -> None:
    fields = field_sets.fields_of({"containers": [{"name": "a"}], "replicas": 1}, SCHEMA)
    assert field_sets.to_v1(fields) == {
        "f:containers": {A: {".": {}, "f:name": {}}},
        "f:replicas": {},
    }


def test_merging_lays_items_over_items() -> None:
    live = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}
    wanted = {"containers": [{"name": "b", "image": "2"}, {"name": "c"}], "args": ["x"]}
    assert field_sets.merge(live, wanted, SCHEMA) == {
        "containers": [
            {"name": "a", "image": "1"},
            {"name": "b", "image": "2"},
            {"name": "c"},
        ],
        "args": ["x"],
    }


@pytest.mark.parametrize(
    ("paths", "left"),
    [
        ([("f:replicas",)], {"labels": {"a": "1"}, "containers": [{"name": "a"}, {"name": "b"}]}),
        ([("f:labels", "f:a")], {"replicas": 1, "containers": [{"name": "a"}, {"name": "b"}]}),
        (
            [("f:containers", B)],
            {"replicas": 1, "labels": {"a": "1"}, "containers": [{"name": "a"}]},
        ),
        ([("f:absent", "f:x")],
         {"replicas": 1, "labels": {"a": "1"}, "containers": [{"name": "a"}, {"name": "b"}]}),
    ],
    ids=["leaf", "last of a map", "item", "absent"],
)  # fmt: skip
def test_fields_are_taken_out(paths: Any, left: Any) -> None:
    value = {"replicas": 1, "labels": {"a": "1"}, "containers": [{"name": "a"}, {"name": "b"}]}
    assert field_sets.without(value, paths, SCHEMA) == left


def test_a_path_is_shown_for_people() -> None:
    path = ("f:spec", "f:containers", A, "f:image")
    assert field_sets.show(path) == '.spec.containers[name="a"].image'
    assert field_sets.show(("f:finalizers", 'v:"x"')) == '.finalizers[="x"]'


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(),
        "labels": st.dictionaries(st.sampled_from("abc"), st.text(max_size=2), max_size=3),
        "args": st.lists(st.text(max_size=2), max_size=2),
        "finalizers": st.lists(st.sampled_from(["x", "y", "z"]), unique=True, max_size=3),
        "containers": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from("abc")}, optional={"image": st.text(max_size=2)}
            ),
            unique_by=lambda item: item["name"],
            max_size=3,
        ),
    },
)


@given(VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    fields = field_sets.fields_of(value, SCHEMA) - {()}
    assert field_sets.from_v1(field_sets.to_v1(fields)) == fields


@given(VALUES, VALUES)
def test_what_is_merged_holds_all_that_was_wanted(live: Any, wanted: Any) -> None:
    merged = field_sets.merge(live, wanted, SCHEMA)
    for path in field_sets.fields_of(wanted, SCHEMA) - {()}:
        here, there = (field_sets.at(side, path, SCHEMA) for side in (merged, wanted))
        if path[-1].startswith("f:") and there != {} and there != []:
            assert here == there
    assert field_sets.merge(merged, wanted, SCHEMA) == merged


@given(VALUES)
def test_without_all_of_its_fields_nothing_is_left(value: Any) -> None:
    assert field_sets.without(value, field_sets.fields_of(value, SCHEMA) - {()}, SCHEMA) == {}
