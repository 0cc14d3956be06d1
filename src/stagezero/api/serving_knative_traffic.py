"""Checks of `spec.traffic`: of a Service, whose Configuration is its own, and of a Route."""

from stagezero.api import name_rules
from stagezero.api.base import Raw
from stagezero.api.field_error import (
    Errors,
    FieldError,
    disallowed_fields,
    invalid_key_name,
    invalid_value,
    missing_one_of,
    multiple_one_of,
    out_of_bounds,
    via_index,
)
from stagezero.api.raw_fields import integer, parts, text


def check(spec: Raw, *, has_own_configuration: bool) -> Errors:
    """Check the traffic of a spec; paths begin with `traffic`."""
    targets = parts(spec, "traffic")
    errors: Errors = ()
    for index, target in enumerate(targets):
        found = (
            *_latest_revision(target),
            *_revision_or_configuration(target, has_own_configuration),
            *_percent(target),
            *_url(target),
            *_tag(target),
        )
        errors += via_index(found, "traffic", index)
    total = sum(integer(target, "percent") or 0 for target in targets)
    if total != 100:
        errors += (FieldError(f"Traffic targets sum to {total}, want 100", ("traffic",)),)
    return errors + _unique_tags(targets)


def _latest_revision(target: Raw) -> Errors:
    latest, name = target.get("latestRevision"), text(target, "revisionName")
    if not isinstance(latest, bool) or bool(name) != latest:
        return ()
    told = "true" if latest else "false"
    message = f'may not set revisionName "{name}" when latestRevision is {told}'
    return (FieldError(message, ("latestRevision",)),)


def _revision_or_configuration(target: Raw, has_own_configuration: bool) -> Errors:
    revision, configuration = text(target, "revisionName"), text(target, "configurationName")
    if has_own_configuration and configuration:
        return (disallowed_fields("configurationName"),)
    if revision and configuration:
        return (multiple_one_of("revisionName", "configurationName"),)
    if revision:
        return _name(revision, "revisionName")
    if configuration:
        return _name(configuration, "configurationName")
    if has_own_configuration:
        return ()
    return (missing_one_of("revisionName", "configurationName"),)


def _name(name: str, field: str) -> Errors:
    problems = name_rules.qualified_name(name)
    return (invalid_key_name(name, field, ", ".join(problems)),) if problems else ()


def _percent(target: Raw) -> Errors:
    percent = integer(target, "percent")
    if percent is None or 0 <= percent <= 100:
        return ()
    return (out_of_bounds(percent, 0, 100, "percent"),)


def _url(target: Raw) -> Errors:
    return (disallowed_fields("url"),) if target.get("url") else ()


def _tag(target: Raw) -> Errors:
    tag = text(target, "tag")
    problems = name_rules.dns_1035_label(tag) if tag else []
    if not problems:
        return ()
    return (invalid_value(f"not a DNS 1035 label: [{' '.join(problems)}]", "tag"),)


def _unique_tags(targets: list[Raw]) -> Errors:
    first: dict[str, int] = {}
    errors: Errors = ()
    for index, target in enumerate(targets):
        tag = text(target, "tag")
        if not tag:
            continue
        if tag in first:
            paths = (f"traffic[{first[tag]}].tag", f"traffic[{index}].tag")
            errors += (FieldError(f'Multiple definitions for "{tag}"', paths),)
        first.setdefault(tag, index)
    return errors
