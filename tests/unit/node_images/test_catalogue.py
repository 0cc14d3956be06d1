import os
from pathlib import Path

import pytest

from stagezero.node.images.catalogue import Catalogue
from stagezero.node.images.errors import ImageNotInCatalogue
from stagezero.node.images.image import Interpreter
from stagezero.node.images.pip_output import pinned_packages
from stagezero.node.images.wheel import DEPENDENCIES


def entry(*names: str, word: str = "x") -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f'[[image]]\nnames = [{quoted}]\nentrypoint = ["{word}"]\n'


def user_catalogue(folder: Path, **files: str) -> Catalogue:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return Catalogue([folder])


@pytest.mark.parametrize(
    "image",
    [
        "kserve/sklearnserver:v0.8.0",
        "docker.io/kserve/sklearnserver",
        "tensorflow/serving:2.6.2",
        "kserve/storage-initializer:v0.8.0",
        "gcr.io/knative-samples/helloworld-go",
        "gcr.io/knative-samples/helloworld-go@sha256:" + "5" * 64,
    ],
)
def test_images_of_the_scenario_are_shipped(image: str) -> None:
    assert Catalogue().resolve(image).entrypoint


def test_shipped_files_have_no_problem() -> None:
    assert Catalogue().problems() == ()


def test_shipped_locks_have_what_the_model_server_needs() -> None:
    for image in Catalogue().images().values():
        if image.model_server:
            assert image.requirements is not None
            assert set(DEPENDENCIES) <= set(pinned_packages(image.requirements.read_text()))


def test_shipped_locks_name_no_index() -> None:
    for image in Catalogue().images().values():
        if image.requirements:
            assert "://" not in image.requirements.read_text()


def test_tensorflow_command_of_kserve_reaches_our_server() -> None:
    image = Catalogue().resolve("tensorflow/serving:2.6.2")
    assert "stagezero.modelserver" in image.programs["/usr/bin/tensorflow_model_server"]


def test_storage_initializer_runs_in_the_platforms_interpreter() -> None:
    image = Catalogue().resolve("kserve/storage-initializer")
    assert image.interpreter is Interpreter.PLATFORM


def test_unknown_image_is_told_with_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(ImageNotInCatalogue) as caught:
        Catalogue([tmp_path]).resolve("example.com/my/app:v1")
    text = str(caught.value)
    assert 'image "example.com/my/app:v1" is not in the catalogue' in text
    assert "kserve/sklearnserver" in text
    assert "needs podman, which is not supported yet" in text
    assert f"[[image]] entry (names, entrypoint) into {tmp_path}" in text


def test_unknown_image_mentions_files_that_failed(tmp_path: Path) -> None:
    with pytest.raises(ImageNotInCatalogue, match=r"broken\.toml"):
        user_catalogue(tmp_path, broken="[[image").resolve("mine")


def test_broken_file_does_not_take_others_down(tmp_path: Path) -> None:
    catalogue = user_catalogue(tmp_path, broken="[[image", good=entry("mine"))
    assert catalogue.resolve("mine").names == ("mine",)
    assert [problem.file.name for problem in catalogue.problems()] == ["broken.toml"]


def test_users_entry_replaces_a_shipped_one(tmp_path: Path) -> None:
    catalogue = user_catalogue(tmp_path, mine=entry("tensorflow/serving", word="own"))
    assert catalogue.resolve("tensorflow/serving:2.6.2").entrypoint == ("own",)


def test_pinned_tag_matches_before_the_bare_name(tmp_path: Path) -> None:
    text = entry("a/b", word="any") + entry("a/b:v2", word="two")
    catalogue = user_catalogue(tmp_path, mine=text)
    assert catalogue.resolve("a/b:v2").entrypoint == ("two",)
    assert catalogue.resolve("a/b:v3").entrypoint == ("any",)


def test_pinned_tag_alone_matches_no_other_tag(tmp_path: Path) -> None:
    with pytest.raises(ImageNotInCatalogue):
        user_catalogue(tmp_path, mine=entry("a/b:v2")).resolve("a/b")


def test_second_claim_to_a_name_is_a_problem(tmp_path: Path) -> None:
    catalogue = user_catalogue(tmp_path, a=entry("x", word="1"), b=entry("x", word="2"))
    assert catalogue.resolve("x").entrypoint == ("1",)
    [problem] = catalogue.problems()
    assert "already the name of an image" in problem.message


def test_added_file_counts_without_restart(tmp_path: Path) -> None:
    catalogue = Catalogue([tmp_path])
    with pytest.raises(ImageNotInCatalogue):
        catalogue.resolve("late")
    (tmp_path / "late.toml").write_text(entry("late"))
    assert catalogue.resolve("late").names == ("late",)


def test_mended_file_counts_without_restart(tmp_path: Path) -> None:
    catalogue = user_catalogue(tmp_path, mine=entry("x", word="1"))
    assert catalogue.resolve("x").entrypoint == ("1",)
    path = tmp_path / "mine.toml"
    path.write_text(entry("x", word="2"))
    os.utime(path, ns=(1, 1))
    assert catalogue.resolve("x").entrypoint == ("2",)


def test_missing_user_folder_is_no_error(tmp_path: Path) -> None:
    assert Catalogue([tmp_path / "none"]).resolve("kserve/sklearnserver")
