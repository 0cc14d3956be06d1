"""Protobuf bodies as kubectl's typed clients write them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagezero.api import errors
from stagezero.apiserver import protobuf
from stagezero.apiserver.protobuf_fields import messages


def field(number: int, value: bytes | int | str) -> bytes:
    if isinstance(value, int):
        return bytes([number << 3]) + varint(value % 2**64)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def body(kind: str, message: bytes, version: str = "v1") -> bytes:
    identity = field(1, version) + field(2, kind)
    return b"k8s\0" + field(1, identity) + field(2, message) + field(3, "") + field(4, "")


def test_a_config_map_is_read() -> None:
    meta = field(1, "c") + field(2, "") + field(3, "default") + field(8, b"")
    data = field(2, field(1, "key") + field(2, "value"))
    assert protobuf.decode(body("ConfigMap", field(1, meta) + data)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "default"},
        "data": {"key": "value"},
    }


def test_bytes_are_base64() -> None:
    data = field(2, field(1, "k") + field(2, b"\xff\x00"))
    assert protobuf.decode(body("Secret", data))["data"] == {
        "k": base64.b64encode(b"\xff\x00").decode()
    }


def test_a_zero_that_says_something_is_kept() -> None:
    spec = field(1, 0) + field(5, 0)
    raw = protobuf.decode(body("Deployment", field(2, spec), "apps/v1"))
    assert raw["spec"] == {"replicas": 0}


def test_a_negative_number_is_read() -> None:
    assert protobuf.decode(body("DeleteOptions", field(1, -1)))["gracePeriodSeconds"] == -1


@pytest.mark.parametrize(
    ("port", "expected"),
    [(field(1, 0) + field(2, 8080), 8080), (field(1, 1) + field(3, "http"), "http")],
)
def test_a_port_is_a_number_or_a_name(port: bytes, expected: int | str) -> None:
    service_port = field(3, 80) + field(4, port)
    raw = protobuf.decode(body("Service", field(2, field(1, service_port))))
    assert raw["spec"]["ports"] == [{"port": 80, "targetPort": expected}]


def test_inline_parts_are_their_parents() -> None:
    source = field(6, field(1, "s"))
    volume = field(1, "v") + field(2, source)
    raw = protobuf.decode(body("Pod", field(2, field(1, volume))))
    assert raw["spec"]["volumes"] == [{"name": "v", "secret": {"secretName": "s"}}]


def test_a_date_is_text() -> None:
    meta = field(8, field(1, 1_767_225_600))
    raw = protobuf.decode(body("ConfigMap", field(1, meta)))
    assert raw["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"nonsense", errors.BadRequest),
        (b"k8s\0\xff", errors.BadRequest),
        (b"k8s\0\x0a\x7fx", errors.BadRequest),
        (b"k8s\0", errors.UnsupportedMediaType),
        (body("Poem", b""), errors.UnsupportedMediaType),
        (body("ConfigMap", field(99, "x")), errors.UnsupportedMediaType),
        (body("ConfigMap", field(1, 7)), errors.BadRequest),
        (body("ConfigMap", field(1, field(1, b"\xff"))), errors.BadRequest),
        (body("Deployment", field(2, field(1, "many"))), errors.BadRequest),
        (body("ConfigMap", field(1, field(8, field(1, 2**62)))), errors.BadRequest),
    ],
    ids=[
        "no magic", "cut number", "cut field", "no kind", "unknown kind", "unknown field",
        "number for message", "no utf-8", "text for number", "date out of bounds",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(data: bytes, error: type[errors.ApiError]) -> None:
    with pytest.raises(error):
        protobuf.decode(data)


@given(st.binary(max_size=80), st.sampled_from(sorted(messages())))
def test_no_message_hurts(data: bytes, kind: str) -> None:
    try:
        raw = protobuf.decode(body(kind, data))
    except errors.ApiError as error:
        assert error.code in (400, 415)
    else:
        assert raw["kind"] == kind


def test_every_type_of_the_table_is_known() -> None:
    plain = {"str", "int", "bool", "bytes", "float", "Time", "MicroTime", "Quantity", "IntOrString"}
    for name, fields in messages().items():
        for number, one in fields.items():
            assert number > 0, name
            assert one.shape in ("", "list", "map", "inline"), (name, one)
            assert one.type in plain | messages().keys(), (name, one)
