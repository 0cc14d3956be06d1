"""What a controller decides: a value that the engine carries out. Pure data."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from stagezero.api.base import Object


@dataclass(frozen=True)
class Happening:
    """Something worth telling the user: becomes an Event on the primary object."""

    type: str
    reason: str
    message: str


def normal(reason: str, message: str) -> Happening:
    """An ordinary event."""
    return Happening("Normal", reason, message)


def warning(reason: str, message: str) -> Happening:
    """A warning event."""
    return Happening("Warning", reason, message)


@dataclass(frozen=True)
class Refusal:
    """What could not be written: the object as wanted, a reason for conditions, the words."""

    thing: Object
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    """What shall be: objects, deletions, the primary's status, events, and when to look again.

    `apply`: desired objects, in order; partial objects are fine (see `runtime.carry`).
    `delete`: objects as seen, deleted only if they are still the same (uid).
    `claim`: objects as seen, but with the owner references they shall have (adopted, or let go).
    `status`: the primary with the status it shall have; replaced exactly, written if it differs.
    `recheck_s`: look again after so many seconds even if nothing happens.
    `if_refused`: what to tell instead (status and events) when an object may not be written.
    `error`: the goal cannot be reached now: Warning InternalError event, retry with back-off.
    """

    apply: tuple[Object, ...] = ()
    delete: tuple[Object, ...] = ()
    claim: tuple[Object, ...] = ()
    status: Object | None = None
    events: tuple[Happening, ...] = ()
    recheck_s: float | None = None
    error: str | None = None
    if_refused: "Callable[[Refusal], Plan] | None" = field(default=None, compare=False)

    def after(self, refusal: Refusal) -> "Plan":
        """What is left of the plan when an object was refused: the status, but no good news."""
        if self.if_refused is not None:
            return self.if_refused(refusal)
        return replace(self, events=())


NOTHING = Plan()
