"""The store that lasts: one SQLite file, read whole at the start, written by group commit.

Reads come from the shared index on the event loop. A write is checked and encoded on the loop,
travels to the writer's thread, and is published to the index and to watches when its group is
committed. There is never more than one write of an object on its way: whoever writes the same
object meanwhile waits, and is judged by what became of the first; so there is nothing to undo when
a commit fails.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from stagezero.store.base import Durability, Encode, Stored, StoreFailed, StoreKey
from stagezero.store.database import Database
from stagezero.store.history import HistoryLimits, Watcher
from stagezero.store.index import Index, Wish
from stagezero.store.writer import Pace, Write, Writer

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SqliteStore:
    """A `Store` in a file; made by `open`."""

    def __init__(self, database: Database, index: Index, pace: Pace) -> None:
        self._path = database.path
        self._index = index
        self._allotted = index.version
        self._on_the_way: dict[StoreKey, asyncio.Future[Stored]] = {}
        self._is_closed = False
        self._writer = Writer(database, self._settle, pace)

    @classmethod
    async def open(
        cls,
        path: Path,
        limits: HistoryLimits | None = None,
        boot_id: str | None = None,
        pace: Pace | None = None,
    ) -> "SqliteStore":
        """Open or make the file `path` (mode 0600) and read all of it.

        Raises StoreBusy where another process has it, StoreFailed where it cannot be used.
        """
        database, found = await asyncio.to_thread(_read, path, boot_id)
        # Versions before the start are compacted: their history died with the last process.
        index = Index(database.version, limits)
        index.load(found)
        return cls(database, index, pace or Pace())

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
        """Write an object; VersionConflict, StoreFailed.

        A caller that is cancelled while it waits does not take the write back.
        """
        return await self._write(Wish(key, encode, expected), durability)

    async def delete(
        self, key: StoreKey, encode: Encode, expected: int, durability: Durability
    ) -> Stored:
        """Remove an object; VersionConflict, StoreFailed."""
        return await self._write(Wish(key, encode, expected, removes=True), durability)

    async def _write(self, wish: Wish, durability: Durability) -> Stored:
        while (other := self._on_the_way.get(wish.key)) is not None:
            await asyncio.wait((other,))
        if self._is_closed:
            raise StoreFailed(f"cannot write {'/'.join(wish.key)}: the store is closed")
        change = self._index.resolve(wish, self._allotted + 1)
        # A version that fails to be written is not given to another write.
        self._allotted = change.version
        done: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._on_the_way[wish.key] = done
        self._writer.submit(Write(change, durability, done))
        return await asyncio.shield(done)

    def _settle(self, group: Sequence[Write], error: Exception | None) -> None:
        for write in group:
            del self._on_the_way[write.change.key]
        if error is None:
            written = self._index.publish([write.change for write in group])
            for write, stored in zip(group, written, strict=True):
                write.done.set_result(stored)
            return
        for write in group:
            failed = StoreFailed(
                f"cannot write {'/'.join(write.change.key)} to {self._path}: {error}"
            )
            failed.__cause__ = error
            write.done.set_exception(failed)

    def watch(self, collection: str, since: int, namespace: str = "") -> Watcher:
        """Return a reader of the changes after version `since`; Compacted at once if too old."""
        return self._index.watch(collection, since, namespace)

    async def close(self) -> None:
        """Write and flush everything, end watches, release the file; later writes fail."""
        if not self._is_closed:
            self._is_closed = True
            await self._writer.stop()
            self._index.close()


def _read(path: Path, boot_id: str | None) -> tuple[Database, list[Stored]]:
    database = Database.open(path, boot_id or _BOOT_ID.read_text().strip())
    return database, database.load()
