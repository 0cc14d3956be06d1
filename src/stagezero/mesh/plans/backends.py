"""Services and Endpoints as the gateway sees them: clusters, their protocol, their addresses."""

from dataclasses import dataclass
from typing import NamedTuple

from stagezero.api.core import Endpoints, Service
from stagezero.api.core import ServicePort as ApiServicePort
from stagezero.mesh.plans.values import Endpoint

HTTP2_NAMES = ("http2", "h2c", "grpc")
HTTP2_PROTOCOLS = frozenset({"http2", "h2c", "grpc", "kubernetes.io/h2c"})


class BackendPort(NamedTuple):
    """A port of a Service; Endpoints carry it under the same name."""

    number: int
    name: str
    is_http2: bool


@dataclass(frozen=True)
class Backend:
    """A Service: its full name, its TCP ports, or the name elsewhere that it stands for."""

    host: str
    ports: tuple[BackendPort, ...]
    external_name: str = ""

    def port(self, number: int) -> BackendPort | None:
        """The port of that number; 0 asks for the only one."""
        if number == 0:
            return self.ports[0] if len(self.ports) == 1 else None
        return next((port for port in self.ports if port.number == number), None)


@dataclass(frozen=True)
class Cluster:
    """What Envoy shall know of one port of a Service."""

    name: str
    host: str
    port: int
    port_name: str
    is_http2: bool
    dns_name: str = ""
    """Set for a Service of type ExternalName: Envoy resolves it, no Endpoints are needed."""


@dataclass(frozen=True)
class Load:
    """The addresses behind one cluster."""

    cluster: str
    endpoints: tuple[Endpoint, ...]


def host_of(service: str, namespace: str, domain: str = "cluster.local") -> str:
    """The full name of a Service."""
    return f"{service}.{namespace}.svc.{domain}"


def cluster_name(host: str, port: int, subset: str = "") -> str:
    """The name of a cluster as istiod gives it."""
    return f"outbound|{port}|{subset}|{host}"


def backend_of(service: Service, domain: str = "cluster.local") -> Backend:
    """Read a Service."""
    spec = service.spec
    host = host_of(service.metadata.name, service.metadata.namespace, domain)
    ports = tuple(
        BackendPort(port.port, port.name, _is_http2(port))
        for port in spec.ports
        if port.protocol in ("", "TCP")
    )
    return Backend(host, ports, spec.external_name if spec.type == "ExternalName" else "")


def _is_http2(port: ApiServicePort) -> bool:
    if port.app_protocol:
        return port.app_protocol.lower() in HTTP2_PROTOCOLS
    return port.name.partition("-")[0].lower() in HTTP2_NAMES


def load_of(cluster: Cluster, endpoints: Endpoints | None) -> Load:
    """The ready addresses of a cluster's port, sorted, each once."""
    found: set[Endpoint] = set()
    for subset in endpoints.subsets if endpoints is not None else []:
        for port in subset.ports:
            is_ours = port.name == cluster.port_name or len(subset.ports) == 1
            if is_ours and port.protocol in ("", "TCP"):
                found.update(Endpoint(address.ip, port.port) for address in subset.addresses)
    return Load(cluster.name, tuple(sorted(found)))
