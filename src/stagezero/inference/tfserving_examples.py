"""TensorFlow Serving's classify and regress requests: JSON examples to lists of features.

An example is an object of features; a feature is a value or a list of one kind: integers, floats or
bytes. A common `context` is part of every example.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagezero.inference.errors import InvalidPayload
from stagezero.inference.tfserving_request import signature_name_of

Feature = list[int] | list[float] | list[bytes]
Example = dict[str, Feature]

_KIND_WORDS = {int: "int64", float: "float", bytes: "bytes"}


@dataclass(frozen=True)
class ExamplesBody:
    """A classify or regress request."""

    signature_name: str
    examples: list[Example]


def parse_examples(document: Mapping[str, Any]) -> ExamplesBody:
    """The examples, each with the context's features."""
    name = signature_name_of(document)
    context = _example(document["context"]) if "context" in document else {}
    if "examples" not in document:
        raise InvalidPayload(
            f"JSON Value: {_text(document)} When method is classify, key 'examples' is expected"
            " and was not found"
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise InvalidPayload(
            f"JSON Value: {_text(document)} Expecting 'examples' value to be an list/array"
        )
    if not examples:
        raise InvalidPayload(f"JSON Value: {_text(document)} 'examples' value is an empty array")
    return ExamplesBody(name, [{**context, **_example(example)} for example in examples])


def _example(value: Any) -> Example:
    if not isinstance(value, dict):
        raise InvalidPayload(f"Example must be JSON object but got JSON {_type_word(value)}")
    return {name: _feature(name, content) for name, content in value.items()}


def _feature(name: str, content: Any) -> Feature:
    values = [_value(name, item) for item in (content if isinstance(content, list) else [content])]
    for item in values[1:]:
        if type(item) is not type(values[0]):
            word = _KIND_WORDS[type(item)]
            raise InvalidPayload(
                f"Unexpected element type in feature: {name} expecting type: {word}"
            )
    return values


def _value(name: str, item: Any) -> Any:
    if isinstance(item, bool):
        return int(item)
    if isinstance(item, int):
        if not -(2**63) <= item < 2**63:
            raise InvalidPayload(f"Feature: {name} has uint64 element. Only int64 is supported.")
        return item
    if isinstance(item, float):
        return item
    if isinstance(item, str):
        return item.encode("utf-8", "surrogatepass")
    if isinstance(item, dict) and len(item) == 1 and isinstance(item.get("b64"), str):
        try:
            return base64.b64decode(item["b64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidPayload("Unable to base64 decode") from error
    raise InvalidPayload(
        f"Feature: {name} has element with unexpected JSON type: {_type_word(item)}"
    )


def _type_word(value: Any) -> str:
    words = {type(None): "Null", dict: "Object", list: "Array", str: "String"}
    return str(value) if isinstance(value, bool) else words.get(type(value), "Number")


def _text(value: Any) -> str:
    text = json.dumps(value, indent=4)
    return text if len(text) <= 1024 else text[:1024] + "..."
