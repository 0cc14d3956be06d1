"""Envoy's side of the delta protocol, in thought: subscribes, acknowledges, refuses.

`FakeEnvoy` stands where the xDS server stands for the mesh controller; under it runs the real state
machine of the stream, so that only the socket and the proxy are missing.
"""

import asyncio
from collections.abc import Callable

from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)

from stagezero.mesh.delta import NO_VERDICT, Batch, DeltaStream, Rejection, Request, Verdict
from stagezero.mesh.plans.resources import Kind, Resource, Snapshot

Refuses = Callable[[Resource], str]
"""Why a resource is refused; empty if it is taken."""


def nothing_wrong(_: Resource) -> str:
    """Take everything."""
    return ""


class Proxy:
    """What Envoy does with responses: keeps what it takes, asks for what that needs."""

    def __init__(self, refuses: Refuses = nothing_wrong) -> None:
        self.refuses = refuses
        self.has: dict[Kind, dict[str, Resource]] = {kind: {} for kind in Kind}
        self.batches: list[Batch] = []
        self._asked: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        self._has_begun = False

    def hello(self) -> list[Request]:
        """The first requests of a stream; what it has from an earlier one is told."""
        requests = []
        requests = [self._first(Kind.CLUSTER)]
        if self._has_begun:
            requests.append(self._first(Kind.LISTENER))
        for kind in (Kind.LOAD, Kind.TABLE):
            if self._asked[kind]:
                requests.append(self._first(kind))
        return requests

    def _first(self, kind: Kind) -> Request:
        initial = {name: r.version for name, r in self.has[kind].items()}
        return Request(kind, tuple(sorted(self._asked[kind])), initial=initial)

    def answer(self, batch: Batch) -> list[Request]:
        """What Envoy says to a response."""
        self.batches.append(batch)
        wrong = [text for r in batch.resources if (text := self.refuses(r))]
        requests = []
        for resource in batch.resources:
            if not self.refuses(resource):
                self.has[batch.kind][resource.name] = resource
                requests += self._needs(resource)
        for name in batch.removed:
            self.has[batch.kind].pop(name, None)
            requests += self._drops(batch.kind, name)
        requests.append(Request(batch.kind, nonce=batch.nonce, error="; ".join(wrong)))
        if not self._has_begun:
            self._has_begun = True  # listeners only after the first word about clusters
            requests.append(self._first(Kind.LISTENER))
        return requests

    def _needs(self, resource: Resource) -> list[Request]:
        if resource.kind is Kind.CLUSTER:
            return self._ask(Kind.LOAD, resource.name)
        if resource.kind is Kind.LISTENER:
            return self._ask(Kind.TABLE, _table_of(resource))
        return []

    def _ask(self, kind: Kind, name: str) -> list[Request]:
        if name in self._asked[kind]:
            return []
        self._asked[kind].add(name)
        return [Request(kind, (name,))]

    def _drops(self, kind: Kind, name: str) -> list[Request]:
        if kind is not Kind.CLUSTER:
            return []
        self._asked[Kind.LOAD].discard(name)
        self.has[Kind.LOAD].pop(name, None)
        return [Request(Kind.LOAD, unsubscribe=(name,))]

    def sent(self, kind: Kind) -> list[tuple[str, ...]]:
        """The names in every response of a kind, in order."""
        return [tuple(r.name for r in b.resources) for b in self.batches if b.kind is kind]


def _table_of(listener: Resource) -> str:
    message = listener_pb2.Listener.FromString(listener.body)
    manager = hcm.HttpConnectionManager()
    message.filter_chains[0].filters[0].typed_config.Unpack(manager)
    name: str = manager.rds.route_config_name
    return name


def exchange(
    stream: DeltaStream, proxy: Proxy, snapshot: Snapshot, hear: Callable[[Verdict], None]
) -> None:
    """Let both sides talk until neither has anything to say."""
    while batches := stream.due(snapshot):
        for batch in batches:
            for request in proxy.answer(batch):
                hear(stream.receive(request))


class FakeEnvoy:
    """Stands for the xDS server and the Envoy behind it; answers in the next turn of the loop."""

    def __init__(self, refuses: Refuses = nothing_wrong) -> None:
        self.proxy = Proxy(refuses)
        self.is_silent = False
        self.published = 0
        self._snapshot: Snapshot | None = None
        self._stream: DeltaStream | None = None
        self._listeners: list[Callable[[Verdict], None]] = []
        self.connect()

    def connect(self) -> None:
        """Open a new stream, as Envoy does when the server or itself was away."""
        self._stream = DeltaStream()
        for request in self.proxy.hello():
            self._stream.receive(request)
        self._tell(NO_VERDICT)
        self._talk_soon()

    def disconnect(self) -> None:
        """Lose the stream."""
        self._stream = None
        self._tell(NO_VERDICT)

    def speak(self) -> None:
        """Answer again after a silence."""
        self.is_silent = False
        self._talk_soon()

    def acked(self, kind: Kind, name: str) -> Resource | None:
        """What was acknowledged last."""
        return self._stream.acked(kind, name) if self._stream else None

    def rejected(self, kind: Kind, name: str) -> Rejection | None:
        """The rejection that stands."""
        return self._stream.rejected(kind, name) if self._stream else None

    def subscribe(self, listener: Callable[[Verdict], None]) -> None:
        """Call on every verdict."""
        self._listeners.append(listener)

    def publish(self, snapshot: Snapshot) -> None:
        """Take a snapshot."""
        self.published += 1
        self._snapshot = snapshot
        self._talk_soon()

    def retry(self, kind: Kind) -> None:
        """Send what was rejected once more."""
        if self._stream is not None:
            self._stream.retry(kind)
            self._talk_soon()

    def _talk_soon(self) -> None:
        if self._snapshot is not None:
            asyncio.get_running_loop().call_soon(self._talk)

    def _talk(self) -> None:
        if self._stream is not None and self._snapshot is not None and not self.is_silent:
            exchange(self._stream, self.proxy, self._snapshot, self._tell)

    def _tell(self, verdict: Verdict) -> None:
        for listener in tuple(self._listeners):
            listener(verdict)
