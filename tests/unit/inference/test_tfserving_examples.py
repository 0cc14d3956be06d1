"""Classify and regress requests: examples, their context and their refusals."""

from typing import Any

import pytest

from stagezero.inference.errors import InvalidPayload
from stagezero.inference.tfserving_examples import parse_examples


@pytest.mark.parametrize(
    ("content", "feature"),
    [
        (3, [3]),
        ([1, 2], [1, 2]),
        (0.5, [0.5]),
        ("text", [b"text"]),
        (True, [1]),
        ({"b64": "aGk="}, [b"hi"]),
        ([], []),
    ],
)
def test_a_feature_is_a_value_or_a_list(content: object, feature: list[object]) -> None:
    assert parse_examples({"examples": [{"f": content}]}).examples == [{"f": feature}]


def test_the_context_is_part_of_every_example() -> None:
    body = parse_examples({"context": {"c": 1}, "examples": [{"a": 1}, {"a": 2}]})
    assert body.examples == [{"c": [1], "a": [1]}, {"c": [1], "a": [2]}]


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ({}, "key 'examples' is expected and was not found"),
        ({"examples": 1}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [3]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"f": None}]}, "Feature: f has element with unexpected JSON type: Null"),
        ({"examples": [{"f": [[1]]}]}, "Feature: f has element with unexpected JSON type: Array"),
        ({"examples": [{"f": [1, 0.5]}]}, "Unexpected element type in feature: f expecting type"),
        ({"examples": [{"f": 2**63}]}, "Feature: f has uint64 element. Only int64 is supported."),
        ({"examples": [{"f": {"b64": "%"}}]}, "Unable to base64 decode"),
    ],
)
def test_a_bad_example_is_refused(document: dict[str, Any], part: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        parse_examples(document)
    assert part in str(caught.value)
