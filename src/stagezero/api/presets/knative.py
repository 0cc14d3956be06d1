"""The objects of a Knative Serving 1.5 installation on Istio: what is there from the first start.

Everything is created once; later edits are the user's. Each config map carries an `_example` block
that says which keys it takes, as Knative's own do. A function of the gateway's ports, which
differ from machine to machine.
"""

from dataclasses import dataclass

from stagezero.api import names_knative as names
from stagezero.api.base import Object, ObjectMeta
from stagezero.api.config import ConfigMap, Namespace
from stagezero.api.config_knative import checksum
from stagezero.api.istio import Gateway, GatewaySpec, Port, Server
from stagezero.api.presets.knative_examples import EXAMPLES
from stagezero.api.service import Service, ServicePort, ServiceSpec

SERVING = "knative-serving"
SYSTEM = "istio-system"
INGRESS = "istio-ingress"
NAMESPACES = (SERVING, SYSTEM, INGRESS)
GATEWAY_LABELS = {"istio": "ingressgateway"}
LOCAL_LISTENER = 8081
"""The port of the cluster-local listener, as Knative's local gateway has it."""

_SHIPPED = {
    "config-domain": {"localhost": ""},
    "config-istio": {
        "gateway.knative-serving.knative-ingress-gateway": names.PUBLIC_GATEWAY_HOST,
        "local-gateway.knative-serving.knative-local-gateway": names.LOCAL_GATEWAY_HOST,
    },
}


@dataclass(frozen=True)
class GatewayPorts:
    """The ports on which the gateway of this machine really answers."""

    http: int = 80
    https: int = 443
    status: int = 15021


def objects(ports: GatewayPorts) -> tuple[Object, ...]:
    """Everything that an installation creates once, in order."""
    return (
        *(Namespace(metadata=ObjectMeta(name=name)) for name in NAMESPACES),
        *config_maps(),
        *gateways(),
        *services(ports),
    )


def config_maps() -> tuple[ConfigMap, ...]:
    """The config maps of knative-serving."""
    return tuple(_config_map(name) for name in sorted(EXAMPLES))


def _config_map(name: str) -> ConfigMap:
    example = EXAMPLES[name]
    return ConfigMap(
        metadata=ObjectMeta(
            name=name,
            namespace=SERVING,
            labels={
                "app.kubernetes.io/name": SERVING,
                "app.kubernetes.io/component": "controller",
                "app.kubernetes.io/version": "1.5.0",
            },
            annotations={names.EXAMPLE_CHECKSUM: checksum(example)},
        ),
        data={**_SHIPPED.get(name, {}), names.EXAMPLE_KEY: example},
    )


def gateways() -> tuple[Gateway, ...]:
    """The gateways that Routes use: from outside, and from inside the cluster.

    Their ports are the usual ones; the mesh knows which real port stands for each.
    """
    return (
        _gateway("knative-ingress-gateway", 80),
        _gateway("knative-local-gateway", LOCAL_LISTENER),
    )


def _gateway(name: str, port: int) -> Gateway:
    return Gateway(
        metadata=ObjectMeta(
            name=name,
            namespace=SERVING,
            labels={"networking.knative.dev/ingress-provider": "istio"},
        ),
        spec=GatewaySpec(
            selector=dict(GATEWAY_LABELS),
            servers=[Server(port=Port(port, "HTTP", "http"), hosts=["*"])],
        ),
    )


def services(ports: GatewayPorts) -> tuple[Service, ...]:
    """The gateway's Services, under each of the names that clients look for."""
    return (
        _balancer("istio-ingressgateway", SYSTEM, ports),
        _balancer("istio-ingress", INGRESS, ports),
        Service(
            metadata=ObjectMeta(
                name="knative-local-gateway",
                namespace=SYSTEM,
                labels={"networking.knative.dev/ingress-provider": "istio"},
            ),
            spec=ServiceSpec(
                type="ClusterIP",
                ports=[_port("http2", 80, LOCAL_LISTENER)],
                selector=dict(GATEWAY_LABELS),
            ),
        ),
    )


def _balancer(name: str, namespace: str, ports: GatewayPorts) -> Service:
    labels = {"app": name, "istio": name.removeprefix("istio-")}
    return Service(
        metadata=ObjectMeta(name=name, namespace=namespace, labels=labels),
        spec=ServiceSpec(
            type="LoadBalancer",
            ports=[
                _port("status-port", ports.status, ports.status),
                _port("http2", ports.http, ports.http),
                _port("https", ports.https, ports.https),
            ],
            selector=labels,
        ),
    )


def _port(name: str, port: int, target: int) -> ServicePort:
    return ServicePort(port, name=name, protocol="TCP", target_port=target)
