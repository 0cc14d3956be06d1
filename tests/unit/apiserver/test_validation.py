"""Values against structural schemas, in Kubernetes' words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagezero.apiserver import field_errors
from stagezero.apiserver.validation import validate

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


@pytest.mark.parametrize(
    ("value", "schema", "complaint"),
    [
        (
            {"n": "x"},
            {"type": "object", "properties": {"n": NUMBER}},
            'n: Invalid value: "string": n in body must be of type integer: "string"',
        ),
        (
            {"a": {"b": [{"c": 1}]}},
            {"properties": {"a": {"properties": {"b": {"items": {"properties": {"c": TEXT}}}}}}},
            'a.b[0].c: Invalid value: "integer": a.b[0].c in body must be of type string: '
            '"integer"',
        ),
        ({}, {"type": "object", "required": ["a"]}, "a: Required value"),
        ("x", NUMBER, 'Invalid value: "string":  in body must be of type integer: "string"'),
        (1.5, NUMBER, 'Invalid value: "number":  in body must be of type integer: "number"'),
        (None, TEXT, 'Invalid value: "null":  in body must be of type string: "null"'),
        (True, NUMBER, 'Invalid value: "boolean":  in body must be of type integer: "boolean"'),
        (
            "c",
            {**TEXT, "enum": ["a", "b"]},
            'Unsupported value: "c": supported values: "a", "b"',
        ),
        (
            -1,
            {**NUMBER, "minimum": 0},
            "Invalid value: -1:  in body should be greater than or equal to 0",
        ),
        (
            0,
            {**NUMBER, "minimum": 0, "exclusiveMinimum": True},
            "Invalid value: 0:  in body should be greater than 0",
        ),
        (
            9,
            {**NUMBER, "maximum": 8},
            "Invalid value: 9:  in body should be less than or equal to 8",
        ),
        (7, {**NUMBER, "multipleOf": 2}, "Invalid value: 7:  in body should be a multiple of 2"),
        ("abc", {**TEXT, "maxLength": 2}, "Too long: may not be more than 2 bytes"),
        (
            "",
            {**TEXT, "minLength": 1},
            'Invalid value: "":  in body should be at least 1 chars long',
        ),
        (
            "X",
            {**TEXT, "pattern": "^[a-z]+$"},
            "Invalid value: \"X\":  in body should match '^[a-z]+$'",
        ),
        (
            "soon",
            {**TEXT, "format": "date-time"},
            'Invalid value: "soon":  in body must be of type date-time: "soon"',
        ),
        ([1, 2], {"type": "array", "maxItems": 1}, "Too many: 2: must have at most 1 items"),
        ([], {"type": "array", "minItems": 1}, "should have at least 1 items"),
        (["a", "a"], {"type": "array", "x-kubernetes-list-type": "set"}, 'Duplicate value: "a"'),
        (
            [{"name": "a"}, {"name": "a"}],
            {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            'Duplicate value: {"name":"a"}',
        ),
        (1.5, {"x-kubernetes-int-or-string": True}, "must be of type integer,string"),
        (
            {"a": 1},
            {"type": "object", "oneOf": [{"required": ["b"]}, {"required": ["c"]}]},
            "must validate one and only one schema (oneOf). Found none valid",
        ),
        (
            {"a": 1},
            {"type": "object", "anyOf": [{"required": ["b"]}, {"required": ["c"]}]},
            "must validate at least one schema (anyOf)",
        ),
        ({"a": 1}, {"type": "object", "not": {"required": ["a"]}}, "must not validate the schema"),
        ({"a": 1}, {"type": "object", "allOf": [{"required": ["b"]}]}, "b: Required value"),
        ({"x": 1}, {"additionalProperties": TEXT}, "x in body must be of type string"),
        ({"a": 1}, {"type": "object", "minProperties": 2}, "should have at least 2 properties"),
    ],
)
def test_a_fault_is_named(value: Any, schema: Any, complaint: str) -> None:
    assert complaint in next(str(fault) for fault in validate(value, schema))


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (None, {"type": "string", "nullable": True}),
        (2.0, NUMBER),
        (2, {"type": "number"}),
        ("25%", {"x-kubernetes-int-or-string": True}),
        (25, {"x-kubernetes-int-or-string": True, "anyOf": [NUMBER, TEXT]}),
        ({"x": {"y": [1, "a", None]}}, {"x-kubernetes-preserve-unknown-fields": True}),
        ("2026-01-01T00:00:00Z", {**TEXT, "format": "date-time"}),
        ("anything", {**TEXT, "pattern": "(?<bad"}),
        ({"a": 1}, {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["c"]}]}),
    ],
)
def test_what_is_right_passes(value: Any, schema: Any) -> None:
    assert validate(value, schema) == []


def test_every_fault_is_found() -> None:
    schema = {"type": "object", "required": ["a", "b"], "properties": {"c": NUMBER}}
    assert [fault.path for fault in validate({"c": "x"}, schema)] == ["a", "b", "c"]


def test_the_answer_names_kind_and_causes() -> None:
    faults = [field_errors.required("spec.a"), field_errors.required("spec.b")]
    status = field_errors.invalid("Thing", "g.dev", "x", faults).status()
    assert status["message"] == (
        'Thing.g.dev "x" is invalid: [spec.a: Required value, spec.b: Required value]'
    )
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.a", "spec.b"]
    assert status["code"] == 422


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_any_value_is_checked(value: Any) -> None:
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "array", "items": NUMBER, "uniqueItems": True}},
        "additionalProperties": TEXT,
    }
    assert isinstance(validate(value, schema), list)
