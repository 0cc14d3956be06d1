"""JSONPath of printer columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagezero.apiserver.jsonpath import JsonPath, PathError

THING = {
    "metadata": {"annotations": {"a.b/c": "yes"}},
    "spec": {"list": [{"name": "x", "n": 1}, {"name": "y", "n": 2}, {"name": "z"}]},
    "status": {
        "conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "Other", "status": "False"},
        ]
    },
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".spec.list[0].name", ["x"]),
        ("spec.list[-1].name", ["z"]),
        ("{.spec.list[*].name}", ["x", "y", "z"]),
        ("$.spec.list[*].n", [1, 2]),
        (".spec.list[0:2].name", ["x", "y"]),
        (".spec.list[1:].name", ["y", "z"]),
        (".spec.list[0,2].name", ["x", "z"]),
        (".spec.list[9].name", []),
        (".absent.name", []),
        (r".metadata.annotations.a\.b/c", ["yes"]),
        (".metadata.annotations['a.b/c']", ["yes"]),
        ('.metadata["annotations"]', [{"a.b/c": "yes"}]),
        (".status.conditions[?(@.type=='Ready')].status", ["True"]),
        ('.status.conditions[?(@.type == "Other")].status', ["False"]),
        (".status.conditions[?(@.type!='Ready')].type", ["Other"]),
        (".spec.list[?(@.n)].name", ["x", "y"]),
        (".spec.list[?(@.n>1)].name", ["y"]),
        (".spec.list[?(@.n<=1)].name", ["x"]),
        ("..name", ["x", "y", "z"]),
        (".status.conditions.*.type", ["Ready", "Other"]),
    ],
)
def test_a_path_finds_its_values(path: str, expected: list[object]) -> None:
    assert JsonPath(path).find(THING) == expected


@pytest.mark.parametrize("path", [".a[", ".a[x]", ".a[?(@.b==]", "..", ".a[0:1:-1]"])
def test_a_broken_path_is_refused(path: str) -> None:
    with pytest.raises(PathError, match="cannot read JSONPath"):
        JsonPath(path)


@given(st.text(alphabet=".[]*'?@()=ab0:-,", max_size=12))
def test_any_path_is_read_or_refused(path: str) -> None:
    try:
        found = JsonPath(path).find(THING)
    except PathError:
        return
    assert isinstance(found, list)
