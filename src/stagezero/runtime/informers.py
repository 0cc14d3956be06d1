"""Keeps caches filled: list once, watch from there, list again when the version is compacted.

One task a kind. The rings, from the outside: reconnect with back-off, list, one watch.
"""

import asyncio
import logging

import msgspec

from stagezero.api import errors
from stagezero.api.base import Object
from stagezero.client.cache import Caches, KindCache
from stagezero.client.client import Client
from stagezero.kit.backoff import Backoff

log = logging.getLogger(__name__)


class Informers:
    """Fills the cache of every kind that was added to `caches`."""

    def __init__(self, client: Client, caches: Caches) -> None:
        self._client = client
        self._caches = caches
        self._synced: dict[type[Object], asyncio.Event] = {}
        self._backoff = Backoff(first_s=0.1, limit_s=10.0)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind in self._caches.kinds:
                self._synced.setdefault(kind, asyncio.Event())
                group.create_task(self._forever(kind), name=f"informer/{kind.__name__}")

    async def synced(self) -> None:
        """Wait until every cache has been filled once."""
        for kind in self._caches.kinds:
            await self._synced.setdefault(kind, asyncio.Event()).wait()

    async def _forever(self, kind: type[Object]) -> None:
        while True:
            try:
                await self._list_and_watch(kind)
            except errors.Gone:
                log.info("%s: version compacted, listing again", kind.__name__)
            except errors.ApiError as error:
                delay_s = self._backoff.failed(kind)
                log.warning("%s: %s; again in %.1f s", kind.__name__, error.message, delay_s)
                await asyncio.sleep(delay_s)

    async def _list_and_watch(self, kind: type[Object]) -> None:
        listing = await self._client.list_encoded(kind)
        cache = self._caches.of(kind)
        cache.replace(listing.items, listing.version)
        self._synced[kind].set()
        self._backoff.forget(kind)
        while True:
            await self._watch(kind, cache)

    async def _watch(self, kind: type[Object], cache: KindCache[Object]) -> None:
        async with self._client.watch(kind, cache.version) as frames:
            async for frame in frames:
                if frame.type == "ERROR":
                    raise errors.from_status(msgspec.json.decode(frame.object), 500)
                cache.event(frame.type, frame.object)
        await asyncio.sleep(0)  # a server that ends every watch at once must not stop the loop
