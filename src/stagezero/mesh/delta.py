"""One delta xDS stream as a state machine: requests in, responses out, no socket.

The rules that keep traffic alive:
- what carried a resource is its nonce; "acknowledged" is said of that nonce, never of "all sent";
- a cluster that is added or changed has its endpoints sent in the same turn;
- a route table waits until Envoy has every cluster it names; a cluster leaves only when the route
  tables without it are acknowledged;
- a rejected response is taken apart until the resource that spoils it stands alone; the others are
  sent again, and Envoy keeps its last good one.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count

from stagezero.mesh.plans.resources import Kind, Resource, Snapshot

MAX_UNANSWERED = 64
"""Responses of one kind that may be on their way; more changes wait and go together."""
_ORDER = (Kind.CLUSTER, Kind.LOAD, Kind.LISTENER, Kind.TABLE)
_ONE_AT_A_TIME = frozenset({Kind.LISTENER, Kind.TABLE})
_WILDCARD = frozenset({Kind.LISTENER, Kind.CLUSTER})
_UNKNOWN = ""  # Envoy holds some version that was sent on another stream


@dataclass(frozen=True)
class Request:
    """What Envoy said."""

    kind: Kind
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial: Mapping[str, str] = field(default_factory=dict)
    nonce: str = ""
    error: str = ""


@dataclass(frozen=True)
class Batch:
    """One response: resources to add or change, names to remove."""

    kind: Kind
    nonce: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class Rejection:
    """Envoy refused a resource, in these words."""

    resource: Resource
    text: str


@dataclass(frozen=True)
class Verdict:
    """What an answer of Envoy's means: resources acknowledged, one rejected."""

    acked: tuple[Resource, ...] = ()
    rejected: tuple[Rejection, ...] = ()


NO_VERDICT = Verdict()


@dataclass
class _Channel:
    """What is known of one kind of resource on the stream."""

    is_open: bool = False
    is_wildcard: bool = False
    is_answered: bool = False
    """Envoy begins with clusters and waits for an answer, even if there are none."""
    wanted: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)
    """Versions that Envoy has or will have."""
    flying: dict[str, Batch] = field(default_factory=dict)
    acked: dict[str, Resource] = field(default_factory=dict)
    rejected: dict[str, Rejection] = field(default_factory=dict)
    again: deque[tuple[str, ...]] = field(default_factory=deque)
    """Parts of a rejected response, each to be sent alone."""
    retrying: set[str] = field(default_factory=set)
    """Rejected names to be sent once more."""
    missing: set[str] = field(default_factory=set)
    """Names that Envoy asked for and was told that they do not exist."""


class DeltaStream:
    """The state of one stream; `receive` and `due` are all there is to it."""

    def __init__(self, nonces: Iterable[int] | None = None) -> None:
        self._channels = {kind: _Channel() for kind in Kind}
        self._nonces = iter(nonces) if nonces is not None else count(1)

    def acked(self, kind: Kind, name: str) -> Resource | None:
        """The resource that Envoy acknowledged last under this name on this stream."""
        return self._channels[kind].acked.get(name)

    def rejected(self, kind: Kind, name: str) -> Rejection | None:
        """The rejection that still stands for this name."""
        return self._channels[kind].rejected.get(name)

    def retry(self, kind: Kind) -> None:
        """Send what was rejected once more: the reason may have been outside (a port in use)."""
        channel = self._channels[kind]
        channel.retrying.update(channel.rejected)

    def receive(self, request: Request) -> Verdict:
        """Take in a request: subscriptions, and the answer to an earlier response."""
        channel = self._channels[request.kind]
        if not channel.is_open:
            channel.is_open = True
            channel.is_wildcard = request.kind in _WILDCARD and not request.subscribe
            channel.sent = dict.fromkeys(request.initial, _UNKNOWN)
        for name in request.subscribe:
            channel.wanted.add(name)
            channel.sent.pop(name, None)  # whoever asks again gets it again
            channel.missing.discard(name)
        for name in request.unsubscribe:
            channel.wanted.discard(name)
            channel.sent.pop(name, None)
            channel.missing.discard(name)
        batch = channel.flying.pop(request.nonce, None)
        if batch is None:
            return NO_VERDICT
        if request.error:
            return self._rejected(channel, batch, request.error)
        return self._acknowledged(channel, batch)

    def _acknowledged(self, channel: _Channel, batch: Batch) -> Verdict:
        for resource in batch.resources:
            channel.acked[resource.name] = resource
            channel.rejected.pop(resource.name, None)
        for name in batch.removed:
            channel.acked.pop(name, None)
        return Verdict(acked=batch.resources)

    def _rejected(self, channel: _Channel, batch: Batch, text: str) -> Verdict:
        for name in batch.removed if batch.resources else ():
            channel.sent.setdefault(name, _UNKNOWN)
        if len(batch.resources) == 1 and not batch.removed:
            rejection = Rejection(batch.resources[0], text)
            channel.rejected[rejection.resource.name] = rejection
            return Verdict(rejected=(rejection,))
        names = tuple(resource.name for resource in batch.resources)
        channel.again.extend(_suspects(names, text))
        return NO_VERDICT

    def due(self, snapshot: Snapshot) -> list[Batch]:
        """What must be sent now so that Envoy comes nearer to the snapshot."""
        batches: list[Batch] = []
        for kind in _ORDER:
            channel = self._channels[kind]
            if channel.is_open:
                batches += self._due(kind, channel, snapshot)
        return batches

    def _due(self, kind: Kind, channel: _Channel, snapshot: Snapshot) -> list[Batch]:
        if len(channel.flying) >= (1 if kind in _ONE_AT_A_TIME else MAX_UNANSWERED):
            return []
        if channel.again:
            return [] if channel.flying else self._next_part(kind, channel, snapshot)
        changed = [
            resource
            for resource in self._wanted(kind, channel, snapshot)
            if self._is_due(channel, resource, snapshot)
        ]
        removed = self._gone(kind, channel, snapshot)
        if not changed and not removed and (channel.is_answered or not channel.is_wildcard):
            return []
        if kind in _ONE_AT_A_TIME:
            changed, removed = changed[:1], removed if not changed else []
        return [self._send(kind, channel, changed, removed)]

    def _wanted(self, kind: Kind, channel: _Channel, snapshot: Snapshot) -> Iterable[Resource]:
        resources = snapshot[kind]
        if channel.is_wildcard:
            return resources.values()
        return [resources[name] for name in sorted(channel.wanted) if name in resources]

    def _is_due(self, channel: _Channel, resource: Resource, snapshot: Snapshot) -> bool:
        if resource.name in channel.retrying:
            return True
        if channel.sent.get(resource.name) == resource.version:
            return False
        rejection = channel.rejected.get(resource.name)
        if rejection is not None and rejection.resource.version == resource.version:
            return False
        return self._has_clusters(resource, snapshot)

    def _has_clusters(self, resource: Resource, snapshot: Snapshot) -> bool:
        """Whether Envoy has, or refuses, all clusters that a resource names (if they exist)."""
        clusters = self._channels[Kind.CLUSTER]
        if not clusters.is_open:
            return True
        existing = snapshot[Kind.CLUSTER]
        return all(
            name in clusters.acked or name in clusters.rejected or name not in existing
            for name in resource.needs
        )

    def _gone(self, kind: Kind, channel: _Channel, snapshot: Snapshot) -> list[str]:
        resources = snapshot[kind]
        told = channel.missing | channel.sent.keys()
        missing = sorted(n for n in channel.wanted if n not in resources and n not in told)
        if kind is Kind.LOAD:
            return missing  # a load that is gone goes with its cluster, unsaid
        gone = [name for name in channel.sent if name not in resources]
        if kind is Kind.CLUSTER and gone and not self._tables_are_settled(snapshot):
            return missing
        return gone + missing

    def _tables_are_settled(self, snapshot: Snapshot) -> bool:
        channel = self._channels[Kind.TABLE]
        tables = (snapshot[Kind.TABLE].get(name) for name in channel.wanted)
        return not channel.flying and all(
            table is None or _version(channel.acked.get(table.name)) == table.version
            for table in tables
        )

    def _next_part(self, kind: Kind, channel: _Channel, snapshot: Snapshot) -> list[Batch]:
        while channel.again:
            names = channel.again.popleft()
            wanted = {r.name: r for r in self._wanted(kind, channel, snapshot)}
            part = [wanted[name] for name in names if name in wanted]
            if part:
                return [self._send(kind, channel, part, [])]
        return self._due(kind, channel, snapshot)

    def _send(
        self, kind: Kind, channel: _Channel, resources: list[Resource], removed: list[str]
    ) -> Batch:
        batch = Batch(kind, str(next(self._nonces)), tuple(resources), tuple(removed))
        channel.flying[batch.nonce] = batch
        channel.is_answered = True
        loads = self._channels[Kind.LOAD]
        for resource in resources:
            channel.sent[resource.name] = resource.version
            channel.missing.discard(resource.name)
            channel.retrying.discard(resource.name)
            if kind is Kind.CLUSTER and resource.name in loads.wanted:
                loads.sent.pop(resource.name, None)
        for name in removed:
            channel.sent.pop(name, None)
            channel.missing.update({name} & channel.wanted)
        return batch


def _version(resource: Resource | None) -> str | None:
    return None if resource is None else resource.version


def _suspects(names: tuple[str, ...], text: str) -> list[tuple[str, ...]]:
    """Parts of a rejected response: those that Envoy's words name each alone, else two halves."""
    named = [name for name in names if name in text]
    if named and len(named) < len(names):
        rest = tuple(name for name in names if name not in named)
        return [rest, *((name,) for name in named)]
    middle = len(names) // 2
    return [part for part in (names[:middle], names[middle:]) if part]
