"""The table of runtimes."""

import importlib.util

import pytest

from stagezero.modelserver.errors import CannotStart
from stagezero.modelserver.runtimes.base import LoadOptions
from stagezero.modelserver.runtimes.table import RUNTIMES, entry_of, import_handler, open_runtime


@pytest.mark.parametrize("name", sorted(RUNTIMES))
def test_each_line_names_files_that_exist(name: str) -> None:
    entry = entry_of(name)
    assert importlib.util.find_spec(f"stagezero.modelserver.{entry.module}") is not None
    assert callable(import_handler(entry))


def test_an_unknown_runtime_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CannotStart, match="unknown runtime 'onnx': expected one of sklearn, tens"):
        entry_of("onnx")


@pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is not None, reason="this environment has scikit-learn"
)
def test_a_framework_that_is_not_there_is_said() -> None:
    with pytest.raises(CannotStart, match="sklearn cannot be used in this environment: No module"):
        open_runtime("sklearn", LoadOptions())
