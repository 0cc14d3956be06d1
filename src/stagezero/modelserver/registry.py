"""The models of this process by name: registered, and loaded or not.

Reading is for the event loop's thread; loading takes as long as it takes and is for a worker's.
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from stagezero.modelserver.errors import ModelBroken, ModelMissing, ModelNotReady, UnknownModel

M = TypeVar("M")

Loader = Callable[[str, Path], M]


@dataclass
class _Entry(Generic[M]):
    folder: Path
    model: M | None = None


class Registry(Generic[M]):
    """Models by name; `loader` makes one of a folder, raising ModelMissing or whatever it meets."""

    def __init__(self, loader: Loader[M]) -> None:
        self._loader = loader
        self._entries: dict[str, _Entry[M]] = {}
        self._folders: dict[str, Path] = {}

    def register(self, name: str, folder: Path) -> None:
        """Know the model without loading it."""
        self._folders[name] = folder
        self._entries.setdefault(name, _Entry(folder))

    def names(self) -> list[str]:
        """All registered names, in the order of their registration."""
        return list(self._entries)

    def is_ready(self, name: str) -> bool:
        """Say whether the model is loaded; raises UnknownModel."""
        return self._entry(name).model is not None

    def ready(self, name: str) -> M:
        """The loaded model; raises UnknownModel or ModelNotReady."""
        model = self._entry(name).model
        if model is None:
            raise ModelNotReady(name)
        return model

    def load(self, name: str) -> M:
        """Load the model if it is not loaded; raises ModelMissing, ModelBroken, UnknownModel."""
        if name not in self._entries and name in self._folders:
            self._entries[name] = _Entry(self._folders[name])
        entry = self._entry(name)
        if entry.model is None:
            entry.model = self._call_loader(name, entry.folder)
        return entry.model

    def unload(self, name: str) -> None:
        """Forget the loaded model and its name; `load` finds it again."""
        self._entry(name)
        del self._entries[name]

    def _entry(self, name: str) -> _Entry[M]:
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownModel(name) from None

    def _call_loader(self, name: str, folder: Path) -> M:
        try:
            return self._loader(name, folder)
        except (ModelMissing, ModelBroken):
            raise
        except Exception as error:
            # A model's own code runs when it is unpickled: it may raise anything.
            raise ModelBroken(name, folder, _one_line(error)) from error


def _one_line(error: BaseException) -> str:
    return " ".join("".join(traceback.format_exception_only(error)).split())
