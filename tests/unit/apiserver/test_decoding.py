"""Bodies from strangers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagezero.api import errors
from stagezero.apiserver import decoding

YAML = "application/yaml"
JSON = "application/json"


def test_json_and_yaml_say_the_same() -> None:
    from_json = decoding.decode_body(b'{"a": [1, true, "x"]}', JSON)
    assert decoding.decode_body(b"a: [1, true, x]", YAML) == from_json


def test_a_yaml_date_stays_text() -> None:
    assert decoding.decode_body(b"a: 2026-01-01", YAML) == {"a": "2026-01-01"}


def test_a_huge_number_becomes_a_float() -> None:
    found = decoding.decode_body(b'{"a": 123456789012345678901234}', JSON)["a"]
    assert isinstance(found, float)
    assert found == 123456789012345678901234.0


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", JSON),
        (b"{", JSON),
        (b"\xff\xfe", JSON),
        (b'"\\ud800"', JSON),
        (b"[" * 100_000, JSON),
        (b'{"a":' * 500 + b"1" + b"}" * 500, JSON),
        (b"1" * 5000, JSON),
        (b"NaN", JSON),
        (b"a: [", YAML),
        (b"a: 1\na: 2", YAML),
        (b"a: !!python/object:os.system x", YAML),
        (b"\xff", YAML),
        (b"&a [*a]", YAML),
        (b"? [1]\n: 2", YAML),
    ],
    ids=[
        "empty", "cut off", "no utf-8", "surrogate", "deep list", "deep object", "long number",
        "NaN", "broken", "key twice", "python", "no utf-8 in yaml", "endless", "list as key",
    ],
)  # fmt: skip
def test_a_malformed_body_is_a_bad_request(body: bytes, kind: str) -> None:
    with pytest.raises(errors.BadRequest):
        decoding.decode_body(body, kind)


def test_laughing_aliases_are_too_large() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(errors.TooLarge):
        decoding.decode_body("\n".join(lines).encode(), YAML)


def test_a_body_over_the_limit_is_too_large() -> None:
    body = b'"' + b"x" * decoding.BODY_LIMIT_BYTES + b'"'
    with pytest.raises(errors.TooLarge):
        decoding.decode_body(body, JSON)


def test_other_types_are_not_read() -> None:
    with pytest.raises(errors.UnsupportedMediaType, match="application/yaml"):
        decoding.decode_body(b"<a/>", "application/xml; charset=utf-8")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a":1}', []),
        (b'{"a":1,"a":2}', ["a"]),
        (b'{"a":{"b":1,"b":2},"c":[{"d":1,"d":1,"d":1}]}', ["a.b", "c[0].d"]),
        (b"{", []),
    ],
)
def test_fields_given_twice_are_named(body: bytes, expected: list[str]) -> None:
    assert decoding.duplicate_fields(body, JSON) == expected


@given(st.binary(max_size=64), st.sampled_from([JSON, YAML, "", "x/y", "application/json;;"]))
def test_no_body_hurts(body: bytes, kind: str) -> None:
    try:
        decoding.decode_body(body, kind)
    except errors.ApiError as error:
        assert 400 <= error.code < 500
