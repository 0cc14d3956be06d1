from pathlib import Path

import pytest

from stagezero.node.images.entries import read_catalogue_file
from stagezero.node.images.image import Interpreter

GOOD = '[[image]]\nnames = ["a/b"]\nentrypoint = ["{python}"]\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_entry_needs_names_and_entrypoint_only(tmp_path: Path) -> None:
    [image] = read_catalogue_file(write(tmp_path, GOOD)).images
    assert image.names == ("a/b",)
    assert image.interpreter is Interpreter.OWN
    assert image.requirements is None


def test_every_key_reaches_the_image(tmp_path: Path) -> None:
    (tmp_path / "x.lock").touch()
    (tmp_path / "app").mkdir()
    text = GOOD + (
        'arguments = ["--x"]\nprograms = { "/bin/x" = ["{python}", "-m", "x"] }\n'
        'requirements = "x.lock"\nmodel_server = true\npreload = ["numpy"]\n'
        'env = { A = "1" }\nport = 8080\nworking_dir = "/tmp"\nsource = "app"\n'
    )
    [image] = read_catalogue_file(write(tmp_path, text)).images
    assert image.arguments == ("--x",)
    assert image.programs == {"/bin/x": ("{python}", "-m", "x")}
    assert image.requirements == tmp_path / "x.lock"
    assert (image.model_server, image.preload, image.port) == (True, ("numpy",), 8080)
    assert (image.env, image.working_dir) == ({"A": "1"}, "/tmp")
    assert image.source == tmp_path / "app"


def test_names_are_kept_in_their_short_spelling(tmp_path: Path) -> None:
    text = GOOD.replace("a/b", "docker.io/library/a:v1")
    [image] = read_catalogue_file(write(tmp_path, text)).images
    assert image.names == ("a:v1",)


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("[[image]\n", "", "is not TOML"),
        ("[images]\n", "images", "is not a key of a catalogue"),
        ("[image]\n", "image", "must be a list of tables"),
        ('[[image]]\nentrypoint = ["x"]\n', "image[0].names", "is missing or empty"),
        ('[[image]]\nnames = ["a"]\n', "image[0].entrypoint", "is missing or empty"),
        (GOOD + "prot = 1\n", "image[0].prot", "is not a key of an image"),
        (GOOD + "port = 0\n", "image[0].port", "must be a port from 1 to 65535, not 0"),
        (GOOD + "port = true\n", "image[0].port", "not True"),
        (GOOD + 'arguments = "x"\n', "image[0].arguments", "must be a list of strings, not 'x'"),
        (GOOD + 'requirements = "no.lock"\n', "image[0].requirements", "does not exist"),
        (GOOD + "model_server = 1\n", "image[0].model_server", "must be true or false, not 1"),
        (GOOD + "env = { A = 1 }\n", "image[0].env", "must be a table of strings"),
        (GOOD + 'programs = ["x"]\n', "image[0].programs", "must be a table"),
        (GOOD + 'programs = { x = "y" }\n', "image[0].programs.x", "must be a list of strings"),
        (GOOD + 'working_dir = ""\n', "image[0].working_dir", "must be a string"),
        (GOOD + 'interpreter = "pypy"\n', "image[0].interpreter", "must be one of own, platform"),
        (GOOD.replace("a/b", "A b"), "image[0].names", "is not an image name"),
        (GOOD.replace("a/b", "a@sha256:" + "1" * 64), "image[0].names", "has a digest"),
        (
            GOOD + 'interpreter = "platform"\nmodel_server = true\n',
            "image[0].interpreter",
            "brings its own packages",
        ),
    ],
)
def test_problem_names_file_key_and_reason(tmp_path: Path, text: str, key: str, says: str) -> None:
    path = write(tmp_path, text)
    file = read_catalogue_file(path)
    [problem] = file.problems
    assert file.images == ()
    assert (problem.file, problem.key) == (path, key)
    assert says in problem.message
    assert str(problem).startswith(f"{path}: ")
    assert problem.remedy in str(problem)


def test_good_entry_counts_beside_a_broken_one(tmp_path: Path) -> None:
    file = read_catalogue_file(write(tmp_path, GOOD + "[[image]]\n" + GOOD.replace("a/b", "c/d")))
    assert [image.names for image in file.images] == [("a/b",), ("c/d",)]
    assert [problem.key for problem in file.problems] == ["image[1].names"]


def test_file_that_is_not_text_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in read_catalogue_file(path).problems[0].message
