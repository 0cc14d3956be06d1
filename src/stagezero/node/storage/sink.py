"""Where downloaded bytes go: a file on disk, hashed on the way, within the limits of one fetch.

Writing and hashing happen in threads, chunk by chunk, because the same event loop answers to Envoy.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from stagezero.node.storage.errors import ModelTooLarge

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What a model may be at most."""

    model_bytes: int = 200 * 1024**3
    """The size of a model, unpacked; above it a wrong URI is likelier than a model."""

    files: int = 100_000
    """The number of files and folders; an archive of millions of empty files stalls a disk."""

    expansion: int = 300
    """How many times larger than the archive its content may be, from 64 MB of content on."""


@dataclass(frozen=True)
class StoredFile:
    """One file of a model on our disk: its name in the model, its content's hash, where it is."""

    name: str
    digest: str
    size_bytes: int
    path: Path


class Sink:
    """An open file; `limit` is asked before each write, with the number of bytes to come."""

    def __init__(self, path: Path, name: str, limit: Callable[[int], None]) -> None:
        self._path = path
        self._name = name
        self._limit = limit
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._file = path.open("wb", buffering=0)

    async def write(self, chunk: bytes) -> None:
        """Append a chunk."""
        self._limit(len(chunk))
        await asyncio.to_thread(self.write_now, chunk)

    def write_now(self, chunk: bytes) -> None:
        """Append a chunk in the calling thread, past the limit."""
        view = memoryview(chunk)
        while view:
            view = view[self._file.write(view) :]
        self._hash.update(chunk)
        self._size_bytes += len(chunk)

    def stored(self) -> StoredFile:
        """End the file."""
        self._file.close()
        return StoredFile(self._name, self._hash.hexdigest(), self._size_bytes, self._path)

    def __enter__(self) -> "Sink":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


class Budget:
    """Counts down the bytes one fetch may still store."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.used_bytes = 0

    def spend(self, size_bytes: int) -> None:
        """Take `size_bytes` away; ModelTooLarge when none are left."""
        self.used_bytes += size_bytes
        if self.used_bytes > self._limit_bytes:
            raise ModelTooLarge(f"The model is larger than {self._limit_bytes / 1e9:.0f} GB")
