"""Conditions of a status: replacing one keeps the times that did not change."""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from stagezero.api.base import Condition
from stagezero.api.times import write_time


def find(conditions: Iterable[Condition], condition_type: str) -> Condition | None:
    """The condition of a type."""
    return next((found for found in conditions if found.type == condition_type), None)


def is_true(conditions: Iterable[Condition], condition_type: str) -> bool:
    """Whether the condition of a type is True."""
    found = find(conditions, condition_type)
    return found is not None and found.status == "True"


def with_condition(
    conditions: list[Condition], wanted: Condition, now: datetime, is_news: bool = False
) -> list[Condition]:
    """The conditions with `wanted` among them.

    With the same status and reason the old one stays as it is, unless `is_news`: then its update
    time moves. The transition time moves only with the status.
    """
    old = find(conditions, wanted.type)
    is_same_status = old is not None and old.status == wanted.status
    if old is not None and is_same_status and old.reason == wanted.reason and not is_news:
        return conditions
    moment = write_time(now)
    since = old.last_transition_time if old is not None and is_same_status else moment
    fresh = replace(wanted, last_transition_time=since, last_update_time=moment)
    return [*(other for other in conditions if other.type != wanted.type), fresh]


def with_pod_condition(
    conditions: list[Condition], wanted: Condition, now: datetime
) -> list[Condition]:
    """The conditions with `wanted` in its place: a pod's have no update time."""
    old = find(conditions, wanted.type)
    is_same_status = old is not None and old.status == wanted.status
    since = old.last_transition_time if old is not None and is_same_status else write_time(now)
    fresh = replace(wanted, last_transition_time=since)
    if old is None:
        return [*conditions, fresh]
    return [fresh if found is old else found for found in conditions]
