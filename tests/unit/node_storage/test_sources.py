from pathlib import Path

import pytest

from stagezero.node.storage.errors import ModelInvalid
from stagezero.node.storage.local import LocalSource
from stagezero.node.storage.objects import ObjectSource
from stagezero.node.storage.source import Manifest, RemoteFile, safe_name
from stagezero.node.storage.sources import open_source
from stagezero.node.storage.web import WebSource


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("gs://bucket/a", ObjectSource),
        ("gs://bucket", ObjectSource),
        ("s3://bucket/a", ObjectSource),
        ("file:///a", LocalSource),
        ("/a/b", LocalSource),
        ("http://host/a.zip", WebSource),
        ("https://host:8443/a/b.joblib?x=1", WebSource),
    ],
)
def test_scheme_chooses_the_source(uri: str, kind: type[object]) -> None:
    assert isinstance(open_source(uri, {}), kind)


@pytest.mark.parametrize("uri", ["hdfs://a/b", "ftp://a/b", "nowhere", "http://host", ""])
def test_unknown_scheme_is_told_as_upstream_does(uri: str) -> None:
    with pytest.raises(ModelInvalid) as caught:
        open_source(uri, {})
    assert str(caught.value) == (
        f"Cannot recognize storage type for {uri}\n'gs://', 's3://', 'file://', and 'http://' "
        "are the current available storage type."
    )


def test_relative_path_counts_if_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_source("model", {}), LocalSource)


@pytest.mark.parametrize("uri", ["http://host/", "https://host/models/"])
def test_url_without_file_name_is_told_as_upstream_does(uri: str) -> None:
    with pytest.raises(ModelInvalid) as caught:
        open_source(uri, {})
    assert str(caught.value) == f"No filename contained in URI: {uri}"


def test_bucket_must_have_a_name() -> None:
    with pytest.raises(ModelInvalid, match="names no bucket"):
        open_source("gs:///a", {})


def test_credentials_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    variables = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none.json")}
    with pytest.raises(ModelInvalid, match="The credentials for gs://b/a cannot be used"):
        open_source("gs://b/a", variables)


@pytest.mark.parametrize(
    ("name", "safe"), [("a", "a"), ("./a//b/", "a/b"), ("a/.../b", "a/.../b"), ("..a", "..a")]
)
def test_safe_name_is_the_plain_one(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["", "/", ".", "..", "a/../b", "/a", "a\0b"])
def test_name_that_leads_out_is_refused(name: str) -> None:
    with pytest.raises(ModelInvalid, match="unsafe name"):
        safe_name(name)


ONE = RemoteFile("a", 1, "v1")


@pytest.mark.parametrize(
    "other",
    [RemoteFile("b", 1, "v1"), RemoteFile("a", 2, "v1"), RemoteFile("a", 1, "v2")],
    ids=["name", "size", "version"],
)
def test_fingerprint_sees_every_change(other: RemoteFile) -> None:
    assert Manifest((ONE,)).fingerprint != Manifest((other,)).fingerprint


def test_fingerprint_does_not_depend_on_the_order() -> None:
    two = RemoteFile("b", 1, "v1")
    assert Manifest((ONE, two)).fingerprint == Manifest((two, ONE)).fingerprint


def test_fingerprint_is_empty_where_a_version_is_unknown() -> None:
    assert Manifest((ONE, RemoteFile("b", 1))).fingerprint == ""
