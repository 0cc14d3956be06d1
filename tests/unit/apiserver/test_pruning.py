"""Objects take the shape of their schema."""

from typing import Any

import pytest

from stagezero.api.schema import metadata_schema
from stagezero.apiserver.pruning import default_tree, prune, with_defaults, without_nulls

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "known": {"type": "string"},
                "items": {"type": "array", "items": {"properties": {"a": {"type": "integer"}}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "map": {"type": "object", "additionalProperties": {"properties": {"a": {}}}},
                "pod": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {"spec": {"type": "object"}},
                },
            },
        }
    },
}


def pruned(spec: Any) -> tuple[Any, list[str]]:
    raw, unknown = prune({"kind": "T", "spec": spec}, SCHEMA, metadata_schema())
    return raw["spec"], unknown


@pytest.mark.parametrize(
    ("spec", "kept", "unknown"),
    [
        ({"known": "x", "no": 1}, {"known": "x"}, ["spec.no"]),
        ({"items": [{"a": 1, "b": 2}]}, {"items": [{"a": 1}]}, ["spec.items[0].b"]),
        ({"free": {"x": {"y": 1}}}, {"free": {"x": {"y": 1}}}, []),
        ({"map": {"k": {"a": 1, "b": 2}}}, {"map": {"k": {"a": 1}}}, ["spec.map.k.b"]),
        (
            {"pod": {"kind": "P", "metadata": {"name": "x", "no": 1}, "no": 2}},
            {"pod": {"kind": "P", "metadata": {"name": "x"}}},
            ["spec.pod.metadata.no", "spec.pod.no"],
        ),
        ({"creationTimestamp": None}, {}, []),
    ],
    ids=["field", "in a list", "free", "map", "embedded", "empty date"],
)
def test_unknown_fields_go_and_are_named(spec: Any, kept: Any, unknown: list[str]) -> None:
    assert pruned(spec) == (kept, unknown)


def test_metadata_has_its_own_schema() -> None:
    raw, unknown = prune({"metadata": {"name": "x", "color": 1}}, SCHEMA, metadata_schema())
    assert raw == {"metadata": {"name": "x"}}
    assert unknown == ["metadata.color"]


DEFAULTS = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "default": 1},
        "b": {"type": "object", "properties": {"c": {"type": "string", "default": "x"}}},
        "d": {"type": "object", "default": {}, "properties": {"e": {"default": 2}}},
        "l": {"type": "array", "items": {"properties": {"f": {"default": 3}}}},
        "m": {"type": "object", "additionalProperties": {"properties": {"g": {"default": 4}}}},
        "n": {"type": "string", "nullable": True, "default": "y"},
        "z": {"type": "string"},
    },
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, {"a": 1, "d": {"e": 2}, "n": "y"}),
        ({"a": 5, "d": {"e": 6}, "n": "k"}, {"a": 5, "d": {"e": 6}, "n": "k"}),
        ({"b": {}}, {"a": 1, "b": {"c": "x"}, "d": {"e": 2}, "n": "y"}),
        ({"a": None, "n": None}, {"a": 1, "d": {"e": 2}, "n": None}),
        ({"l": [{}]}, {"a": 1, "d": {"e": 2}, "l": [{"f": 3}], "n": "y"}),
        ({"m": {"k": {}}}, {"a": 1, "d": {"e": 2}, "m": {"k": {"g": 4}}, "n": "y"}),
    ],
    ids=["all", "given", "nested", "null", "list", "map"],
)
def test_defaults_fill_what_is_absent(value: Any, expected: Any) -> None:
    tree = default_tree(DEFAULTS)
    assert tree is not None
    assert with_defaults(value, tree) == expected


def test_a_schema_without_defaults_has_no_tree() -> None:
    assert default_tree(SCHEMA) is None


def test_defaults_are_copies() -> None:
    tree = default_tree(DEFAULTS)
    assert tree is not None
    with_defaults({}, tree)["d"]["e"] = 99
    assert with_defaults({}, tree)["d"]["e"] == 2


def test_nulls_vanish_everywhere() -> None:
    assert without_nulls({"a": None, "b": [{"c": None}], "d": 0}) == {"b": [{}], "d": 0}
