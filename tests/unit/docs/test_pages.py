"""Links lead somewhere, and what README tells people to type exists."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import stagezero
from support.tree import ROOT, load_tool, make_targets, pages

docs = load_tool("docs")
MADE_BY_THE_DEMO = (".stagezero/",)
PAGES = [str(path.relative_to(ROOT)) for path in pages()]


def _anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        kept = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(kept.strip().replace(" ", "-"))
    return found


def _links(text: str) -> Iterator[str]:
    without_code = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from re.findall(r"\]\(([^)\s]+)\)", without_code)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for link in _links(path.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in _anchors(target.read_text()), f"{page}: {link}"


@pytest.mark.parametrize("page", PAGES)
def test_page_can_be_reached_from_the_index(page: str) -> None:
    known = {(ROOT / "docs" / "index.md").resolve()}
    todo = list(known)
    while todo:
        here = todo.pop()
        for link in _links(here.read_text()):
            target = (here.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in known:
                known.add(target)
                todo.append(target)
    assert (ROOT / page).resolve() in known, f"nothing leads from docs/index.md to {page}"


def _typed_lines(page: Path) -> Iterator[str]:
    """The commands of a page's shell blocks, without comments."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            words = line.partition("  #")[0].strip()
            if words and not words.startswith("#"):
                yield words


def _commands_in(program: str) -> list[tuple[str, list[str]]]:
    found = []
    for page in pages():
        for line in _typed_lines(page):
            words = shlex.split(line)
            if words[0] == program:
                found.append((f"{page.name}: {line}", words[1:]))
    return found


@pytest.mark.parametrize(
    "words", [pytest.param(words, id=name) for name, words in _commands_in("make")]
)
def test_make_target_exists(words: list[str]) -> None:
    targets = [word for word in words if "=" not in word]
    assert set(targets) <= make_targets()


@pytest.mark.parametrize(
    "words", [pytest.param(words, id=name) for name, words in _commands_in("stagezero")]
)
def test_command_and_options_exist(words: list[str]) -> None:
    commands = dict(docs.commands())
    name = f"stagezero {words[0]}"
    if name not in commands:
        name = " ".join(["stagezero", *words[:2]])
    assert name in commands
    known = {option for parameter in commands[name].params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("line", list(_typed_lines(ROOT / "README.md")))
def test_file_of_readme_exists(line: str) -> None:
    for word in shlex.split(line):
        name = word.lstrip("@")
        is_file = "/" in name and "://" not in name and name[0] not in "~/$" and "=" not in name
        if is_file and name.startswith(("examples/", "docs/", "benchmarks/", "tools/")):
            assert (ROOT / name).exists(), name
        elif is_file and " " not in name and not name.startswith("isvc/"):
            assert name.startswith(MADE_BY_THE_DEMO), f"{name} is in no folder that is known"


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = re.search(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert project["version"] == stagezero.__version__ == newest[1]


def test_every_dependency_is_accounted_for() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = table["dependency-groups"]
    wanted = [*table["project"]["dependencies"], *groups["modelserver"], *groups["dev"]]
    page = (ROOT / "docs" / "dependencies.md").read_text()
    missing = {name for text in wanted if (name := re.split(r"[><=\[]", text)[0]) not in page}
    assert missing == set()


def test_every_shipped_image_is_listed() -> None:
    page = (ROOT / "docs" / "images.md").read_text()
    folder = Path(stagezero.__file__).parent / "node" / "catalogue"
    names = [
        name
        for file in folder.glob("*.toml")
        for image in tomllib.loads(file.read_text())["image"]
        for name in image["names"]
    ]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_every_room_is_in_the_architecture() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    package = Path(stagezero.__file__).parent
    rooms = [path.parent.name for path in package.glob("*/__init__.py")]
    assert [room for room in rooms if f"`{room}/" not in page and room != "controllers"] == []


def _paths_in(page: str) -> list[str]:
    """The files and folders of the tree that a page names in code style."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    words = re.findall(r"`([a-z][\w/]*(?:/|\.(?:py|toml|lock)))`", text)
    return sorted({word for word in words if "/" in word})


PLACES = (ROOT, ROOT / "src" / "stagezero", *(ROOT / "src" / "stagezero").glob("*"))
NOT_THERE_YET = {"dashboard/", "sdk/"}
NOT_IN_THE_TREE = {"envs/", "models/"}


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_path_that_is_named_exists(page: str) -> None:
    wanted = set(_paths_in(page)) - NOT_THERE_YET - NOT_IN_THE_TREE
    assert len(wanted) > 10
    assert [p for p in wanted if not any((place / p).exists() for place in PLACES)] == []
