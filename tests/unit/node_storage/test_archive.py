import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from stagezero.node.storage.archive import Unpacked, is_archive, unpack
from stagezero.node.storage.errors import ModelInvalid, ModelTooLarge
from stagezero.node.storage.sink import Limits
from support.archives import member, tar_of, write_tar, zip_link, zip_of

FILES = {"1/saved_model.pb": b"graph", "1/variables/data": b"weights"}
DATA = member("data"), b"x"


def unpacked(archive: Path, limits: Limits | None = None) -> Unpacked:
    folder = archive.parent / "out"
    folder.mkdir()
    return unpack(archive, folder, limits or Limits())


def contents(model: Unpacked) -> dict[str, bytes]:
    return {file.name: file.path.read_bytes() for file in model.files}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_gives_its_files(tmp_path: Path, mode: str) -> None:
    assert contents(unpacked(tar_of(tmp_path / "m.tar", FILES, mode))) == FILES


def test_zip_gives_its_files(tmp_path: Path) -> None:
    assert contents(unpacked(zip_of(tmp_path / "m.zip", FILES))) == FILES


def test_names_lose_needless_parts(tmp_path: Path) -> None:
    archive = write_tar(
        tmp_path / "m.tgz",
        (member("./", tarfile.DIRTYPE), b""),
        (member("./a//b"), b"x"),
    )
    assert contents(unpacked(archive)) == {"a/b": b"x"}


def test_later_entry_replaces_the_earlier(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "m.tgz", (member("a"), b"old"), (member("a"), b"new"))
    assert contents(unpacked(archive)) == {"a": b"new"}


def test_hard_link_becomes_a_file(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "m.tgz", DATA, (member("same", tarfile.LNKTYPE, "data"), b""))
    assert contents(unpacked(archive)) == {"data": b"x", "same": b"x"}


def test_link_that_stays_inside_is_kept(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "m.tgz", DATA, (member("d/l", tarfile.SYMTYPE, "../data"), b""))
    assert unpacked(archive).links == (("d/l", "../data"),)


def test_rights_of_the_archive_do_not_count(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "m.tgz", (member("a", mode=0o6777), b"x"))
    [file] = unpacked(archive).files
    assert file.path.stat().st_mode & 0o7111 == 0


ESCAPES = {
    "parent": [(member("../evil"), b"x")],
    "parent inside": [(member("a/../../evil"), b"x")],
    "absolute": [(member("/evil"), b"x")],
    "link to the outside": [DATA, (member("l", tarfile.SYMTYPE, "../.."), b"")],
    "absolute link": [DATA, (member("l", tarfile.SYMTYPE, "/etc/passwd"), b"")],
    "file through a link": [
        (member("l", tarfile.SYMTYPE, ".."), b""),
        (member("l/evil"), b"x"),
    ],
    "link through a link": [
        (member("a/b/x"), b"x"),
        (member("a/b/c", tarfile.SYMTYPE, "../.."), b""),
        (member("d", tarfile.SYMTYPE, "a/b/c/../evil"), b""),
    ],
    "hard link to the outside": [(member("l", tarfile.LNKTYPE, "../evil"), b"")],
    "hard link to nothing": [(member("l", tarfile.LNKTYPE, "none"), b"")],
    "device": [(member("null", tarfile.CHRTYPE), b"")],
    "pipe": [(member("pipe", tarfile.FIFOTYPE), b"")],
    "file under a file": [DATA, (member("data/evil"), b"x")],
    "file over a folder": [(member("d/x"), b"x"), (member("d"), b"x")],
}


@pytest.mark.parametrize("entries", ESCAPES.values(), ids=ESCAPES)
def test_unsafe_tar_is_refused(
    tmp_path: Path, entries: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    with pytest.raises(ModelInvalid):
        unpacked(write_tar(folder / "m.tgz", *entries))
    assert [path for path in tmp_path.rglob("evil") if folder / "out" not in path.parents] == []


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_unsafe_zip_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelInvalid, match="unsafe name"):
        unpacked(zip_of(tmp_path / "m.zip", {name: b"x"}))


def test_zip_link_to_the_outside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="It is not safe: l is a link to"):
        unpacked(zip_link(tmp_path / "m.zip", "l", "../../etc"))


@pytest.mark.parametrize(
    ("name", "content"),
    [("m.tar.gz", b"<html>not found</html>"), ("m.zip", b"PK\x03\x04broken"), ("m.tar", b"")],
)
def test_what_is_no_archive_is_told_as_upstream_does(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelInvalid) as caught:
        unpacked(tmp_path / name)
    assert str(caught.value) == "Failed to unpack archive file. The file format is not valid."


def test_cut_off_archive_is_not_valid(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "m.tgz", {"a": os.urandom(200_000)})
    archive.write_bytes(archive.read_bytes()[:100_000])
    with pytest.raises(ModelInvalid, match="The file format is not valid"):
        unpacked(archive)


def test_archive_without_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="It has no files"):
        unpacked(write_tar(tmp_path / "m.tgz", (member("d", tarfile.DIRTYPE), b"")))


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "m.tgz", {str(number): b"" for number in range(11)})
    with pytest.raises(ModelTooLarge, match="more than 10 files"):
        unpacked(archive, replace(Limits(), files=10))


def test_too_much_content_is_refused(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "m.tgz", {"a": b"x" * 2000})
    with pytest.raises(ModelTooLarge, match="is larger than"):
        unpacked(archive, replace(Limits(), model_bytes=1000))


def test_bomb_is_refused_long_before_its_end(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "m.zip", {"zeros": bytes(80_000_000)})
    with pytest.raises(ModelTooLarge, match="more than 300 times its size"):
        unpacked(archive)


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("m.tar", True),
        ("m.tgz", True),
        ("m.tar.gz", True),
        ("m.ZIP", True),
        ("model.joblib", False),
        ("tar", False),
        ("m.tar.gz.sig", False),
    ],
)
def test_archive_is_known_by_its_name(name: str, yes: bool) -> None:
    assert is_archive(name) is yes
