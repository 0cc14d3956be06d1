"""What a controller decides: a value that the engine carries out. Pure data."""

from dataclasses import dataclass

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
class Plan:
    """What shall be: objects, deletions, the primary's status, events, and when to look again.

    `apply`: desired objects, in order; partial objects are fine (see `runtime.carry`).
    `delete`: objects as seen, deleted only if they are still the same (uid).
    `claim`: objects as seen, but with the owner references they shall have (adopted, or let go).
    `status`: the primary with the status it shall have; replaced exactly, written if it differs.
    `recheck_s`: look again after so many seconds even if nothing happens.
    `error`: the goal cannot be reached now: Warning InternalError event, retry with back-off.
    """

    apply: tuple[Object, ...] = ()
    delete: tuple[Object, ...] = ()
    claim: tuple[Object, ...] = ()
    status: Object | None = None
    events: tuple[Happening, ...] = ()
    recheck_s: float | None = None
    error: str | None = None


NOTHING = Plan()
