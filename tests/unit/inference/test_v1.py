"""V1 bodies: what is read, what is refused, and what is written, to the byte."""

import math

import pytest

from stagezero.inference import v1
from stagezero.inference.errors import InvalidPayload


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        pytest.param(b'{"instances": [[1, 2.5]]}', [[1, 2.5]], id="numbers"),
        pytest.param(b'{"instances": ["a", null]}', ["a", None], id="mixed"),
        pytest.param(b'{"instances": []}', [], id="empty"),
        pytest.param(b'{"x": 1, "instances": [{"a": 1}]}', [{"a": 1}], id="objects"),
        pytest.param(b'\xef\xbb\xbf{"instances": [1]}', [1], id="byte-order-mark"),
        pytest.param(b'{"instances": [1e400]}', [math.inf], id="overflow"),
        pytest.param(b'{"instances": ["\\ud800"]}', ["\ud800"], id="lone-surrogate"),
        pytest.param(
            b'{"instances": [123456789012345678901234567890]}',
            [123456789012345678901234567890],
            id="huge-integer",
        ),
    ],
)
def test_rows_are_read_as_they_are_written(body: bytes, rows: list[object]) -> None:
    assert v1.instances_of(v1.decode_body(body)) == rows


def test_nan_is_read_as_python_reads_it() -> None:
    (row,) = v1.instances_of(v1.decode_body(b'{"instances": [[NaN, Infinity, -Infinity]]}'))
    assert math.isnan(row[0])
    assert row[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Unrecognized request format: Expecting value: line 1 column 1 (char 0)"),
        (b"hello", "Unrecognized request format: Expecting value: line 1 column 1 (char 0)"),
        (
            b"{'a': 1}",
            "Unrecognized request format: Expecting property name enclosed in double quotes:"
            " line 1 column 2 (char 1)",
        ),
        (b"{} {}", "Unrecognized request format: Extra data: line 1 column 4 (char 3)"),
        (b"{}", "'instances'"),
        (b'{"inputs": []}', "'instances'"),
        (b'{"instances": 3}', 'Expected "instances" to be a list'),
        (b'{"instances": null}', 'Expected "instances" to be a list'),
        (b'{"instances": {"0": 1}}', 'Expected "instances" to be a list'),
        (b"[1]", "list indices must be integers or slices, not str"),
        (b"null", "'NoneType' object is not subscriptable"),
        (b"1", "'int' object is not subscriptable"),
    ],
)
def test_a_bad_body_is_refused_with_upstreams_text(body: bytes, message: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        v1.instances_of(v1.decode_body(body))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "body", [b"\xff\xfe\xfa", b"[" * 100_000, b"9" * 10_000], ids=["bytes", "nesting", "digits"]
)
def test_a_hostile_body_is_refused_too(body: bytes) -> None:
    with pytest.raises(InvalidPayload):
        v1.decode_body(body)


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ([1, 1], b'{"predictions": [1, 1]}'),
        ([[0.5, 0.25]], b'{"predictions": [[0.5, 0.25]]}'),
        ([math.nan, math.inf], b'{"predictions": [NaN, Infinity]}'),
        (["Zürich"], b'{"predictions": ["Z\\u00fcrich"]}'),
        (["</b>"], b'{"predictions": ["<\\/b>"]}'),
        ([], b'{"predictions": []}'),
    ],
)
def test_predictions_are_written_as_tornado_writes_them(value: object, body: bytes) -> None:
    assert v1.predictions_body(value) == body


def test_errors_and_states_have_upstreams_bodies() -> None:
    assert v1.error_body(None) == b'{"error": null}'
    assert v1.error_body('say "no"') == b'{"error": "say \\"no\\""}'
    assert v1.readiness_body("m", is_ready=False) == b'{"name": "m", "ready": false}'


def test_what_json_cannot_say_is_raised() -> None:
    with pytest.raises(TypeError):
        v1.predictions_body([object()])
