import pytest

from stagezero.node.images.errors import InvalidImageName
from stagezero.node.images.names import ImageName, parse_image_name

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("kserve/sklearnserver:v0.8.0", ImageName("kserve/sklearnserver", "v0.8.0")),
        ("docker.io/seldonio/mlserver:0.5.3", ImageName("seldonio/mlserver", "0.5.3")),
        ("index.docker.io/library/python:3.11", ImageName("python", "3.11")),
        ("library/python", ImageName("python")),
        (f"gcr.io/x/y@{DIGEST}", ImageName("gcr.io/x/y", digest=DIGEST)),
        (f"gcr.io/x/y:v1@{DIGEST}", ImageName("gcr.io/x/y", "v1", DIGEST)),
        ("localhost:5000/me/it:dev", ImageName("localhost:5000/me/it", "dev")),
        ("a/b_c/d-e__f.g", ImageName("a/b_c/d-e__f.g")),
    ],
    ids=str,
)
def test_name_is_read_as_a_runtime_reads_it(text: str, name: ImageName) -> None:
    assert parse_image_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Upper/case",
        "a//b",
        "a/b:",
        "a/b:-x",
        "a b",
        "a@sha256:12",
        "/a",
        "a/",
        "a@",
        "-a",
        "a..b",
    ],
)
def test_text_that_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidImageName, match="is not an image name: expected"):
        parse_image_name(text)


def test_name_is_written_back_in_full() -> None:
    assert str(ImageName("a/b", "v1", DIGEST)) == f"a/b:v1@{DIGEST}"
