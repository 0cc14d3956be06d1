"""Wall-clock time as a value that is handed in: plans get `now`, tests run in virtual time.

Durations come from the event loop's own clock; dates come from a `Clock`.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the date; two implementations: the system's and one that follows the event loop."""

    def now(self) -> datetime:
        """Return the current date and time in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current date and time in UTC."""
        return datetime.now(UTC)


class LoopClock:
    """A clock that advances with the running loop's time: virtual loop, virtual dates."""

    def __init__(self, epoch: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._epoch = epoch

    def now(self) -> datetime:
        """Return the epoch plus the loop's own time."""
        return self._epoch + timedelta(seconds=asyncio.get_running_loop().time())


def rfc3339(moment: datetime) -> str:
    """Write a date as Kubernetes does in metadata: whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """Write a date with microseconds (Kubernetes' MicroTime, as in leases and event series)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> datetime:
    """Read a date written by `rfc3339` or by any other RFC 3339 writer; ValueError otherwise."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
