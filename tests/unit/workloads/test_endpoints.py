"""Endpoints name the addresses where a Service's pods answer."""

import pytest
from msgspec.structs import replace

from stagezero.api.base import to_raw
from stagezero.api.core import EndpointPort, Endpoints, EndpointSubset, Pod, Service, ServicePort
from stagezero.controllers.workloads.plans.endpoints import (
    PORTS_ANNOTATION,
    EndpointsObserved,
    plan_endpoints,
    target_port,
)
from stagezero.runtime.plan import NOTHING
from support.workloads import NOW, deleting, pod, service, serving_pod


def endpoints(thing: Service, *pods: Pod) -> Endpoints:
    (made,) = plan_endpoints(EndpointsObserved(thing, pods), NOW).apply
    assert isinstance(made, Endpoints)
    return made


def subsets(thing: Service, *pods: Pod) -> list[EndpointSubset]:
    return endpoints(thing, *pods).subsets


def ips(subset: EndpointSubset) -> tuple[list[str], list[str]]:
    return (
        [address.ip for address in subset.addresses],
        [address.ip for address in subset.not_ready_addresses],
    )


def test_ready_pods_are_addresses() -> None:
    (subset,) = subsets(service(), serving_pod("a", "10.0.0.1"))
    assert ips(subset) == (["10.0.0.1"], [])
    assert subset.ports == [EndpointPort(8080, "http", "TCP")]


def test_other_pods_are_told_apart() -> None:
    found = serving_pod("a", "10.0.0.1"), serving_pod("b", "10.0.0.2", ready=False)
    (subset,) = subsets(service(), *found)
    assert ips(subset) == (["10.0.0.1"], ["10.0.0.2"])


def test_an_address_refers_to_its_pod() -> None:
    (subset,) = subsets(service(), serving_pod("a", "10.0.0.1"))
    (address,) = subset.addresses
    assert address.target_ref is not None
    assert (address.target_ref.kind, address.target_ref.uid) == ("Pod", "uid-a")
    assert address.node_name == "n"


@pytest.mark.parametrize(
    "left_out",
    [
        pytest.param(serving_pod("a", ""), id="without address"),
        pytest.param(deleting(serving_pod("a", "10.0.0.1")), id="being deleted"),
        pytest.param(serving_pod("a", "10.0.0.1", phase="Failed"), id="failed"),
        pytest.param(serving_pod("a", "10.0.0.1", phase="Succeeded"), id="succeeded"),
    ],
)
def test_pods_that_cannot_answer_are_left_out(left_out: Pod) -> None:
    assert subsets(service(), left_out) == []


def test_no_address_is_written_too() -> None:
    assert to_raw(endpoints(service()))["subsets"] == []


def test_unready_pods_may_be_wanted() -> None:
    found = serving_pod("a", "10.0.0.1", ready=False)
    (subset,) = subsets(service(publish_not_ready_addresses=True), found)
    assert ips(subset) == (["10.0.0.1"], [])


@pytest.mark.parametrize(
    ("port", "number"),
    [
        (ServicePort(80, target_port=9000), 9000),
        (ServicePort(80), 80),
        (ServicePort(80, target_port=0), 80),
        (ServicePort(80, target_port="http"), 8080),
        (ServicePort(80, target_port="8081"), 8081),
        (ServicePort(80, target_port="other"), None),
        (ServicePort(80, protocol="UDP", target_port="http"), None),
    ],
    ids=["number", "same", "zero", "name", "digits", "unknown name", "other protocol"],
)
def test_target_ports_resolve(port: ServicePort, number: int | None) -> None:
    assert target_port(port, serving_pod("a", "10.0.0.1")) == number


def test_a_pod_without_the_named_port_is_left_out() -> None:
    named = service(None, ServicePort(80, target_port="http"))
    without = pod("a", True, status={"pod_ip": "10.0.0.1"})
    assert subsets(named, without) == []


def test_mapped_ports_are_those_of_the_machine() -> None:
    mapped = serving_pod("a", "127.0.0.1", annotations={PORTS_ANNOTATION: '{"8080": 41234}'})
    (subset,) = subsets(service(), mapped)
    assert subset.ports[0].port == 41234


def test_a_broken_mapping_maps_nothing() -> None:
    broken = serving_pod("a", "127.0.0.1", annotations={PORTS_ANNOTATION: "{"})
    (subset,) = subsets(service(), broken)
    assert subset.ports[0].port == 8080


def test_pods_with_other_ports_make_another_subset() -> None:
    pods = [
        serving_pod(name, "127.0.0.1", annotations={PORTS_ANNOTATION: f'{{"8080": {port}}}'})
        for name, port in (("a", 41002), ("b", 41001))
    ]
    assert [subset.ports[0].port for subset in subsets(service(), *pods)] == [41001, 41002]


def test_the_order_of_pods_does_not_matter() -> None:
    pods = [serving_pod(name, f"10.0.0.{n}") for n, name in enumerate("abc")]
    assert subsets(service(), *pods) == subsets(service(), *reversed(pods))


def test_a_service_without_ports_lists_addresses() -> None:
    bare = replace(service(cluster_ip="None"), spec=replace(service().spec, ports=[]))
    (subset,) = subsets(bare, serving_pod("a", "10.0.0.1"))
    assert ips(subset) == (["10.0.0.1"], []) and subset.ports == []


def test_headless_services_are_labelled() -> None:
    made = endpoints(service(cluster_ip="None"))
    assert made.metadata.labels["service.kubernetes.io/headless"] == ""


def test_endpoints_go_with_their_service() -> None:
    (ref,) = endpoints(service()).metadata.owner_references
    assert (ref.kind, ref.uid, ref.controller) == ("Service", "uid-web", None)


@pytest.mark.parametrize(
    "untouched",
    [service({}), service(type="ExternalName"), deleting(service())],
    ids=["no selector", "external name", "being deleted"],
)
def test_other_services_are_left_alone(untouched: Service) -> None:
    assert plan_endpoints(EndpointsObserved(untouched, ()), NOW) == NOTHING
