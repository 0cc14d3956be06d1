"""A Configuration's plan: one Revision a generation, the newest ready one, and old ones removed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from stagezero.api import names_knative as names
from stagezero.api.base import Condition, ObjectMeta, controlled_by
from stagezero.api.conditions import FALSE, TRUE, find
from stagezero.api.config_knative import KnativeConfig
from stagezero.api.serving_knative import (
    Configuration,
    ConfigurationStatus,
    Revision,
)
from stagezero.api.times import write_time
from stagezero.controllers.knative.plans import garbage
from stagezero.controllers.knative.plans.conditions import (
    READY,
    WAITING,
    YES,
    Mark,
    condition,
    no,
    status_of,
)
from stagezero.controllers.knative.plans.revision_names import (
    find_revision,
    generation_of,
    is_name_taken,
)
from stagezero.runtime.plan import NOTHING, Happening, Plan, normal, warning


@dataclass(frozen=True)
class Observed:
    """A Configuration, its revisions, and whatever revision bears the name it wants."""

    configuration: Configuration
    revisions: Sequence[Revision] = ()
    named_revision: Revision | None = None
    config: KnativeConfig = field(default_factory=KnativeConfig)


def plan(observed: Observed, now: datetime) -> Plan:
    """Make the revision of this generation; tell which one is the newest that is ready."""
    configuration = observed.configuration
    if configuration.is_deleting:
        return NOTHING
    if is_name_taken(configuration, observed.named_revision):
        return _name_taken(configuration, now)
    current = find_revision(configuration, observed.revisions)
    apply: tuple[Revision, ...] = ()
    events: tuple[Happening, ...] = ()
    if current is None:
        current = make_revision(configuration, now)
        apply = (current,)
        events = (normal("Created", f'Created Revision "{current.metadata.name}"'),)
    latest_ready = _latest_ready(configuration, observed.revisions)
    ready = _ready(current, latest_ready)
    status = ConfigurationStatus(
        observed_generation=configuration.metadata.generation,
        conditions=_conditions(configuration, ready, now),
        latest_created_revision_name=current.metadata.name,
        latest_ready_revision_name=latest_ready,
    )
    return Plan(
        apply=apply,
        delete=garbage.stale(observed.revisions, latest_ready, observed.config.gc, now),
        status=msgspec.structs.replace(configuration, status=status),
        events=(*events, *_events(configuration, status)),
    )


def _conditions(configuration: Configuration, ready: Mark, now: datetime) -> list[Condition]:
    before = find(configuration.status.conditions, READY)
    return [condition(READY, ready, before, now)]


def make_revision(configuration: Configuration, now: datetime) -> Revision:
    """The revision of the Configuration's current generation."""
    meta, template = configuration.metadata, configuration.spec.template
    labels = {
        **template.metadata.labels,
        names.CONFIGURATION: meta.name,
        names.CONFIGURATION_UID: meta.uid,
        names.CONFIGURATION_GENERATION: str(meta.generation),
        names.ROUTING_STATE: "pending",
    }
    for label in (names.SERVICE, names.SERVICE_UID):
        if label in meta.labels:
            labels[label] = meta.labels[label]
    annotations = {**template.metadata.annotations, names.ROUTING_STATE_MODIFIED: write_time(now)}
    if names.LAST_MODIFIER in meta.annotations:
        annotations[names.CREATOR] = meta.annotations[names.LAST_MODIFIER]
    if names.ROUTES in meta.annotations:
        annotations[names.ROUTES] = meta.annotations[names.ROUTES]
    name = template.metadata.name or names.revision(meta.name, meta.generation)
    return Revision(
        metadata=ObjectMeta(
            name=name,
            namespace=meta.namespace,
            labels=labels,
            annotations=annotations,
            owner_references=[controlled_by(configuration)],
        ),
        spec=template.spec,
    )


def _name_taken(configuration: Configuration, now: datetime) -> Plan:
    name = configuration.spec.template.metadata.name
    message = (
        "Revision creation failed with message: "
        f'revisions.serving.knative.dev "{name}" already exists.'
    )
    status = msgspec.structs.replace(
        configuration.status,
        observed_generation=configuration.metadata.generation,
        conditions=_conditions(configuration, no("RevisionFailed", message), now),
    )
    return Plan(status=msgspec.structs.replace(configuration, status=status))


def is_ready(revision: Revision) -> bool:
    """Whether a revision is ready as it is now."""
    status = revision.status
    is_current = status.observed_generation == revision.metadata.generation
    return is_current and status_of(status.conditions, READY) == TRUE


def _latest_ready(configuration: Configuration, revisions: Sequence[Revision]) -> str:
    """The newest ready revision, never one older than what was the newest before."""
    wanted = configuration.spec.template.metadata.name
    before = configuration.status.latest_ready_revision_name
    known = {revision.metadata.name: revision for revision in revisions}
    oldest = generation_of(known[before]) if before in known else 0
    ready = [
        (revision.metadata.name == wanted, generation_of(revision), revision.metadata.name)
        for revision in revisions
        if is_ready(revision)
        and (generation_of(revision) >= oldest or revision.metadata.name == wanted)
    ]
    return max(ready)[2] if ready else before


def _ready(current: Revision, latest_ready: str) -> Mark:
    found = find(current.status.conditions, READY)
    name = current.metadata.name
    if found is not None and found.status == FALSE:
        return no("RevisionFailed", f'Revision "{name}" failed with message: {found.message}.')
    return YES if latest_ready == name else WAITING


def _events(configuration: Configuration, after: ConfigurationStatus) -> tuple[Happening, ...]:
    before = configuration.status
    events: list[Happening] = []
    latest = after.latest_ready_revision_name
    if latest and latest != before.latest_ready_revision_name:
        if not before.latest_ready_revision_name:
            events.append(normal("ConfigurationReady", "Configuration becomes ready"))
        message = f'LatestReadyRevisionName updated to "{latest}"'
        events.append(normal("LatestReadyUpdate", message))
    has_failed = status_of(after.conditions, READY) == FALSE
    if has_failed and status_of(before.conditions, READY) != FALSE:
        name = after.latest_created_revision_name
        events.append(
            warning("LatestReadyFailed", f'Latest ready revision "{name}" has failed')
            if name == latest
            else warning("LatestCreatedFailed", f'Latest created revision "{name}" has failed')
        )
    return tuple(events)
