import pytest

from stagezero.node.storage.errors import ModelInvalid
from stagezero.node.storage.mirrors import Mirrors, parse_mirror

MIRRORS = Mirrors(
    {
        "gs://kserve/": "file:///models/",
        "gs://kserve/models/mnist": "https://example.com/mnist",
        "s3://whole": "gs://other/deep/",
    }
)


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("gs://kserve/models/iris", "file:///models/models/iris"),
        ("gs://kserve/models/mnist", "https://example.com/mnist"),
        ("gs://kserve/models/mnist/1", "https://example.com/mnist/1"),
        ("gs://kserve/models/mnist2", "file:///models/models/mnist2"),
        ("gs://kserve", "file:///models/"),
        ("gs://kserve-2/x", "gs://kserve-2/x"),
        ("s3://whole/a", "gs://other/deep/a"),
        ("https://example.com/x", "https://example.com/x"),
    ],
    ids=[
        "prefix",
        "longest prefix",
        "below the longest prefix",
        "whole segments only",
        "the prefix itself",
        "another bucket",
        "bucket without slash",
        "no mirror",
    ],
)
def test_uri_is_read_from_its_mirror(uri: str, target: str) -> None:
    assert Mirrors.target(MIRRORS, uri) == target


def test_mirror_is_applied_once() -> None:
    mirrors = Mirrors({"gs://a/": "gs://b/", "gs://b/": "gs://c/"})
    assert mirrors.target("gs://a/x") == "gs://b/x"


def test_mirror_is_read_from_text() -> None:
    assert parse_mirror("gs://a/=file:///x=y/") == ("gs://a/", "file:///x=y/")


@pytest.mark.parametrize("text", ["", "gs://a", "a=b", "gs://a/="])
def test_text_that_is_no_mirror_is_refused(text: str) -> None:
    with pytest.raises(ModelInvalid, match="write PREFIX=TARGET, such as gs://kserve/="):
        parse_mirror(text)
