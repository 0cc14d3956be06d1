"""What people see: tables with colour on a terminal, the same text without when piped."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_GOOD = ("True", "Running", "Ready", "Active", "Bound", "healthy")
_BAD = ("False", "Error", "Failed", "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as kubectl does: upper-case headers, three spaces between."""
    lines = [[header.upper() for header in headers], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for number, line in enumerate(lines):
        text = Text()
        for column, cell in enumerate(line):
            is_last = column == len(line) - 1
            style = "bold" if number == 0 else _style(cell)
            text.append(cell, style=style)
            text.append("" if is_last else " " * (widths[column] - len(cell) + 3))
        text.rstrip()
        out.print(text)


def _style(cell: str) -> str:
    if cell in _GOOD:
        return "green"
    return "red" if cell in _BAD else ""


def say(text: str) -> None:
    """Print a line to the user."""
    out.print(text, markup=False)


def complain(text: str) -> None:
    """Print an error: what failed, where, what to do."""
    line = Text("error: ", style="bold red")
    line.append(text, style="not bold default")
    err.print(line)


def is_terminal() -> bool:
    """Whether a person looks at standard output."""
    return sys.stdout.isatty()
