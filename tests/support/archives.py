"""Builds archives for tests, good and bad ones, in memory."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644
) -> tarfile.TarInfo:
    """Return the head of a tar entry."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def write_tar(path: Path, *entries: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    """Write a tar archive with these entries, whatever they are."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # mode is a Literal
        for info, content in entries:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def tar_of(path: Path, files: Mapping[str, bytes], mode: str = "w:gz") -> Path:
    """Write a tar archive with these files."""
    return write_tar(path, *((member(name), data) for name, data in files.items()), mode=mode)


def zip_of(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write a zip archive with these files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def zip_link(path: Path, name: str, target: str) -> Path:
    """Write a zip archive with one symbolic link."""
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, target)
    return path
