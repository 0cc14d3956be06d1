"""Gateways, VirtualServices and Services as Knative, KServe and users write them."""

from collections.abc import Sequence
from typing import Any

from stagezero.api.base import Raw, from_raw
from stagezero.api.core import Endpoints, Service
from stagezero.api.istio import Gateway, VirtualService
from stagezero.mesh.plans.settings import GatewaySettings, ListenerAddress

INGRESS = "knative-serving/knative-ingress-gateway"
LOCAL = "knative-serving/knative-local-gateway"
LOOPBACK = "knative-local-gateway.istio-system.svc.cluster.local"
SETTINGS = GatewaySettings(
    {
        80: ListenerAddress("127.0.0.1", 8080),
        443: ListenerAddress("127.0.0.1", 8443),
        8081: ListenerAddress("127.0.0.1", 8081),
    }
)


def meta(name: str, generation: int = 1, created: int = 0) -> Raw:
    """Metadata; `ns/name` for another namespace than default, `created` orders by age."""
    namespace, _, name = name.rpartition("/")
    namespace = namespace or "default"
    return {
        "name": name,
        "namespace": namespace,
        "uid": f"{namespace}-{name}",
        "generation": generation,
        "creationTimestamp": f"2026-01-01T00:{created // 60:02}:{created % 60:02}Z",
    }


def gateway(
    name: str = INGRESS,
    port: int = 80,
    hosts: Sequence[str] = ("*",),
    protocol: str = "HTTP",
    *,
    created: int = 0,
    generation: int = 1,
    selector: Raw | None = None,
    tls: Raw | None = None,
) -> Gateway:
    """A Gateway with one server."""
    server: Raw = {
        "port": {"number": port, "name": f"p{port}", "protocol": protocol},
        "hosts": list(hosts),
    }
    if tls is not None:
        server["tls"] = tls
    spec = {
        "selector": {"istio": "ingressgateway"} if selector is None else selector,
        "servers": [server],
    }
    return from_raw(Gateway, {"metadata": meta(name, generation, created), "spec": spec})


GATEWAYS = (gateway(), gateway(LOCAL, 8081))


def to(host: str, port: int = 80, weight: int = 0, **more: Any) -> Raw:
    """A destination in a route."""
    destination: Raw = {"host": host}
    if port:
        destination["port"] = {"number": port}
    return {"destination": destination, **({"weight": weight} if weight else {}), **more}


def virtual_service(
    name: str,
    hosts: Sequence[str],
    *routes: Raw,
    gateways: Sequence[str] = (INGRESS,),
    generation: int = 1,
    created: int = 0,
) -> VirtualService:
    """A VirtualService; a route may be given as a destination's name alone by `to`."""
    spec = {"hosts": list(hosts), "gateways": list(gateways), "http": list(routes)}
    return from_raw(VirtualService, {"metadata": meta(name, generation, created), "spec": spec})


def knative_route(name: str, domain: str = "localhost", revision: str = "") -> VirtualService:
    """What net-istio writes for a route `name` in default, without its probes."""
    revision = revision or f"{name}-00001"
    hosts = [
        f"{name}.default", f"{name}.default.{domain}", f"{name}.default.svc",
        f"{name}.default.svc.cluster.local",
    ]  # fmt: skip
    headers = {"request": {"set": {"Knative-Serving-Revision": revision}}}
    destination = to(f"{revision}.default.svc.cluster.local", 80, 100, headers=headers)
    common: Raw = {"retries": {}, "route": [destination]}
    return virtual_service(
        f"{name}-ingress",
        hosts,
        {"match": [{"gateways": [LOCAL], "authority": {"prefix": f"{name}.default"}}], **common},
        {
            "match": [{"gateways": [INGRESS], "authority": {"prefix": f"{name}.default.{domain}"}}],
            **common,
        },
        gateways=(INGRESS, LOCAL),
    )


def kserve_route(name: str, domain: str = "localhost") -> VirtualService:
    """What KServe 0.8 writes for an InferenceService `name` in default."""
    set_host = {"request": {"set": {"Host": f"{name}-predictor-default.default.svc.cluster.local"}}}
    inside = rf"^{name}\.default(\.svc(\.cluster\.local)?)?(?::\d{{1,5}})?$"
    outside = rf"^{name}\.default\.{domain}(?::\d{{1,5}})?$"
    return virtual_service(
        name,
        [f"{name}.default.svc.cluster.local", f"{name}.default.{domain}"],
        {
            "match": [
                {"authority": {"regex": inside}, "gateways": [LOCAL]},
                {"authority": {"regex": outside}, "gateways": [INGRESS]},
            ],
            "route": [to(LOOPBACK, 80, 100, headers=set_host)],
        },
        gateways=(INGRESS, LOCAL),
    )


def service(name: str, *ports: tuple[int, str], external: str = "", **more: Any) -> Service:
    """A Service; one port 80 named http if none is given."""
    spec: Raw = {
        "ports": [{"port": number, "name": label} for number, label in ports or ((80, "http"),)],
        **more,
    }
    if external:
        spec |= {"type": "ExternalName", "externalName": external}
    return from_raw(Service, {"metadata": meta(name), "spec": spec})


def endpoints(name: str, *addresses: tuple[str, int], port_name: str = "http") -> Endpoints:
    """The Endpoints of a Service, each address with its port."""
    subsets = [
        {"addresses": [{"ip": ip}], "ports": [{"name": port_name, "port": port}]}
        for ip, port in addresses
    ]
    return from_raw(Endpoints, {"metadata": meta(name), "subsets": subsets})
