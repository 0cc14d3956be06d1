"""Brings an object to the shape of its schema: unknown fields go, defaults come.

Pure functions that return new values where they change something. Pruning also tells the paths of
what it dropped, which is how strict decoding knows unknown fields.
"""

import copy
from typing import Any

from stagezero.api.base import Raw

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_OF_EVERY_OBJECT = ("apiVersion", "kind", "metadata")


def prune(raw: Raw, schema: Raw, metadata: Raw) -> tuple[Raw, list[str]]:
    """Drop what a schema does not know; return the rest and the paths of what was dropped.

    `metadata` is the schema of metadata, here and in embedded objects.
    """
    pruner = _Pruner(metadata)
    pruned = pruner.resource(raw, schema, "")
    return pruned, pruner.unknown


class _Pruner:
    def __init__(self, metadata: Raw) -> None:
        self._metadata = metadata
        self.unknown: list[str] = []

    def resource(self, raw: Raw, schema: Raw, path: str) -> Raw:
        """An object with apiVersion, kind and metadata of its own."""
        rest = {name: item for name, item in raw.items() if name not in _OF_EVERY_OBJECT}
        pruned: Raw = {name: raw[name] for name in ("apiVersion", "kind") if name in raw}
        if "metadata" in raw:
            pruned["metadata"] = self.value(
                raw["metadata"], self._metadata, _join(path, "metadata")
            )
        pruned.update(self._object(rest, schema, path))
        return pruned

    def value(self, value: Any, schema: Raw, path: str) -> Any:
        if isinstance(value, dict):
            if schema.get(_EMBEDDED):
                return self.resource(value, schema, path)
            return self._object(value, schema, path)
        items = schema.get("items")
        if isinstance(value, list) and isinstance(items, dict):
            return [self.value(item, items, f"{path}[{at}]") for at, item in enumerate(value)]
        return value

    def _object(self, value: Raw, schema: Raw, path: str) -> Raw:
        properties = schema.get("properties") or {}
        additional = schema.get("additionalProperties")
        keeps_all = bool(schema.get(_PRESERVE)) or additional is True
        pruned: Raw = {}
        for name, item in value.items():
            if item is None and name == "creationTimestamp":
                # Generators of YAML write it into every template; it never means anything.
                continue
            inner = properties.get(name)
            if inner is None and isinstance(additional, dict):
                inner = additional
            if inner is not None:
                pruned[name] = self.value(item, inner, _join(path, name))
            elif keeps_all:
                pruned[name] = item
            else:
                self.unknown.append(_join(path, name))
        return pruned


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def default_tree(schema: Raw) -> Raw | None:
    """The part of a schema that has defaults, None if there are none.

    Most schemas have few, so that an object's walk for them is short or none.
    """
    tree: Raw = {key: schema[key] for key in ("default", "nullable") if key in schema}
    properties = {
        name: branch
        for name, inner in (schema.get("properties") or {}).items()
        if (branch := default_tree(inner)) is not None
    }
    if properties:
        tree["properties"] = properties
    for key in ("items", "additionalProperties"):
        inner = schema.get(key)
        if isinstance(inner, dict) and (branch := default_tree(inner)) is not None:
            tree[key] = branch
    if "additionalProperties" in tree:
        # Named properties are not additional ones, whether or not they have defaults.
        known: Raw = {name: {} for name in schema.get("properties") or {}}
        tree["properties"] = {**known, **properties}
    return tree if tree.keys() - {"nullable"} else None


def with_defaults(value: Any, tree: Raw) -> Any:
    """Fill in defaults; a null where there is a default and null may not stand, takes it."""
    if isinstance(value, dict):
        return _object_with_defaults(value, tree)
    items = tree.get("items")
    if isinstance(value, list) and items is not None:
        return [with_defaults(item, items) for item in value]
    return value


def _object_with_defaults(value: Raw, tree: Raw) -> Raw:
    filled = dict(value)
    properties = tree.get("properties") or {}
    for name, inner in properties.items():
        if "default" in inner and (
            name not in filled or (filled[name] is None and not inner.get("nullable"))
        ):
            filled[name] = copy.deepcopy(inner["default"])
        if name in filled:
            filled[name] = with_defaults(filled[name], inner)
    additional = tree.get("additionalProperties")
    if additional is not None:
        for name in filled.keys() - properties.keys():
            filled[name] = with_defaults(filled[name], additional)
    return filled


def without_nulls(value: Any) -> Any:
    """Drop fields that are null: to a built-in kind, null and absent are the same."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
