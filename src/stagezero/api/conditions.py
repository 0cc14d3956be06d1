"""Conditions over time: a transition time moves only when the status does."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace

from stagezero.api.base import Condition
from stagezero.api.times import write_time

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"
INFO = "Info"

C = TypeVar("C", bound=Condition)


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of a type, if it is there."""
    return next((condition for condition in conditions if condition.type == kind), None)


def settle(before: Iterable[Condition], after: Iterable[C], now: datetime) -> list[C]:
    """The new conditions, sorted by type, with the time since which each has its status."""
    old = {condition.type: condition for condition in before}
    settled = []
    for condition in sorted(after, key=lambda condition: condition.type):
        known = old.get(condition.type)
        is_same = known is not None and known.status == condition.status
        since = known.last_transition_time if known is not None and is_same else None
        settled.append(replace(condition, last_transition_time=since or write_time(now)))
    return settled
