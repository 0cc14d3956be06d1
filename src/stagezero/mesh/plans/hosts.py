"""Host names: full names of services, wildcards, and what Envoy must accept for each."""

from collections.abc import Iterable, Sequence

ANY = "*"


def full_name(host: str, namespace: str, domain: str = "cluster.local") -> str:
    """Complete a service's short name as Istio does: a name without a dot is of `namespace`."""
    if host == ANY or "." in host:
        return host
    return f"{host}.{namespace}.svc.{domain}"


def service_names(host: str, domain: str = "cluster.local") -> tuple[str, ...]:
    """The names that a destination may mean: as it is; `name.ns` and `name.ns.svc` completed."""
    labels = host.split(".")
    if len(labels) == 2:
        return (host, f"{host}.svc.{domain}")
    if len(labels) == 3 and labels[2] == "svc":
        return (host, f"{host}.{domain}")
    return (host,)


def covers(pattern: str, host: str) -> bool:
    """Whether every name that `host` stands for is one of `pattern`'s."""
    if pattern in (ANY, host):
        return True
    return pattern.startswith("*.") and host.endswith(pattern[1:]) and host != pattern[2:]


def intersection(one: str, other: str) -> str:
    """The narrower of two patterns if one covers the other, else empty."""
    if covers(one, other):
        return other
    return one if covers(other, one) else ""


def without_port(authority: str) -> str:
    """The host of an authority, in lower case."""
    host, colon, port = authority.rpartition(":")
    return (host if colon and port.isdigit() else authority).lower()


def domains(host: str, ports: Sequence[int]) -> tuple[str, ...]:
    """The domains of the virtual host for `host`: with any port, or these for a wildcard."""
    if host == ANY:
        return (ANY,)
    if host.startswith("*"):
        return (host, *(f"{host}:{port}" for port in dict.fromkeys(ports)))
    return (host, f"{host}:*")


def best_match(hosts: Iterable[str], wanted: str) -> str | None:
    """The most specific of `hosts` that covers `wanted`, as Envoy chooses its virtual host."""
    return max((host for host in hosts if covers(host, wanted)), key=_rank, default=None)


def _rank(host: str) -> tuple[bool, int]:
    return (not host.startswith("*"), len(host))
