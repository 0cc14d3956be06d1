"""The third witness: what Envoy has acknowledged, against what is wanted, for each object."""

from collections.abc import Callable
from typing import Protocol

from stagezero.api.base import Key
from stagezero.api.istio import Gateway, VirtualService
from stagezero.mesh.delta import Rejection, Verdict
from stagezero.mesh.model import Model, load_in
from stagezero.mesh.plans.backends import Cluster
from stagezero.mesh.plans.encode_listeners import listener_name
from stagezero.mesh.plans.pieces import Contribution, Piece, Place
from stagezero.mesh.plans.resources import Kind, Resource, Snapshot
from stagezero.mesh.plans.status import REFUSED_ROUTES, GatewayWitness, Witness
from stagezero.mesh.plans.tables import Table, table_name
from stagezero.mesh.plans.values import Reason


class Envoy(Protocol):
    """How Envoy is told and what it answered: the xDS server, or a fake."""

    def acked(self, kind: Kind, name: str) -> Resource | None:
        """The resource that it acknowledged last."""
        ...

    def rejected(self, kind: Kind, name: str) -> Rejection | None:
        """The rejection that stands."""
        ...

    def subscribe(self, listener: Callable[[Verdict], None]) -> None:
        """Call on every verdict, and with an empty one when Envoy comes or goes."""
        ...

    def publish(self, snapshot: Snapshot) -> None:
        """Say what Envoy shall have from now on."""
        ...

    def retry(self, kind: Kind) -> None:
        """Send what was rejected of a kind once more."""
        ...


class Witnesses:
    """Compares the model with Envoy's answers."""

    def __init__(self, model: Model, envoy: Envoy) -> None:
        self._model = model
        self._envoy = envoy

    def of_virtual_service(self, service: VirtualService) -> Witness:
        """What is known of a VirtualService."""
        routing = self._model.routing
        found = routing.contributions.get(service.key)
        if found is None or routing.generations[service.key] != service.metadata.generation:
            return Witness()
        clusters = found.clusters
        waiting = self._unacked_routes(service.key, found)
        waiting += [name for name, cluster in clusters.items() if not self._is_acked(cluster)]
        return Witness(
            is_planned=True,
            is_mesh_only=found.is_mesh_only,
            rejection=self._refused(service.key, found),
            problems=found.problems,
            waiting_for=tuple(waiting),
            empty=tuple(n for n, c in clusters.items() if not c.dns_name and self._is_empty(n)),
            notes=found.notes,
        )

    def of_gateway(self, gateway: Gateway) -> GatewayWitness:
        """What is known of a Gateway."""
        problems = self._model.routing.gateway_problems.get(gateway.key)
        if problems is None:
            return GatewayWitness(waiting_for=("its listeners",))
        settings, waiting = self._model.settings, []
        is_ours = not any(
            p.reason is Reason.NOT_SERVED and "selector" in p.message for p in problems
        )
        for server in gateway.spec.servers if is_ours else ():
            if server.port.number not in self._model.routing.tables:
                continue
            name = listener_name(*settings.listeners[server.port.number])
            rejection = self._envoy.rejected(Kind.LISTENER, name)
            if rejection is not None:
                text = f"Envoy refused listener {name}: {rejection.text}"
                return GatewayWitness(problems, text)
            if self._envoy.acked(Kind.LISTENER, name) is None:
                waiting.append(f"listener {name}")
        return GatewayWitness(problems, waiting_for=tuple(waiting))

    def _unacked_routes(self, owner: Key, found: Contribution) -> list[str]:
        return [
            f"routes of {place.host}:{place.port}"
            for place, piece in found.pieces.items()
            if not self._runs(owner, place, piece)
        ]

    def _runs(self, owner: Key, place: Place, piece: Piece) -> bool:
        acked = self._envoy.acked(Kind.TABLE, table_name(place.port))
        if acked is None or not isinstance(acked.meaning, Table):
            return False
        for key, running in acked.meaning.hosts.get(place.host, ()):
            if key == owner:
                return (running.first, running.last) == (piece.first, piece.last)
        return False

    def _is_acked(self, cluster: Cluster) -> bool:
        acked = self._envoy.acked(Kind.CLUSTER, cluster.name)
        if acked is None or acked.meaning != cluster:
            return False
        if cluster.dns_name or self._is_empty(cluster.name):
            return True
        wanted = load_in(self._model.snapshot[Kind.LOAD].get(cluster.name))
        running = load_in(self._envoy.acked(Kind.LOAD, cluster.name))
        if wanted is None or running is None:
            return False
        return not set(wanted.endpoints).isdisjoint(running.endpoints)

    def _is_empty(self, name: str) -> bool:
        load = load_in(self._model.snapshot[Kind.LOAD].get(name))
        return load is None or not load.endpoints

    def _refused(self, owner: Key, found: Contribution) -> str:
        text = self._model.rejection(owner)
        if text:
            return REFUSED_ROUTES + text
        for name in found.clusters:
            for kind in (Kind.CLUSTER, Kind.LOAD):
                rejection = self._envoy.rejected(kind, name)
                if rejection is not None:
                    return f"Envoy refused cluster {name}: {rejection.text}"
        for port in sorted({place.port for place in found.pieces}):
            listener = listener_name(*self._model.settings.listeners[port])
            rejection = self._envoy.rejected(Kind.LISTENER, listener)
            if rejection is not None:
                return f"Envoy refused listener {listener}: {rejection.text}"
        return ""
