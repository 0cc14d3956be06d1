"""KIngress to VirtualServices, as net-istio writes them (golden: helloworld-go)."""

from typing import Any

import pytest
from msgspec.structs import replace

from stagezero.api import names_knative as names
from stagezero.api.base import part_to_raw
from stagezero.api.istio import VirtualService
from stagezero.api.networking_knative import (
    HeaderMatch,
    HTTPIngressPath,
    HTTPIngressRuleValue,
    Ingress,
    IngressBackendSplit,
    IngressRule,
    IngressSpec,
)
from stagezero.controllers.istio.plans.gateways import Gateways, parse
from stagezero.controllers.istio.plans.virtual_service import make_virtual_services
from support.knative_objects import meta

NAME = "helloworld-go"
DOMAIN = f"{NAME}.default.203.0.113.5.sslip.io"
LOCAL_HOSTS = [f"{NAME}.default", f"{NAME}.default.svc", f"{NAME}.default.svc.cluster.local"]
PUBLIC = "knative-serving/knative-ingress-gateway"
LOCAL = "knative-serving/knative-local-gateway"


def split(revision: str = f"{NAME}-00001", percent: int = 100, port: int = 80) -> Any:
    return IngressBackendSplit(
        service_namespace="default",
        service_name=revision,
        service_port=port,
        percent=percent,
        append_headers={"Knative-Serving-Revision": revision},
    )


def ingress(*splits: Any, is_public: bool = True, **path: Any) -> Ingress:
    value = HTTPIngressRuleValue([HTTPIngressPath(splits=list(splits) or [split()], **path)])
    rules = [IngressRule(LOCAL_HOSTS, "ClusterLocal", value)]
    if is_public:
        rules.append(IngressRule([DOMAIN], "ExternalIP", value))
    return Ingress(
        metadata=meta(
            NAME,
            labels={names.ROUTE: NAME, names.ROUTE_NAMESPACE: "default", names.SERVICE: NAME},
            annotations={"networking.knative.dev/ingress.class": names.INGRESS_CLASS_ISTIO},
        ),
        spec=IngressSpec(rules=rules),
    )


def made(of: Ingress) -> dict[str, VirtualService]:
    return {one.metadata.name: one for one in make_virtual_services(of, Gateways())}


def test_the_virtual_service_of_the_gateways_is_net_istios() -> None:
    found = made(ingress())[f"{NAME}-ingress"]
    destination = {
        "destination": {
            "host": f"{NAME}-00001.default.svc.cluster.local",
            "port": {"number": 80},
        },
        "weight": 100,
        "headers": {"request": {"set": {"Knative-Serving-Revision": f"{NAME}-00001"}}},
    }
    assert part_to_raw(found.spec) == {
        "gateways": [PUBLIC, LOCAL],
        "hosts": [LOCAL_HOSTS[0], DOMAIN, LOCAL_HOSTS[1], LOCAL_HOSTS[2]],
        "http": [
            {
                "match": [{"gateways": [LOCAL], "authority": {"prefix": f"{NAME}.default"}}],
                "retries": {},
                "route": [destination],
            },
            {
                "match": [{"gateways": [PUBLIC], "authority": {"prefix": DOMAIN}}],
                "retries": {},
                "route": [destination],
            },
        ],
    }


def test_the_virtual_service_of_the_mesh_has_hosts_inside_only() -> None:
    spec = made(ingress())[f"{NAME}-mesh"].spec
    assert (spec.gateways, spec.hosts) == (["mesh"], LOCAL_HOSTS)
    assert [match.gateways for route in spec.http for match in route.match] == [["mesh"]]


def test_an_ingress_without_hosts_inside_has_no_mesh_part() -> None:
    of = ingress()
    outside = replace(of, spec=IngressSpec(rules=of.spec.rules[1:]))
    assert list(made(outside)) == [f"{NAME}-ingress"]


def test_a_cluster_local_ingress_uses_the_local_gateway_only() -> None:
    spec = made(ingress(is_public=False))[f"{NAME}-ingress"].spec
    assert spec.gateways == [LOCAL]


def test_labels_say_whose_it_is() -> None:
    found = made(ingress())[f"{NAME}-ingress"]
    assert found.metadata.labels == {names.SERVICE: NAME, names.INGRESS_LABEL: NAME}
    assert found.metadata.owner_references[0].kind == "Ingress"
    assert "networking.knative.dev/ingress.class" in found.metadata.annotations


def test_weights_and_ports_are_the_splits() -> None:
    both = ingress(split(percent=90), split("b", 10, port=81))
    route = made(both)[f"{NAME}-ingress"].spec.http[0].route
    assert [(one.weight, one.destination.port) for one in route] == [
        (90, route[0].destination.port),
        (10, route[1].destination.port),
    ]
    ports = [one.destination.port.number for one in route if one.destination.port]
    assert ports == [80, 81]


def test_path_headers_and_rewrite_are_carried() -> None:
    of = ingress(
        path="/api",
        headers={"tag": HeaderMatch("blue")},
        rewrite_host="other.svc",
        append_headers={"K-Original-Host": "x"},
    )
    raw = part_to_raw(made(of)[f"{NAME}-ingress"].spec.http[1])
    assert raw["match"][0] == {
        "gateways": [PUBLIC],
        "authority": {"prefix": DOMAIN},
        "uri": {"prefix": "/api"},
        "headers": {"tag": {"exact": "blue"}},
    }
    assert raw["rewrite"] == {"authority": "other.svc"}
    assert raw["headers"] == {"request": {"set": {"K-Original-Host": "x"}}}


def test_retries_are_switched_off() -> None:
    for found in made(ingress()).values():
        assert all(part_to_raw(route)["retries"] == {} for route in found.spec.http)


@pytest.mark.parametrize(
    ("data", "gateways"),
    [
        ({}, Gateways()),
        ({"_example": "gateway.a.b: x"}, Gateways()),
        (
            {"gateway.custom.mine": "mine.custom.svc.cluster.local"},
            Gateways(public=("custom/mine",), public_host="mine.custom.svc.cluster.local"),
        ),
        (
            {"local-gateway.custom.mine": "mine.custom.svc.cluster.local"},
            Gateways(local=("custom/mine",), local_host="mine.custom.svc.cluster.local"),
        ),
        (
            {"gateway.a.two": "x", "gateway.a.one": "y"},
            Gateways(public=("a/one", "a/two"), public_host="y"),
        ),
    ],
    ids=["nothing", "example", "public", "local", "two"],
)
def test_config_istio_names_the_gateways(data: dict[str, str], gateways: Gateways) -> None:
    assert parse(data) == gateways
