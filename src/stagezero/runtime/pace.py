"""How often a key may run: often at once, then at a steady rate.

Two authors that undo each other's work wake each other for ever: two loops, or a loop and a
program of the user. The loops cannot know; they can leave time and disk for everything else. A key
that has used up its burst waits at most 1 / `RUNS_PER_S`, so that one which is merely busy does not
feel it.
"""

from collections.abc import Hashable
from typing import NamedTuple

BURST = 200
RUNS_PER_S = 20.0
_FIRST_SWEEP = 1024


class _Used(NamedTuple):
    """How many runs of its burst a key had used up at a time."""

    runs: float
    at: float


class Pace:
    """Counts the runs of each key."""

    def __init__(self) -> None:
        self._used: dict[Hashable, _Used] = {}
        self._sweep_at = _FIRST_SWEEP

    def wait_s(self, key: Hashable, now: float) -> float:
        """Count a run at `now` (monotonic seconds) and return 0; or for how long it must wait."""
        runs = self._runs(key, now)
        if runs >= BURST:
            return (runs - BURST + 1) / RUNS_PER_S
        self._used[key] = _Used(runs + 1, now)
        if len(self._used) >= self._sweep_at:
            self._sweep(now)
        return 0.0

    def _runs(self, key: Hashable, now: float) -> float:
        used = self._used.get(key)
        return 0.0 if used is None else max(0.0, used.runs - (now - used.at) * RUNS_PER_S)

    def _sweep(self, now: float) -> None:
        """Drop the keys that are rested; done again when the number has doubled."""
        self._used = {key: used for key, used in self._used.items() if self._runs(key, now) > 0}
        self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._used))
