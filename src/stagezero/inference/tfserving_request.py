"""TensorFlow Serving's REST predict requests: JSON to named numpy arrays.

Row form: `{"instances": [...]}`, each element one item of the batch. Columnar form:
`{"inputs": ...}`, each input a whole tensor. Numpy converts the common case at once; whatever it
cannot take (ragged, mixed, wrong type, strings) is walked element by element, because only the walk
can say which element is wrong. Error texts follow the C++ server's.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from stagezero.inference import jsontext
from stagezero.inference.errors import InvalidPayload
from stagezero.inference.tensors import STRING, TensorSpec

Array = npt.NDArray[Any]

DEFAULT_SIGNATURE = "serving_default"

# What TensorFlow calls the types that numpy names otherwise.
_TYPE_WORDS = {"float32": "float", "float64": "double", "float16": "half"}

# The largest integer that the type holds exactly: the C++ server refuses to round beyond it.
_EXACT_INTEGER = {"float32": 2**24 - 1, "float64": 2**53 - 1, "float16": 2**11 - 1}


class Form(Enum):
    """How the request was written; the answer is written in the same form."""

    ROW = "instances"
    COLUMNAR = "inputs"


@dataclass(frozen=True)
class PredictBody:
    """A request before its tensors are read: these need the signature that it names."""

    signature_name: str
    form: Form
    value: Any


def decode_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a body."""
    if not body:
        raise InvalidPayload("JSON Parse error: The document is empty")
    try:
        value = jsontext.decode(body)
    except json.JSONDecodeError as error:
        raise InvalidPayload(f"JSON Parse error: {error.msg} at offset: {error.pos}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidPayload(f"JSON Parse error: {error}") from error
    if not isinstance(value, dict):
        raise InvalidPayload(f"JSON Value: {_value_text(value)} Is not object")
    return value


def signature_name_of(document: Mapping[str, Any]) -> str:
    """The signature that the caller asks for."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise InvalidPayload(
            f"JSON Value: {_value_text(document)} not formatted correctly."
            " 'signature_name' key must be a string value."
        )
    return name or DEFAULT_SIGNATURE


def parse_predict(document: Mapping[str, Any]) -> PredictBody:
    """Tell row from columnar form."""
    name = signature_name_of(document)
    if "instances" in document and "inputs" in document:
        raise InvalidPayload(
            f"JSON Value: {_value_text(document)} Not formatted correctly expecting only"
            " one of 'inputs' or 'instances' keys to exist "
        )
    if "inputs" in document:
        return PredictBody(name, Form.COLUMNAR, document["inputs"])
    if "instances" not in document:
        raise InvalidPayload("Missing 'inputs' or 'instances' key")
    rows = document["instances"]
    if not isinstance(rows, list):
        raise InvalidPayload(
            f"JSON Value: {_value_text(document)} Excepting 'instances' to be an list/array"
        )
    if not rows:
        raise InvalidPayload(f"JSON Value: {_value_text(document)} No values in 'instances' array")
    return PredictBody(name, Form.ROW, rows)


def tensors_of(body: PredictBody, inputs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """The arrays to feed, by input name."""
    if body.form is Form.ROW:
        return _from_rows(body.value, inputs)
    return _from_columns(body.value, inputs)


def _from_rows(rows: list[Any], inputs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    if not _is_named(rows[0]):
        if len(inputs) > 1:
            raise InvalidPayload(
                "instances is a plain list, but expecting list of objects as multiple"
                " input tensors required as per tensorinfo_map"
            )
        for index, row in enumerate(rows):
            if _is_named(row):
                raise InvalidPayload(
                    f"Expecting value/list but got object at item {index} of input list"
                )
        (spec,) = inputs.values()
        return {spec.name: _stack(rows, spec, None)}
    for index, row in enumerate(rows):
        _check_row_keys(index, row, inputs)
    return {name: _stack([row[name] for row in rows], spec, name) for name, spec in inputs.items()}


def _check_row_keys(index: int, row: Any, inputs: Mapping[str, TensorSpec]) -> None:
    if not _is_named(row):
        raise InvalidPayload(f"Expecting object but got list at item {index} of input list")
    for key in row:
        if key not in inputs:
            raise InvalidPayload(
                f"Failed to process element: {index} key: {key} of 'instances' list. Error:"
                f" INVALID_ARGUMENT: JSON object: does not have named input: {key}"
            )
    if len(row) != len(inputs):
        raise InvalidPayload(
            f"Failed to process element: {index} of 'instances' list. JSON object:"
            f" {_value_text(row)} keys must be equal to: {','.join(sorted(inputs))}"
        )


def _stack(rows: list[Any], spec: TensorSpec, key: str | None) -> Array:
    """One array of all rows, the batch being its first dimension."""
    fast = _convert(rows, spec.datatype)
    if fast is not None:
        return fast
    first_shape: tuple[int, ...] | None = None
    flat: list[Any] = []
    for index, row in enumerate(rows):
        try:
            shape = _shape_of(row)
            _fill(row, shape, spec.datatype, flat, 0)
            first_shape = shape if first_shape is None else first_shape
            _check_same_shape(first_shape, shape)
        except InvalidPayload as error:
            place = f"element: {index}" + (f" key: {key}" if key is not None else "")
            raise InvalidPayload(
                f"Failed to process {place} of 'instances' list. Error: INVALID_ARGUMENT: {error}"
            ) from error
    return _build(flat, (len(rows), *(first_shape or ())), spec.datatype)


def _check_same_shape(first: tuple[int, ...], other: tuple[int, ...]) -> None:
    first_size, size = int(np.prod(first)), int(np.prod(other))
    if first_size != size:
        raise InvalidPayload(f"Expecting tensor size: {first_size} but got: {size}")
    if first != other:
        raise InvalidPayload(f"Expecting shape {_sizes(first)} but got: {_sizes(other)}")


def _from_columns(value: Any, inputs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    if not _is_named(value):
        if len(inputs) > 1:
            raise InvalidPayload(
                "inputs is a plain value/list, but expecting an object as multiple"
                " input tensors required as per tensorinfo_map"
            )
        (spec,) = inputs.values()
        return {spec.name: _whole(value, spec.datatype)}
    for name in inputs:
        if name not in value:
            raise InvalidPayload(f"Missing named input: {name} in 'inputs' object.")
    return {name: _whole(value[name], spec.datatype) for name, spec in inputs.items()}


def _whole(value: Any, datatype: str) -> Array:
    fast = _convert(value, datatype)
    if fast is not None:
        return fast
    shape = _shape_of(value)
    flat: list[Any] = []
    _fill(value, shape, datatype, flat, 0)
    return _build(flat, shape, datatype)


def _convert(value: Any, datatype: str) -> Array | None:
    """The array if numpy takes the value at once and without loss, else None."""
    if datatype == STRING:
        return None
    try:
        raw = np.array(value)
    except (ValueError, OverflowError):
        return None
    target = np.dtype(datatype)
    if target.kind == "f" and raw.dtype.kind in "iu":
        return raw.astype(target) if _magnitude(raw) <= _EXACT_INTEGER[datatype] else None
    if target.kind == "f" and raw.dtype.kind == "f":
        finite = raw[np.isfinite(raw)] if raw.size else raw
        return raw.astype(target) if _magnitude(finite) <= _largest(target) else None
    if target.kind in "iu" and raw.dtype.kind in "iu":
        limits = np.iinfo(target)
        fits = not raw.size or (int(raw.min()) >= limits.min and int(raw.max()) <= limits.max)
        return raw.astype(target) if fits else None
    return raw if target.kind == raw.dtype.kind == "b" else None


def _largest(datatype: np.dtype[Any]) -> float:
    return float(np.finfo(datatype).max)


def _magnitude(array: Array) -> float:
    # In float64, because the magnitude of the smallest integer does not fit its own type.
    return float(np.abs(array.astype(np.float64)).max()) if array.size else 0.0


def _shape_of(value: Any) -> tuple[int, ...]:
    """The shape that the first elements promise; the walk checks that the others keep it."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _fill(value: Any, shape: tuple[int, ...], datatype: str, flat: list[Any], level: int) -> None:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise InvalidPayload(
                f"JSON Value: {_value_text(value)} found at incorrect level: {level + 1}"
                f" in the JSON DOM. Expected at level: {rank}"
            )
        flat.append(_element(value, datatype))
        return
    if level >= rank:
        raise InvalidPayload(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise InvalidPayload(
            f"Encountered list at unexpected size: {len(value)} at level: {level}"
            f" expected size: {shape[level]}"
        )
    for item in value:
        _fill(item, shape, datatype, flat, level + 1)


def _element(value: Any, datatype: str) -> Any:
    if datatype == STRING:
        return _bytes_of(value)
    kind = np.dtype(datatype).kind
    if kind == "b" and isinstance(value, bool):
        return value
    if kind in "iu" and _is_integer(value):
        limits = np.iinfo(datatype)
        if limits.min <= value <= limits.max:
            return value
    if kind == "f" and (_is_integer(value) or isinstance(value, float)):
        _check_lossless(value, datatype)
        return value
    raise InvalidPayload(
        f"JSON Value: {_value_text(value)} Type: {_type_text(value)}"
        f" is not of expected type: {_TYPE_WORDS.get(datatype, datatype)}"
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_lossless(value: float, datatype: str) -> None:
    if isinstance(value, int):
        fits = abs(value) <= _EXACT_INTEGER[datatype]
    else:
        fits = not np.isfinite(value) or abs(value) <= _largest(np.dtype(datatype))
    if not fits:
        raise InvalidPayload(
            f"Cannot convert JSON value: {value} to {_TYPE_WORDS[datatype]}"
            " without loss of precision."
        )


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if _is_base64(value):
        try:
            return base64.b64decode(_padded("".join(value["b64"].split())), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidPayload("Unable to base64 decode") from error
    if isinstance(value, dict):
        raise InvalidPayload(
            f"JSON Value: {_value_text(value)} not formatted correctly for base64 data"
        )
    raise InvalidPayload(
        f"JSON Value: {_value_text(value)} Type: {_type_text(value)}"
        " is not of expected type: string"
    )


def _padded(text: str) -> str:
    """The C++ decoder does without padding, Python's does not."""
    return text + "=" * (-len(text) % 4)


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _build(flat: list[Any], shape: tuple[int, ...], datatype: str) -> Array:
    array = np.array(flat, dtype=object if datatype == STRING else datatype)
    return array.reshape(shape)


def _sizes(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"


def _value_text(value: Any) -> str:
    """The value for an error message, cut: a body of megabytes must not come back whole."""
    text = json.dumps(value, indent=4)
    return text if len(text) <= 1024 else text[:1024] + "..."


def _type_text(value: Any) -> str:
    words = {type(None): "Null", dict: "Object", list: "Array", str: "String"}
    if isinstance(value, bool):
        return str(value)
    return words.get(type(value), "Number")
