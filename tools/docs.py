"""Write the generated pages of docs/: commands from the command line, kinds from the classes.

`docs.py` writes them; `docs.py --check` only says which are not up to date. The tests call the same
functions, so that a page that lags behind the code fails them.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup

from stagezero.api.base import Column, Resource
from stagezero.api.builtin import BUILTIN_KINDS
from stagezero.cli.main import app
from stagezero.compose.catalogue import custom_kinds

Command = Any
"""A command or parameter of click, which typer brings along or has within: it has one shape."""

DOCS = Path(__file__).resolve().parent.parent / "docs"
_NOTE = "<!-- Written by `python tools/docs.py`; edit the code, not this page. -->"


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    return {"cli.md": cli_page(), "kinds.md": kinds_page()}


# Commands


def commands() -> Iterator[tuple[str, Command]]:
    """Every command that can be typed, with its full name, in the order of `--help`."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    for name, command in root.commands.items():
        if isinstance(command, TyperGroup):
            for below, one in command.commands.items():
                yield f"stagezero {name} {below}", one
        else:
            yield f"stagezero {name}", command


def cli_page() -> str:
    """The reference of all commands."""
    lines = [
        "# Commands",
        "",
        _NOTE,
        "",
        "`stagezero --help` and `stagezero COMMAND --help` say the same; `stagezero --version`",
        "prints the version. A command that fails prints one line that begins with `error:` and",
        "ends with exit code 1; a wrong option ends with 2. The lines are explained in",
        "[messages](messages.md).",
        "",
    ]
    for name, command in commands():
        lines += _command(name, command)
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, command: Command) -> list[str]:
    shown = [p for p in command.params if p.name != "help"]
    arguments = [p for p in shown if isinstance(p, TyperArgument)]
    usage = " ".join([name, *(_placeholder(argument) for argument in arguments)])
    lines = [f"## {name}", "", *_paragraphs(command.help or ""), "```", usage, "```", ""]
    if shown:
        lines += ["| | default | |", "|---|---|---|", *map(_parameter, shown), ""]
    return lines


def _placeholder(argument: Command) -> str:
    text = (argument.name or "").upper() + ("..." if argument.nargs != 1 else "")
    return text if argument.required else f"[{text}]"


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        words = " ".join(paragraph.split())
        if words.startswith("Example: "):
            words = f"Example: `{words.removeprefix('Example: ')}`"
        lines += [words, ""]
    return lines


def _parameter(parameter: Command) -> str:
    described = str(getattr(parameter, "help", None) or "")
    if parameter.envvar:
        described += f" Also: the variable `{parameter.envvar}`."
    if isinstance(parameter, TyperArgument):
        return f"| `{_placeholder(parameter)}` | | {_cell(described)} |"
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    default = parameter.default
    is_plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    return (
        f"| {names} | {f'`{default}`' if is_plain and default != '' else ''} | {_cell(described)} |"
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# Kinds


def kinds_page() -> str:
    """The reference of all kinds that the API server serves."""
    lines = [
        "# Kinds",
        "",
        _NOTE,
        "",
        "Everything that the API server serves. `kubectl api-resources` lists it live, and",
        "`kubectl explain KIND.spec` shows the fields. Columns in brackets come with `-o wide`.",
        "",
        "## Custom kinds",
        "",
        "They are CustomResourceDefinitions, as on a cluster; `kubectl apply` can add more.",
        "",
        *_table([kind.resource for kind in custom_kinds()]),
        "",
        "## Kubernetes' own",
        "",
        "Their columns are those of Kubernetes.",
        "",
        *_table([kind.resource for kind in BUILTIN_KINDS]),
    ]
    return "\n".join(lines) + "\n"


def _table(resources: list[Resource]) -> list[str]:
    head = [
        "| kind | group and versions | name, short names | scope | columns |",
        "|---|---|---|---|---|",
    ]
    return head + [_row(resource) for resource in resources]


def _row(resource: Resource) -> str:
    versions = ", ".join((resource.version, *resource.also_served))
    group = f"{resource.group}/{versions}" if resource.group else versions
    names = ", ".join(f"`{name}`" for name in (resource.plural, *resource.short_names))
    scope = "namespace" if resource.namespaced else "cluster"
    columns = ", ".join(map(_column, resource.columns))
    return f"| {resource.kind} | {group} | {names} | {scope} | {columns} |"


def _column(column: Column) -> str:
    return f"({column.name})" if column.priority else column.name


def main() -> int:
    """Write the pages, or check them; the exit code is 1 if one was out of date in a check."""
    is_check = "--check" in sys.argv[1:]
    stale = 0
    for name, text in pages().items():
        path = DOCS / name
        if path.exists() and path.read_text() == text:
            continue
        if is_check:
            print(f"docs/{name} is out of date: run `python tools/docs.py`")
            stale = 1
        else:
            path.write_text(text)
            print(f"wrote docs/{name}")
    return stale


if __name__ == "__main__":
    sys.exit(main())
