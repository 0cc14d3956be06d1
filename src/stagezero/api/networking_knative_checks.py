"""Checks of KIngresses: what a network layer may rely on. Knative's webhook, and what it leaves.

A visibility that nobody knows and a port that is no number pass Knative's webhook and would stop
whoever reads them, so they are refused here too.
"""

from stagezero.api import networking_knative as networking
from stagezero.api.base import Raw
from stagezero.api.field_error import (
    Errors,
    FieldError,
    invalid_value,
    missing_field,
    out_of_bounds,
    via,
    via_index,
)
from stagezero.api.raw_fields import integer, part, parts, text

_VISIBILITIES = ("", networking.EXTERNAL_IP, networking.CLUSTER_LOCAL)
_WHOLE = 100


def check_ingress(spec: Raw) -> Errors:
    """Check the spec of a KIngress; paths begin with `rules`."""
    if not spec:
        return (missing_field(""),)
    rules = enumerate(parts(spec, "rules"))
    return tuple(e for i, rule in rules for e in via_index(_rule(rule), "rules", i))


def _rule(rule: Raw) -> Errors:
    errors: Errors = ()
    visibility = text(rule, "visibility")
    if visibility not in _VISIBILITIES:
        errors += (invalid_value(visibility, "visibility"),)
    if rule.get("http") is None:
        return (*errors, missing_field("http"))
    paths = parts(part(rule, "http"), "paths")
    if not paths:
        return (*errors, missing_field("http.paths"))
    for index, path in enumerate(paths):
        errors += via(via_index(_path(path), "paths", index), "http")
    return errors


def _path(path: Raw) -> Errors:
    splits = parts(path, "splits")
    if not splits:
        return (missing_field("splits"),)
    errors = tuple(e for i, s in enumerate(splits) for e in via_index(_split(s), "splits", i))
    total = sum(integer(split, "percent") or 0 for split in splits)
    if len(splits) == 1 and not total:
        return errors
    if total != _WHOLE:
        told = f"Traffic split percentage must total to {_WHOLE}, but was {total}"
        errors += (FieldError(told, ("splits",)),)
    return errors


def _split(split: Raw) -> Errors:
    errors: Errors = ()
    percent = integer(split, "percent") or 0
    if not 0 <= percent <= _WHOLE:
        errors += (out_of_bounds(percent, 0, _WHOLE, "percent"),)
    names = ("serviceName", "serviceNamespace")
    absent = [name for name in names if not text(split, name)]
    port = split.get("servicePort")
    if port in (None, 0, ""):
        absent.append("servicePort")
    elif not str(port).isdecimal():
        errors += (invalid_value(port, "servicePort"),)
    return (*errors, missing_field(*absent)) if absent else errors
