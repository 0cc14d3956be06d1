"""What a place of models must be able to do: say what is there, and hand over its files."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from stagezero.node.storage.errors import ModelInvalid
from stagezero.node.storage.sink import Sink


@dataclass(frozen=True)
class RemoteFile:
    """One file of a model: its name within the model, and how to tell that it changed.

    `size_bytes` is -1 and `version` empty where the source does not say; `location` is the
    source's own affair.
    """

    name: str
    size_bytes: int = -1
    version: str = ""
    location: str = ""


@dataclass(frozen=True)
class Manifest:
    """What is at a URI at one moment."""

    files: tuple[RemoteFile, ...]

    @property
    def fingerprint(self) -> str:
        """A hash that differs when any file differs; empty if the source cannot tell."""
        if not all(file.version for file in self.files):
            return ""
        lines = sorted(f"{file.name}\0{file.size_bytes}\0{file.version}" for file in self.files)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """The size of all files of known size."""
        return sum(max(0, file.size_bytes) for file in self.files)


class Source(Protocol):
    """A place where one model is; errors are those of `errors`."""

    async def manifest(self) -> Manifest:
        """Say what is there now; ModelNotFound if nothing is."""
        ...

    async def download(self, file: RemoteFile, sink: Sink) -> None:
        """Write one file of the manifest into `sink`."""
        ...


Variables = Mapping[str, str]
"""Environment variables of the pod that wants the model: credentials and headers are in them."""


def safe_name(name: str) -> str:
    """Return a file's name within a model without needless parts; ModelInvalid if it leads out."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or name.startswith("/") or "\0" in name:
        raise ModelInvalid(f"The model has a file with an unsafe name: {name!r}")
    return str(PurePosixPath(*parts))
