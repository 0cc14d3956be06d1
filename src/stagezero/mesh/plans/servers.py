"""Gateways → which hosts are let in on which port; what cannot be served is said of each Gateway.

All Gateways that select this gateway share its ports, as istiod merges them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stagezero.api.base import Key
from stagezero.api.istio import Gateway, Server
from stagezero.mesh.plans.hosts import intersection
from stagezero.mesh.plans.settings import GatewaySettings
from stagezero.mesh.plans.values import Problem, Reason

PLAIN = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"})


class Entrance(NamedTuple):
    """Hosts that a Gateway lets in on a port."""

    gateway: str
    port: int
    hosts: tuple[tuple[str, str], ...]
    """Pairs: namespace that may bind (`*`: any), host."""
    is_https_only: bool


@dataclass(frozen=True)
class Entrances:
    """All entrances, and what is wrong with each Gateway (none: nothing)."""

    open: tuple[Entrance, ...]
    problems: Mapping[Key, tuple[Problem, ...]]
    selected: frozenset[str]
    """Gateways that are this gateway's, as `namespace/name`."""

    def of(self, gateway: str) -> Iterable[Entrance]:
        """The entrances of one Gateway."""
        return (entrance for entrance in self.open if entrance.gateway == gateway)

    @property
    def ports(self) -> tuple[int, ...]:
        """The gateway ports that are open."""
        return tuple(sorted({entrance.port for entrance in self.open}))


def entrances_of(gateways: Sequence[Gateway], settings: GatewaySettings) -> Entrances:
    """Merge the Gateways; the older one wins where two cannot both be served."""
    opened: list[Entrance] = []
    problems: dict[Key, tuple[Problem, ...]] = {}
    selected: set[str] = set()
    for gateway in sorted(gateways, key=_age):
        if not settings.selects(gateway.spec.selector):
            problems[gateway.key] = (_not_selected(gateway),)
            continue
        selected.add(str(gateway.key))
        found: list[Problem] = []
        for number, server in enumerate(gateway.spec.servers):
            wrong = _refusal(server, settings, opened)
            if wrong is None:
                opened.append(_entrance(gateway, server))
            else:
                found.append(Problem(wrong.reason, f"spec.servers[{number}]: {wrong.message}"))
        problems[gateway.key] = tuple(found)
    return Entrances(tuple(opened), problems, frozenset(selected))


def _age(gateway: Gateway) -> tuple[str, Key]:
    return gateway.metadata.creation_timestamp or "", gateway.key


def _not_selected(gateway: Gateway) -> Problem:
    labels = ", ".join(f"{name}: {value}" for name, value in gateway.spec.selector.items())
    return Problem(
        Reason.NOT_SERVED,
        f"spec.selector ({labels}) names no gateway of this machine: it has "
        "istio: ingressgateway and istio: ingress",
    )


def _refusal(
    server: Server, settings: GatewaySettings, opened: Sequence[Entrance]
) -> Problem | None:
    port, protocol = server.port.number, server.port.protocol.upper()
    if port not in settings.listeners:
        known = ", ".join(str(number) for number in sorted(settings.listeners))
        return Problem(
            Reason.NOT_SERVED, f"port {port} is not one of this gateway's ports ({known})"
        )
    if protocol not in PLAIN:
        return Problem(
            Reason.NOT_SERVED,
            f"protocol {server.port.protocol} on port {port} is not served yet: only plain HTTP is",
        )
    own = settings.listeners[port]
    for entrance in opened:
        if entrance.port != port and settings.listeners[entrance.port] == own:
            return Problem(
                Reason.CONFLICT,
                f"port {port} has the same address as port {entrance.port} "
                f"of Gateway {entrance.gateway}",
            )
    return None


def _entrance(gateway: Gateway, server: Server) -> Entrance:
    hosts = tuple(_host(entry, gateway.metadata.namespace) for entry in server.hosts)
    redirects = server.tls is not None and server.tls.https_redirect
    return Entrance(str(gateway.key), server.port.number, hosts, redirects)


def _host(entry: str, namespace: str) -> tuple[str, str]:
    space, slash, host = entry.rpartition("/")
    if not slash:
        return "*", host
    return (namespace if space == "." else space), host


def admitted(entrance: Entrance, namespace: str, hosts: Iterable[str]) -> list[str]:
    """The hosts that a VirtualService of `namespace` may bind at an entrance."""
    found: dict[str, None] = {}
    for host in hosts:
        for space, pattern in entrance.hosts:
            if space in ("*", namespace):
                both = intersection(pattern, host)
                if both:
                    found[both] = None
    return list(found)
