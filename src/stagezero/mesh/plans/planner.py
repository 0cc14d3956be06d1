"""The plan of the mesh: Gateways, VirtualServices and Services → route tables and who gave what.

A pure function with a memory: the result depends on the input alone, but what was made for an
unchanged VirtualService is used again. A contribution remembers what was asked to make it (which
Service, which rules of another host); it is made anew only if an answer has changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stagezero.api.base import Key
from stagezero.api.istio import Gateway, VirtualService
from stagezero.mesh.plans.backends import Backend
from stagezero.mesh.plans.encode_routes import encode_rules
from stagezero.mesh.plans.hosts import best_match
from stagezero.mesh.plans.pieces import (
    Contribution,
    HostRules,
    Looped,
    Piece,
    Place,
    Question,
    Trace,
)
from stagezero.mesh.plans.resolve import Resolver
from stagezero.mesh.plans.rules import MESH, Rules, rules_of
from stagezero.mesh.plans.servers import Entrances, admitted, entrances_of
from stagezero.mesh.plans.settings import GatewaySettings
from stagezero.mesh.plans.tables import Table
from stagezero.mesh.plans.values import Problem, Reason, Rule


@dataclass(frozen=True)
class World:
    """What the API holds; `backends` by full name."""

    gateways: Sequence[Gateway]
    virtual_services: Sequence[VirtualService]
    backends: Mapping[str, Backend]


@dataclass(frozen=True)
class Routing:
    """The plan: a table for each open port, what each VirtualService gave, what is wrong."""

    tables: Mapping[int, Table]
    contributions: Mapping[Key, Contribution]
    generations: Mapping[Key, int]
    gateway_problems: Mapping[Key, tuple[Problem, ...]]


class _Claims(NamedTuple):
    """Where a VirtualService stands: places, and through which Gateways; else why not."""

    places: Mapping[Place, frozenset[str]]
    problems: tuple[Problem, ...]


@dataclass
class _Memory:
    """What is remembered of one VirtualService of one generation."""

    generation: int
    rules: Rules
    entrances: Entrances | None = None
    claims: _Claims = field(default_factory=lambda: _Claims({}, ()))
    contribution: Contribution | None = None


class Planner:
    """Plans again and again; see the module's words about memory."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._memory: dict[str, _Memory] = {}
        self._entrances: tuple[object, Entrances] = ((), Entrances((), {}, frozenset()))

    def plan(self, world: World) -> Routing:
        """Plan for the world as it is."""
        entrances = self._open(world.gateways)
        services = sorted(world.virtual_services, key=_age)
        memories: dict[Key, _Memory] = {}
        fresh: dict[str, _Memory] = {}
        for service in services:
            memory = self._remember(service, entrances)
            fresh[_identity(service)] = memories[service.key] = memory
        self._memory = fresh
        turn = _Turn(self._settings, world.backends, memories)
        contributions = {key: turn.contribution(key) for key in memories}
        tables = {
            port: Table(port, turn.hosts(port), _https_only(entrances, port, turn))
            for port in entrances.ports
        }
        generations = {key: memory.generation for key, memory in memories.items()}
        return Routing(tables, contributions, generations, entrances.problems)

    def _open(self, gateways: Sequence[Gateway]) -> Entrances:
        signature = tuple((g.key, g.uid, g.metadata.generation, g.spec) for g in gateways)
        if self._entrances[0] != signature:
            self._entrances = (signature, entrances_of(gateways, self._settings))
        return self._entrances[1]

    def _remember(self, service: VirtualService, entrances: Entrances) -> _Memory:
        memory = self._memory.get(_identity(service))
        if memory is None or memory.generation != service.metadata.generation:
            rules = rules_of(service, self._settings.workloads)
            memory = _Memory(service.metadata.generation, rules)
        if memory.entrances is not entrances:
            memory.entrances = entrances
            memory.claims = _claims(service.metadata.namespace, memory.rules, entrances)
            memory.contribution = None
        return memory


def _identity(service: VirtualService) -> str:
    return service.uid or str(service.key)


def _age(service: VirtualService) -> tuple[str, Key]:
    return service.metadata.creation_timestamp or "", service.key


def _claims(namespace: str, rules: Rules, entrances: Entrances) -> _Claims:
    places: dict[Place, frozenset[str]] = {}
    problems: list[Problem] = []
    for gateway in rules.gateways:
        if gateway == MESH:
            continue
        if gateway not in entrances.selected:
            text = f"there is no Gateway {gateway} that this machine serves"
            problems.append(Problem(Reason.GATEWAY_NOT_FOUND, text))
            continue
        for entrance in entrances.of(gateway):
            for host in admitted(entrance, namespace, rules.hosts):
                place = Place(entrance.port, host)
                places[place] = places.get(place, frozenset()) | {gateway}
    if not places and not problems and rules.gateways != (MESH,):
        text = "no server of its gateways admits its hosts on a port that is served"
        problems.append(Problem(Reason.NO_SERVER, text))
    return _Claims(places, tuple(problems))


def _https_only(entrances: Entrances, port: int, turn: "_Turn") -> frozenset[str]:
    closed = [e for e in entrances.open if e.port == port and e.is_https_only]
    if not closed:
        return frozenset()
    return frozenset(h for h in turn.hosts(port) for e in closed if admitted(e, "*", [h]))


class _Turn:
    """One run of the planner: answers questions, each once."""

    def __init__(
        self,
        settings: GatewaySettings,
        backends: Mapping[str, Backend],
        memories: Mapping[Key, _Memory],
    ) -> None:
        self._settings = settings
        self._backends = backends
        self._memories = memories
        self._made: dict[Key, Contribution] = {}
        self._making: set[Key] = set()
        self._owners: dict[int, dict[str, list[Key]]] = {}
        for key, memory in memories.items():
            for place in memory.claims.places:
                self._owners.setdefault(place.port, {}).setdefault(place.host, []).append(key)
        self._hosts: dict[int, dict[str, HostRules]] = {}
        self._answers: dict[Place, HostRules] = {}

    def hosts(self, port: int) -> Mapping[str, HostRules]:
        """What stands in each virtual host of a port that has anything in it."""
        if port not in self._hosts:
            found = {host: self._rules_at(Place(port, host)) for host in self._owners.get(port, ())}
            self._hosts[port] = {host: entries for host, entries in found.items() if entries}
        return self._hosts[port]

    def contribution(self, key: Key) -> Contribution:
        """What a VirtualService gives; remembered if every answer is still the same."""
        if key in self._made:
            return self._made[key]
        if key in self._making:
            raise Looped(key)
        memory = self._memories[key]
        self._making.add(key)
        try:
            known = memory.contribution
            if known is None or not known.holds(self._ask):
                memory.contribution = self._make(memory)
        finally:
            self._making.discard(key)
        assert memory.contribution is not None
        self._made[key] = memory.contribution
        return memory.contribution

    def _ask(self, question: Question) -> Any:
        about, subject = question
        if about == "service":
            return self._backends.get(str(subject))
        assert isinstance(subject, Place)
        if subject not in self._answers:
            host = best_match(self._candidates(subject), subject.host)
            answer = self._rules_at(Place(subject.port, host)) if host is not None else ()
            self._answers[subject] = answer
        return self._answers[subject]

    def _candidates(self, place: Place) -> Iterable[str]:
        """The hosts that may cover a name: itself and the wildcards above it."""
        known = self._owners.get(place.port, {})
        labels = place.host.split(".")
        above = ("*." + ".".join(labels[n:]) for n in range(1, len(labels)))
        return (host for host in (place.host, *above, "*") if host in known)

    def _rules_at(self, place: Place) -> HostRules:
        found: list[tuple[Key, Piece]] = []
        for key in self._owners[place.port][place.host]:
            piece = self.contribution(key).pieces.get(place)
            if piece is not None:
                found.append((key, piece))
        return tuple(found)

    def _make(self, memory: _Memory) -> Contribution:
        trace = Trace(self._ask)
        pieces: dict[Place, Piece] = {}
        problems: dict[Problem, None] = dict.fromkeys(memory.claims.problems)
        for place, gateways in memory.claims.places.items():
            resolver = Resolver(self._settings, trace)
            rules = resolver.rules(_standing(memory.rules.rules, place.port, gateways), place.host)
            problems.update(resolver.problems)
            if not rules:
                continue
            try:
                pieces[place] = _piece(rules, resolver)
            except (ValueError, TypeError, OverflowError) as error:
                text = f"its rules for {place.host} cannot be written for Envoy: {error}"
                problems[Problem(Reason.INVALID, text)] = None
        if memory.claims.places and not pieces and not problems:
            problems[Problem(Reason.NO_SERVER, "no request can meet any of its rules")] = None
        return Contribution(
            pieces=pieces,
            problems=tuple(problems),
            notes=memory.rules.notes,
            is_mesh_only=memory.rules.gateways == (MESH,),
            trace=tuple(trace.asked.items()),
        )


def _standing(rules: tuple[Rule, ...], port: int, gateways: frozenset[str]) -> tuple[Rule, ...]:
    return tuple(
        rule
        for rule in rules
        if (not rule.gateways or rule.gateways & gateways) and rule.port in (0, port)
    )


def _piece(rules: tuple[Rule, ...], resolver: Resolver) -> Piece:
    first = [rule for rule in rules if not rule.match.is_everything]
    last = [rule for rule in rules if rule.match.is_everything]
    clusters = tuple(resolver.clusters.values())
    return Piece(rules, clusters, encode_rules(first), encode_rules(last))
