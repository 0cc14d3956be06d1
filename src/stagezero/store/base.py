"""The store's contract: objects as encoded bytes under keys, one version counter, watch-from.

Every write gets the next version (the resourceVersion); reads and watches see only what is
committed, in the order of versions. What a user wrote (`Durability.INTENT`) is on disk before the
write returns; what the loops derive (`DERIVED`) is committed, and flushed with the next group.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol


class StoreKey(NamedTuple):
    """Where an object lies: `collection` is `plural.group`; cluster kinds have no namespace."""

    collection: str
    namespace: str
    name: str


class Durability(Enum):
    """How safe a write must be when it returns; see the module's words."""

    INTENT = "intent"
    DERIVED = "derived"


class ChangeType(Enum):
    """What happened to an object, by the names of a watch."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True)
class Stored:
    """One committed object: its encoded JSON (which carries the same resourceVersion)."""

    key: StoreKey
    version: int
    data: bytes


@dataclass(frozen=True)
class Change:
    """One committed change; `data` of a deletion is the last state with the deletion's version.

    `previous` is the encoded object before the change, so that a watch with a selector can tell
    that an object left it.
    """

    type: ChangeType
    key: StoreKey
    version: int
    data: bytes
    previous: bytes | None = None


class VersionConflict(Exception):
    """The object is not at the version the writer expected; `actual` is None if it is not there."""

    def __init__(self, key: StoreKey, expected: int | None, actual: int | None) -> None:
        super().__init__(f"{key}: expected version {expected}, found {actual}")
        self.key, self.expected, self.actual = key, expected, actual


class Compacted(Exception):
    """The version asked for is older than what the store remembers: list again."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"version {asked} is compacted, the oldest is {oldest}")
        self.asked, self.oldest = asked, oldest


class StoreFailed(Exception):
    """The store could not write (disk full, I/O error); nothing of the write is kept."""


class StoreBusy(StoreFailed):
    """Another process has the state open; `holder` is its pid as it wrote it down."""

    def __init__(self, path: Path, holder: str) -> None:
        who = f"process {holder}" if holder else "another process"
        super().__init__(
            f"the state in {path.parent} is in use by {who}; stop that one first, "
            "or choose another state directory"
        )
        self.path, self.holder = path, holder


class Encode(Protocol):
    """Gives the bytes to store once the version is known, so that the object can carry it."""

    def __call__(self, version: int) -> bytes:
        """Return the encoded object at `version`."""
        ...


class Watching(Protocol):
    """An open watch, an AsyncIterator of changes.

    A cancelled wait for the next change (a time-out, say) loses nothing.
    """

    def __aiter__(self) -> AsyncIterator[Change]:
        """Iterate from where the last iteration ended."""
        ...

    async def __anext__(self) -> Change:
        """Wait for the next change; StopAsyncIteration when the watch or the store is closed."""
        ...

    @property
    def version(self) -> int:
        """The version up to which nothing is left to read: what a bookmark may say."""
        ...

    async def aclose(self) -> None:
        """End the iteration, also where another task waits for the next change."""
        ...


class Store(Protocol):
    """Versioned objects. All methods are called on one event loop."""

    @property
    def version(self) -> int:
        """The last committed version."""
        ...

    def get(self, key: StoreKey) -> Stored | None:
        """Return a committed object from memory."""
        ...

    def list(self, collection: str, namespace: str = "") -> tuple[list[Stored], int]:
        """Return a collection (or one namespace of it), ordered by namespace and name, and the
        version it is at.
        """
        ...

    async def put(
        self, key: StoreKey, encode: Encode, expected: int | None, durability: Durability
    ) -> Stored:
        """Write an object: `expected` None creates it, else its present version must be that.

        Raises VersionConflict, StoreFailed.
        """
        ...

    async def delete(
        self, key: StoreKey, encode: Encode, expected: int, durability: Durability
    ) -> Stored:
        """Remove an object at version `expected`; `encode` gives the last state that watches see.

        Raises VersionConflict, StoreFailed.
        """
        ...

    def watch(self, collection: str, since: int, namespace: str = "") -> Watching:
        """Yield every change after version `since`, in order, until closed.

        Raises Compacted when `since` is too old (at the call), also later (at an iteration), when
        a slow reader fell behind the bounded history.
        """
        ...

    async def close(self) -> None:
        """Flush everything, end watches, release the file."""
        ...
