"""TensorFlow Serving's predict bodies: row and columnar form, types, and the errors' texts."""

from typing import Any

import numpy as np
import pytest

from stagezero.inference.errors import InvalidPayload
from stagezero.inference.tensors import TensorSpec
from stagezero.inference.tfserving_request import (
    Array,
    Form,
    decode_body,
    parse_predict,
    tensors_of,
)

X = {"x": TensorSpec("x", "float32", (None, 2))}
TWO = {"a": TensorSpec("a", "float32", (None,)), "b": TensorSpec("b", "int64", (None, 2))}
TEXT = {"s": TensorSpec("s", "string", (None,))}


def read(document: dict[str, Any], inputs: dict[str, TensorSpec]) -> dict[str, Array]:
    return tensors_of(parse_predict(document), inputs)


def of(datatype: str) -> dict[str, TensorSpec]:
    return {"x": TensorSpec("x", datatype, None)}


def refusal(document: dict[str, Any], inputs: dict[str, TensorSpec]) -> str:
    with pytest.raises(InvalidPayload) as caught:
        read(document, inputs)
    return str(caught.value)


def test_rows_become_one_batch() -> None:
    array = read({"instances": [[1, 2.5], [3, 4]]}, X)["x"]
    assert array.dtype == np.float32
    assert array.tolist() == [[1.0, 2.5], [3.0, 4.0]]


def test_named_rows_become_one_batch_an_input() -> None:
    arrays = read({"instances": [{"a": 1.5, "b": [1, 2]}, {"b": [3, 4], "a": 2}]}, TWO)
    assert arrays["a"].tolist() == [1.5, 2.0]
    assert arrays["b"].tolist() == [[1, 2], [3, 4]]
    assert arrays["b"].dtype == np.int64


def test_a_single_input_may_be_named_too() -> None:
    assert read({"instances": [{"x": [1, 2]}]}, X)["x"].tolist() == [[1.0, 2.0]]


def test_scalar_rows_become_a_vector() -> None:
    assert read({"instances": [1, 2, 3]}, X)["x"].shape == (3,)


def test_columns_are_whole_tensors() -> None:
    arrays = read({"inputs": {"a": [1, 2], "b": [[1, 2]]}}, TWO)
    assert arrays["a"].tolist() == [1.0, 2.0]
    assert arrays["b"].shape == (1, 2)


def test_the_only_input_needs_no_name_in_columns() -> None:
    assert read({"inputs": [[1, 2]]}, X)["x"].tolist() == [[1.0, 2.0]]


def test_a_scalar_is_a_tensor_in_columns() -> None:
    assert read({"inputs": 5}, X)["x"].shape == ()


def test_the_form_is_kept_for_the_answer() -> None:
    assert parse_predict({"inputs": 1}).form is Form.COLUMNAR
    assert parse_predict({"instances": [1]}).form is Form.ROW


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ({"instances": [1]}, "serving_default"),
        ({"instances": [1], "signature_name": ""}, "serving_default"),
        ({"instances": [1], "signature_name": "score"}, "score"),
    ],
)
def test_the_signature_is_named_or_the_default(document: dict[str, Any], name: str) -> None:
    assert parse_predict(document).signature_name == name


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("text", b"text", id="text"),
        pytest.param("ü", "ü".encode(), id="utf-8"),
        pytest.param({"b64": "aGVsbG8="}, b"hello", id="base64"),
        pytest.param({"b64": "aGVsbG8"}, b"hello", id="base64-without-padding"),
        pytest.param({"b64": ""}, b"", id="empty"),
        pytest.param({"b64": "/9j/"}, b"\xff\xd8\xff", id="not-utf-8"),
    ],
)
def test_strings_are_bytes(value: object, expected: bytes) -> None:
    assert read({"instances": [value]}, TEXT)["s"].tolist() == [expected]


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("float32", [0.1, 1, -3e38]),
        ("float64", [0.1, 2**53 - 1]),
        ("float16", [0.5, 2047]),
        ("int8", [-128, 127]),
        ("uint8", [0, 255]),
        ("int32", [-(2**31), 2**31 - 1]),
        ("int64", [-(2**63), 2**63 - 1]),
        ("uint64", [2**64 - 1]),
        ("bool", [True, False]),
    ],
)
def test_each_type_takes_its_whole_range(datatype: str, values: list[Any]) -> None:
    array = read({"instances": values}, of(datatype))["x"]
    assert array.dtype == np.dtype(datatype)
    assert array.tolist() == np.array(values, dtype=datatype).tolist()


def test_nan_and_infinity_are_floats() -> None:
    document = decode_body(b'{"instances": [NaN, Infinity, -Infinity]}')
    array = read(document, of("float32"))["x"]
    assert np.isnan(array[0])
    assert array[1:].tolist() == [np.inf, -np.inf]


TYPE_ERROR = "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "


@pytest.mark.parametrize(
    ("datatype", "value", "message"),
    [
        ("float32", "a", 'JSON Value: "a" Type: String is not of expected type: float'),
        ("float32", True, "JSON Value: true Type: True is not of expected type: float"),
        ("float32", None, "JSON Value: null Type: Null is not of expected type: float"),
        ("float64", "a", 'JSON Value: "a" Type: String is not of expected type: double'),
        ("int32", 1.5, "JSON Value: 1.5 Type: Number is not of expected type: int32"),
        ("int8", 128, "JSON Value: 128 Type: Number is not of expected type: int8"),
        ("bool", 1, "JSON Value: 1 Type: Number is not of expected type: bool"),
        ("string", 1, "JSON Value: 1 Type: Number is not of expected type: string"),
        (
            "float32",
            2**24,
            "Cannot convert JSON value: 16777216 to float without loss of precision.",
        ),
        (
            "float32",
            1e39,
            "Cannot convert JSON value: 1e+39 to float without loss of precision.",
        ),
    ],
)
def test_a_wrong_element_is_named(datatype: str, value: object, message: str) -> None:
    assert refusal({"instances": [value]}, of(datatype)) == TYPE_ERROR + message


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "Missing 'inputs' or 'instances' key"),
        (
            {"instances": [[1, 2], [1]]},
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT:"
            " Expecting tensor size: 2 but got: 1",
        ),
        (
            {"instances": [[[1, 2]], [1, 2]]},
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT:"
            " Expecting shape [1,2] but got: [2]",
        ),
        (
            {"instances": [[[1, 2], [3]]]},
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT:"
            " Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        (
            {"instances": [[1, [2]]]},
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT:"
            " Encountered list at unexpected level: 1 expected < 1",
        ),
        (
            {"instances": [[[1], 2]]},
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT:"
            " JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            {"instances": [[1, 2], {"x": [1, 2]}]},
            "Expecting value/list but got object at item 1 of input list",
        ),
        (
            {"instances": [{"x": [1, 2]}, [1, 2]]},
            "Expecting object but got list at item 1 of input list",
        ),
        (
            {"instances": [{"y": [1, 2]}]},
            "Failed to process element: 0 key: y of 'instances' list. Error: INVALID_ARGUMENT:"
            " JSON object: does not have named input: y",
        ),
    ],
)
def test_a_malformed_request_is_refused_as_upstream_refuses_it(
    document: dict[str, Any], message: str
) -> None:
    assert refusal(document, X) == message


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ({"instances": 3}, "Excepting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [1], "inputs": [1]}, "expecting only one of 'inputs' or 'instances'"),
        ({"instances": [1], "signature_name": 3}, "'signature_name' key must be a string value."),
    ],
)
def test_a_refusal_shows_the_request_and_says_why(document: dict[str, Any], part: str) -> None:
    message = refusal(document, X)
    assert message.startswith("JSON Value: {")
    assert part in message


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"instances": [[1, 2]]},
            "instances is a plain list, but expecting list of objects as multiple input tensors"
            " required as per tensorinfo_map",
        ),
        (
            {"inputs": [1]},
            "inputs is a plain value/list, but expecting an object as multiple input tensors"
            " required as per tensorinfo_map",
        ),
        ({"inputs": {"a": [1]}}, "Missing named input: b in 'inputs' object."),
    ],
)
def test_several_inputs_must_be_named(document: dict[str, Any], message: str) -> None:
    assert refusal(document, TWO) == message


def test_a_missing_key_of_a_row_is_named_with_those_wanted() -> None:
    message = refusal({"instances": [{"a": 1}]}, TWO)
    assert message.startswith("Failed to process element: 0 of 'instances' list. JSON object: {")
    assert message.endswith(" keys must be equal to: a,b")


def test_bad_base64_is_refused() -> None:
    assert refusal({"inputs": [{"b64": "%%"}]}, TEXT) == "Unable to base64 decode"


def test_a_huge_value_does_not_come_back_whole() -> None:
    assert len(refusal({"instances": "x" * 100_000}, X)) < 2000


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error: Expecting property name enclosed in double quotes at offset: 1"),
        (b"[]", "JSON Value: [] Is not object"),
    ],
)
def test_a_body_that_is_no_object_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        decode_body(body)
    assert str(caught.value) == message
