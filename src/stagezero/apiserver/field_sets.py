"""Sets of an object's fields, as managedFields write them, and what apply does with them. Pure.

A path is a tuple of steps: `f:name` into an object, `k:{…}` to the item of a keyed list, `v:…` to
the item of a set. The schema says which lists have keys; every other list is one value.
"""

import json
from collections.abc import Iterable
from typing import Any

from stagezero.api.base import Raw

Path = tuple[str, ...]
FieldSet = frozenset[Path]

_LIST_TYPE, _MAP_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
_ITSELF = "."


def fields_of(value: Any, schema: Raw) -> FieldSet:
    """Every field that a value sets."""
    found: set[Path] = set()
    _collect(value, schema, (), found)
    return frozenset(found)


def _collect(value: Any, schema: Raw, path: Path, found: set[Path]) -> None:
    if isinstance(value, dict) and value and not _is_one_value(schema):
        for name, inner in value.items():
            _collect(inner, child_schema(schema, name), (*path, f"f:{name}"), found)
    elif isinstance(value, list) and value and _has_steps(value, schema):
        for item in value:
            step = _step(item, schema)
            found.add((*path, step))
            if isinstance(item, dict):
                _collect(item, schema.get("items") or {}, (*path, step), found)
    else:
        found.add(path)


def child_schema(schema: Raw, name: str) -> Raw:
    """The schema of a field, empty where everything is allowed."""
    child = (schema.get("properties") or {}).get(name) or schema.get("additionalProperties")
    return child if isinstance(child, dict) else {}


def _is_one_value(schema: Raw) -> bool:
    return schema.get("x-kubernetes-map-type") == "atomic"


def _has_steps(items: list[Any], schema: Raw) -> bool:
    match schema.get(_LIST_TYPE):
        case "map":
            keys = schema.get(_MAP_KEYS) or []
            return all(isinstance(item, dict) and _key(item, schema) for item in items if keys)
        case "set":
            return not any(isinstance(item, dict | list) for item in items)
    return False


def _key(item: Raw, schema: Raw) -> Raw:
    """The values that tell an item from the others; a key may be absent if it has a default."""
    properties = (schema.get("items") or {}).get("properties") or {}
    keys = {
        name: item.get(name, (properties.get(name) or {}).get("default"))
        for name in schema.get(_MAP_KEYS) or []
    }
    return {name: value for name, value in keys.items() if value is not None}


def _step(item: Any, schema: Raw) -> str:
    if isinstance(item, dict):
        return f"k:{_json(_key(item, schema))}"
    return f"v:{_json(item)}"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def merge(live: Any, wanted: Any, schema: Raw) -> Any:
    """Lay what is wanted over what is."""
    if isinstance(live, dict) and isinstance(wanted, dict) and not _is_one_value(schema):
        merged = dict(live)
        for name, value in wanted.items():
            merged[name] = merge(live.get(name), value, child_schema(schema, name))
        return merged
    if isinstance(live, list) and isinstance(wanted, list) and _has_steps([*live, *wanted], schema):
        return _merge_items(live, wanted, schema)
    return wanted


def _merge_items(live: list[Any], wanted: list[Any], schema: Raw) -> list[Any]:
    items = {_step(item, schema): item for item in live}
    for item in wanted:
        step = _step(item, schema)
        items[step] = merge(items.get(step), item, schema.get("items") or {})
    return list(items.values())


def at(value: Any, path: Path, schema: Raw) -> Any:
    """The value at a path, None if there is none."""
    for step in path:
        value, schema = _into(value, step, schema)
    return value


def _into(value: Any, step: str, schema: Raw) -> tuple[Any, Raw]:
    if step.startswith("f:"):
        inner = value.get(step[2:]) if isinstance(value, dict) else None
        return inner, child_schema(schema, step[2:])
    items = value if isinstance(value, list) else []
    found = (item for item in items if _step(item, schema) == step)
    return next(found, None), schema.get("items") or {}


def without(value: Any, paths: Iterable[Path], schema: Raw) -> Any:
    """The value without these fields; an object or list that this empties goes too."""
    by_step: dict[str, list[Path]] = {}
    for path in paths:
        if path:
            by_step.setdefault(path[0], []).append(path[1:])
    if isinstance(value, dict):
        return _object_without(value, by_step, schema)
    if isinstance(value, list):
        return _list_without(value, by_step, schema)
    return value


def _object_without(value: Raw, by_step: dict[str, list[Path]], schema: Raw) -> Raw:
    kept = dict(value)
    for step, rests in by_step.items():
        name = step[2:]
        if name not in kept:
            continue
        if () in rests:
            del kept[name]
            continue
        inner = without(kept[name], rests, child_schema(schema, name))
        if inner in ({}, []) and kept[name]:
            del kept[name]
        else:
            kept[name] = inner
    return kept


def _list_without(value: list[Any], by_step: dict[str, list[Path]], schema: Raw) -> list[Any]:
    kept = []
    for item in value:
        rests = by_step.get(_step(item, schema), [])
        if () not in rests:
            kept.append(without(item, rests, schema.get("items") or {}))
    return kept


def to_v1(paths: FieldSet) -> Raw:
    """Write a set as FieldsV1."""
    tree: Raw = {}
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        if path[-1:] and path[-1][:2] in ("k:", "v:"):
            node[_ITSELF] = {}
    return _trimmed(tree)


def _trimmed(tree: Raw) -> Raw:
    """An item that owns nothing but itself is written as an empty object."""
    if tree.keys() == {_ITSELF}:
        return {}
    return {step: _trimmed(inner) if inner else inner for step, inner in tree.items()}


def from_v1(tree: Any) -> FieldSet:
    """Read FieldsV1; what is no such tree reads as empty."""
    found: set[Path] = set()
    _read(tree, (), found)
    return frozenset(found - {()})


def _read(tree: Any, path: Path, found: set[Path]) -> None:
    if not isinstance(tree, dict) or not tree or path[-1:] == (_ITSELF,):
        found.add(path[:-1] if path[-1:] == (_ITSELF,) else path)
        return
    for step, inner in tree.items():
        _read(inner, (*path, step), found)


def show(path: Path) -> str:
    """A path as a conflict names it: `.spec.containers[name="a"].image`."""
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        elif step.startswith("k:"):
            keys = json.loads(step[2:])
            text += "[" + ",".join(f"{name}={_json(value)}" for name, value in keys.items()) + "]"
        else:
            text += f"[={step[2:]}]"
    return text
