"""Rules → rules that Envoy can hold: destinations become clusters, loop-backs are cut short.

A destination that is this gateway itself (KServe's top-level VirtualServices go through
knative-local-gateway) would cross Envoy twice. Instead the rules that the inner host has are
written where the outer rule stands: conditions of both, changes of both, the inner clusters.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from itertools import product
from math import gcd, lcm

from stagezero.mesh.plans.backends import Backend, Cluster, cluster_name
from stagezero.mesh.plans.hosts import service_names, without_port
from stagezero.mesh.plans.matches import after_rewrite, at_host, both, known_headers
from stagezero.mesh.plans.pieces import HostRules, Looped, Place, Trace
from stagezero.mesh.plans.settings import GatewaySettings, ServicePortName
from stagezero.mesh.plans.values import (
    EVERY_PATH,
    Action,
    Answer,
    Branch,
    Forward,
    How,
    Match,
    Mirror,
    Problem,
    Reason,
    Rule,
    Target,
    Text,
)

MAX_ALIASES = 5
"""ExternalName Services may point to one another so often."""


@dataclass(frozen=True)
class _Inner:
    """One way on from a branch: further conditions, and what happens then."""

    match: Match
    action: Action


class Resolver:
    """Resolves the rules of one VirtualService; `clusters` and `problems` fill on the way."""

    def __init__(self, settings: GatewaySettings, ask: Trace) -> None:
        self._settings = settings
        self._ask = ask
        self.clusters: dict[str, Cluster] = {}
        self.problems: dict[Problem, None] = {}

    def rules(self, rules: tuple[Rule, ...], host: str) -> tuple[Rule, ...]:
        """The rules as they stand in the virtual host of `host`."""
        found: list[Rule] = []
        for rule in rules:
            match = at_host(rule.match, host)
            if match is not None:
                found.extend(self._resolved(Rule(match, rule.action, rule.name), host))
        return tuple(found)

    def _resolved(self, rule: Rule, host: str) -> Iterator[Rule]:
        forward = rule.action
        if not isinstance(forward, Forward):
            yield rule
            return
        # An inner forward must not bring back a mirror that leads nowhere.
        mirror, forward = self._mirror(forward.mirror), replace(forward, mirror=None)
        ways = [list(self._ways(rule, forward, branch, host)) for branch in forward.branches]
        for chosen in product(*ways):
            matches = (rule.match, *(way.match for way in chosen))
            match = _all(matches)
            if match is not None:
                actions = [way.action for way in chosen]
                action = _joined(replace(forward, mirror=mirror), actions)
                yield Rule(match, action, rule.name)

    def _mirror(self, mirror: Mirror | None) -> Mirror | None:
        if mirror is None:
            return None
        place = self._locate(mirror.target, MAX_ALIASES)
        if isinstance(place, Cluster):
            self.clusters[place.name] = place
            return mirror._replace(cluster=place.name)
        if isinstance(place, int):
            place = Problem(
                Reason.NOT_SERVED, f"mirroring to the gateway itself ({mirror.target.host})"
            )
        self.problems[place] = None
        return None

    def _ways(self, rule: Rule, forward: Forward, branch: Branch, host: str) -> Iterator[_Inner]:
        place = self._locate(branch.target, MAX_ALIASES)
        if isinstance(place, int):
            yield from self._inner(rule, forward, branch, Place(place, branch.host or host))
            return
        if isinstance(place, Problem):
            self.problems[place] = None
            name = cluster_name(branch.target.host, branch.target.port or 80, branch.target.subset)
        else:
            self.clusters[place.name] = place
            name = place.name
        yield _Inner(Match(), replace(forward, branches=(replace(branch, cluster=name, weight=1),)))

    def _locate(self, target: Target, aliases: int) -> Cluster | int | Problem:
        for name in service_names(target.host, self._settings.cluster_domain):
            port = self._settings.loopbacks.get(ServicePortName(name, target.port or 80))
            if port is not None:
                return port
            backend: Backend | None = self._ask(("service", name))
            if backend is None:
                continue
            if backend.external_name:
                return self._follow(backend, target, aliases)
            return _cluster(backend, target)
        return Problem(Reason.DESTINATION_NOT_FOUND, f"there is no Service {target.host}")

    def _follow(self, backend: Backend, target: Target, aliases: int) -> Cluster | int | Problem:
        name = backend.external_name
        if aliases == 0:
            text = f"the ExternalName Services from {backend.host} on lead in a circle"
            return Problem(Reason.DESTINATION_NOT_FOUND, text)
        if name.endswith(f".svc.{self._settings.cluster_domain}"):
            return self._locate(target._replace(host=name), aliases - 1)
        number = target.port or (backend.ports[0].number if backend.ports else 80)
        port = backend.port(number)
        is_http2 = port is not None and port.is_http2
        label = cluster_name(backend.host, number)
        return Cluster(label, backend.host, number, "", is_http2, dns_name=name)

    def _inner(
        self, rule: Rule, forward: Forward, branch: Branch, place: Place
    ) -> Iterator[_Inner]:
        host = without_port(place.host)
        try:
            if host.startswith("*"):
                raise LookupError(
                    f"{branch.target.host} is this gateway, and without rewrite.authority the host "
                    "it shall serve is not known"
                )
            entries: HostRules = self._ask(("host", Place(place.port, host)))
            if not entries:
                raise LookupError(f"no VirtualService serves host {host} at {branch.target.host}")
            for _, piece in entries:
                for inner in piece.rules:
                    yield from self._combined(rule, forward, branch, _at(inner, host))
                self.clusters.update((c.name, c) for c in piece.clusters)
        except Looped:
            yield self._dead_end(f"host {host} leads back to itself")
        except LookupError as error:
            yield self._dead_end(str(error))

    def _dead_end(self, why: str) -> _Inner:
        self.problems[Problem(Reason.HOST_NOT_FOUND, why)] = None
        return _Inner(Match(), Answer(503))

    def _combined(
        self, rule: Rule, forward: Forward, branch: Branch, inner: Rule
    ) -> Iterator[_Inner]:
        match: Match | None = known_headers(
            inner.match, {name.lower(): value for name, value in branch.request.set}
        )
        if match is None:
            return
        path = rule.match.path
        if forward.path_rewrite:
            try:
                match = after_rewrite(match, path, forward.path_rewrite)
            except ValueError as error:
                raise LookupError(f"path {error} cannot be matched after rewrite.uri") from error
            if match is None:
                return
        if not isinstance(inner.action, Forward):
            yield _Inner(match, inner.action)
            return
        together = both(rule.match, match)
        if together is None:
            return
        rewrite = _rewrite(path, forward, inner, together.path)
        branches = tuple(_passed_on(branch, last) for last in inner.action.branches)
        yield _Inner(match, replace(inner.action, branches=branches, path_rewrite=rewrite))


def _at(rule: Rule, host: str) -> Rule:
    """The rule with its clusters told the host under which it was reached."""
    if not isinstance(rule.action, Forward):
        return rule
    branches = tuple(replace(b, host=b.host or host) for b in rule.action.branches)
    return replace(rule, action=replace(rule.action, branches=branches))


def _cluster(backend: Backend, target: Target) -> Cluster | Problem:
    if target.subset:
        text = f"subset {target.subset} of {backend.host}: subsets are not obeyed yet"
        return Problem(Reason.NOT_SERVED, text)
    port = backend.port(target.port)
    if port is None:
        wanted = f"no port {target.port}" if target.port else "several ports: name one"
        text = f"Service {backend.host} has {wanted}"
        return Problem(Reason.DESTINATION_NOT_FOUND, text)
    name = cluster_name(backend.host, port.number)
    return Cluster(name, backend.host, port.number, port.name, port.is_http2)


def _all(matches: tuple[Match, ...]) -> Match | None:
    together: Match | None = matches[0]
    for match in matches[1:]:
        together = None if together is None else both(together, match)
    return together


def _passed_on(outer: Branch, inner: Branch) -> Branch:
    return replace(
        inner,
        request=outer.request.then(inner.request),
        response=inner.response.then(outer.response),
    )


def _rewrite(path: Text, outer: Forward, inner: Rule, together: Text) -> str:
    """Envoy replaces what the route matched, which may be longer than what each rule matched."""
    assert isinstance(inner.action, Forward)
    if outer.path_rewrite and inner.action.path_rewrite:
        raise LookupError("rewrite.uri stands in both VirtualServices")
    if outer.path_rewrite:
        return _longer(path, outer.path_rewrite, together)
    if inner.action.path_rewrite:
        return _longer(inner.match.path, inner.action.path_rewrite, together)
    return ""


def _longer(path: Text, rewrite: str, together: Text) -> str:
    if together == path or How.REGEX in (path.how, together.how):
        return rewrite
    if path == EVERY_PATH and not rewrite.endswith("/"):
        return rewrite + together.value
    return rewrite + together.value[len(path.value) :]


def _joined(outer: Forward, actions: list[Action]) -> Action:
    if len(actions) == 1:
        action = actions[0]
        if not isinstance(action, Forward):
            return action
        if len(action.branches) == 1:
            whole = replace(action.branches[0], weight=outer.branches[0].weight)
            action = replace(action, branches=(whole,))
        return _one(outer, action)
    forwards = [a if isinstance(a, Forward) else _nowhere() for a in actions]
    shares = lcm(*(sum(b.weight for b in forward.branches) or 1 for forward in forwards))
    branches: list[Branch] = []
    for own, forward in zip(outer.branches, forwards, strict=True):
        total = sum(b.weight for b in forward.branches) or 1
        branches += (
            replace(b, weight=own.weight * b.weight * shares // total) for b in forward.branches
        )
    divisor = gcd(*(branch.weight for branch in branches)) if shares > 1 else 1
    lighter = tuple(replace(b, weight=b.weight // divisor) for b in branches)
    return reduce(_one, forwards, replace(outer, branches=lighter))


def _nowhere() -> Forward:
    return Forward((Branch(Target("nowhere"), cluster=cluster_name("nowhere", 80)),))


def _one(outer: Forward, inner: Forward) -> Forward:
    """Limits of both: the shorter time, the inner retries (the outer ones if it has none)."""
    times = [limit for limit in (outer.timeout_s, inner.timeout_s) if limit > 0]
    is_split = len(outer.branches) > 1
    return Forward(
        branches=outer.branches if is_split else inner.branches,
        path_rewrite=outer.path_rewrite if is_split else inner.path_rewrite,
        timeout_s=min(times, default=0.0),
        retry=inner.retry or outer.retry,
        mirror=outer.mirror or inner.mirror,
    )
