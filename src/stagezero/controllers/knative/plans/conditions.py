"""Knative's conditions: dependents, the Ready that sums them up, and times that change rarely.

A plan says what each condition is now (`Mark`); `settle` adds Ready, sorts, and keeps the
transition time of every condition that says the same as before.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from stagezero.api.base import Condition
from stagezero.api.conditions import FALSE, INFO, TRUE, UNKNOWN, find
from stagezero.api.times import write_time

READY = "Ready"


class Mark(NamedTuple):
    """What a condition says."""

    status: str
    reason: str = ""
    message: str = ""
    severity: str = ""


YES = Mark(TRUE)
WAITING = Mark(UNKNOWN)


def no(reason: str, message: str = "") -> Mark:
    """A condition that is False."""
    return Mark(FALSE, reason, message)


def unknown(reason: str, message: str = "") -> Mark:
    """A condition that is not known yet."""
    return Mark(UNKNOWN, reason, message)


def info(mark: Mark) -> Mark:
    """The same words on a condition that Ready does not depend on."""
    return mark._replace(severity=INFO)


def status_of(conditions: Iterable[Condition], kind: str) -> str:
    """The status of a condition; Unknown if it is not there."""
    found = find(conditions, kind)
    return found.status if found else UNKNOWN


def copied(conditions: Iterable[Condition], kind: str) -> Mark:
    """What another object's condition says, to be said again."""
    found = find(conditions, kind)
    return Mark(found.status, found.reason, found.message) if found else WAITING


def summed_up(dependents: Iterable[Mark]) -> Mark:
    """Ready: False trumps Unknown; the first False speaks, or the last Unknown with a reason."""
    marks = list(dependents)
    failed = [mark for mark in marks if mark.status == FALSE]
    if failed:
        return failed[0]
    open_ones = [mark for mark in marks if mark.status != TRUE]
    if not open_ones:
        return YES
    told = [mark for mark in open_ones if mark.reason or mark.message]
    return told[-1] if told else open_ones[-1]


def settle(
    dependents: Mapping[str, Mark],
    before: Sequence[Condition],
    now: datetime,
    others: Mapping[str, Mark] | None = None,
) -> list[Condition]:
    """Conditions as they shall be stored: `dependents`, Ready, and `others`, sorted by type."""
    marks = {**dependents, READY: summed_up(dependents.values()), **(others or {})}
    old = {one.type: one for one in before}
    return [condition(kind, marks[kind], old.get(kind), now) for kind in sorted(marks)]


def condition(kind: str, mark: Mark, old: Condition | None, now: datetime) -> Condition:
    """A condition as it shall be stored; the old one if it says the same."""
    if old is not None and Mark(old.status, old.reason, old.message, old.severity) == mark:
        return old
    return Condition(
        kind,
        mark.status,
        last_transition_time=write_time(now),
        reason=mark.reason,
        message=mark.message,
        severity=mark.severity,
    )


def became_true(before: Sequence[Condition], after: Sequence[Condition], kind: str) -> bool:
    """Whether a condition is True that was not."""
    return status_of(after, kind) == TRUE and status_of(before, kind) != TRUE
