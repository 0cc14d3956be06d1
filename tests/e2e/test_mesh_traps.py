"""The traps of the data path, each sprung on the real Envoy: warming, nonces, storms, restarts."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from stagezero.api.base import Key
from stagezero.mesh.plans.backends import Cluster, Load, cluster_name
from stagezero.mesh.plans.encode_clusters import encode_cluster, encode_load
from stagezero.mesh.plans.encode_listeners import encode_listener
from stagezero.mesh.plans.encode_routes import encode_rules
from stagezero.mesh.plans.pieces import Piece
from stagezero.mesh.plans.resources import Kind, Resource, Snapshot
from stagezero.mesh.plans.tables import Table, TableEncoder
from stagezero.mesh.plans.values import Branch, Endpoint, Forward, Match, Rule, Target
from stagezero.mesh.xds import Rejected
from support.envoy_real import Backend, RealEnvoy, backends, fetch, real_envoy
from support.mesh import GATEWAYS, endpoints, service, to, virtual_service
from support.mesh_plane import api_server, mesh_on

pytestmark = pytest.mark.e2e


class Hand:
    """Snapshots made by hand: clusters c0, c1, … each with its virtual host and one endpoint."""

    def __init__(self, envoy: RealEnvoy, backend: Backend) -> None:
        self.envoy, self.backend = envoy, backend
        self._encoder = TableEncoder((80, envoy.http))
        self._listener = encode_listener(80, envoy.gateway)
        self.clusters: dict[str, Cluster] = {}
        self.loads: dict[str, Load] = {}
        self._pieces: dict[str, Piece] = {}

    def add(self, name: str, *, awake: bool = True) -> list[Resource]:
        """A cluster and its load; without endpoints if it is not awake."""
        label = cluster_name(name, 80)
        self.clusters[label] = Cluster(label, name, 80, "http", is_http2=False)
        here = (Endpoint("127.0.0.1", self.backend.port),)
        self.loads[label] = Load(label, here if awake else ())
        return [encode_cluster(self.clusters[label]), encode_load(self.loads[label])]

    def route(self, *names: str) -> None:
        """A virtual host NAME.y to the cluster of that name, for each name."""
        for name in names:
            label = cluster_name(name, 80)
            branch = Branch(Target(name), cluster=label)
            rules = (Rule(Match(), Forward((branch,))),)
            clusters = tuple(c for c in (self.clusters.get(label),) if c is not None)
            self._pieces[f"{name}.y"] = Piece(rules, clusters, b"", encode_rules(rules))

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        hosts = {host: ((Key("", host), piece),) for host, piece in self._pieces.items()}
        table = self._encoder.encode(Table(80, hosts, frozenset()))
        return {
            Kind.CLUSTER: {name: encode_cluster(c) for name, c in self.clusters.items()},
            Kind.LOAD: {name: encode_load(load) for name, load in self.loads.items()},
            Kind.LISTENER: {self._listener.name: self._listener},
            Kind.TABLE: {table.name: table},
        }

    async def publish(self) -> None:
        """Publish, and wait until Envoy has acknowledged all of it."""
        snapshot = self.snapshot()
        self.envoy.xds.publish(snapshot)
        await self.settled([one for kind in snapshot.values() for one in kind.values()])

    async def settled(self, resources: Sequence[Resource]) -> None:
        """Wait for these, with a deadline."""
        async with asyncio.timeout(20):
            await self.envoy.xds.settled(resources)

    async def status(self, name: str) -> int:
        """What a request to NAME.y is answered."""
        return (await self.envoy.get(f"{name}.y")).status


@pytest.fixture
async def hand() -> AsyncIterator[Hand]:
    async with real_envoy() as envoy, backends(["a"]) as (backend,):
        yield Hand(envoy, backend)


async def test_a_changed_cluster_does_not_hold_up_anothers_wake(hand: Hand) -> None:
    hand.add("c0")
    await hand.publish()
    label = cluster_name("c0", 80)
    hand.clusters[label] = replace(hand.clusters[label], is_http2=True)
    woken = hand.add("c1")
    started = time.perf_counter()
    hand.envoy.xds.publish(hand.snapshot())
    await hand.settled(woken)
    assert time.perf_counter() - started < 0.5


async def test_a_cluster_without_a_load_holds_up_others_for_a_second_at_most(hand: Hand) -> None:
    hand.add("c0")
    await hand.publish()
    mute = hand.add("mute")
    snapshot = hand.snapshot()
    without = {n: one for n, one in snapshot[Kind.LOAD].items() if n != mute[0].name}
    woken = hand.add("c1")
    wanted = {**hand.snapshot(), Kind.LOAD: {**without, woken[1].name: woken[1]}}
    started = time.perf_counter()
    hand.envoy.xds.publish(wanted)
    await hand.settled(woken)
    assert time.perf_counter() - started < 3


async def test_three_hundred_wakes_at_once_lose_no_request(hand: Hand) -> None:
    names = [f"c{number}" for number in range(300)]
    hand.route(*names)
    await hand.publish()

    async def wake(name: str) -> int:
        woken = hand.add(name)
        hand.envoy.xds.publish(hand.snapshot())
        await hand.settled(woken)
        return await hand.status(name)

    statuses = await asyncio.gather(*(wake(name) for name in names))
    assert statuses == [200] * 300


async def test_three_hundred_routes_at_once(hand: Hand) -> None:
    names = [f"c{number}" for number in range(300)]
    for name in names:
        hand.add(name)
    hand.route(*names)
    await hand.publish()
    statuses = await asyncio.gather(*(hand.status(name) for name in names[::10]))
    assert set(statuses) == {200}


async def test_routes_never_name_a_cluster_that_is_not_there_yet(hand: Hand) -> None:
    hand.add("c0")
    hand.route("c0")
    await hand.publish()
    for number in range(1, 20):
        name = f"c{number}"
        hand.add(name)
        hand.route(name)
        snapshot = hand.snapshot()
        hand.envoy.xds.publish(snapshot)
        await hand.settled(list(snapshot[Kind.TABLE].values()))
        assert await hand.status(name) == 200


async def test_endpoints_move_under_load_without_an_error(hand: Hand) -> None:
    hand.add("c0")
    hand.route("c0")
    await hand.publish()
    async with backends(["b"]) as (other,):
        stop = asyncio.Event()
        clients = [asyncio.create_task(knock(hand.envoy, "c0.y", stop)) for _ in range(8)]
        label = cluster_name("c0", 80)
        for turn in range(60):
            port = (hand.backend, other)[turn % 2].port
            hand.loads[label] = Load(label, (Endpoint("127.0.0.1", port),))
            await hand.publish()
        stop.set()
        answers = [status for found in await asyncio.gather(*clients) for status in found]
    assert set(answers) == {200}
    assert len(answers) > 100


async def knock(envoy: RealEnvoy, host: str, stop: asyncio.Event) -> list[int]:
    """Ask again and again until told to stop; the statuses."""
    statuses = []
    while not stop.is_set():
        statuses.append((await envoy.get(host)).status)
    return statuses


async def test_a_rejection_ends_the_wait_with_envoys_words(hand: Hand) -> None:
    await hand.publish()
    broken = replace(hand.add("c0")[0], body=b"\xff\xff", version="broken")
    snapshot = hand.snapshot()
    hand.envoy.xds.publish({**snapshot, Kind.CLUSTER: {broken.name: broken}})
    with pytest.raises(Rejected, match="outbound"):
        await hand.settled([broken])


async def test_envoy_serves_on_while_the_server_is_away_and_comes_back(hand: Hand) -> None:
    hand.add("c0")
    hand.route("c0")
    await hand.publish()
    stop = asyncio.Event()
    client = asyncio.create_task(knock(hand.envoy, "c0.y", stop))
    await hand.envoy.xds.stop()
    assert await hand.status("c0") == 200
    await hand.envoy.restart_server()
    assert await hand.status("c0") == 200
    hand.add("c1")
    hand.route("c1")
    await hand.publish()
    assert await hand.status("c1") == 200
    stop.set()
    assert set(await client) == {200}


async def test_a_new_server_says_nothing_before_it_knows_the_world(hand: Hand) -> None:
    hand.add("c0")
    hand.route("c0")
    await hand.publish()
    await hand.envoy.restart_server()
    connected = asyncio.Event()
    hand.envoy.xds.subscribe(lambda _: connected.set())
    await asyncio.wait_for(connected.wait(), 10)
    assert await hand.status("c0") == 200
    await hand.publish()
    assert await hand.status("c0") == 200


async def test_what_went_while_the_server_was_away_is_taken_from_envoy(hand: Hand) -> None:
    hand.add("c0")
    hand.add("c1")
    hand.route("c0")
    await hand.publish()
    await hand.envoy.restart_server()
    hand.clusters.pop(cluster_name("c1", 80))
    hand.loads.pop(cluster_name("c1", 80))
    await hand.publish()
    async with asyncio.timeout(10):
        while "||c1::" in await hand.envoy.admin("/clusters"):  # noqa: ASYNC110 - not ours to hear
            await asyncio.sleep(0.02)
    assert await hand.status("c0") == 200


async def test_an_envoy_that_died_is_told_everything_again(hand: Hand) -> None:
    hand.add("c0")
    hand.route("c0")
    await hand.publish()
    gone = asyncio.Event()
    hand.envoy.xds.subscribe(lambda _: None if hand.envoy.xds.is_connected else gone.set())
    await hand.envoy.stop_envoy()
    await asyncio.wait_for(gone.wait(), 10)
    await hand.envoy.start_envoy()
    await hand.publish()
    assert await hand.status("c0") == 200


async def test_a_cluster_that_leaves_and_returns_under_load(hand: Hand) -> None:
    """Routes away, acknowledged, cluster out, cluster in, routes back: no error in between."""
    hand.add("c0")
    hand.add("c1")
    hand.route("c0", "c1")
    await hand.publish()
    stop = asyncio.Event()
    clients = [asyncio.create_task(knock(hand.envoy, "c0.y", stop)) for _ in range(4)]
    label = cluster_name("c1", 80)
    for _ in range(20):
        hand.clusters.pop(label, None)
        hand.loads.pop(label, None)
        hand.route("c1")
        await hand.publish()
        hand.add("c1")
        hand.route("c1")
        await hand.publish()
        assert await hand.status("c1") == 200
    stop.set()
    assert {status for found in await asyncio.gather(*clients) for status in found} == {200}


async def test_a_long_stream_with_pauses_is_not_cut() -> None:
    done = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n")
        for letter in (b"a", b"b", b"c"):
            await asyncio.sleep(1)
            writer.write(letter)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        done.set()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        real_envoy() as envoy,
        api_server() as api,
        mesh_on(api, envoy.xds, envoy.gateway) as plane,
    ):
        await plane.put(*GATEWAYS, service("a"), endpoints("a", ("127.0.0.1", port)))
        await plane.put(virtual_service("x", ["x.y"], {"route": [to("a")]}))
        await plane.told("x", "True")
        assert (await envoy.get("x.y")).body == b"abc"
    await done.wait()
    server.close()
    await server.wait_closed()


async def test_a_control_plane_that_dies_and_returns_is_not_felt() -> None:
    async with real_envoy() as envoy, backends(["a"]) as (a,), api_server() as api:
        async with mesh_on(api, envoy.xds, envoy.gateway) as plane:
            await plane.put(*GATEWAYS, service("a"), endpoints("a", ("127.0.0.1", a.port)))
            await plane.put(virtual_service("x", ["x.y"], {"route": [to("a")]}))
            await plane.told("x", "True")
            stop = asyncio.Event()
            client = asyncio.create_task(knock(envoy, "x.y", stop))
        await envoy.restart_server()
        async with mesh_on(api, envoy.xds, envoy.gateway) as plane:
            await plane.put(virtual_service("z", ["z.y"], {"route": [to("a")]}))
            await plane.told("z", "True")
            assert (await fetch(envoy.http, "z.y")).status == 200
            stop.set()
            assert set(await client) == {200}
