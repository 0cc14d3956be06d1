"""Which old revisions of a Configuration may go: config-gc's rules."""

from collections.abc import Sequence
from datetime import datetime

from stagezero.api import names_knative as names
from stagezero.api.config_knative_defaults import GCConfig
from stagezero.api.serving_knative import Revision
from stagezero.api.times import parse_time

_LONG_AGO = "1970-01-01T00:00:00Z"


def stale(
    revisions: Sequence[Revision], latest_ready: str, config: GCConfig, now: datetime
) -> tuple[Revision, ...]:
    """The revisions to delete, oldest first; never an active one, never below the minimum."""
    retain = (config.retain_since_create_s, config.retain_since_last_active_s)
    if retain == (None, None) and config.max_non_active_revisions is None:
        return ()
    least = config.min_non_active_revisions
    if len(revisions) <= least:
        return ()
    idle = sorted((one for one in revisions if not _is_active(one, latest_ready)), key=_last_active)
    allowed = max(0, len(idle) - least)
    doomed = [one for one in idle if _is_old(one, config, now)][:allowed]
    kept = [one for one in idle if one not in doomed]
    most = config.max_non_active_revisions
    if most is not None and len(kept) > most:
        doomed += kept[: len(kept) - most]
    return tuple(doomed)


def _is_active(revision: Revision, latest_ready: str) -> bool:
    meta = revision.metadata
    return (
        meta.name == latest_ready
        or meta.annotations.get(names.NO_GC, "").lower() == "true"
        or meta.labels.get(names.ROUTING_STATE) != "reserve"
    )


def _created(revision: Revision) -> datetime:
    return parse_time(revision.metadata.creation_timestamp or _LONG_AGO)


def _last_active(revision: Revision) -> datetime:
    modified = revision.metadata.annotations.get(names.ROUTING_STATE_MODIFIED)
    try:
        return parse_time(modified) if modified else _created(revision)
    except ValueError:
        return _created(revision)


def _is_old(revision: Revision, config: GCConfig, now: datetime) -> bool:
    since = (
        (_created(revision), config.retain_since_create_s),
        (_last_active(revision), config.retain_since_last_active_s),
    )
    if all(limit is None for _, limit in since):
        return False
    return all(limit is None or (now - moment).total_seconds() > limit for moment, limit in since)
