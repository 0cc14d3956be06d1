"""Events are kept for an hour after they last happened, as Kubernetes' own store keeps them.

No loop: whoever writes an event pays, at most once a minute, for sweeping out the old ones.
"""

from datetime import datetime, timedelta

import msgspec

from stagezero.api.times import parse_time
from stagezero.apiserver.encoding import decode, restamped
from stagezero.kit.clock import Clock
from stagezero.store.base import Durability, Store, Stored, VersionConflict

COLLECTION = "events"
LIFE = timedelta(hours=1)
_EVERY = timedelta(minutes=1)


class _Meta(msgspec.Struct, rename="camel"):
    creation_timestamp: str = ""


class _Event(msgspec.Struct, rename="camel"):
    metadata: _Meta
    last_timestamp: str | None = None


class EventExpiry:
    """Removes events whose time is over."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._swept: datetime | None = None

    async def sweep(self) -> None:
        """Remove old events, unless that was done within the last minute."""
        now = self._clock.now()
        if self._swept is not None and now - self._swept < _EVERY:
            return
        self._swept = now
        for stored in self._store.list(COLLECTION)[0]:
            if now - _last_time(stored, now) > LIFE:
                await self._remove(stored)

    async def _remove(self, stored: Stored) -> None:
        try:
            encode = restamped(decode(stored.data))
            await self._store.delete(stored.key, encode, stored.version, Durability.DERIVED)
        except VersionConflict:
            return  # It happened again, or is gone: either way not ours to remove.


def _last_time(stored: Stored, now: datetime) -> datetime:
    event = msgspec.json.decode(stored.data, type=_Event)
    try:
        return parse_time(event.last_timestamp or event.metadata.creation_timestamp)
    except ValueError:
        return now
