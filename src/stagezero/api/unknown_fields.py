"""Finds the first field of raw JSON that a class of `api` does not name: strict decoding.

Knative's webhook decodes strictly and refuses such an object; parts typed as raw JSON accept all.
"""

import types
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from stagezero.api.base import Noun


def first_unknown(value: Any, kind: Any) -> str | None:
    """The name of the first unknown field in `value` read as type `kind`, depth first."""
    return next(_unknown(value, kind), None)


def _unknown(value: Any, kind: Any) -> Iterator[str]:
    kind = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, Noun) and isinstance(value, dict):
        fields = _fields(kind)
        for name, inner in value.items():
            if name not in fields:
                yield name
            else:
                yield from _unknown(inner, fields[name])
    elif get_origin(kind) is list and isinstance(value, list):
        for item in value:
            yield from _unknown(item, get_args(kind)[0])
    elif get_origin(kind) is dict and isinstance(value, dict):
        for item in value.values():
            yield from _unknown(item, get_args(kind)[1])


def _plain(kind: Any) -> Any:
    """The type without Annotated and without None."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        return _plain(options[0]) if len(options) == 1 else Any
    return kind


@cache
def _fields(kind: type[Noun]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(kind)}
