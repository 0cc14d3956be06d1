"""scikit-learn: `model.joblib`, `model.pkl` or `model.pickle`, predicted with its own `predict`.

Rows go to the estimator as the caller wrote them. Whether an error is the caller's or the model's
shows in where it was raised: scikit-learn's own input checks speak of the input.
"""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import sklearn
from sklearn.exceptions import NotFittedError

from stagezero.modelserver.errors import InvalidInput, ModelBroken, ModelMissing, PredictionFailed
from stagezero.modelserver.runtimes.base import LoadOptions

MODEL_FILES = ("model.joblib", "model.pkl", "model.pickle")

_ESTIMATORS = (
    "cluster", "compose", "ensemble", "impute", "linear_model", "naive_bayes", "neighbors",
    "neural_network", "pipeline", "preprocessing", "svm", "tree",
)  # fmt: skip


class SklearnModel:
    """One estimator."""

    def __init__(self, estimator: Any, *, with_probabilities: bool) -> None:
        self._call = estimator.predict_proba if with_probabilities else estimator.predict
        self._is_row_wise = _is_of_sklearn(estimator)

    @property
    def is_row_wise(self) -> bool:
        """True for scikit-learn's own estimators; of others nothing is known."""
        return self._is_row_wise

    def predict(self, rows: list[Any]) -> Any:
        """Predict on the rows as they are."""
        try:
            result = self._call(rows)
        except Exception as error:
            kind = InvalidInput if _blames_input(error) else PredictionFailed
            raise kind(str(error)) from error
        return result.tolist() if hasattr(result, "tolist") else result


class SklearnRuntime:
    """scikit-learn in this process."""

    framework = f"scikit-learn {sklearn.__version__}"
    # As upstream: one prediction at a time, for nobody knows whether an estimator is thread-safe.
    thread_count = 1

    def __init__(self, *, with_probabilities: bool) -> None:
        self._with_probabilities = with_probabilities

    def preload(self) -> None:
        """Import the estimators' modules: a pickle would import its own when it is loaded."""
        for module in _ESTIMATORS:
            importlib.import_module(f"sklearn.{module}")

    def load(self, name: str, folder: Path) -> SklearnModel:
        """Unpickle the model: this runs code of the file."""
        found = [folder / file for file in MODEL_FILES if (folder / file).is_file()]
        if not found:
            raise ModelMissing(
                f"fail to locate model file for model {name} under dir {folder},"
                "trying loading from model repository."
            )
        if len(found) > 1:
            cause = (
                "More than one model file is detected, Only one is allowed within model_dir:"
                f" {[str(path) for path in found]}"
            )
            raise ModelBroken(name, folder, cause)
        estimator = joblib.load(found[0])
        wanted = "predict_proba" if self._with_probabilities else "predict"
        if not hasattr(estimator, wanted):
            cause = f"{found[0].name} holds a {type(estimator).__name__}, which has no {wanted}"
            raise ModelBroken(name, folder, cause)
        return SklearnModel(estimator, with_probabilities=self._with_probabilities)

    def find_others(self, folder: Path) -> Mapping[str, Path]:
        """Subfolders with a model file: upstream serves them under the folders' names."""
        if not folder.is_dir():
            return {}
        return {
            child.name: child
            for child in sorted(folder.iterdir())
            if child.is_dir() and any((child / file).is_file() for file in MODEL_FILES)
        }


def open_runtime(options: LoadOptions) -> SklearnRuntime:
    """The runtime; PREDICT_PROBA=true asks for probabilities, as upstream's server."""
    del options  # scikit-learn's threads are its libraries' own affair
    wants_proba = os.environ.get("PREDICT_PROBA", "false").lower() == "true"
    return SklearnRuntime(with_probabilities=wants_proba)


def _is_of_sklearn(estimator: Any) -> bool:
    """Say whether the estimator and all its parts are scikit-learn's own classes."""
    parts = [estimator]
    if hasattr(estimator, "get_params"):
        parts += [part for part in estimator.get_params(deep=True).values() if _may_run(part)]
    return all(type(part).__module__.startswith("sklearn.") for part in parts)


def _may_run(part: Any) -> bool:
    return callable(part) or hasattr(part, "predict") or hasattr(part, "transform")


def _blames_input(error: Exception) -> bool:
    if not isinstance(error, (TypeError, ValueError)) or isinstance(error, NotFittedError):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return module.split(".")[0] in ("sklearn", "numpy", "scipy", "pandas")
