"""What a Route's traffic means now: concrete revisions, grouped by host, or why it is not known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from stagezero.api import names_knative as names
from stagezero.api import networking_knative as networking
from stagezero.api.conditions import FALSE, find
from stagezero.api.serving_knative import Configuration, Revision, Route, TrafficTarget
from stagezero.controllers.knative.plans.conditions import (
    READY,
    Mark,
    no,
    unknown,
)
from stagezero.controllers.knative.plans.configuration import is_ready
from stagezero.controllers.knative.plans.deployment import protocol

DEFAULT_GROUP = ""


@dataclass(frozen=True)
class Target:
    """A share of requests for one revision; `configuration` is empty for a pinned one."""

    target: TrafficTarget
    protocol: str = networking.HTTP1

    @property
    def revision(self) -> str:
        """The revision's name."""
        return self.target.revision_name

    @property
    def percent(self) -> int:
        """The share in percent."""
        return self.target.percent or 0


@dataclass(frozen=True)
class Traffic:
    """The flattened targets, and the same grouped by tag ("" holds all)."""

    targets: tuple[Target, ...]
    groups: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)


def resolve(
    route: Route,
    configurations: Mapping[str, Configuration],
    revisions: Mapping[str, Revision],
) -> Traffic | Mark:
    """The Route's traffic with concrete revisions, or the mark that says what is missing."""
    found: list[Target] = []
    problem: Mark | None = None
    for target in route.spec.traffic:
        resolved = _resolved(target, configurations, revisions)
        if isinstance(resolved, Target):
            found.append(resolved)
        elif problem is None or resolved.status == FALSE:
            problem = resolved
    if problem is not None:
        return problem
    groups: dict[str, tuple[Target, ...]] = {DEFAULT_GROUP: _consolidated(found)}
    for one in found:
        if one.target.tag:
            groups[one.target.tag] = _consolidated([one])
    return Traffic(tuple(_merged(found)), groups)


def _resolved(
    target: TrafficTarget,
    configurations: Mapping[str, Configuration],
    revisions: Mapping[str, Revision],
) -> Target | Mark:
    name = target.revision_name
    if not name:
        latest = _latest_ready(target.configuration_name, configurations)
        if isinstance(latest, Mark):
            return latest
        name = latest
    revision = revisions.get(name)
    if revision is None:
        return no("RevisionMissing", f'Revision "{name}" referenced in traffic not found.')
    if target.revision_name and not is_ready(revision):
        return _unready_revision(revision)
    return Target(
        msgspec.structs.replace(target, revision_name=name),
        protocol(revision),
    )


def _latest_ready(name: str, configurations: Mapping[str, Configuration]) -> str | Mark:
    configuration = configurations.get(name)
    if configuration is None:
        message = f'Configuration "{name}" referenced in traffic not found.'
        return no("ConfigurationMissing", message)
    latest = configuration.status.latest_ready_revision_name
    if latest:
        return latest
    ready = find(configuration.status.conditions, READY)
    is_current = configuration.status.observed_generation == configuration.metadata.generation
    if ready is not None and ready.status == FALSE and is_current:
        message = f'Configuration "{name}" does not have any ready Revision.'
        return no("RevisionMissing", message)
    message = f'Configuration "{name}" is waiting for a Revision to become ready.'
    return unknown("RevisionMissing", message)


def _unready_revision(revision: Revision) -> Mark:
    name = revision.metadata.name
    ready = find(revision.status.conditions, READY)
    is_current = revision.status.observed_generation == revision.metadata.generation
    if ready is not None and ready.status == FALSE and is_current:
        return no("RevisionMissing", f'Revision "{name}" failed to become ready.')
    return unknown("RevisionMissing", f'Revision "{name}" is not yet ready.')


def _merged(targets: Sequence[Target]) -> list[Target]:
    """The targets as status shows them: the same revision and tag once."""
    merged: dict[tuple[str, str, bool], Target] = {}
    for one in targets:
        target = one.target
        key = (target.tag, target.revision_name, bool(target.latest_revision))
        before = merged.get(key)
        merged[key] = _plus(before, one) if before else one
    return list(merged.values())


def _consolidated(targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets of one host: each revision once, a single one takes everything."""
    by_revision: dict[str, Target] = {}
    for one in targets:
        before = by_revision.get(one.revision)
        by_revision[one.revision] = _plus(before, one) if before else one
    merged = list(by_revision.values())
    if len(merged) == 1:
        only = merged[0]
        return (Target(msgspec.structs.replace(only.target, percent=100), only.protocol),)
    return tuple(merged)


def _plus(first: Target, second: Target) -> Target:
    percent = first.percent + second.percent
    return Target(msgspec.structs.replace(first.target, percent=percent), first.protocol)


def refers_to(route: Route, revision: Revision) -> bool:
    """Whether a Route sends, or is asked to send, requests to a revision."""
    name = revision.metadata.name
    targets = (*route.spec.traffic, *route.status.traffic)
    return any(target.revision_name == name for target in targets)


def revision_label(revision: Revision) -> str:
    """The Configuration that a revision is of."""
    return revision.metadata.labels.get(names.CONFIGURATION, "")
