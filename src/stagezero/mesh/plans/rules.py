"""VirtualService → rules: each match of each route is one rule, in the order they were written.

Destinations stay as written (`Target`); `resolve` finds their clusters. What is not obeyed yet is
said in `Rules.notes`, for the condition that the user reads.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stagezero.api.go_values import parse_duration
from stagezero.api.istio import (
    Destination,
    HeaderOperations,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    VirtualService,
)
from stagezero.mesh.plans.hosts import full_name
from stagezero.mesh.plans.matches import match_of
from stagezero.mesh.plans.values import (
    NO_CHANGES,
    Action,
    Answer,
    Branch,
    Forward,
    HeaderChanges,
    Match,
    Mirror,
    Redirect,
    Retry,
    Rule,
    Target,
)

MESH = "mesh"
RETRIABLE = "connect-failure,refused-stream,unavailable,cancelled"
DEFAULT_RETRY = Retry(2, f"{RETRIABLE},retriable-status-codes", (503,))
"""What istiod gives a route that says nothing about retries."""
_HOST_HEADERS = frozenset({"host", ":authority"})


@dataclass(frozen=True)
class Rules:
    """A VirtualService as the planner uses it."""

    gateways: tuple[str, ...]
    hosts: tuple[str, ...]
    rules: tuple[Rule, ...]
    notes: tuple[str, ...]


def rules_of(service: VirtualService, labels: tuple[Mapping[str, str], ...]) -> Rules:
    """Read a VirtualService; `labels` are those of the gateway's workloads."""
    namespace, spec = service.metadata.namespace, service.spec
    reader = _Reader(namespace, labels)
    rules = tuple(rule for route in spec.http for rule in reader.rules(route))
    notes = [f"spec.{name}" for name in ("tls", "tcp") if getattr(spec, name)]
    for number, route in enumerate(spec.http):
        notes += [f"spec.http[{number}].{name}" for name in _not_obeyed(route)]
    return Rules(
        gateways=tuple(gateway_key(name, namespace) for name in spec.gateways or [MESH]),
        hosts=tuple(dict.fromkeys(full_name(host, namespace) for host in spec.hosts)),
        rules=rules,
        notes=tuple(notes),
    )


def gateway_key(name: str, namespace: str) -> str:
    """A gateway's name as `namespace/name`; the mesh stays `mesh`."""
    return name if name == MESH or "/" in name else f"{namespace}/{name}"


def _not_obeyed(route: HTTPRoute) -> Iterator[str]:
    if route.fault:
        yield "fault"
    if route.cors_policy:
        yield "corsPolicy"
    if route.delegate:
        yield "delegate"
    if route.redirect is not None and route.redirect.derive_port == "FROM_REQUEST_PORT":
        yield "redirect.derivePort"


class _Reader:
    def __init__(self, namespace: str, labels: tuple[Mapping[str, str], ...]) -> None:
        self._namespace = namespace
        self._labels = labels

    def rules(self, route: HTTPRoute) -> Iterator[Rule]:
        action = self._action(route)
        for request in route.match or [HTTPMatchRequest()]:
            if not self._is_ours(request):
                continue
            yield Rule(
                match=match_of(request) if route.match else Match(),
                action=action,
                name=".".join(name for name in (route.name, request.name) if name),
                gateways=frozenset(gateway_key(g, self._namespace) for g in request.gateways),
                port=request.port,
            )

    def _is_ours(self, request: HTTPMatchRequest) -> bool:
        wanted = request.source_labels.items()
        return not wanted or any(wanted <= labels.items() for labels in self._labels)

    def _action(self, route: HTTPRoute) -> Action:
        if route.redirect is not None:
            return _redirect(route.redirect)
        if route.direct_response is not None:
            body = route.direct_response.body or {}
            return Answer(route.direct_response.status or 200, str(body.get("string", "")))
        if not route.route:
            return Answer(503)  # a delegate, which is not obeyed yet
        return self._forward(route)

    def _forward(self, route: HTTPRoute) -> Forward:
        common = _changes(route.headers.request if route.headers else None)
        answer = _changes(route.headers.response if route.headers else None)
        host = _host_set(route.headers.request if route.headers else None)
        if route.rewrite is not None and route.rewrite.authority:
            host = route.rewrite.authority
        branches = tuple(
            self._branch(entry, Branch(Target(""), 0, host, common, answer))
            for entry in route.route
            if entry.weight or len(route.route) == 1
        )
        return Forward(
            branches=branches,
            path_rewrite=route.rewrite.uri if route.rewrite is not None else "",
            timeout_s=seconds(route.timeout),
            retry=_retry(route.retries),
            mirror=self._mirror(route),
        )

    def _branch(self, entry: HTTPRouteDestination, common: Branch) -> Branch:
        request = entry.headers.request if entry.headers else None
        response = entry.headers.response if entry.headers else None
        return Branch(
            target=self._target(entry.destination),
            weight=entry.weight or 100,
            host=_host_set(request) or common.host,
            request=common.request.then(_changes(request)),
            response=common.response.then(_changes(response)),
        )

    def _mirror(self, route: HTTPRoute) -> Mirror | None:
        if route.mirror is None:
            return None
        percent = 100.0
        if route.mirror_percentage is not None:
            percent = route.mirror_percentage.value
        elif route.mirror_percent is not None:
            percent = float(route.mirror_percent)
        return Mirror(self._target(route.mirror), percent) if percent > 0 else None

    def _target(self, destination: Destination) -> Target:
        port = destination.port.number if destination.port is not None else 0
        return Target(full_name(destination.host, self._namespace), port, destination.subset)


def _changes(operations: HeaderOperations | None) -> HeaderChanges:
    if operations is None:
        return NO_CHANGES
    return HeaderChanges(
        set=tuple(_but_host(operations.set)),
        add=tuple(_but_host(operations.add)),
        remove=tuple(operations.remove),
    )


def _but_host(values: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((n, v) for n, v in sorted(values.items()) if n.lower() not in _HOST_HEADERS)


def _host_set(operations: HeaderOperations | None) -> str:
    if operations is None:
        return ""
    for values in (operations.set, operations.add):
        for name, value in values.items():
            if name.lower() in _HOST_HEADERS:
                return value
    return ""


def _redirect(redirect: HTTPRedirect) -> Redirect:
    port = redirect.port
    return Redirect(
        path=redirect.uri,
        host=redirect.authority,
        port=port,
        scheme=redirect.scheme,
        code=redirect.redirect_code or 301,
    )


def _retry(retries: HTTPRetry | None) -> Retry | None:
    if retries is None:
        return DEFAULT_RETRY
    if retries.attempts <= 0:
        return None
    words = [word.strip() for word in retries.retry_on.split(",") if word.strip()]
    codes = tuple(int(word) for word in words if word.isdigit())
    conditions = [word for word in words if not word.isdigit()]
    if codes and "retriable-status-codes" not in conditions:
        conditions.append("retriable-status-codes")
    if not words:
        conditions, codes = DEFAULT_RETRY.conditions.split(","), DEFAULT_RETRY.codes
    per_try_s = seconds(retries.per_try_timeout)
    return Retry(retries.attempts, ",".join(conditions), codes, per_try_s)


def seconds(duration: str) -> float:
    """A Go duration in seconds; 0, no limit, for an empty one or one that admission missed."""
    try:
        return max(0, parse_duration(duration)) / 1e9 if duration else 0.0
    except ValueError:
        return 0.0
