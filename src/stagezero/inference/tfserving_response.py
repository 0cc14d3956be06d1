"""TensorFlow Serving's REST answers: named arrays to the C++ server's indented JSON.

Floats are written as the shortest text that reads back as the same float of their own width, so
float32 answers stay equal to float32 answers; whole numbers keep `.0` and NaN is bare, as upstream.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stagezero.inference.tfserving_request import Form

Array = npt.NDArray[Any]

_INDENT = "    "
_BARE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


class InconsistentOutputs(ValueError):
    """The model's outputs cannot be written in the form that the caller used."""


def predict_body(outputs: Mapping[str, Array], form: Form) -> bytes:
    """The answer in the form of its request."""
    text = _rows(outputs) if form is Form.ROW else _columns(outputs)
    return text.encode("utf-8", "surrogatepass")


def results_body(results: Sequence[str]) -> bytes:
    """The answer to classify and regress, its elements already written."""
    return f'{{\n{_INDENT}"results": [{", ".join(results)}\n{_INDENT}]\n}}'.encode()


def error_body(message: str) -> bytes:
    """`{"error": ...}`, indented."""
    return json.dumps({"error": message}, indent=4, ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def _rows(outputs: Mapping[str, Array]) -> str:
    count = _batch_size(outputs)
    texts = {
        name: [_one_line(item) for item in _leaves(name, array)] for name, array in outputs.items()
    }
    if len(outputs) == 1:
        (items,) = texts.values()
        inner = ", ".join(items)
    else:
        inner = ",".join(_named_row(texts, index) for index in range(count))
    return f'{{\n{_INDENT}"predictions": [{inner}\n{_INDENT}]\n}}'


def _named_row(texts: Mapping[str, list[str]], index: int) -> str:
    keys = f",\n{_INDENT * 3}".join(
        f"{json.dumps(name)}: {items[index]}" for name, items in texts.items()
    )
    return f"\n{_INDENT * 2}{{\n{_INDENT * 3}{keys}\n{_INDENT * 2}}}"


def _batch_size(outputs: Mapping[str, Array]) -> int:
    size: int | None = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise InconsistentOutputs(f"Tensor name: {name} has no shape information ")
        if size is not None and array.shape[0] != size:
            raise InconsistentOutputs(
                f"Tensor name: {name} has inconsistent batch size: {array.shape[0]}"
                f" expecting: {size}"
            )
        size = array.shape[0]
    assert size is not None, "a signature has at least one output"
    return size


def _columns(outputs: Mapping[str, Array]) -> str:
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return f'{{\n{_INDENT}"outputs": {_indented(_leaves(name, array), 1)}\n}}'
    keys = f",\n{_INDENT * 2}".join(
        f"{json.dumps(name)}: {_indented(_leaves(name, array), 2)}"
        for name, array in outputs.items()
    )
    return f'{{\n{_INDENT}"outputs": {{\n{_INDENT * 2}{keys}\n{_INDENT}}}\n}}'


def _leaves(name: str, array: Array) -> Any:
    """The array as nested lists of finished texts, or one text for a scalar."""
    if array.dtype.kind == "f":
        texts = np.array([number_text(text) for text in array.ravel().astype("U32").tolist()])
    elif array.dtype.kind == "b":
        texts = np.where(array.ravel(), "true", "false")
    elif array.dtype.kind in "iu":
        texts = array.ravel().astype("U24")
    else:
        # The C++ server tells bytes from text by the output's name alone.
        as_bytes = name.endswith("_bytes")
        texts = np.array([_string_text(item, as_bytes) for item in array.ravel()], dtype=object)
    return texts.reshape(array.shape).tolist()


def number_text(text: str) -> str:
    """Numpy's shortest text of a float as JSON: it differs for what is not finite."""
    return _BARE.get(text, text)


def _string_text(item: Any, as_bytes: bool) -> str:
    raw = item if isinstance(item, bytes) else str(item).encode()
    if as_bytes:
        return f'{{"b64": "{base64.b64encode(raw).decode()}"}}'
    return json.dumps(raw.decode("utf-8", "replace"), ensure_ascii=False)


def _one_line(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_one_line, value)) + "]"
    return str(value)


def _indented(value: Any, depth: int) -> str:
    if not isinstance(value, list):
        return str(value)
    if not value:
        return "[]"
    pad = "\n" + _INDENT * (depth + 1)
    inner = ("," + pad).join(_indented(item, depth + 1) for item in value)
    return "[" + pad + inner + "\n" + _INDENT * depth + "]"
