"""Defaulting and validation of ConfigMaps and Secrets: keys, encodings, immutability, size."""

import base64
import binascii
import re
from collections.abc import Iterator

from stagezero.api import errors, mistakes
from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.mistakes import FieldError
from stagezero.api.raw_fields import part, text

LIMIT_BYTES = 1024 * 1024
"""How much data one ConfigMap or Secret may hold."""

_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_NOT_A_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
    " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_IMMUTABLE = "field is immutable when `immutable` is set"
_NEEDED = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def default_secret(raw: Raw, _: AdmissionRequest) -> Raw:
    """A Secret with its type, and its texts encoded beside the other data."""
    full = {**raw, "type": raw.get("type") or "Opaque"}
    texts = full.pop("stringData", None)
    if isinstance(texts, dict) and texts:
        encoded = {
            key: base64.b64encode(value.encode()).decode()
            for key, value in texts.items()
            if isinstance(value, str)
        }
        full["data"] = {**part(full, "data"), **encoded}
    return full


def validate_secret(raw: Raw, request: AdmissionRequest) -> None:
    """Refuse a Secret that Kubernetes would refuse."""
    if request.operation == "DELETE":
        return
    _check_encoding(raw, "Secret", "data")
    data = part(raw, "data")
    found = [*_keys(data, "data"), *_frozen(raw, request.old, ("data",))]
    needed = _NEEDED.get(text(raw, "type"), ())
    found += [mistakes.required(f"data[{key}]") for key in needed if key not in data]
    if request.old and text(raw, "type") != text(request.old, "type"):
        found.append(mistakes.invalid_value("type", text(raw, "type"), "field is immutable"))
    if sum(len(value) * 3 // 4 for value in data.values()) > LIMIT_BYTES:
        found.append(mistakes.too_long("data", LIMIT_BYTES))
    if found:
        raise mistakes.invalid("Secret", "", raw["metadata"]["name"], found)


def validate_config_map(raw: Raw, request: AdmissionRequest) -> None:
    """Refuse a ConfigMap that Kubernetes would refuse."""
    if request.operation == "DELETE":
        return
    _check_encoding(raw, "ConfigMap", "binaryData")
    data, binary = part(raw, "data"), part(raw, "binaryData")
    found = [*_keys(data, "data"), *_keys(binary, "binaryData")]
    for key in data.keys() & binary.keys():
        problem = "duplicate of key present in binaryData"
        found.append(mistakes.invalid_value(f"data[{key}]", key, problem))
    found += _frozen(raw, request.old, ("data", "binaryData"))
    size = sum(len(str(value).encode()) for value in data.values())
    if size + sum(len(value) * 3 // 4 for value in binary.values()) > LIMIT_BYTES:
        found.append(mistakes.too_long("", LIMIT_BYTES))
    if found:
        raise mistakes.invalid("ConfigMap", "", raw["metadata"]["name"], found)


def _check_encoding(raw: Raw, kind: str, field: str) -> None:
    for key, value in part(raw, field).items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise errors.BadRequest(
                f'{kind} in version "v1" cannot be handled as a {kind}: {field}[{key}]: '
                f"illegal base64 data: {error}"
            ) from error


def _keys(data: Raw, path: str) -> Iterator[FieldError]:
    for key in data:
        if len(key) > 253:
            problem = "must be no more than 253 characters"
            yield mistakes.invalid_value(f"{path}[{key}]", key, problem)
        if not _KEY.fullmatch(key) or key in (".", "..") or key.startswith("../"):
            yield mistakes.invalid_value(f"{path}[{key}]", key, _NOT_A_KEY)


def _frozen(raw: Raw, old: Raw | None, fields: tuple[str, ...]) -> Iterator[FieldError]:
    if not old or not old.get("immutable"):
        return
    if not raw.get("immutable"):
        yield mistakes.forbidden("immutable", _IMMUTABLE)
    for field in fields:
        if part(raw, field) != part(old, field):
            yield mistakes.forbidden(field, _IMMUTABLE)


SECRET = Admission(default_secret, validate_secret)
CONFIG_MAP = Admission(validate=validate_config_map)
