"""Shapes: what fits and how they are written."""

import pytest

from stagezero.inference.tensors import Shape, TensorSpec, shape_text


@pytest.mark.parametrize(
    ("spec", "shape", "fits"),
    [
        ((None, 28), (3, 28), True),
        ((None, 28), (0, 28), True),
        ((None, 28), (3, 27), False),
        ((None, 28), (28,), False),
        ((), (), True),
        ((), (1,), False),
        (None, (1, 2, 3), True),
    ],
)
def test_a_shape_fits_where_sizes_are_open_or_equal(
    spec: Shape | None, shape: tuple[int, ...], fits: bool
) -> None:
    assert TensorSpec("x", "float32", spec).accepts(shape) is fits


@pytest.mark.parametrize(
    ("shape", "text"), [((None, 28, 28), "[-1,28,28]"), ((), "[]"), (None, "[?]")]
)
def test_a_shape_is_written_as_tensorflow_writes_it(shape: Shape | None, text: str) -> None:
    assert shape_text(shape) == text
