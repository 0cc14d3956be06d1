"""Checks JSON values against a structural schema (OpenAPI v3 as CRDs write it), naming every fault.

Pure; the schema is read as it is. Messages are those of Kubernetes' server, which users search for.
Not covered: `x-kubernetes-validations` (CEL).
"""

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

from stagezero.api.base import Raw
from stagezero.apiserver import field_errors
from stagezero.apiserver.field_errors import FieldError

_INT_OR_STRING = "x-kubernetes-int-or-string"


def validate(value: Any, schema: Raw, path: str = "") -> list[FieldError]:
    """Return every mistake of a value, in the order of its fields."""
    return list(_check(value, schema, path))


def _check(value: Any, schema: Raw, path: str) -> Iterator[FieldError]:
    if value is None and (schema.get("nullable") or "type" not in schema):
        return
    if not _is_of_type(value, schema):
        wanted = "integer,string" if schema.get(_INT_OR_STRING) else schema["type"]
        yield field_errors.wrong_type(path, json_type(value), wanted)
        return
    if "enum" in schema and value not in schema["enum"]:
        yield field_errors.unsupported(path, value, schema["enum"])
    if isinstance(value, dict):
        yield from _check_object(value, schema, path)
    elif isinstance(value, list):
        yield from _check_list(value, schema, path)
    elif isinstance(value, str):
        yield from _check_text(value, schema, path)
    elif not isinstance(value, bool):
        yield from _check_number(value, schema, path)
    yield from _check_logic(value, schema, path)


def json_type(value: Any) -> str:
    """The JSON type of a value by its name."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    names = {str: "string", float: "number", dict: "object", list: "array"}
    return names[type(value)]


def _is_of_type(value: Any, schema: Raw) -> bool:
    if schema.get(_INT_OR_STRING):
        return isinstance(value, str | int) and not isinstance(value, bool)
    wanted = schema.get("type")
    if wanted is None:
        return True
    found = json_type(value)
    if found == "number" and wanted == "integer":
        return bool(value.is_integer())
    return found == wanted or (found == "integer" and wanted == "number")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _check_object(value: Raw, schema: Raw, path: str) -> Iterator[FieldError]:
    for name in schema.get("required", ()):
        if name not in value:
            yield field_errors.required(_join(path, name))
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    for name, item in value.items():
        if name in properties:
            yield from _check(item, properties[name], _join(path, name))
        elif isinstance(additional, dict):
            yield from _check(item, additional, _join(path, name))
    count = len(value)
    if count > schema.get("maxProperties", math.inf):
        yield field_errors.too_many(path, count, schema["maxProperties"])
    if count < schema.get("minProperties", 0):
        rule = f"should have at least {schema['minProperties']} properties"
        yield field_errors.invalid_value(path, value, f"{path} in body {rule}")


def _check_list(value: list[Any], schema: Raw, path: str) -> Iterator[FieldError]:
    items = schema.get("items")
    if isinstance(items, dict):
        for index, item in enumerate(value):
            yield from _check(item, items, f"{path}[{index}]")
    if len(value) > schema.get("maxItems", math.inf):
        yield field_errors.too_many(path, len(value), schema["maxItems"])
    if len(value) < schema.get("minItems", 0):
        rule = f"should have at least {schema['minItems']} items"
        yield field_errors.invalid_value(path, value, f"{path} in body {rule}")
    yield from _check_unique(value, schema, path)


def _check_unique(value: list[Any], schema: Raw, path: str) -> Iterator[FieldError]:
    match schema.get("x-kubernetes-list-type"):
        case "map":
            keys = schema.get("x-kubernetes-list-map-keys", [])
            identities = [
                {key: item[key] for key in keys if key in item} if isinstance(item, dict) else item
                for item in value
            ]
        case "set":
            identities = value
        case _:
            if not schema.get("uniqueItems"):
                return
            identities = value
    seen: list[Any] = []
    known: set[str] = set()
    for index, identity in enumerate(identities):
        # Texts, by far the most, are looked up; anything else is compared.
        is_known = identity in known if isinstance(identity, str) else identity in seen
        if is_known:
            yield field_errors.duplicate(f"{path}[{index}]", identity)
        elif isinstance(identity, str):
            known.add(identity)
        else:
            seen.append(identity)


def _check_text(value: str, schema: Raw, path: str) -> Iterator[FieldError]:
    if len(value) > schema.get("maxLength", math.inf):
        yield field_errors.too_long(path, schema["maxLength"])
    if len(value) < schema.get("minLength", 0):
        rule = f"should be at least {schema['minLength']} chars long"
        yield field_errors.invalid_value(path, value, f"{path} in body {rule}")
    pattern = schema.get("pattern")
    if pattern is not None and not _matches(pattern, value):
        rule = f"should match '{pattern}'"
        yield field_errors.invalid_value(path, value, f"{path} in body {rule}")
    check = _FORMATS.get(schema.get("format", ""))
    if check is not None and not check(value):
        rule = f'must be of type {schema["format"]}: "{value}"'
        yield field_errors.invalid_value(path, value, f"{path} in body {rule}")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        # Go's RE2 knows a little that Python's re does not; such a rule cannot be checked here.
        return None


def _matches(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.search(value) is not None


def _is_date_time(text: str) -> bool:
    try:
        return "T" in text.upper() and datetime.fromisoformat(text.upper()).tzinfo is not None
    except ValueError:
        return False


_FORMATS: dict[str, Callable[[str], bool]] = {"date-time": _is_date_time}


def _check_number(value: float, schema: Raw, path: str) -> Iterator[FieldError]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        is_exclusive = bool(schema.get("exclusiveMinimum"))
        if value < low or (is_exclusive and value == low):
            rule = "greater than" if is_exclusive else "greater than or equal to"
            detail = f"{path} in body should be {rule} {low}"
            yield field_errors.invalid_value(path, value, detail)
    if high is not None:
        is_exclusive = bool(schema.get("exclusiveMaximum"))
        if value > high or (is_exclusive and value == high):
            rule = "less than" if is_exclusive else "less than or equal to"
            detail = f"{path} in body should be {rule} {high}"
            yield field_errors.invalid_value(path, value, detail)
    step = schema.get("multipleOf")
    if step and not (value / step).is_integer():
        detail = f"{path} in body should be a multiple of {step}"
        yield field_errors.invalid_value(path, value, detail)


def _check_logic(value: Any, schema: Raw, path: str) -> Iterator[FieldError]:
    for part in schema.get("allOf", ()):
        yield from _check(value, part, path)
    if schema.get(_INT_OR_STRING):
        return
    options = schema.get("anyOf")
    if options and not any(not validate(value, option, path) for option in options):
        detail = f'"{path}" must validate at least one schema (anyOf)'
        yield field_errors.invalid_value(path, value, detail)
    options = schema.get("oneOf")
    if options:
        fitting = sum(not validate(value, option, path) for option in options)
        if fitting != 1:
            found = "Found none valid" if fitting == 0 else f"Found {fitting} valid alternatives"
            detail = f'"{path}" must validate one and only one schema (oneOf). {found}'
            yield field_errors.invalid_value(path, value, detail)
    refused = schema.get("not")
    if refused is not None and not validate(value, refused, path):
        detail = f'"{path}" must not validate the schema (not)'
        yield field_errors.invalid_value(path, value, detail)
