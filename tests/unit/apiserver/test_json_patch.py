"""JSON patch and merge patch, by the examples of their RFCs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagezero.api import errors
from stagezero.apiserver import json_patch


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_merges(target: Any, patch: Any, expected: Any) -> None:
    assert json_patch.merge(target, patch) == expected


@pytest.mark.parametrize(
    ("document", "operations", "expected"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2]}),
        ({"a": 1}, [{"op": "remove", "path": "/a"}], {}),
        ({"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}], {"a": [2]}),
        ({"a": 1}, [{"op": "replace", "path": "/a", "value": 2}], {"a": 2}),
        ({"a": [1]}, [{"op": "replace", "path": "/a/0", "value": 2}], {"a": [2]}),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": 1}),
        ({"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": 1, "b": 1}),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1}),
        ({"a/b": 1, "c~d": 2}, [{"op": "remove", "path": "/a~1b"}], {"c~d": 2}),
        ({"a/b": 1, "c~d": 2}, [{"op": "remove", "path": "/c~0d"}], {"a/b": 1}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {}}], {}),
        ({"a": 1}, [{"op": "add", "path": "/a", "value": None}], {"a": None}),
    ],
)
def test_a_json_patch_applies(document: Any, operations: Any, expected: Any) -> None:
    before = repr(document)
    assert json_patch.apply(document, operations) == expected
    assert repr(document) == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/absent"},
        {"op": "replace", "path": "/absent", "value": 1},
        {"op": "add", "path": "/absent/x", "value": 1},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "remove", "path": "/list/01"},
        {"op": "remove", "path": "/list/-"},
        {"op": "test", "path": "/a", "value": True},
        {"op": "move", "from": "/absent", "path": "/a"},
    ],
    ids=str,
)
def test_a_patch_that_does_not_fit_is_invalid(operation: Any) -> None:
    with pytest.raises(errors.Invalid, match="the server rejected our request"):
        json_patch.apply({"a": 1, "list": [0]}, [operation])


@pytest.mark.parametrize(
    "operations",
    [{}, [1], [{}], [{"op": "x", "path": "/a"}], [{"op": "add"}], [{"op": "add", "path": "/a"}],
     [{"op": "add", "path": "a", "value": 1}], [{"op": "copy", "path": "/a", "from": 1}],
     [{"op": "remove", "path": ""}], [{"op": "move", "path": "/a/b", "from": "/a"}],
     [{"op": ["add"], "path": "/a"}]],
    ids=str,
)  # fmt: skip
def test_what_is_no_patch_is_a_bad_request(operations: Any) -> None:
    with pytest.raises(errors.BadRequest):
        json_patch.apply({"a": 1}, operations)


def test_a_failing_patch_changes_nothing() -> None:
    document = {"a": {"b": 1}}
    operations = [
        {"op": "add", "path": "/a/c", "value": 1},
        {"op": "remove", "path": "/absent"},
    ]
    with pytest.raises(errors.Invalid):
        json_patch.apply(document, operations)
    assert document == {"a": {"b": 1}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON, JSON)
def test_a_merge_patch_applied_twice_is_applied_once(target: Any, patch: Any) -> None:
    once = json_patch.merge(target, patch)
    assert json_patch.merge(once, patch) == once
