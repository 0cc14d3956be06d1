"""What a Knative installation has from its first start."""

import pytest

from stagezero.api.base import Object
from stagezero.api.core import ConfigMap, Namespace, Service
from stagezero.api.istio import Gateway
from stagezero.api.presets.knative import GatewayPorts, objects

USUAL = GatewayPorts()


def of_kind(kind: type[Object], ports: GatewayPorts = USUAL) -> dict[str, Object]:
    return {
        f"{one.metadata.namespace}/{one.metadata.name}".lstrip("/"): one
        for one in objects(ports)
        if isinstance(one, kind)
    }


def test_the_namespaces_come_first() -> None:
    first = [one.metadata.name for one in objects(USUAL)[:3]]
    assert first == ["knative-serving", "istio-system", "istio-ingress"]
    assert len(of_kind(Namespace)) == 3


def test_the_gateways_are_knatives() -> None:
    found = of_kind(Gateway)
    assert list(found) == [
        "knative-serving/knative-ingress-gateway",
        "knative-serving/knative-local-gateway",
    ]
    ports = [one.spec.servers[0].port.number for one in found.values() if isinstance(one, Gateway)]
    assert ports == [80, 8081]


@pytest.mark.parametrize(
    "key", ["istio-system/istio-ingressgateway", "istio-ingress/istio-ingress"]
)
@pytest.mark.parametrize(("http", "https"), [(80, 443), (8080, 8443)])
def test_the_load_balancers_say_the_real_ports(key: str, http: int, https: int) -> None:
    service = of_kind(Service, GatewayPorts(http, https))[key]
    assert isinstance(service, Service)
    assert service.spec.type == "LoadBalancer"
    ports = {port.name: port.port for port in service.spec.ports}
    assert ports == {"status-port": 15021, "http2": http, "https": https}


def test_the_local_gateway_has_its_service() -> None:
    service = of_kind(Service)["istio-system/knative-local-gateway"]
    assert isinstance(service, Service)
    assert [(port.port, port.target_port) for port in service.spec.ports] == [(80, 8081)]


@pytest.mark.parametrize(
    "name",
    [
        "config-autoscaler",
        "config-defaults",
        "config-deployment",
        "config-domain",
        "config-features",
        "config-gc",
        "config-istio",
        "config-leader-election",
        "config-logging",
        "config-network",
        "config-observability",
        "config-tracing",
    ],
)
def test_every_config_map_explains_itself(name: str) -> None:
    found = of_kind(ConfigMap)[f"knative-serving/{name}"]
    assert isinstance(found, ConfigMap)
    assert "EXAMPLE CONFIGURATION" in found.data["_example"]


def test_the_shipped_domain_works_in_browsers() -> None:
    found = of_kind(ConfigMap)["knative-serving/config-domain"]
    assert isinstance(found, ConfigMap)
    assert found.data["localhost"] == ""
