"""TensorFlow Serving's answers: layout, numbers and bytes."""

import json
from typing import Any

import numpy as np
import pytest

from stagezero.inference.tfserving_request import Form
from stagezero.inference.tfserving_response import (
    InconsistentOutputs,
    error_body,
    predict_body,
    results_body,
)


def rows(**outputs: Any) -> str:
    return predict_body(outputs, Form.ROW).decode()


def columns(**outputs: Any) -> str:
    return predict_body(outputs, Form.COLUMNAR).decode()


def test_rows_of_one_output_are_laid_out_as_upstream_does() -> None:
    array = np.array([[0.1, 0.9], [1, 0]], dtype=np.float32)
    assert rows(y=array) == '{\n    "predictions": [[0.1, 0.9], [1.0, 0.0]\n    ]\n}'


def test_scalars_stand_in_one_line() -> None:
    array = np.array([2.5, 3, 4.5], dtype=np.float32)
    assert rows(y=array) == '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'


def test_rows_of_several_outputs_are_objects() -> None:
    text = rows(a=np.array([1, 2]), b=np.array([[0.5], [1]], dtype=np.float32))
    assert text == (
        '{\n    "predictions": [\n        {\n            "a": 1,\n            "b": [0.5]\n'
        '        },\n        {\n            "a": 2,\n            "b": [1.0]\n        }\n    ]\n}'
    )


def test_columns_of_one_output_are_indented() -> None:
    text = columns(y=np.array([[1, 2]]))
    assert text == (
        '{\n    "outputs": [\n        [\n            1,\n            2\n        ]\n    ]\n}'
    )


def test_columns_of_several_outputs_are_named() -> None:
    document = json.loads(columns(a=np.array([1, 2]), b=np.array(3)))
    assert document == {"outputs": {"a": [1, 2], "b": 3}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1 / 3, "0.33333334"),
        (0.999883413, "0.9998834"),
        (5, "5.0"),
        (1e-10, "1e-10"),
        (3e20, "3e+20"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (-0.0, "-0.0"),
    ],
)
def test_floats_are_the_shortest_of_their_width(value: float, text: str) -> None:
    assert rows(y=np.array([value], dtype=np.float32)) == (
        f'{{\n    "predictions": [{text}\n    ]\n}}'
    )


def test_every_float32_reads_back_as_itself() -> None:
    bits = np.random.default_rng(3).integers(0, 2**31, 2000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    read = np.array(json.loads(rows(y=values))["predictions"], dtype=np.float32)
    assert read.tobytes() == values.tobytes()


def test_doubles_keep_their_digits() -> None:
    assert json.loads(rows(y=np.array([1 / 3])))["predictions"] == [1 / 3]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([True, False]), [True, False]),
        (np.array([2**64 - 1], dtype=np.uint64), [2**64 - 1]),
        (np.array([-(2**63)], dtype=np.int64), [-(2**63)]),
        (np.array([b"caf\xc3\xa9", b'"'], dtype=object), ["café", '"']),
    ],
)
def test_other_types_are_plain_json(array: Any, expected: list[Any]) -> None:
    assert json.loads(rows(y=array))["predictions"] == expected


def test_an_output_named_bytes_is_base64() -> None:
    text = rows(image_bytes=np.array([b"\xff\xd8"], dtype=object))
    assert json.loads(text)["predictions"] == [{"b64": "/9g="}]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"y": np.array(1.0)}, "Tensor name: y has no shape information "),
        (
            {"a": np.zeros(2), "b": np.zeros(3)},
            "Tensor name: b has inconsistent batch size: 3 expecting: 2",
        ),
    ],
)
def test_outputs_that_are_no_batch_cannot_be_rows(outputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InconsistentOutputs) as caught:
        predict_body(outputs, Form.ROW)
    assert str(caught.value) == message


def test_an_empty_batch_is_an_empty_list() -> None:
    assert json.loads(rows(y=np.zeros((0, 10), dtype=np.float32))) == {"predictions": []}
    assert json.loads(columns(y=np.zeros((0, 10), dtype=np.float32))) == {"outputs": []}


def test_errors_and_results_are_indented() -> None:
    assert error_body('no "x"') == b'{\n    "error": "no \\"x\\""\n}'
    assert results_body(["0.5", "1.0"]) == b'{\n    "results": [0.5, 1.0\n    ]\n}'
