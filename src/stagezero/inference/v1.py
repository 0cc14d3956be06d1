"""The V1 protocol as KServe 0.8's Python server speaks it, to the byte.

In: a request body. Out: its `instances`, or a body for a result, an error or a model's state.
Where the texts look odd (`'instances'`, `null`), they are what clients of 0.8 have been given.
"""

from typing import Any

from stagezero.inference import jsontext
from stagezero.inference.errors import InvalidPayload


def decode_body(body: bytes) -> Any:
    """The JSON value of a body; raises InvalidPayload with upstream's text."""
    try:
        return jsontext.decode(body)
    except UnicodeDecodeError as error:
        raise InvalidPayload(str(error)) from error
    except ValueError as error:
        raise InvalidPayload(f"Unrecognized request format: {error}") from error
    except RecursionError as error:
        raise InvalidPayload(f"Unrecognized request format: {error}") from error


def check_lists(value: Any) -> None:
    """Refuse `instances` that are not a list, before any model is asked."""
    if isinstance(value, dict) and not isinstance(value.get("instances", []), list):
        raise InvalidPayload('Expected "instances" to be a list')


def instances_of(value: Any) -> list[Any]:
    """The rows to predict on, as the caller wrote them."""
    check_lists(value)
    try:
        rows = value["instances"]
    except (KeyError, TypeError, IndexError) as error:
        raise InvalidPayload(str(error)) from error
    assert isinstance(rows, list), "check_lists lets nothing else pass"
    return rows


def encode(value: Any) -> bytes:
    """A body as the tornado server writes it: `json.dumps`, with `</` escaped."""
    return jsontext.encode(value).replace(b"</", b"<\\/")


def predictions_body(predictions: Any) -> bytes:
    """`{"predictions": ...}`; raises TypeError or ValueError for what JSON cannot say."""
    return encode({"predictions": predictions})


def error_body(message: str | None) -> bytes:
    """`{"error": ...}`."""
    return encode({"error": message})


def readiness_body(name: str, *, is_ready: bool) -> bytes:
    """The state of one model."""
    return encode({"name": name, "ready": is_ready})
