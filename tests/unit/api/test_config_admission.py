"""ConfigMaps and Secrets are defaulted and refused as Kubernetes does it."""

import base64

import pytest

from stagezero.api import errors
from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.config_admission import (
    LIMIT_BYTES,
    default_secret,
    validate_config_map,
    validate_secret,
)

CREATE = AdmissionRequest("CREATE", None, "me")
META = {"metadata": {"name": "x"}}


def updating(old: Raw) -> AdmissionRequest:
    return AdmissionRequest("UPDATE", old, "me")


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(**fields: object) -> Raw:
    return default_secret({**META, **fields}, CREATE)


def test_a_secret_is_opaque() -> None:
    assert secret()["type"] == "Opaque"


def test_texts_are_encoded_beside_the_data() -> None:
    made = secret(data={"a": b64("1"), "b": b64("2")}, stringData={"b": "ü", "c": ""})
    assert made["data"] == {"a": b64("1"), "b": b64("ü"), "c": ""}
    assert "stringData" not in made


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        pytest.param({"data": {"a b": ""}}, "data[a b]: Invalid value", id="key"),
        pytest.param(
            {"type": "kubernetes.io/tls", "data": {"tls.crt": ""}},
            "data[tls.key]: Required value",
            id="tls",
        ),
        pytest.param(
            {"data": {"a": b64("x" * (LIMIT_BYTES + 3))}},
            "data: Too long: may not be more than 1048576 bytes",
            id="size",
        ),
    ],
)
def test_a_bad_secret_is_refused(fields: Raw, text: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        validate_secret(secret(**fields), CREATE)
    assert caught.value.message.startswith(f'Secret "x" is invalid: {text}')


def test_data_must_be_encoded() -> None:
    with pytest.raises(errors.BadRequest, match="illegal base64 data"):
        validate_secret(secret(data={"a": "not base64!"}), CREATE)


def test_the_type_stays() -> None:
    with pytest.raises(errors.Invalid, match='type: Invalid value: "b": field is immutable'):
        validate_secret(secret(type="b"), updating(secret(type="a")))


def test_an_immutable_secret_stays() -> None:
    old = secret(immutable=True, data={"a": b64("1")})
    with pytest.raises(errors.Invalid, match="data: Forbidden: field is immutable"):
        validate_secret(secret(immutable=True, data={"a": b64("2")}), updating(old))


def test_an_immutable_map_stays_immutable() -> None:
    old = {**META, "immutable": True}
    with pytest.raises(errors.Invalid, match="immutable: Forbidden"):
        validate_config_map(dict(META), updating(old))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"data": {"": "x"}}, "data[]: Invalid value"),
        ({"data": {"..": "x"}}, "data[..]: Invalid value"),
        ({"data": {"a": "x"}, "binaryData": {"a": ""}}, 'data[a]: Invalid value: "a": duplicate'),
        ({"data": {"a": "x" * (LIMIT_BYTES + 1)}}, "Too long: may not be more than 1048576 bytes"),
    ],
    ids=["empty key", "dots", "both", "size"],
)
def test_a_bad_map_is_refused(fields: Raw, text: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        validate_config_map({**META, **fields}, CREATE)
    assert caught.value.message.startswith(f'ConfigMap "x" is invalid: {text}')


def test_good_ones_are_accepted() -> None:
    validate_config_map({**META, "data": {"a.b_c-D": "x"}}, CREATE)
    validate_secret(secret(stringData={"a": "b"}), CREATE)
