"""What istiod's webhook refuses of Gateways and VirtualServices, in its words.

The checks read raw JSON, since the schema has already seen the types; each yields one line, and the
denial lists them as istiod does.
"""

import re
import warnings
from collections.abc import Iterator
from typing import Any

from stagezero.api import errors
from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.go_values import parse_duration

WEBHOOK = "validation.istio.io"
PLAIN_PROTOCOLS = frozenset({"HTTP", "HTTP2", "GRPC", "GRPC-WEB"})
TLS_PROTOCOLS = frozenset({"HTTPS", "TLS"})
OTHER_PROTOCOLS = frozenset({"TCP", "MONGO", "REDIS", "MYSQL", "UDP"})
RETRY_POLICIES = frozenset({
    "5xx", "gateway-error", "reset", "connect-failure", "retriable-4xx", "refused-stream",
    "retriable-status-codes", "retriable-headers", "envoy-ratelimited",
    "http3-post-connect-failure", "reset-before-request", "cancelled",
    "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
})  # fmt: skip
_RE2_HINT = "Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)"
# What no RE2 accepts; other disagreements with Python's `re` are left to Envoy's own answer.
_NOT_RE2 = re.compile(r"\(\?<?[=!]|\(\?P=|\\[1-9]")
_BROKEN = ("unterminated", "unbalanced", "nothing to repeat", "missing", "multiple repeat")
_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(\*|(\*\.)?{_LABEL}(\.{_LABEL})*)\.?")


def validate_gateway(raw: Raw, request: AdmissionRequest) -> None:
    """Raise `errors.Denied` if istiod would refuse the Gateway."""
    if request.operation != "DELETE":
        _deny(list(_gateway(raw.get("spec") or {})))


def validate_virtual_service(raw: Raw, request: AdmissionRequest) -> None:
    """Raise `errors.Denied` if istiod would refuse the VirtualService."""
    if request.operation != "DELETE":
        _deny(list(_virtual_service(raw.get("spec") or {})))


GATEWAY = Admission(validate=validate_gateway)
VIRTUAL_SERVICE = Admission(validate=validate_virtual_service)


def _deny(mistakes: list[str]) -> None:
    if not mistakes:
        return
    text = mistakes[0]
    if len(mistakes) > 1:
        lines = "\n\t".join(f"* {mistake}" for mistake in mistakes)
        text = f"{len(mistakes)} errors occurred:\n\t{lines}\n\n"
    raise errors.Denied(WEBHOOK, f"configuration is invalid: {text}", reason="", code=400)


def _gateway(spec: Raw) -> Iterator[str]:
    servers = spec.get("servers") or []
    if not servers:
        yield "gateway must have at least one server"
    names: set[str] = set()
    for server in servers:
        yield from _server(server)
        name = (server.get("port") or {}).get("name", "")
        if name and name in names:
            yield f"port names in servers must be unique: duplicate name {name}"
        names.add(name)


def _server(server: Raw) -> Iterator[str]:
    port = server.get("port") or {}
    protocol, number = str(port.get("protocol", "")).upper(), port.get("number", 0)
    if not server.get("hosts"):
        yield "server config must contain at least one host"
    for host in server.get("hosts") or []:
        yield from _server_host(str(host))
    if not 1 <= number <= 65535:
        yield f"port number {number} must be in the range 1..65535"
    if protocol not in PLAIN_PROTOCOLS | TLS_PROTOCOLS | OTHER_PROTOCOLS:
        yield (
            f'invalid protocol "{port.get("protocol", "")}", supported protocols are HTTP, HTTP2, '
            "GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP"
        )
    if not port.get("name"):
        yield f'port name must be set: number:{number} protocol:"{port.get("protocol", "")}"'
    yield from _server_tls(protocol, server.get("tls"))


def _server_host(host: str) -> Iterator[str]:
    namespace, slash, name = host.rpartition("/")
    if slash and not namespace:
        yield f"config namespace and dnsName in host entry cannot be empty {host}"
    if not _HOST.fullmatch(name):
        yield f'invalid host "{host}"'


def _server_tls(protocol: str, tls: Raw | None) -> Iterator[str]:
    if protocol in TLS_PROTOCOLS:
        if tls is None:
            yield "server must have TLS settings for HTTPS/TLS protocols"
        else:
            yield from _tls_options(tls)
    elif protocol in PLAIN_PROTOCOLS and tls and set(tls) - {"httpsRedirect"}:
        yield "server cannot have TLS settings for plain text HTTP ports"


def _tls_options(tls: Raw) -> Iterator[str]:
    mode = tls.get("mode", "PASSTHROUGH")
    if mode not in ("SIMPLE", "MUTUAL") or tls.get("credentialName"):
        return
    if not tls.get("serverCertificate"):
        yield f"{mode} TLS requires a server certificate"
    if not tls.get("privateKey"):
        yield f"{mode} TLS requires a private key"
    if mode == "MUTUAL" and not tls.get("caCertificates"):
        yield "MUTUAL TLS requires a client CA bundle"


def _virtual_service(spec: Raw) -> Iterator[str]:
    hosts, gateways = spec.get("hosts") or [], spec.get("gateways") or ["mesh"]
    if not hosts:
        yield "virtual service must have at least one host"
    for host in hosts:
        if host == "*" and "mesh" in gateways:
            yield "wildcard host * is not allowed for virtual services bound to the mesh gateway"
        elif not _HOST.fullmatch(str(host)):
            yield f'domain name "{host}" invalid'
    for gateway in gateways:
        if gateway != "mesh" and (not gateway or gateway.count("/") > 1):
            yield f'gateway name "{gateway}" invalid: it is NAME or NAMESPACE/NAME'
    if not (spec.get("http") or spec.get("tls") or spec.get("tcp")):
        yield "http, tcp or tls must be provided in virtual service"
    for route in spec.get("http") or []:
        yield from _http_route(route)


def _http_route(route: Raw) -> Iterator[str]:
    destinations = route.get("route") or []
    answers = [name for name in ("redirect", "directResponse") if route.get(name)]
    if destinations and answers:
        yield f"HTTP route cannot contain both route and {answers[0]}"
    if not destinations and not answers and not route.get("delegate"):
        yield "HTTP route, redirect or direct_response is required"
    for match in route.get("match") or []:
        yield from _match(match)
    yield from _weights(destinations)
    yield from _duration(route.get("timeout"), "timeout")
    yield from _retries(route.get("retries") or {})


def _weights(destinations: list[Raw]) -> Iterator[str]:
    total = 0
    for entry in destinations:
        if not (entry.get("destination") or {}).get("host"):
            yield "destination host must be set: empty host is not allowed"
        weight = entry.get("weight", 0)
        if weight < 0:
            yield f"weight {weight} < 0"
        total += weight
    if len(destinations) > 1 and total != 100:
        yield f"total destination weight {total} != 100"
    if len(destinations) == 1 and total not in (0, 100):
        yield f"total destination weight {total} != 100"


def _match(match: Raw) -> Iterator[str]:
    for name in ("uri", "scheme", "method", "authority"):
        yield from _regex(match.get(name), name)
    for part in ("headers", "withoutHeaders", "queryParams"):
        for name, value in (match.get(part) or {}).items():
            if not name:
                yield f"{part} cannot contain an empty name"
            yield from _regex(value, part)


def _regex(match: Any, where: str) -> Iterator[str]:
    pattern = match.get("regex") if isinstance(match, dict) else None
    if pattern:
        problem = regex_problem(pattern)
        if problem:
            yield f'"{where}": {problem}; {_RE2_HINT}'


def regex_problem(pattern: str) -> str:
    """Why RE2 surely refuses a pattern; empty if it may accept it."""
    found = _NOT_RE2.search(pattern.replace("\\\\", ""))
    if found:
        return f"error parsing regexp: invalid or unsupported syntax: `{found.group()}`"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except re.error as error:
        if any(word in error.msg for word in _BROKEN):
            return f"error parsing regexp: {error.msg}: `{pattern}`"
    return ""


def _duration(text: Any, where: str) -> Iterator[str]:
    if not text:
        return
    try:
        nanoseconds = parse_duration(str(text))
    except ValueError as error:
        yield f"{where}: {error}"
        return
    if nanoseconds and nanoseconds < 1_000_000:
        yield f"{where}: duration must be greater than 1ms"


def _retries(retries: Raw) -> Iterator[str]:
    if retries.get("attempts", 0) < 0:
        yield "attempts cannot be negative"
    if not retries.get("attempts") and (retries.get("perTryTimeout") or retries.get("retryOn")):
        yield ("http retry policy configured when attempts are set to 0 (disabled)")
    yield from _duration(retries.get("perTryTimeout"), "perTryTimeout")
    for policy in str(retries.get("retryOn") or "").split(","):
        name = policy.strip()
        if name and name not in RETRY_POLICIES and not name.isdigit():
            yield f'"{name}" is not a valid retryOn policy'
