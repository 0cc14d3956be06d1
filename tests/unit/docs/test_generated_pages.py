"""The reference pages say what the code says."""

import re
from pathlib import Path

import pytest

from stagezero.api.base import Object
from stagezero.api.builtin import BUILTIN_KINDS
from stagezero.compose.catalogue import custom_kinds
from support.tree import ROOT, load_tool

docs = load_tool("docs")
COMMANDS = dict(docs.commands())
CLI = (ROOT / "docs" / "cli.md").read_text()
KINDS = (ROOT / "docs" / "kinds.md").read_text()


@pytest.mark.parametrize("name", ["cli.md", "kinds.md"])
def test_generated_page_is_up_to_date(name: str) -> None:
    written = (ROOT / "docs" / name).read_text()
    assert written == docs.pages()[name], "run `python tools/docs.py`"


@pytest.mark.parametrize("name", COMMANDS)
def test_command_and_its_options_are_described(name: str) -> None:
    section = CLI.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert section, f"{name} has no section"
    for parameter in COMMANDS[name].params:
        for option in [word for word in parameter.opts if word.startswith("-")]:
            assert option == "--help" or f"`{option}`" in section, option


@pytest.mark.parametrize("name", COMMANDS)
def test_command_explains_itself_and_its_options(name: str) -> None:
    command = COMMANDS[name]
    assert command.help, "its function needs a docstring"
    silent = [p.name for p in command.params if not getattr(p, "help", None)]
    assert silent == []


@pytest.mark.parametrize("kind", [*BUILTIN_KINDS, *custom_kinds()], ids=lambda kind: kind.__name__)
def test_kind_is_described(kind: type[Object]) -> None:
    resource = kind.resource
    row = rf"\| {resource.kind} \| [^|]*{re.escape(resource.version)}[^|]* \| `{resource.plural}`"
    assert re.search(row, KINDS), f"{resource.full_name} is not in docs/kinds.md"


def test_check_tells_a_stale_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cli.md").write_text("old")
    monkeypatch.setattr(docs, "DOCS", tmp_path)
    monkeypatch.setattr("sys.argv", ["docs.py", "--check"])
    assert docs.main() == 1
    assert "docs/cli.md is out of date" in capsys.readouterr().out
    assert (tmp_path / "cli.md").read_text() == "old"
