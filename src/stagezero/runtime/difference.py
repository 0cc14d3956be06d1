"""The difference between what is and what shall be, as a JSON merge patch (RFC 7386). Pure."""

from typing import Any

from stagezero.api.base import Raw

OWNED_METADATA = ("labels", "annotations", "ownerReferences", "finalizers")
"""The metadata that a plan may want."""

JsonValue = Any
"""Any JSON value; the border where structure is not known."""


def exact(before: JsonValue, after: JsonValue) -> Raw:
    """The merge patch that turns the object `before` into `after`, removals as null.

    A merge patch cannot write a null, so a null that is wanted means that the field is absent.
    """
    patch: Raw = {}
    before = before if isinstance(before, dict) else {}
    for name in before.keys() - after.keys():
        patch[name] = None
    for name, value in after.items():
        old = before.get(name)
        if old == value and (name in before or value is None):
            continue
        is_nested = isinstance(old, dict) and isinstance(value, dict)
        patch[name] = exact(old, value) if is_nested else value
    return patch


def overlay(before: JsonValue, wanted: JsonValue) -> Raw:
    """The merge patch that makes `before` say all that `wanted` says and keeps the rest.

    A list differs only if an element says something else than wanted: fields that the server
    filled in do not count.
    """
    patch: Raw = {}
    before = before if isinstance(before, dict) else {}
    for name, value in wanted.items():
        old = before.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            nested = overlay(old, value)
            if nested:
                patch[name] = nested
        elif value is None:
            if old is not None:
                patch[name] = None
        elif name not in before or not covers(old, value):
            patch[name] = value
    return patch


def covers(what_is: JsonValue, wanted: JsonValue) -> bool:
    """Whether `what_is` says everything that `wanted` says."""
    if isinstance(wanted, dict):
        if not isinstance(what_is, dict):
            return False
        return all(covers(what_is.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(what_is, list) or len(what_is) != len(wanted):
            return False
        return all(covers(is_, want) for is_, want in zip(what_is, wanted, strict=True))
    return bool(what_is == wanted)


def desired_patch(before: Raw, desired: Raw, is_builtin: bool) -> Raw:
    """The merge patch that makes an existing object as desired; empty if it already is.

    Metadata is laid over. Other fields are laid over for built-in kinds, whose server fills in
    defaults, and replaced exactly for the kinds whose defaults the plan itself applies.
    """
    patch: Raw = {}
    wanted = {
        name: value for name, value in desired.get("metadata", {}).items() if name in OWNED_METADATA
    }
    metadata = overlay(before.get("metadata", {}), wanted)
    if metadata:
        patch["metadata"] = metadata
    for name, value in desired.items():
        if name in ("apiVersion", "kind", "metadata", "status"):
            continue
        old = before.get(name)
        if not isinstance(value, dict):
            if old != value:
                patch[name] = value
            continue
        nested = overlay(old, value) if is_builtin else exact(old, value)
        if nested or not isinstance(old, dict):
            patch[name] = nested if isinstance(old, dict) else value
    return patch
