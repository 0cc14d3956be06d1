"""Models by name: registered, loaded, unloaded, broken."""

from pathlib import Path

import pytest

from stagezero.modelserver.errors import ModelBroken, ModelMissing, ModelNotReady, UnknownModel
from stagezero.modelserver.registry import Registry

FOLDER = Path("/models/m")


class Loader:
    """Loads what it is given, or raises it."""

    def __init__(self, *results: str | Exception) -> None:
        self._results = list(results)
        self.count = 0

    def __call__(self, name: str, folder: Path) -> str:
        self.count += 1
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def registry(*results: str | Exception) -> tuple[Registry[str], Loader]:
    loader = Loader(*results)
    models = Registry(loader)
    models.register("m", FOLDER)
    return models, loader


def test_a_registered_model_is_not_ready() -> None:
    models, _ = registry()
    assert not models.is_ready("m")
    with pytest.raises(ModelNotReady, match=r"^Model with name m is not ready\.$"):
        models.ready("m")


def test_a_loaded_model_is_ready() -> None:
    models, _ = registry("model")
    models.load("m")
    assert models.is_ready("m")
    assert models.ready("m") == "model"


def test_a_model_is_loaded_once() -> None:
    models, loader = registry("model")
    assert models.load("m") == models.load("m")
    assert loader.count == 1


def test_a_missing_model_may_come_later() -> None:
    models, _ = registry(ModelMissing("nothing there"), "model")
    with pytest.raises(ModelMissing):
        models.load("m")
    assert models.load("m") == "model"


def test_an_unloaded_model_is_unknown_until_it_is_loaded_again() -> None:
    models, _ = registry("first", "second")
    models.load("m")
    models.unload("m")
    assert models.names() == []
    with pytest.raises(UnknownModel):
        models.ready("m")
    assert models.load("m") == "second"


@pytest.mark.parametrize("ask", ["is_ready", "ready", "load", "unload"])
def test_an_unknown_model_is_named(ask: str) -> None:
    models, _ = registry()
    with pytest.raises(UnknownModel, match=r"^Model with name x does not exist\.$"):
        getattr(models, ask)("x")


def test_whatever_loading_raises_is_one_line_with_the_cause() -> None:
    models, _ = registry(ImportError("No module\nnamed 'lightgbm'"))
    with pytest.raises(ModelBroken) as caught:
        models.load("m")
    assert str(caught.value) == (
        "failed to load model m from /models/m: ImportError: No module named 'lightgbm'"
    )


def test_names_keep_their_order() -> None:
    models, _ = registry()
    models.register("a", FOLDER)
    assert models.names() == ["m", "a"]
