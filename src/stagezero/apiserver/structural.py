"""Whether a schema in a CustomResourceDefinition is one: each keyword's type, and the structure.

Checked once, when a definition is stored, so that whoever reads the schema later (validation,
pruning, defaults, `kubectl explain`) can rely on its shape.
"""

from collections.abc import Callable, Iterator
from typing import Any

from stagezero.apiserver import field_errors
from stagezero.apiserver.field_errors import FieldError

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_DEPTH_LIMIT = 60


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


_KEYWORDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("description", "format", "pattern", "title"), (_is_text, "a string")),
    **dict.fromkeys(("$ref", "$schema", "id"), (lambda _: False, "left out")),
    **dict.fromkeys(
        (
            "nullable", "exclusiveMinimum", "exclusiveMaximum", "uniqueItems",
            "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string",
            "x-kubernetes-embedded-resource",
        ),
        (_is_flag, "true or false"),
    ),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
        (_is_count, "a number not below 0"),
    ),
    **dict.fromkeys(("minimum", "maximum"), (_is_number, "a number")),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    **dict.fromkeys(("required", "x-kubernetes-list-map-keys"), (_is_texts, "a list of strings")),
    "enum": (_is_list, "a list of values"),
    "x-kubernetes-list-type": (
        lambda value: value in ("atomic", "map", "set"), "atomic, set or map",
    ),
    "type": (lambda value: value in (*_TYPES, ""), f"one of {', '.join(_TYPES)}"),
}  # fmt: skip


def mistakes(schema: Any, path: str, depth: int = 0) -> Iterator[FieldError]:
    """Everything that keeps a value from being a structural schema."""
    if not isinstance(schema, dict):
        yield field_errors.invalid_value(path, schema, "a schema is an object")
        return
    if depth > _DEPTH_LIMIT:
        yield field_errors.invalid_value(path, "", f"nested deeper than {_DEPTH_LIMIT} levels")
        return
    for name, (is_right, wanted) in _KEYWORDS.items():
        if name in schema and not is_right(schema[name]):
            yield field_errors.invalid_value(f"{path}.{name}", schema[name], f"must be {wanted}")
    for place, part in _parts(schema, path):
        yield from mistakes(part, place, depth + 1)


def _parts(schema: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for name, part in properties.items():
            yield f"{path}.properties[{name}]", part
    elif properties is not None:
        yield f"{path}.properties", properties
    for name in ("items", "not"):
        if name in schema:
            yield f"{path}.{name}", schema[name]
    if not isinstance(schema.get("additionalProperties"), bool | None):
        yield f"{path}.additionalProperties", schema["additionalProperties"]
    for name in ("allOf", "anyOf", "oneOf"):
        options = schema.get(name, [])
        for index, part in enumerate(options if isinstance(options, list) else [options]):
            yield f"{path}.{name}[{index}]", part
