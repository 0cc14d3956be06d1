"""Route tables: all virtual hosts of a port, joined from pieces; only what changed is encoded."""

from collections.abc import Mapping
from dataclasses import dataclass

from stagezero.api.base import Key
from stagezero.mesh.plans.encode_routes import encode_table, encode_virtual_host
from stagezero.mesh.plans.hosts import domains
from stagezero.mesh.plans.pieces import HostRules, Piece
from stagezero.mesh.plans.resources import Kind, Resource, resource


@dataclass(frozen=True, eq=False)
class Table:
    """The route table of one gateway port."""

    port: int
    hosts: Mapping[str, HostRules]
    https_only: frozenset[str]

    def pieces_of(self, owner: Key) -> dict[str, Piece]:
        """What a VirtualService gives to this table, by host."""
        return {h: p for h, entries in self.hosts.items() for o, p in entries if o == owner}


def table_name(port: int) -> str:
    """The name that listeners ask for, as istiod gives it."""
    return f"http.{port}"


class TableEncoder:
    """Encodes the table of one port again and again, remembering virtual hosts."""

    def __init__(self, ports: tuple[int, ...]) -> None:
        self._ports = ports  # the gateway port, then the real one: clients may send either
        self._known: dict[str, tuple[HostRules, bool, bytes]] = {}
        self._last: Resource | None = None

    def encode(self, table: Table) -> Resource:
        """Return the table's resource; the same object if nothing changed."""
        fresh: dict[str, tuple[HostRules, bool, bytes]] = {}
        for host, entries in table.hosts.items():
            is_https_only = host in table.https_only
            known = self._known.get(host)
            if known is None or known[:2] != (entries, is_https_only):
                body = self._virtual_host(host, entries, is_https_only)
                known = (entries, is_https_only, body)
            fresh[host] = known
        is_same = self._last is not None and _same(fresh, self._known)
        self._known = fresh
        if self._last is None or not is_same:
            self._last = self._join(table)
        return self._last

    def _virtual_host(self, host: str, entries: HostRules, is_https_only: bool) -> bytes:
        routes = [piece.first for _, piece in entries] + [piece.last for _, piece in entries]
        name = f"{host}:{self._ports[0]}"
        return encode_virtual_host(name, domains(host, self._ports), routes, is_https_only)

    def _join(self, table: Table) -> Resource:
        virtual_hosts = [body for _, _, body in self._known.values()]
        if "*" not in table.hosts:
            blackhole = f"blackhole:{self._ports[0]}"
            virtual_hosts.append(encode_virtual_host(blackhole, ("*",), (), False))
        needs = frozenset(
            cluster.name
            for entries in table.hosts.values()
            for _, piece in entries
            for cluster in piece.clusters
        )
        name = table_name(table.port)
        return resource(Kind.TABLE, name, encode_table(name, virtual_hosts), table, needs)


def _same(
    one: Mapping[str, tuple[HostRules, bool, bytes]],
    other: Mapping[str, tuple[HostRules, bool, bytes]],
) -> bool:
    return len(one) == len(other) and all(other.get(h) is entry for h, entry in one.items())
