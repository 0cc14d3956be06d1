"""Events: what the loops tell the user, counted instead of repeated, bounded per object.

The same words about the same object raise the count of one Event, at most once in `QUIET_S`; an
object that has more than `BURST` different things to say is cut short, as client-go does.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from stagezero.api import errors
from stagezero.api.base import Key, Object, Raw
from stagezero.client.client import Client
from stagezero.kit.clock import Clock, rfc3339
from stagezero.runtime.plan import Happening

QUIET_S = 5.0
BURST = 25
REMEMBERED = 4096


@dataclass
class _Told:
    key: Key
    count: int
    at: datetime


class Recorder:
    """Writes Events as `component` on behalf of the loops."""

    PATH: ClassVar[str] = "/api/v1/namespaces/{}/events"

    def __init__(self, client: Client, clock: Clock, component: str) -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._told: OrderedDict[tuple[str, Happening], _Told] = OrderedDict()
        self._said_by: OrderedDict[str, int] = OrderedDict()

    async def record(self, about: Object, happening: Happening) -> None:
        """Tell one happening about an object; an API that refuses events does not stop the loop."""
        try:
            await self._record(about, happening)
        except errors.ApiError:
            self._told.pop((about.uid, happening), None)

    async def _record(self, about: Object, happening: Happening) -> None:
        now = self._clock.now()
        told = self._told.get((about.uid, happening))
        if told is None:
            if self._is_over_budget(about.uid):
                return
            await self._tell(about, happening, now)
        elif (now - told.at).total_seconds() >= QUIET_S:
            told.count, told.at = told.count + 1, now
            await self._repeat(told)

    def _is_over_budget(self, uid: str) -> bool:
        said = self._said_by.get(uid, 0) + 1
        self._said_by[uid] = said
        self._said_by.move_to_end(uid)
        if len(self._said_by) > REMEMBERED:
            self._said_by.popitem(last=False)
        return said > BURST

    async def _tell(self, about: Object, happening: Happening, now: datetime) -> None:
        key = Key(about.metadata.namespace or "default", _event_name(about, happening, now))
        self._told[(about.uid, happening)] = _Told(key, 1, now)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        body = _event(about, happening, key, now, self._component)
        await self._client.create_raw(self.PATH.format(key.namespace), body)

    async def _repeat(self, told: _Told) -> None:
        path = f"{self.PATH.format(told.key.namespace)}/{told.key.name}"
        await self._client.patch_raw(path, {"count": told.count, "lastTimestamp": rfc3339(told.at)})


def _event_name(about: Object, happening: Happening, now: datetime) -> str:
    words = f"{about.uid}{happening}{now.isoformat()}".encode()
    return f"{about.metadata.name}.{hashlib.blake2s(words, digest_size=8).hexdigest()}"


def _event(about: Object, happening: Happening, key: Key, now: datetime, component: str) -> Raw:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": key.name, "namespace": key.namespace},
        "involvedObject": {
            "apiVersion": about.resource.api_version,
            "kind": about.resource.kind,
            "name": about.metadata.name,
            "namespace": about.metadata.namespace,
            "uid": about.uid,
            "resourceVersion": about.metadata.resource_version,
        },
        "type": happening.type,
        "reason": happening.reason,
        "message": happening.message[:1024],
        "source": {"component": component},
        "firstTimestamp": rfc3339(now),
        "lastTimestamp": rfc3339(now),
        "count": 1,
    }
