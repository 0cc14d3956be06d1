"""The repository as a tree of files, for tests of what is written beside the code."""

import importlib.util
import subprocess
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent.parent
_FOLDERS = ("docs", "examples", "benchmarks", "tests", "src", "tools")


def load_tool(name: str) -> ModuleType:
    """Import a script of tools/ by its name; it is in no package."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def pages() -> tuple[Path, ...]:
    """Every Markdown page of the repository."""
    below = (path for folder in _FOLDERS for path in (ROOT / folder).rglob("*.md"))
    return (*sorted(ROOT.glob("*.md")), *sorted(below))


@cache
def make_targets() -> frozenset[str]:
    """The targets that `make help` lists."""
    text = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", "help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = (line.split() for line in text.splitlines())
    return frozenset(words[1] for words in lines if words[:1] == ["make"])
