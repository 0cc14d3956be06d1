"""What the plans must know about this machine: real addresses, and who the gateway is.

On a cluster a gateway is a workload behind a Service; here it is one Envoy. `listeners` says where
it opens the port that a Gateway names, `loopbacks` which Services lead back into it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

LOCAL_GATEWAY_PORT = 8081


class ListenerAddress(NamedTuple):
    """Where Envoy listens for one port of the Gateways."""

    address: str
    port: int


class ServicePortName(NamedTuple):
    """A Service by its full name, and one of its ports."""

    host: str
    port: int


def _loopbacks() -> dict[ServicePortName, int]:
    return {
        ServicePortName("knative-local-gateway.istio-system.svc.cluster.local", 80): 8081,
        ServicePortName("istio-ingressgateway.istio-system.svc.cluster.local", 80): 80,
        ServicePortName("istio-ingress.istio-ingress.svc.cluster.local", 80): 80,
    }


@dataclass(frozen=True)
class GatewaySettings:
    """The gateway of this machine."""

    listeners: Mapping[int, ListenerAddress]
    """Gateway port (80, 443, 8081) → the address that Envoy binds."""
    workloads: tuple[Mapping[str, str], ...] = (
        {"app": "istio-ingressgateway", "istio": "ingressgateway"},
        {"app": "istio-ingress", "istio": "ingress"},
    )
    """Labels of the gateway's pods as a cluster would have them: a selector must match one set."""
    loopbacks: Mapping[ServicePortName, int] = field(default_factory=_loopbacks)
    """Services that are this gateway itself → the gateway port they lead to."""
    cluster_domain: str = "cluster.local"
    access_log: str = ""
    """File that gets a line for each request, in Istio's format; empty: none is written."""
    connection_buffer_bytes: int = 64 * 1024
    """How much Envoy buffers for one connection before it stops reading."""

    def selects(self, selector: Mapping[str, str]) -> bool:
        """Whether a Gateway's selector names this gateway; an empty one names every gateway."""
        return any(selector.items() <= labels.items() for labels in self.workloads)
