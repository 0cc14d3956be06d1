"""Paths become targets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagezero.apiserver.routing import Target, parse


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", Target("", "v1", "pods")),
        ("/api/v1/pods/", Target("", "v1", "pods")),
        ("/api/v1/nodes/n1", Target("", "v1", "nodes", name="n1")),
        ("/api/v1/namespaces", Target("", "v1", "namespaces")),
        ("/api/v1/namespaces/a", Target("", "v1", "namespaces", name="a")),
        (
            "/api/v1/namespaces/a/finalize",
            Target("", "v1", "namespaces", name="a", subresource="finalize"),
        ),
        ("/api/v1/namespaces/a/pods", Target("", "v1", "pods", "a")),
        ("/api/v1/namespaces/a/pods/p/log", Target("", "v1", "pods", "a", "p", "log")),
        (
            "/api/v1/namespaces/a/services/s/proxy/x/y",
            Target("", "v1", "services", "a", "s", "proxy", "x/y"),
        ),
        ("/apis/apps/v1/deployments", Target("apps", "v1", "deployments")),
        (
            "/apis/g.dev/v1/namespaces/a/things/t/status",
            Target("g.dev", "v1", "things", "a", "t", "status"),
        ),
    ],
)
def test_a_path_names_its_target(path: str, expected: Target) -> None:
    assert parse(path) == expected


@pytest.mark.parametrize(
    "path", ["/", "", "/api", "/api/v1", "/apis", "/apis/g/v1", "/api//pods", "/healthz", "/x/y/z"]
)
def test_other_paths_have_no_target(path: str) -> None:
    assert parse(path) is None


@given(st.text())
def test_no_path_hurts(path: str) -> None:
    assert parse(f"/api/v1/{path}") is None or isinstance(parse(f"/api/v1/{path}"), Target)
