from pathlib import Path

import pytest

from stagezero.node.images.image import Environment, Image

ENVIRONMENT = Environment("abc", Path("/envs/abc"), Path("/envs/abc/bin/python"))
IMAGE = Image(
    names=("example/server",),
    entrypoint=("{python}", "-m", "server"),
    defined_in=Path("/etc/x.toml"),
    arguments=("--port=1", "{source}"),
    programs={"/usr/bin/serve": ("{python}", "-m", "other")},
    env={"HOME_OF": "{prefix}/share", "PLAIN": "{braces}"},
    source=Path("/src/app.py"),
)
PYTHON = "/envs/abc/bin/python"


@pytest.mark.parametrize(
    ("command", "args", "argv"),
    [
        ([], [], (PYTHON, "-m", "server", "--port=1", "/src/app.py")),
        ([], ["--x"], (PYTHON, "-m", "server", "--x")),
        (["/usr/bin/serve"], [], (PYTHON, "-m", "other")),
        (["/usr/bin/serve", "-v"], ["--x"], (PYTHON, "-m", "other", "-v", "--x")),
        (["serve"], ["--x"], (PYTHON, "-m", "other", "--x")),
        (["/opt/serve"], ["--x"], ("/opt/serve", "--x")),
        (["sh", "-c", "echo {python}"], [], ("sh", "-c", "echo {python}")),
        ([], ["{source}"], (PYTHON, "-m", "server", "{source}")),
    ],
    ids=[
        "nothing given: entry point and default arguments",
        "args replace the default arguments",
        "command finds a program of the image",
        "command's own words come before args",
        "bare name is found on the PATH",
        "another folder's program is not ours",
        "unknown command stands as it is",
        "user's words are never filled in",
    ],
)
def test_argv_follows_kubernetes_rules(
    command: list[str], args: list[str], argv: tuple[str, ...]
) -> None:
    assert IMAGE.argv(ENVIRONMENT, command, args) == argv


def test_environ_fills_in_places_of_the_environment() -> None:
    environ = IMAGE.environ(ENVIRONMENT)
    assert environ["HOME_OF"] == "/envs/abc/share"
    assert environ["PLAIN"] == "{braces}"


def test_environ_finds_the_environments_programs_first() -> None:
    assert IMAGE.environ(ENVIRONMENT)["PATH"].startswith("/envs/abc/bin:")
