"""How often a write may be done again that somebody undid.

Two authors that undo each other's work wake each other for ever, and would fill the disk: two
controllers, or a controller and a program of the user. Only such writes are counted, by object: the
very same thing was wanted before, was written, and is no longer there. After a burst they are held
to a pace that harms nobody; all other work of the same controller goes on.
"""

from typing import NamedTuple

from stagezero.api.base import Key, Object

BURST = 50
"""So many times at once: a user who tries out what happens never gets there."""
REST_S = 5.0
"""After how long one more is allowed."""
_FIRST_SWEEP = 1024

Name = tuple[type[Object], Key]


class _Used(NamedTuple):
    """How much of its burst an object had used up at a time (monotonic seconds)."""

    writes: float
    at_s: float


class Contests:
    """Counts the repeated writes of each object."""

    def __init__(self) -> None:
        self._used: dict[Name, _Used] = {}
        self._sweep_at = _FIRST_SWEEP

    def allows(self, name: Name, now_s: float) -> bool:
        """Whether an object may be written once more."""
        return self._writes(name, now_s) <= BURST - 1

    def count(self, name: Name, now_s: float) -> None:
        """Count a write that was repeated."""
        self._used[name] = _Used(self._writes(name, now_s) + 1, now_s)
        if len(self._used) >= self._sweep_at:
            self._sweep(now_s)

    def _writes(self, name: Name, now_s: float) -> float:
        used = self._used.get(name)
        if used is None:
            return 0.0
        if now_s < used.at_s:  # another clock: rest begins anew
            used = self._used[name] = used._replace(at_s=now_s)
        return max(0.0, used.writes - (now_s - used.at_s) / REST_S)

    def _sweep(self, now_s: float) -> None:
        """Drop what has rested; done again when the number has doubled."""
        rested = [name for name in self._used if not self._writes(name, now_s)]
        for name in rested:
            del self._used[name]
        self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._used))
