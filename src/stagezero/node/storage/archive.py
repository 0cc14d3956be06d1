"""Unpacks an archive that nobody vouches for: only files and links that stay inside come out.

Everything is judged before it is written: names, kinds, sizes and their sum. Links are made last,
when no file can be written through them, and then checked as the kernel resolves them.
"""

import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from stagezero.node.storage.errors import ModelInvalid, ModelTooLarge
from stagezero.node.storage.sink import CHUNK_BYTES, Budget, Limits, Sink, StoredFile
from stagezero.node.storage.source import safe_name

_TAR_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")
_EXPANSION_COUNTS_FROM_BYTES = 64 * 1000**2
_LONGEST_LINK_BYTES = 4096
_NOT_VALID = "Failed to unpack archive file. The file format is not valid."
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # zip: a compression of the future
    RuntimeError,  # zip: encrypted
    UnicodeDecodeError,
)


def is_tar(name: str) -> bool:
    """Say whether a file of this name is taken for a tar archive."""
    return name.lower().endswith(_TAR_SUFFIXES)


def is_zip(name: str) -> bool:
    """Say whether a file of this name is taken for a zip archive."""
    return name.lower().endswith(".zip")


def is_archive(name: str) -> bool:
    """Say whether a model that is one file of this name is unpacked."""
    return is_tar(name) or is_zip(name)


@dataclass(frozen=True)
class Unpacked:
    """What an archive held; `links` are names with their targets, relative and inside."""

    files: tuple[StoredFile, ...]
    links: tuple[tuple[str, str], ...] = ()


def unpack(archive: Path, folder: Path, limits: Limits) -> Unpacked:
    """Unpack `archive`, tar or zip by its content, into `folder`; ModelInvalid if it may not."""
    unpacking = _Unpacking(folder, limits, archive.stat().st_size)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened_zip:
                _from_zip(opened_zip, unpacking)
        else:
            with tarfile.open(archive, "r:*") as opened_tar:
                _from_tar(opened_tar, unpacking)
    except _BROKEN as error:
        raise ModelInvalid(_NOT_VALID) from error
    return unpacking.finish()


def _from_tar(archive: tarfile.TarFile, unpacking: "_Unpacking") -> None:
    for member in archive:
        if member.isdir():
            unpacking.folder_named(member.name)
        elif member.isreg():
            content = archive.extractfile(member)
            assert content is not None, "a regular member has content"
            unpacking.file(member.name, content)
        elif member.issym():
            unpacking.link(member.name, member.linkname)
        elif member.islnk():
            unpacking.same_file(member.name, member.linkname)
        else:
            raise _refused(f"{member.name} is a device or a pipe")


def _from_zip(archive: zipfile.ZipFile, unpacking: "_Unpacking") -> None:
    for info in archive.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir():
            unpacking.folder_named(info.filename)
        elif kind == stat.S_IFLNK:
            if info.file_size > _LONGEST_LINK_BYTES:
                raise _refused(f"{info.filename} is a link to a name without end")
            unpacking.link(info.filename, archive.read(info).decode())
        elif kind in (0, stat.S_IFREG):
            with archive.open(info) as content:
                unpacking.file(info.filename, content)
        else:
            raise _refused(f"{info.filename} is a device or a pipe")


@dataclass
class _Unpacking:
    folder: Path
    limits: Limits
    archive_bytes: int
    files: dict[str, StoredFile] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    entries: int = 0

    def __post_init__(self) -> None:
        self.budget = Budget(self.limits.model_bytes)

    def folder_named(self, name: str) -> None:
        self._count()
        if name.strip("./"):
            with self._path(name) as path:
                path.mkdir(parents=True, exist_ok=True)

    def file(self, name: str, content: IO[bytes]) -> None:
        self._count()
        with self._path(name) as path:
            # A later entry of the same name replaces the earlier one, as with tar itself.
            path.unlink(missing_ok=True)
            with Sink(path, safe_name(name), self._spend) as sink:
                while chunk := content.read(CHUNK_BYTES):
                    self._spend(len(chunk))
                    sink.write_now(chunk)
                self.files[safe_name(name)] = sink.stored()

    def same_file(self, name: str, target: str) -> None:
        self._count()
        original = self.files.get(safe_name(target))
        if original is None:
            raise _refused(f"{name} is a link to {target}, which is no file of it")
        with self._path(name) as path:
            if path != original.path:
                path.unlink(missing_ok=True)
                os.link(original.path, path)
        self.files[safe_name(name)] = StoredFile(
            safe_name(name), original.digest, original.size_bytes, path
        )

    def link(self, name: str, target: str) -> None:
        self._count()
        if os.path.isabs(target):
            raise _refused(f"{name} is a link to {target}")
        self.links[safe_name(name)] = target

    def finish(self) -> Unpacked:
        for name, target in self.links.items():
            with self._path(name) as path:
                path.symlink_to(target)
        root = os.path.realpath(self.folder)
        for name, target in self.links.items():
            resolved = os.path.realpath(self.folder / name)
            if os.path.commonpath([root, resolved]) != root:
                raise _refused(f"{name} is a link to {target}")
        if not self.files:
            raise ModelInvalid("Failed to unpack archive file. It has no files.")
        return Unpacked(tuple(self.files.values()), tuple(self.links.items()))

    @contextmanager
    def _path(self, name: str) -> Iterator[Path]:
        path = self.folder / safe_name(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield path
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise _refused(f"{name} is both a file and a folder or link") from error

    def _count(self) -> None:
        self.entries += 1
        if self.entries > self.limits.files:
            raise ModelTooLarge(f"The archive has more than {self.limits.files} files")

    def _spend(self, size_bytes: int) -> None:
        self.budget.spend(size_bytes)
        used = self.budget.used_bytes
        if used > _EXPANSION_COUNTS_FROM_BYTES and used > (
            self.archive_bytes * self.limits.expansion
        ):
            raise ModelTooLarge(
                f"The archive unpacks to more than {self.limits.expansion} times its size"
            )


def _refused(why: str) -> ModelInvalid:
    return ModelInvalid(f"Failed to unpack archive file. It is not safe: {why}")
