"""Models on this machine's own disk: a folder or one file, copied so that later edits do no harm.

A file's version is its modification time and inode: a save over it or a move onto it changes one of
them. Links are followed; what they lead to is copied.
"""

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from stagezero.node.storage.errors import ModelInvalid, ModelNotFound
from stagezero.node.storage.sink import CHUNK_BYTES, Sink
from stagezero.node.storage.source import Manifest, RemoteFile


class LocalSource:
    """One model in a folder, or in a file of its own."""

    def __init__(self, uri: str, path: Path) -> None:
        self._uri = uri
        self._path = path

    async def manifest(self) -> Manifest:
        """List the files there are now."""
        try:
            return await asyncio.to_thread(self._look)
        except PermissionError as error:
            raise _unreadable(error) from error

    async def download(self, file: RemoteFile, sink: Sink) -> None:
        """Copy one file."""
        path = self._path / file.name if self._path.is_dir() else self._path
        try:
            with await asyncio.to_thread(path.open, "rb", buffering=0) as content:
                while chunk := await asyncio.to_thread(content.read, CHUNK_BYTES):
                    await sink.write(chunk)
        except FileNotFoundError as error:
            raise ModelNotFound(f"Local path {path} does not exist.") from error
        except PermissionError as error:
            raise _unreadable(error) from error

    def _look(self) -> Manifest:
        try:
            status = self._path.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ModelNotFound(f"Local path {self._uri} does not exist.") from error
        if not stat.S_ISDIR(status.st_mode):
            return Manifest((_remote_file(self._path.name, self._path),))
        files = tuple(
            _remote_file(str(path.relative_to(self._path)), path) for path in _walk(self._path, ())
        )
        if not files:
            raise ModelNotFound(f"Failed to fetch model. No model found in {self._uri}.")
        return Manifest(files)


def _unreadable(error: PermissionError) -> ModelInvalid:
    return ModelInvalid(f"{error.filename} may not be read by the user that runs the node")


def _walk(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:
        raise ModelInvalid(f"{folder} is a link to a folder that holds it")
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(Path(entry.path), (*above, real))
        else:
            yield Path(entry.path)


def _remote_file(name: str, path: Path) -> RemoteFile:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise ModelInvalid(f"{path} is a link to nothing") from error
    if not stat.S_ISREG(status.st_mode):
        raise ModelInvalid(f"{path} is not a regular file")
    return RemoteFile(name, status.st_size, f"{status.st_mtime_ns}/{status.st_ino}")
