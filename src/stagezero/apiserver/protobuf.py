"""Kubernetes' protobuf bodies become JSON values; only reading, only the messages that are listed.

kubectl's typed clients (`create configmap`, `auth can-i`) send nothing else. The wire format is
plain; the field tables are in `protobuf_fields`. Absent and zero are one on this wire for fields
that are no pointers in Go, so zeros are dropped but where a zero says something.
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.api.times import write_time
from stagezero.apiserver.protobuf_fields import Field, messages

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"
_DEPTH_LIMIT = 50
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_ZERO_SPEAKS = frozenset(
    {
        "replicas", "gracePeriodSeconds", "terminationGracePeriodSeconds", "revisionHistoryLimit",
        "runAsUser", "runAsGroup", "fsGroup", "runAsNonRoot", "automountServiceAccountToken",
        "enableServiceLinks", "allowPrivilegeEscalation", "shareProcessNamespace", "hostUsers",
        "priority", "tolerationSeconds", "allocateLoadBalancerNodePorts",
    }
)  # fmt: skip
_EMPTY_SPEAKS = frozenset({"emptyDir", "selector", "labelSelector"})

_Wire = tuple[int, int, int | bytes]
"""Number, wire type and value of one field."""


def decode(body: bytes) -> Raw:
    """Read an object; BadRequest if it is broken, UnsupportedMediaType if it is not listed."""
    if not body.startswith(_MAGIC):
        raise errors.BadRequest("the protobuf body does not begin with k8s and a zero")
    envelope = {number: value for number, _, value in _fields(body[len(_MAGIC) :])}
    identity = {number: value for number, _, value in _fields(_bytes(envelope.get(1, b"")))}
    kind = _text(_bytes(identity.get(2, b"")))
    if kind not in messages():
        raise errors.UnsupportedMediaType(
            f"a {kind or 'body without a kind'} is not read as {MEDIA_TYPE}: send application/json"
        )
    raw: Raw = {"apiVersion": _text(_bytes(identity.get(1, b""))), "kind": kind}
    raw.update(_message(_bytes(envelope.get(2, b"")), kind, 0))
    return raw


def _broken(why: str) -> errors.BadRequest:
    return errors.BadRequest(f"couldn't get a message from the protobuf body: {why}")


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise _broken("a field has another wire type")
    return value


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise _broken("a text is no UTF-8") from error


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
        shift += 7
    raise _broken("a number does not end")


def _fields(data: bytes) -> Iterator[_Wire]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise _broken(f"wire type {wire}")
        if at + length > len(data):
            raise _broken("a field is longer than the body")
        yield number, wire, data[at : at + length]
        at += length


def _message(data: bytes, name: str, depth: int) -> Raw:
    if depth > _DEPTH_LIMIT:
        raise _broken("it is nested too deeply")
    known = messages()[name]
    raw: Raw = {}
    for number, _, value in _fields(data):
        field = known.get(number)
        if field is None:
            raise errors.UnsupportedMediaType(
                f"field {number} of {name} is not read as {MEDIA_TYPE}: send application/json"
            )
        _add(raw, field, value, depth)
    return raw


def _add(raw: Raw, field: Field, value: int | bytes, depth: int) -> None:
    match field.shape:
        case "inline":
            raw.update(_message(_bytes(value), field.type, depth + 1))
        case "list":
            raw.setdefault(field.name, []).append(_value(field.type, value, depth))
        case "map":
            entry = {number: item for number, _, item in _fields(_bytes(value))}
            key = _text(_bytes(entry.get(1, b"")))
            raw.setdefault(field.name, {})[key] = _value(field.type, entry.get(2, b""), depth)
        case _:
            found = _value(field.type, value, depth)
            if _says_something(field.name, found):
                raw[field.name] = found


def _says_something(name: str, value: Any) -> bool:
    if value in (0, False) and not isinstance(value, str):
        return name in _ZERO_SPEAKS
    if value in ("", None):
        return False
    return value != {} or name in _EMPTY_SPEAKS


def _value(kind: str, value: int | bytes, depth: int) -> Any:
    match kind:
        case "str":
            return _text(_bytes(value))
        case "bytes":
            return base64.b64encode(_bytes(value)).decode()
        case "int" | "bool":
            return _number(kind, value)
        case "Quantity" | "Time" | "MicroTime" | "IntOrString":
            return _special(kind, _bytes(value))
    return _message(_bytes(value), kind, depth + 1)


def _number(kind: str, value: int | bytes) -> int | bool:
    if not isinstance(value, int):
        raise _broken("a field has another wire type")
    if kind == "bool":
        return bool(value)
    return value - 2**64 if value >= 2**63 else value


def _special(kind: str, data: bytes) -> str | int | None:
    """The messages that JSON writes as one value."""
    parts = {number: value for number, _, value in _fields(data)}
    if kind == "Quantity":
        return _text(_bytes(parts.get(1, b"")))
    if kind == "IntOrString":
        if parts.get(1):
            return _text(_bytes(parts.get(3, b"")))
        return int(_number("int", parts.get(2, 0)))
    seconds = _number("int", parts.get(1, 0))
    try:
        return write_time(datetime.fromtimestamp(seconds, UTC)) if seconds > 0 else None
    except (ValueError, OverflowError, OSError) as error:
        raise _broken("a date is out of bounds") from error
