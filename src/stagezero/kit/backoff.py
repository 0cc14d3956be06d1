"""Exponential back-off as a value: one counter a key, reset on success."""

from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Delays that double from `first_s` up to `limit_s` with every failure of the same key."""

    first_s: float = 0.05
    limit_s: float = 60.0
    factor: float = 2.0
    _failures: dict[Hashable, int] = field(default_factory=dict)

    def failed(self, key: Hashable) -> float:
        """Count one more failure of `key` and return how many seconds to wait."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        return float(min(self.limit_s, self.first_s * self.factor ** min(count, 64)))

    def forget(self, key: Hashable) -> None:
        """Forget the failures of `key`: it succeeded, or is gone."""
        self._failures.pop(key, None)
