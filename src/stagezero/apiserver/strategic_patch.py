"""Strategic merge patch: a merge patch that knows, from the schema, which lists merge and by what.

`kubectl apply`, `edit` and `label` send it for built-in kinds. The schema's
`x-kubernetes-patch-merge-key` and `x-kubernetes-patch-strategy` decide; the directives `$patch`,
`$retainKeys`, `$setElementOrder/x` and `$deleteFromPrimitiveList/x` are obeyed. Pure.
"""

from collections.abc import Iterable
from typing import Any

from stagezero.api import errors
from stagezero.api.base import Raw

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"
_MERGE_KEY, _STRATEGY = "x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy"


def apply(original: Raw, patch: Raw, schema: Raw) -> Raw:
    """Apply a patch to an object of this schema; BadRequest where a directive makes no sense."""
    merged = _merge_object(original, patch, schema)
    return merged if isinstance(merged, dict) else {}


def _merge_object(original: Raw, patch: Raw, schema: Raw) -> Raw:
    match patch.get(_DIRECTIVE):
        case None | "merge":
            return _merge_fields(original, patch, schema)
        case "replace":
            return {name: value for name, value in patch.items() if name != _DIRECTIVE}
        case "delete":
            return {}
        case other:
            raise errors.BadRequest(f"unrecognized type of patch: {other!r}")


def _merge_fields(original: Raw, patch: Raw, schema: Raw) -> Raw:
    merged = _retained(original, patch)
    for name, doomed in _by_prefix(patch, _DELETE_PRIMITIVES):
        if isinstance(merged.get(name), list):
            merged[name] = [item for item in merged[name] if item not in doomed]
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge_value(merged.get(name), value, _child(schema, name))
    for name, order in _by_prefix(patch, _ORDER):
        if isinstance(merged.get(name), list):
            before = original.get(name)
            key = _child(schema, name).get(_MERGE_KEY)
            merged[name] = _ordered(
                merged[name], order, before if isinstance(before, list) else [], key
            )
    return merged


def _retained(original: Raw, patch: Raw) -> Raw:
    keep = patch.get(_RETAIN)
    if keep is None:
        return dict(original)
    if not isinstance(keep, list):
        raise errors.BadRequest(f"{_RETAIN} is not a list")
    return {name: value for name, value in original.items() if name in keep}


def _by_prefix(patch: Raw, prefix: str) -> Iterable[tuple[str, list[Any]]]:
    for name, value in patch.items():
        if name.startswith(prefix):
            if not isinstance(value, list):
                raise errors.BadRequest(f"{name} is not a list")
            yield name.removeprefix(prefix), value


def _child(schema: Raw, name: str) -> Raw:
    child = (schema.get("properties") or {}).get(name)
    if child is None:
        child = schema.get("additionalProperties")
    return child if isinstance(child, dict) else {}


def _merge_value(before: Any, value: Any, schema: Raw) -> Any:
    strategies = schema.get(_STRATEGY, "").split(",")
    if isinstance(value, dict):
        base = before if isinstance(before, dict) and "replace" not in strategies else {}
        return _merge_object(base, value, schema)
    if isinstance(value, list):
        if "merge" not in strategies:
            return _plain_list(value)
        return _merge_list(before if isinstance(before, list) else [], value, schema)
    return value


def _plain_list(items: list[Any]) -> list[Any]:
    """A list that replaces: its directive, if it has one, is no item."""
    return [item for item in items if not (isinstance(item, dict) and item.keys() == {_DIRECTIVE})]


def _merge_list(before: list[Any], patch: list[Any], schema: Raw) -> list[Any]:
    key = schema.get(_MERGE_KEY)
    if key is None or not any(isinstance(item, dict) for item in [*before, *patch]):
        return before + [item for item in patch if item not in before]
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in patch):
        return [_without_directive(item) for item in patch if not _is_bare(item)]
    item_schema = schema.get("items") or {}
    merged = list(before)
    for item in patch:
        _merge_item(merged, item, key, item_schema)
    return merged


def _without_directive(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    return {name: value for name, value in item.items() if name != _DIRECTIVE}


def _is_bare(item: Any) -> bool:
    return isinstance(item, dict) and item.keys() == {_DIRECTIVE}


def _merge_item(merged: list[Any], item: Any, key: str, schema: Raw) -> None:
    if not isinstance(item, dict) or key not in item:
        raise errors.BadRequest(f"map: {item} does not contain declared merge key: {key}")
    at = next(
        (
            index
            for index, present in enumerate(merged)
            if isinstance(present, dict) and present.get(key) == item[key]
        ),
        None,
    )
    if item.get(_DIRECTIVE) == "delete":
        merged[:] = [
            present
            for present in merged
            if not (isinstance(present, dict) and present.get(key) == item[key])
        ]
    elif at is None:
        merged.append(_merge_object({}, item, schema))
    else:
        merged[at] = _merge_object(merged[at], item, schema)


def _ordered(items: list[Any], order: list[Any], before: list[Any], key: str | None) -> list[Any]:
    """Put items into the wanted order; those that the order does not name keep their neighbours.

    The unnamed ones stay in front of the named items that they preceded before the patch.
    """

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted = [identity(item) for item in order]
    old = [identity(item) for item in before]
    named = sorted(
        (item for item in items if identity(item) in wanted),
        key=lambda item: wanted.index(identity(item)),
    )
    unnamed = [item for item in items if identity(item) not in wanted]
    result: list[Any] = []
    for item in named:
        place = old.index(identity(item)) if identity(item) in old else None
        while place is not None and unnamed and _precedes(identity(unnamed[0]), old, place):
            result.append(unnamed.pop(0))
        result.append(item)
    return result + unnamed


def _precedes(identity: Any, old: list[Any], place: int) -> bool:
    return identity in old and old.index(identity) < place
