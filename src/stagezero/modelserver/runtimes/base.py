"""The seam between protocols and frameworks: what a loaded model offers, and how one is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from stagezero.inference.tensors import Signature

Array = npt.NDArray[Any]


class RowModel(Protocol):
    """A model that predicts on a list of rows, as V1 hands them over."""

    @property
    def is_row_wise(self) -> bool:
        """Say whether each row's answer depends on that row alone: rows may then share a call."""

    def predict(self, rows: list[Any]) -> Any:
        """Predict, as plain Python values; raises InvalidInput or PredictionFailed."""


class TensorModel(Protocol):
    """A model with named signatures of named tensors."""

    @property
    def version(self) -> int:
        """The number of the loaded version."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """What may be called."""

    def describe(self) -> Mapping[str, Any]:
        """The signatures as TensorFlow Serving's metadata shows them."""

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Call a signature; raises InvalidInput or PredictionFailed."""

    def serialize_examples(self, examples: Sequence[Mapping[str, Any]]) -> Array:
        """Feature lists as the framework's own Example messages, for classify and regress."""


@dataclass(frozen=True)
class LoadOptions:
    """What the process may use."""

    intra_op_threads: int = 0
    inter_op_threads: int = 0


class Runtime(Protocol):
    """One framework in this process."""

    @property
    def framework(self) -> str:
        """Name and version, for the log."""

    @property
    def thread_count(self) -> int:
        """How many predictions may run side by side."""

    def preload(self) -> None:
        """Import what most models need, for a process that models' processes are forked from."""

    def load(self, name: str, folder: Path) -> Any:
        """The model in a folder; raises ModelMissing, ModelBroken or what the framework raises."""

    def find_others(self, folder: Path) -> Mapping[str, Path]:
        """Further models to register when the folder has no model of its own."""
