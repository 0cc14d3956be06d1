"""The store without a disk: every write is committed at once. For tests and throw-away systems."""

import asyncio

from stagezero.store.base import (
    Durability,
    Encode,
    Stored,
    StoreFailed,
    StoreKey,
)
from stagezero.store.history import HistoryLimits, Watcher
from stagezero.store.index import Index, Wish


class MemoryStore:
    """A `Store` that lives as long as its process."""

    def __init__(self, start: int = 0, limits: HistoryLimits | None = None) -> None:
        self._index = Index(start, limits)
        self._is_closed = False

    @property
    def version(self) -> int:
        """The last committed version."""
        return self._index.version

    def get(self, key: StoreKey) -> Stored | None:
        """Return a committed object."""
        return self._index.get(key)

    def list(self, collection: str, namespace: str = "") -> tuple[list[Stored], int]:
        """Return a collection, or one namespace of it, in order, and the version it is at."""
        return self._index.list(collection, namespace)

    async def put(
        self, key: StoreKey, encode: Encode, expected: int | None, durability: Durability
    ) -> Stored:
        """Write an object at once; VersionConflict."""
        return await self._commit(Wish(key, encode, expected))

    async def delete(
        self, key: StoreKey, encode: Encode, expected: int, durability: Durability
    ) -> Stored:
        """Remove an object at once; VersionConflict."""
        return await self._commit(Wish(key, encode, expected, removes=True))

    async def _commit(self, wish: Wish) -> Stored:
        if self._is_closed:
            raise StoreFailed(f"cannot write {'/'.join(wish.key)}: the store is closed")
        change = self._index.resolve(wish, self.version + 1)
        (stored,) = self._index.publish([change])
        # A write that never waits would keep a busy writer's readers from running at all.
        await asyncio.sleep(0)
        return stored

    def watch(self, collection: str, since: int, namespace: str = "") -> Watcher:
        """Return a reader of the changes after version `since`; Compacted at once if too old."""
        return self._index.watch(collection, since, namespace)

    async def close(self) -> None:
        """End watches; later writes fail."""
        self._is_closed = True
        self._index.close()
