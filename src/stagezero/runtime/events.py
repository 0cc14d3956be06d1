"""Events: what the loops tell the user, counted instead of repeated, bounded per object.

The same words about the same object raise the count of one Event, at most once in `QUIET_S`. An
object may say `BURST` different things, and one more every `REFILL_S`, as client-go does it.
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
REFILL_S = 300.0
REMEMBERED = 4096
_LONGEST_NAME = 253 - len(".0123456789abcdef")


@dataclass
class _Told:
    key: Key
    count: int
    at: datetime


@dataclass
class _Budget:
    """How many new things an object may still say; grows with time up to BURST."""

    left: float
    at: datetime

    def spend(self, now: datetime) -> bool:
        """Take one, if there is one."""
        elapsed_s = (now - self.at).total_seconds()
        self.left, self.at = min(BURST, self.left + elapsed_s / REFILL_S), now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Recorder:
    """Writes Events as `component` on behalf of the loops."""

    PATH: ClassVar[str] = "/api/v1/namespaces/{}/events"

    def __init__(self, client: Client, clock: Clock, component: str) -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._told: OrderedDict[tuple[str, Happening], _Told] = OrderedDict()
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    async def record(self, about: Object, happening: Happening) -> None:
        """Tell one happening about an object; an API that refuses events does not stop the loop."""
        try:
            await self._record(about, happening)
        except errors.ApiError:
            self._told.pop((about.uid, happening), None)

    async def _record(self, about: Object, happening: Happening) -> None:
        now = self._clock.now()
        told = self._told.get((about.uid, happening))
        if told is not None:
            if (now - told.at).total_seconds() < QUIET_S:
                return
            try:
                await self._repeat(told, now)
                self._told.move_to_end((about.uid, happening))
                return
            except errors.NotFound:
                del self._told[(about.uid, happening)]  # it has outlived its hour: tell it anew
        if self._budget(about.uid, now).spend(now):
            await self._tell(about, happening, now)

    def _budget(self, uid: str, now: datetime) -> _Budget:
        budget = self._budgets.setdefault(uid, _Budget(BURST, now))
        self._budgets.move_to_end(uid)
        if len(self._budgets) > REMEMBERED:
            self._budgets.popitem(last=False)
        return budget

    async def _tell(self, about: Object, happening: Happening, now: datetime) -> None:
        key = Key(about.metadata.namespace or "default", _event_name(about, happening, now))
        self._told[(about.uid, happening)] = _Told(key, 1, now)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        body = _event(about, happening, key, now, self._component)
        await self._client.create_raw(self.PATH.format(key.namespace), body)

    async def _repeat(self, told: _Told, now: datetime) -> None:
        told.count, told.at = told.count + 1, now
        path = f"{self.PATH.format(told.key.namespace)}/{told.key.name}"
        await self._client.patch_raw(path, {"count": told.count, "lastTimestamp": rfc3339(told.at)})


def _event_name(about: Object, happening: Happening, now: datetime) -> str:
    words = f"{about.uid}{happening}{now.isoformat()}".encode()
    digest = hashlib.blake2s(words, digest_size=8).hexdigest()
    return f"{about.metadata.name[:_LONGEST_NAME].rstrip('-.')}.{digest}"


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
