"""Keeps caches filled: list once, watch from there, list again when the version is compacted.

One task a kind. The rings, from the outside: back-off after a failure, list, one watch after the
other from the version that the cache has seen. Only a version that is gone costs a new list.
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

BRIEF_S = 1.0
"""A watch that ends without a word within so short a time has failed."""


class Informers:
    """Fills the cache of every kind that was added to `caches` before `run`."""

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
        """Wait until every cache has been filled once; a kind that is not served holds it up."""
        for kind in self._caches.kinds:
            await self._synced.setdefault(kind, asyncio.Event()).wait()

    async def _forever(self, kind: type[Object]) -> None:
        cache = self._caches.of(kind)
        is_listed = False
        while True:
            try:
                if not is_listed:
                    await self._list(kind, cache)
                    is_listed = True
                await self._watch(kind, cache)
            except errors.Gone as error:
                is_listed = False
                log.info("%s: %s; listing again", kind.__name__, error.message)
                await self._pause(kind)
            except errors.NotFound as error:
                is_listed = False
                cache.replace((), cache.version)  # the definition went, its objects went with it
                await self._pause(kind, error.message)
            except errors.ApiError as error:
                await self._pause(kind, error.message)
            except Exception:
                # What came could not be read or taken over: begin afresh, and keep other kinds.
                is_listed = False
                log.exception("the informer of %s failed", kind.__name__)
                await self._pause(kind)

    async def _pause(self, kind: type[Object], why: str = "") -> None:
        delay_s = self._backoff.failed(kind)
        if why:
            log.warning("%s: %s; again in %.1f s", kind.__name__, why, delay_s)
        await asyncio.sleep(delay_s)

    async def _list(self, kind: type[Object], cache: KindCache[Object]) -> None:
        listing = await self._client.list_encoded(kind)
        cache.replace(listing.items, listing.version)
        self._synced[kind].set()

    async def _watch(self, kind: type[Object], cache: KindCache[Object]) -> None:
        """Follow one watch to its end; a good one forgets earlier failures."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        has_spoken = False
        async with self._client.watch(kind, cache.version) as frames:
            async for frame in frames:
                if frame.type == "ERROR":
                    raise errors.from_status(msgspec.json.decode(frame.object), 500)
                cache.event(frame.type, frame.object)
                if not has_spoken:
                    has_spoken = True
                    self._backoff.forget(kind)
        if has_spoken or loop.time() - start >= BRIEF_S:
            self._backoff.forget(kind)
        else:
            await self._pause(kind)
