"""Objects between bytes and JSON values.

What is stored begins with apiVersion and kind, so that another served version of the same object is
a change of its first bytes.
"""

import msgspec

from stagezero.api.base import Raw
from stagezero.apiserver.served import Served
from stagezero.store.base import Encode

_START = b'{"apiVersion":"'


def decode(data: bytes) -> Raw:
    """Read a stored object."""
    raw: Raw = msgspec.json.decode(data)
    return raw


def encoder(raw: Raw, served: Served) -> Encode:
    """Give the bytes of an object once its version is known, at the version that is stored."""
    resource = served.resource
    return restamped({**raw, "apiVersion": resource.api_version, "kind": resource.kind})


def restamped(raw: Raw) -> Encode:
    """Give the bytes of an object that was stored before, once its new version is known."""
    head = {"apiVersion": raw["apiVersion"], "kind": raw["kind"]}
    rest = {name: value for name, value in raw.items() if name not in (*head, "metadata")}

    def encode(version: int) -> bytes:
        metadata = {**raw["metadata"], "resourceVersion": str(version)}
        return msgspec.json.encode({**head, "metadata": metadata, **rest})

    return encode


def as_version(data: bytes, served: Served) -> bytes:
    """The stored bytes as a served version shows them: conversion None renames, no more."""
    start = len(_START)
    end = data.index(b'"', start)
    wanted = served.api_version.encode()
    if data[start:end] == wanted:
        return data
    return _START + wanted + data[end:]
