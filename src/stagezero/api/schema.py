"""The structural OpenAPI v3 schema of a noun, derived from its fields.

The same schema goes into the CRDs that a real cluster checks, into `kubectl explain`, and into our
own server's checks; so a field is declared once. Parts that appear in several places are one and
the same dict: treat schemas as read-only.
"""

import enum
import functools
import types
import typing
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from stagezero.api.base import Noun, Object, ObjectMeta, Raw


class Dialect(enum.Enum):
    """Whose rules a schema follows: CRDs may not say all that built-in kinds do."""

    BUILTIN = "builtin"
    CRD = "crd"


_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_LIST_TYPE, _MAP_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
_PATCH = ("x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy")
_SCALARS: dict[Any, Raw] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number", "format": "double"},
    Any: {_PRESERVE: True},
}
_API_VERSION = {"type": "string", "description": "Version of the schema of this object."}
_KIND = {"type": "string", "description": "What this object is."}


def dialect_of(kind: type[Object]) -> Dialect:
    """The dialect that a kind's schema is written in."""
    return Dialect.BUILTIN if kind.resource.is_builtin else Dialect.CRD


@functools.cache
def object_schema(kind: type[Object]) -> Raw:
    """The schema of a whole object; metadata of CRD kinds is a bare object, as CRDs demand."""
    dialect = dialect_of(kind)
    schema = dict(part_schema(kind, dialect))
    metadata = {"type": "object"} if dialect is Dialect.CRD else metadata_schema()
    schema["properties"] = {
        "apiVersion": _API_VERSION,
        "kind": _KIND,
        **schema["properties"],
        "metadata": metadata,
    }
    return schema


def metadata_schema() -> Raw:
    """The schema of metadata, the same for every kind."""
    return part_schema(ObjectMeta, Dialect.BUILTIN)


@functools.cache
def part_schema(part: type[Noun], dialect: Dialect) -> Raw:
    """The schema of one struct; fields without a default are required."""
    properties: dict[str, Raw] = {}
    required: list[str] = []
    for field in msgspec.structs.fields(part):
        properties[field.encode_name] = _schema(field.type, dialect)
        if field.required:
            required.append(field.encode_name)
    schema: Raw = {"type": "object", "properties": properties}
    description = part.__dict__.get("__doc__")
    if description:
        schema["description"] = " ".join(description.split())
    if required:
        schema["required"] = required
    return schema


def _schema(hint: Any, dialect: Dialect) -> Raw:
    if get_origin(hint) is Annotated:
        bare, *notes = get_args(hint)
        return _annotated(_schema(bare, dialect), notes, dialect)
    if get_origin(hint) in (Union, types.UnionType):
        return _union(hint, dialect)
    if get_origin(hint) is Literal:
        return {"type": "string", "enum": list(get_args(hint))}
    if get_origin(hint) is list:
        return {"type": "array", "items": _schema(get_args(hint)[0], dialect)}
    if get_origin(hint) is dict:
        return _mapping(hint, dialect)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return part_schema(typing.cast(type[Noun], hint), dialect)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"type": "string", "enum": [member.value for member in hint]}
    if hint in _SCALARS:
        return _SCALARS[hint]
    raise TypeError(f"no schema for a field of type {hint!r}: give it a type that JSON has")


def _mapping(hint: Any, dialect: Dialect) -> Raw:
    value = get_args(hint)[1]
    if value is Any:
        return {"type": "object", _PRESERVE: True}
    return {"type": "object", "additionalProperties": _schema(value, dialect)}


def _union(hint: Any, dialect: Dialect) -> Raw:
    members = [member for member in get_args(hint) if member is not type(None)]
    if len(members) == 1:
        return _schema(members[0], dialect)
    if set(members) == {int, float}:
        return _SCALARS[float]
    if float in members and dialect is Dialect.BUILTIN:
        return {"oneOf": [{"type": "string"}, {"type": "number"}]}
    if set(members) <= {int, float, str}:
        return {"anyOf": [{"type": "integer"}, {"type": "string"}], _INT_OR_STRING: True}
    raise TypeError(f"no structural schema for the union {hint!r}")


def _annotated(schema: Raw, notes: list[Any], dialect: Dialect) -> Raw:
    schema = dict(schema)
    for note in notes:
        if isinstance(note, msgspec.Meta):
            schema.update(_constraints(note, schema.get("type")))
            schema.update(note.extra_json_schema or {})
    return schema if dialect is Dialect.BUILTIN else _as_crd(schema)


def _constraints(meta: msgspec.Meta, json_type: str | None) -> Raw:
    unit = "Items" if json_type == "array" else "Length"
    found: Raw = {
        "description": meta.description,
        "minimum": meta.ge if meta.ge is not None else meta.gt,
        "exclusiveMinimum": True if meta.gt is not None else None,
        "maximum": meta.le if meta.le is not None else meta.lt,
        "exclusiveMaximum": True if meta.lt is not None else None,
        "multipleOf": meta.multiple_of,
        "pattern": meta.pattern,
        f"min{unit}": meta.min_length,
        f"max{unit}": meta.max_length,
    }
    return {name: value for name, value in found.items() if value is not None}


def _as_crd(schema: Raw) -> Raw:
    """Leave out what a CRD may not say: patch keys, and map keys that items may lack."""
    schema = {name: value for name, value in schema.items() if name not in _PATCH}
    required = schema.get("items", {}).get("required", ())
    if not set(schema.get(_MAP_KEYS, ())) <= set(required):
        del schema[_MAP_KEYS], schema[_LIST_TYPE]
    return schema
