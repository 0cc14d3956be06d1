"""Which revisions requests can come to: the routing state that a revision carries as a label.

The autoscaler and the collector of old revisions read it; it follows from the Routes alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from stagezero.api import names_knative as names
from stagezero.api.base import ObjectMeta
from stagezero.api.serving_knative import Configuration, Revision, Route
from stagezero.api.times import write_time
from stagezero.controllers.knative.plans import children
from stagezero.controllers.knative.plans.traffic import refers_to
from stagezero.runtime.plan import NOTHING, Plan

ACTIVE, RESERVE, PENDING = "active", "reserve", "pending"


@dataclass(frozen=True)
class Observed:
    """A revision, its Configuration, and the Routes that may send it requests."""

    revision: Revision
    configuration: Configuration | None = None
    routes: Sequence[Route] = ()


def plan(observed: Observed, now: datetime) -> Plan:
    """Label the revision active, reserve or pending, and note its Routes."""
    revision = observed.revision
    if revision.is_deleting:
        return NOTHING
    routes = sorted(route.metadata.name for route in observed.routes if refers_to(route, revision))
    meta = revision.metadata
    before = meta.labels.get(names.ROUTING_STATE, "")
    state = _state(observed, bool(routes))
    labels = {names.ROUTING_STATE: state}
    annotations: dict[str, str] = {}
    if routes or names.ROUTES in meta.annotations:
        annotations[names.ROUTES] = ",".join(routes)
    if state != before:
        annotations[names.ROUTING_STATE_MODIFIED] = write_time(now)
    if children.says(meta.labels, labels) and children.says(meta.annotations, annotations):
        return NOTHING
    noted = ObjectMeta(
        name=meta.name, namespace=meta.namespace, labels=labels, annotations=annotations
    )
    return Plan(apply=(Revision(metadata=noted),))


def _state(observed: Observed, is_routed: bool) -> str:
    if is_routed:
        return ACTIVE
    revision = observed.revision
    is_new = revision.metadata.labels.get(names.ROUTING_STATE, PENDING) == PENDING
    configuration = observed.configuration
    is_latest = (
        configuration is None
        or not configuration.status.latest_created_revision_name
        or configuration.status.latest_created_revision_name == revision.metadata.name
    )
    return PENDING if is_new and is_latest else RESERVE
