"""Conditions: read, decided where a host is known, and combined."""

import pytest

from stagezero.api.base import Raw
from stagezero.mesh.plans.matches import after_rewrite, at_host, both, known_headers, match_of
from stagezero.mesh.plans.values import EVERY_PATH, How, Match, Named, Text
from support.mesh import virtual_service


def read(raw: Raw) -> Match:
    service = virtual_service("a", ["a"], {"match": [raw]})
    return match_of(service.spec.http[0].match[0])


def path(how: How, value: str) -> Match:
    return Match(path=Text(how, value))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param({}, Match(), id="nothing"),
        pytest.param({"uri": {"exact": "/a"}}, path(How.EXACT, "/a"), id="exact"),
        pytest.param({"uri": {"prefix": "/a"}}, path(How.PREFIX, "/a"), id="prefix"),
        pytest.param({"uri": {"regex": "/a.*"}}, path(How.REGEX, "/a.*"), id="regex"),
        pytest.param({"uri": {"regex": ".*"}}, Match(), id="regex for all"),
        pytest.param(
            {"uri": {"prefix": "/A"}, "ignoreUriCase": True},
            Match(path=Text(How.PREFIX, "/A", ignore_case=True)),
            id="case",
        ),
        pytest.param(
            {"headers": {"b": {"exact": "1"}, "a": {}}},
            Match(headers=(Named("a", Text(How.PRESENT)), Named("b", Text(How.EXACT, "1")))),
            id="headers sorted, empty is present",
        ),
        pytest.param(
            {"withoutHeaders": {"a": {"prefix": "x"}}},
            Match(headers=(Named("a", Text(How.PREFIX, "x"), is_not=True),)),
            id="without",
        ),
        pytest.param(
            {"method": {"exact": "GET"}},
            Match(headers=(Named(":method", Text(How.EXACT, "GET")),)),
            id="method",
        ),
        pytest.param(
            {"queryParams": {"v": {"exact": "2"}}},
            Match(query=(Named("v", Text(How.EXACT, "2")),)),
            id="query",
        ),
        pytest.param({"headers": {"a": {"regex": "*"}}},
                     Match(headers=(Named("a", Text(How.PRESENT)),)), id="star is present"),
    ],
)  # fmt: skip
def test_conditions_are_read(raw: Raw, expected: Match) -> None:
    assert read(raw) == expected


@pytest.mark.parametrize(
    ("authority", "host", "expected"),
    [
        pytest.param({"prefix": "a.b"}, "a.b", Match(), id="prefix holds"),
        pytest.param({"prefix": "a.b"}, "a.b.svc", Match(), id="prefix of a longer host"),
        pytest.param({"prefix": "a.b.svc"}, "a.b", None, id="prefix never holds"),
        pytest.param({"exact": "a.b"}, "a.b", Match(), id="exact, with any port"),
        pytest.param({"exact": "a.c"}, "a.b", None, id="another host"),
        pytest.param({"regex": r"^a\.b(?::\d{1,5})?$"}, "a.b", Match(), id="as kserve"),
        pytest.param({"regex": r"a\.c"}, "a.b", None, id="regex never holds"),
    ],
)
def test_a_known_host_decides_the_authority(
    authority: Raw, host: str, expected: Match | None
) -> None:
    assert at_host(read({"authority": authority}), host) == expected


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        pytest.param({"regex": r"a\.b"}, "a.b", id="only without a port"),
        pytest.param({"prefix": "a"}, "*.b", id="wildcard host"),
        pytest.param({"regex": r"[[:alpha:]]\.b"}, "a.b", id="POSIX class"),
        pytest.param({"regex": r"\pL\.b"}, "a.b", id="beyond us"),
    ],
)
def test_an_undecided_authority_is_left_to_envoy(authority: Raw, host: str) -> None:
    found = at_host(read({"authority": authority}), host)
    assert found is not None
    assert [named.name for named in found.headers] == [":authority"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(Match(), path(How.EXACT, "/a"), path(How.EXACT, "/a"), id="all and one"),
        pytest.param(
            path(How.PREFIX, "/a"), path(How.PREFIX, "/a/b"), path(How.PREFIX, "/a/b"), id="nested"
        ),
        pytest.param(path(How.PREFIX, "/a"), path(How.PREFIX, "/b"), None, id="apart"),
        pytest.param(
            path(How.PREFIX, "/a"), path(How.EXACT, "/a/x"), path(How.EXACT, "/a/x"), id="exact in"
        ),
        pytest.param(path(How.PREFIX, "/b"), path(How.EXACT, "/a"), None, id="exact outside"),
        pytest.param(
            path(How.REGEX, "/[ab]"), path(How.EXACT, "/a"), path(How.EXACT, "/a"), id="regex"
        ),
        pytest.param(path(How.EXACT, "/a"), path(How.EXACT, "/b"), None, id="two exact"),
    ],
)
def test_two_matches_become_one(one: Match, other: Match, expected: Match | None) -> None:
    assert both(one, other) == expected
    assert both(other, one) == expected


def test_a_pattern_and_a_prefix_need_the_path_header() -> None:
    found = both(path(How.REGEX, "/v1/.*"), path(How.PREFIX, "/v1/models"))
    assert found is not None
    assert found.path == Text(How.REGEX, "/v1/.*")
    assert found.headers == (Named(":path", Text(How.PREFIX, "/v1/models")),)


def test_two_patterns_leave_room_for_a_query() -> None:
    found = both(path(How.REGEX, "/a.*"), path(How.REGEX, "/.*b"))
    assert found is not None
    (condition,) = found.headers
    assert condition.text == Text(How.REGEX, r"(?:/a.*)(?:\?.*)?")


def test_headers_of_both_matches_are_needed() -> None:
    a, b = (Match(headers=(Named(name, Text(How.PRESENT)),)) for name in "ab")
    found = both(a, b)
    assert found is not None
    assert [named.name for named in found.headers] == ["a", "b"]


def test_a_header_that_is_set_decides_its_condition() -> None:
    match = Match(headers=(Named("X-A", Text(How.EXACT, "1")), Named("b", Text(How.PRESENT))))
    assert known_headers(match, {"x-a": "1"}) == Match(headers=match.headers[1:])
    assert known_headers(match, {"x-a": "2"}) is None


def test_a_header_that_must_not_be_there_is_decided_too() -> None:
    match = Match(headers=(Named("a", Text(How.PRESENT), is_not=True),))
    assert known_headers(match, {"a": "1"}) is None


@pytest.mark.parametrize(
    ("inner", "outer", "rewrite", "expected"),
    [
        pytest.param(Match(), "/a", "/b", Match(), id="all"),
        pytest.param(path(How.PREFIX, "/b"), "/a", "/b/c", Match(), id="already inside"),
        pytest.param(
            path(How.PREFIX, "/b/x"), "/a", "/b", path(How.PREFIX, "/a/x"), id="taken back"
        ),
        pytest.param(path(How.EXACT, "/b/x"), "/a", "/b", path(How.EXACT, "/a/x"), id="exact"),
        pytest.param(path(How.PREFIX, "/c"), "/a", "/b", None, id="never"),
    ],
)
def test_an_inner_path_is_taken_back_before_the_rewrite(
    inner: Match, outer: str, rewrite: str, expected: Match | None
) -> None:
    assert after_rewrite(inner, Text(How.PREFIX, outer), rewrite) == expected


def test_a_pattern_cannot_be_taken_back() -> None:
    with pytest.raises(ValueError, match="x"):
        after_rewrite(path(How.REGEX, "/x.*"), Text(How.PREFIX, "/a"), "/b")


def test_every_path_is_the_default() -> None:
    assert Match().path == EVERY_PATH
    assert Match().is_everything
