"""Tensors as a model describes them: name, element type and shape, apart from any framework.

A shape is None where even the rank is open; a dimension is None where its size is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Shape = tuple[int | None, ...]

STRING = "string"


@dataclass(frozen=True)
class TensorSpec:
    """One named input or output; `datatype` is numpy's name of the type, or `string` for bytes."""

    name: str
    datatype: str
    shape: Shape | None

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Say whether an array of this shape fits."""
        if self.shape is None:
            return True
        if len(shape) != len(self.shape):
            return False
        return all(
            want is None or want == have for want, have in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True)
class Signature:
    """One callable of a model: what goes in and what comes out, by name."""

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    method: str = ""


def shape_text(shape: Shape | None) -> str:
    """A shape as TensorFlow prints it: `[-1,28,28]`, or `[?]` for an open rank."""
    if shape is None:
        return "[?]"
    return "[" + ",".join("-1" if size is None else str(size) for size in shape) + "]"
