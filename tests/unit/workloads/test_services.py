"""Services get addresses, gateways tell theirs."""

from ipaddress import IPv4Address

import pytest
from msgspec.structs import replace

from stagezero.api.core import Service
from stagezero.controllers.workloads.plans.services import (
    RANGE,
    RESERVED,
    ServiceObserved,
    free_address,
    plan_service,
)
from stagezero.runtime.plan import NOTHING
from support.workloads import NOW, deleting, service

BALANCER = service(type="LoadBalancer", cluster_ip="10.96.0.9")


def test_a_service_gets_an_address_of_the_range() -> None:
    (made,) = plan_service(ServiceObserved(service(), frozenset()), NOW).apply
    assert isinstance(made, Service)
    assert IPv4Address(made.spec.cluster_ip) in RANGE
    assert made.spec.cluster_ips == [made.spec.cluster_ip]


def test_the_address_follows_from_the_name() -> None:
    assert free_address("default/a", frozenset()) == free_address("default/a", frozenset())
    assert free_address("default/a", frozenset()) != free_address("default/b", frozenset())


def test_a_taken_address_is_not_given_again() -> None:
    first = free_address("default/a", frozenset())
    second = free_address("default/a", frozenset({first}))
    assert second != first


def test_the_first_addresses_are_reserved() -> None:
    found = {free_address(str(number), frozenset()) for number in range(200)}
    assert all(int(IPv4Address(ip)) - int(RANGE[0]) >= RESERVED for ip in found)


@pytest.mark.parametrize(
    "untouched",
    [
        service(cluster_ip="10.96.0.1"),
        service(cluster_ip="None"),
        service(type="ExternalName"),
    ],
    ids=["has one", "headless", "external name"],
)
def test_others_get_none(untouched: Service) -> None:
    assert not plan_service(ServiceObserved(untouched, frozenset()), NOW).apply


def test_a_gateway_tells_where_it_answers() -> None:
    made = plan_service(ServiceObserved(BALANCER, frozenset(), "127.0.0.1"), NOW)
    assert isinstance(made.status, Service)
    assert made.status.status.load_balancer.ingress[0].ip == "127.0.0.1"


def test_a_balancer_that_nobody_serves_stays_pending() -> None:
    assert plan_service(ServiceObserved(BALANCER, frozenset()), NOW).status is None


def test_a_gateway_of_another_type_tells_nothing() -> None:
    plain = replace(BALANCER, spec=replace(BALANCER.spec, type="ClusterIP"))
    assert plan_service(ServiceObserved(plain, frozenset(), "127.0.0.1"), NOW).status is None


def test_a_service_being_deleted_gets_nothing() -> None:
    assert plan_service(ServiceObserved(deleting(service()), frozenset()), NOW) == NOTHING
