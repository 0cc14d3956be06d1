"""Services and Endpoints as clusters and their addresses."""

import pytest

from stagezero.api.base import from_raw
from stagezero.api.core import Endpoints, Service
from stagezero.mesh.plans.backends import Cluster, backend_of, cluster_name, load_of
from stagezero.mesh.plans.values import Endpoint
from support.mesh import endpoints, service

HOST = "a.default.svc.cluster.local"


def cluster(port: int = 80, name: str = "http") -> Cluster:
    return Cluster(cluster_name(HOST, port), HOST, port, name, is_http2=False)


def test_a_cluster_is_named_as_istiod_names_it() -> None:
    assert cluster_name(HOST, 80) == "outbound|80||a.default.svc.cluster.local"


@pytest.mark.parametrize(
    ("name", "is_http2"),
    [("http", False), ("http2", True), ("h2c", True), ("grpc-web", True), ("", False)],
)
def test_the_name_of_a_port_says_its_protocol(name: str, is_http2: bool) -> None:
    assert backend_of(service("a", (80, name))).ports[0].is_http2 is is_http2


@pytest.mark.parametrize(
    ("protocol", "is_http2"), [("h2c", True), ("kubernetes.io/h2c", True), ("http", False)]
)
def test_app_protocol_wins_over_the_name(protocol: str, is_http2: bool) -> None:
    raw = {
        "metadata": {"name": "a", "namespace": "b"},
        "spec": {"ports": [{"port": 80, "name": "grpc", "appProtocol": protocol}]},
    }
    assert backend_of(from_raw(Service, raw)).ports[0].is_http2 is is_http2


def test_udp_ports_are_no_backends() -> None:
    raw = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 53, "protocol": "UDP"}]}}
    assert backend_of(from_raw(Service, raw)).ports == ()


def test_the_only_port_need_not_be_named() -> None:
    found = backend_of(service("a", (81, "x")))
    assert found.port(0) == found.ports[0]
    assert backend_of(service("a", (1, "x"), (2, "y"))).port(0) is None


def test_an_external_name_is_kept() -> None:
    assert backend_of(service("a", external="x.y")).external_name == "x.y"


def test_addresses_are_sorted_and_each_is_there_once() -> None:
    found = endpoints("a", ("10.0.0.2", 8080), ("10.0.0.1", 8080), ("10.0.0.2", 8080))
    assert load_of(cluster(), found).endpoints == (
        Endpoint("10.0.0.1", 8080),
        Endpoint("10.0.0.2", 8080),
    )


def test_addresses_that_are_not_ready_are_left_out() -> None:
    raw = {
        "metadata": {"name": "a"},
        "subsets": [{"notReadyAddresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 1}]}],
    }
    assert load_of(cluster(), from_raw(Endpoints, raw)).endpoints == ()


def test_the_port_is_found_by_its_name() -> None:
    raw = {
        "metadata": {"name": "a"},
        "subsets": [
            {
                "addresses": [{"ip": "1.2.3.4"}],
                "ports": [{"name": "http", "port": 1}, {"name": "metrics", "port": 2}],
            }
        ],
    }
    found = load_of(cluster(9090, "metrics"), from_raw(Endpoints, raw))
    assert found.endpoints == (Endpoint("1.2.3.4", 2),)


def test_no_endpoints_is_an_empty_load() -> None:
    assert load_of(cluster(), None).endpoints == ()
