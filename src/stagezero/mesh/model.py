"""What the mesh knows and wants: objects in, the snapshot for Envoy out. No I/O.

Two roads lead to a snapshot: whatever touches routes runs the planner; a change of Endpoints alone
touches the loads of its Service and nothing else, since a wake-up waits for it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from stagezero.api.base import Key
from stagezero.api.core import Endpoints, Service
from stagezero.api.istio import Gateway, VirtualService
from stagezero.mesh.plans.backends import Backend, Cluster, Load, backend_of, load_of
from stagezero.mesh.plans.encode_clusters import encode_cluster, encode_load
from stagezero.mesh.plans.encode_listeners import encode_listener
from stagezero.mesh.plans.planner import Planner, Routing, World
from stagezero.mesh.plans.quarantine import Quarantine
from stagezero.mesh.plans.resources import EMPTY, Kind, Resource, Snapshot
from stagezero.mesh.plans.settings import GatewaySettings
from stagezero.mesh.plans.status import was_rejected
from stagezero.mesh.plans.tables import Table, TableEncoder

EndpointsOf = Callable[[Key], Endpoints | None]


class Model:
    """The mesh's picture of the world, kept up to date by the controller."""

    def __init__(self, settings: GatewaySettings, endpoints: EndpointsOf) -> None:
        self.settings = settings
        self.routing = Routing({}, {}, {}, {})
        self.snapshot: Snapshot = EMPTY
        self._endpoints = endpoints
        self._gateways: dict[Key, Gateway] = {}
        self._services: dict[Key, VirtualService] = {}
        self._backends: dict[str, Backend] = {}
        self._planner = Planner(settings)
        self._ports: dict[int, _Port] = {}
        self._seeds: dict[Key, str] = {}
        self._is_stale = True
        self._stale_loads: set[Key] = set()
        self._users: dict[str, set[Key]] = {}
        self._clusters_of: dict[Key, set[str]] = {}

    # What comes in; each says whether Envoy may have to hear of it.

    def gateway_changed(self, before: Gateway | None, after: Gateway | None) -> bool:
        """Take in a Gateway."""
        if before is not None and after is not None and _is_same(before, after):
            return False
        if after is not None:
            self._gateways[after.key] = _bare(after)
        elif before is not None:
            self._gateways.pop(before.key, None)
        self._is_stale = True
        return True

    def virtual_service_changed(
        self, before: VirtualService | None, after: VirtualService | None
    ) -> bool:
        """Take in a VirtualService."""
        if before is not None and after is not None and _is_same(before, after):
            return False
        if after is not None:
            if before is None and was_rejected(after):
                self._seed(after)
            self._services[after.key] = _bare(after)
        elif before is not None:
            self._services.pop(before.key, None)
        self._is_stale = True
        return True

    def service_changed(self, before: Service | None, after: Service | None) -> bool:
        """Take in a Service."""
        domain = self.settings.cluster_domain
        if after is not None:
            backend = backend_of(after, domain)
            if self._backends.get(backend.host) == backend:
                return False
            self._backends[backend.host] = backend
        elif before is not None:
            self._backends.pop(backend_of(before, domain).host, None)
        self._is_stale = True
        return True

    def endpoints_changed(self, key: Key) -> bool:
        """Note that the Endpoints of a Service changed."""
        if key not in self._clusters_of:
            return False
        self._stale_loads.add(key)
        return True

    def table_acked(self, table: Table) -> bool:
        """Envoy took a route table."""
        port = self._ports.get(table.port)
        more = port is not None and port.quarantine.acked(table)
        self._is_stale = self._is_stale or more
        return more

    def table_rejected(self, table: Table, text: str) -> bool:
        """Envoy refused a route table."""
        port = self._ports.get(table.port)
        more = port is not None and port.quarantine.rejected(table, text)
        self._is_stale = self._is_stale or more
        return more

    # What goes out.

    def rejection(self, owner: Key) -> str:
        """Envoy's words about a VirtualService that is kept out of a table."""
        texts = (port.quarantine.rejection(owner) for port in self._ports.values())
        return next((text for text in texts if text), "")

    def virtual_services(self) -> Iterable[Key]:
        """All VirtualServices that are known."""
        return self._services.keys()

    def gateways(self) -> Iterable[Key]:
        """All Gateways that are known."""
        return self._gateways.keys()

    def users(self, cluster: str) -> Iterable[Key]:
        """The VirtualServices that send requests to a cluster."""
        return self._users.get(cluster, ())

    def build(self) -> set[Key]:
        """Bring the snapshot up to date; returns the VirtualServices that this concerns."""
        if not self._is_stale:
            return self._build_loads()
        before = self.routing.contributions
        world = World(
            tuple(self._gateways.values()), tuple(self._services.values()), self._backends
        )
        self.routing = self._planner.plan(world)
        self._is_stale = False
        self._stale_loads.clear()
        now = self.routing.contributions
        tables = {p: self._port(p).encode(t) for p, t in self.routing.tables.items()}
        clusters = self._encode_clusters(self._clusters(tables.values()))
        self._clusters_of = _by_service(clusters.values())
        loads = {
            r.name: self._encode_load(r.meaning)
            for r in clusters.values()
            if isinstance(r.meaning, Cluster) and not r.meaning.dns_name
        }
        listeners = [self._port(port).listener for port in self.routing.tables]
        self.snapshot = {
            Kind.CLUSTER: clusters,
            Kind.LOAD: loads,
            Kind.LISTENER: {r.name: r for r in listeners},
            Kind.TABLE: {r.name: r for r in tables.values()},
        }
        self._index_users()
        self._seeds.clear()  # known to every port that is open; what comes later is tried anew
        return {key for key in now if before.get(key) is not now[key]}

    def _build_loads(self) -> set[Key]:
        stale = {name for key in self._stale_loads for name in self._clusters_of.get(key, ())}
        self._stale_loads.clear()
        loads = dict(self.snapshot[Kind.LOAD])
        concerned: set[Key] = set()
        for name in stale:
            cluster = self.snapshot[Kind.CLUSTER][name].meaning
            if isinstance(cluster, Cluster) and not cluster.dns_name:
                loads[name] = self._encode_load(cluster)
                concerned.update(self.users(name))
        self.snapshot = {**self.snapshot, Kind.LOAD: loads}
        return concerned

    def _port(self, number: int) -> "_Port":
        if number not in self._ports:
            self._ports[number] = _Port(number, self.settings, self._seeds)
        return self._ports[number]

    def _seed(self, service: VirtualService) -> None:
        self._seeds[service.key] = was_rejected(service)

    def _clusters(self, tables: Iterable[Resource]) -> dict[str, Cluster]:
        found: dict[str, Cluster] = {}
        for resource in tables:
            assert isinstance(resource.meaning, Table)
            for entries in resource.meaning.hosts.values():
                for _, piece in entries:
                    found.update((cluster.name, cluster) for cluster in piece.clusters)
        return found

    def _encode_clusters(self, clusters: Mapping[str, Cluster]) -> dict[str, Resource]:
        known = self.snapshot[Kind.CLUSTER]
        return {
            name: known[name]
            if name in known and known[name].meaning == cluster
            else encode_cluster(cluster)
            for name, cluster in clusters.items()
        }

    def _encode_load(self, cluster: Cluster) -> Resource:
        load = load_of(cluster, self._endpoints(_service_key(cluster)))
        known = self.snapshot[Kind.LOAD].get(cluster.name)
        if known is not None and known.meaning == load:
            return known
        return encode_load(load)

    def _index_users(self) -> None:
        self._users = {}
        for key, contribution in self.routing.contributions.items():
            for name in contribution.clusters:
                self._users.setdefault(name, set()).add(key)


class _Port:
    """What belongs to one gateway port."""

    def __init__(self, number: int, settings: GatewaySettings, seeds: Mapping[Key, str]) -> None:
        self.listener = encode_listener(number, settings)
        self.quarantine = Quarantine()
        self._encoder = TableEncoder((number, settings.listeners[number].port))
        for owner, text in seeds.items():
            self.quarantine.seed(owner, text)

    def encode(self, table: Table) -> Resource:
        return self._encoder.encode(self.quarantine.admit(table))


G = TypeVar("G", Gateway, VirtualService)


def _is_same(before: G, after: G) -> bool:
    """Whether nothing that routes depend on has changed (a status has, or labels)."""
    return (
        before.uid == after.uid
        and before.metadata.generation == after.metadata.generation
        and before.spec == after.spec
    )


def _bare(thing: G) -> G:
    """The object without what the plan does not read: these stay in memory."""
    meta = msgspec.structs.replace(
        thing.metadata, annotations={}, labels={}, managed_fields=[], owner_references=[]
    )
    return msgspec.structs.replace(thing, metadata=meta, status=type(thing)().status)


def _service_key(cluster: Cluster) -> Key:
    name, namespace, *_ = cluster.host.split(".")
    return Key(namespace, name)


def _by_service(resources: Iterable[Resource]) -> dict[Key, set[str]]:
    found: dict[Key, set[str]] = {}
    for resource in resources:
        assert isinstance(resource.meaning, Cluster)
        found.setdefault(_service_key(resource.meaning), set()).add(resource.name)
    return found


def load_in(resource: Resource | None) -> Load | None:
    """The load that a resource was made from."""
    return resource.meaning if resource is not None and isinstance(resource.meaning, Load) else None
