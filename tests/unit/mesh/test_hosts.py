"""Host names: what covers what, and the domains Envoy is told."""

import pytest

from stagezero.mesh.plans import hosts


@pytest.mark.parametrize(
    ("pattern", "host", "is_covered"),
    [
        ("*", "a.b", True),
        ("a.b", "a.b", True),
        ("*.b", "a.b", True),
        ("*.b", "x.a.b", True),
        ("*.b", "b", False),
        ("*.b", "*.a.b", True),
        ("*.a.b", "*.b", False),
        ("a.b", "*.b", False),
        ("*.b", "ab", False),
    ],
)
def test_a_pattern_covers_names(pattern: str, host: str, is_covered: bool) -> None:
    assert hosts.covers(pattern, host) is is_covered


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("*", "a.b", "a.b"),
        ("*.b", "a.b", "a.b"),
        ("a.b", "*.b", "a.b"),
        ("*.b", "*.a.b", "*.a.b"),
        ("a.b", "c.d", ""),
        ("*.b", "*.c", ""),
    ],
)
def test_the_narrower_of_two_patterns_remains(one: str, other: str, both: str) -> None:
    assert hosts.intersection(one, other) == both


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("*", ("*",)),
        ("a.b", ("a.b", "a.b:*")),
        ("*.b", ("*.b", "*.b:80", "*.b:8080")),
    ],
)
def test_domains_take_a_port(host: str, expected: tuple[str, ...]) -> None:
    assert hosts.domains(host, (80, 8080)) == expected


def test_domains_of_a_wildcard_name_a_port_once() -> None:
    assert hosts.domains("*.b", (80, 80)) == ("*.b", "*.b:80")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("a.b.c", "a.b.c"), ("x.b.c", "*.b.c"), ("x.y.c", "*.c"), ("z", "*")],
)
def test_the_most_specific_host_wins(wanted: str, expected: str) -> None:
    assert hosts.best_match(("*", "*.c", "*.b.c", "a.b.c"), wanted) == expected


def test_no_host_may_cover_a_name() -> None:
    assert hosts.best_match(("a", "*.b"), "c") is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [("a", "a.ns.svc.cluster.local"), ("a.b", "a.b"), ("*", "*")],
)
def test_only_names_without_a_dot_are_completed(host: str, expected: str) -> None:
    assert hosts.full_name(host, "ns") == expected


def test_a_destination_may_be_named_in_three_ways() -> None:
    assert hosts.service_names("a.ns") == ("a.ns", "a.ns.svc.cluster.local")
    assert hosts.service_names("a.ns.svc") == ("a.ns.svc", "a.ns.svc.cluster.local")
    assert hosts.service_names("a.ns.svc.cluster.local") == ("a.ns.svc.cluster.local",)


@pytest.mark.parametrize(("authority", "host"), [("A.b:80", "a.b"), ("a.b", "a.b"), ("a:b", "a:b")])
def test_an_authority_loses_its_port(authority: str, host: str) -> None:
    assert hosts.without_port(authority) == host
