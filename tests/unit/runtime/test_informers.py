"""Informers: what they do when a server forgets, ends, refuses, or does not know a kind yet."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from stagezero.api import errors
from stagezero.api.base import Key, Object, ObjectMeta, to_raw
from stagezero.api.core import ConfigMap, Secret
from stagezero.client.cache import Caches
from stagezero.client.client import Client
from stagezero.kit.http import Request, Response, WatchFrame
from stagezero.kit.tasks import TaskOwner
from stagezero.runtime.informers import Informers

pytestmark = pytest.mark.looptime

Frames = Callable[["Server"], AsyncIterator[WatchFrame]]


def encoded(name: str, version: int) -> bytes:
    raw = to_raw(ConfigMap(metadata=ObjectMeta(name=name, namespace="ns", uid=name)))
    raw["metadata"]["resourceVersion"] = str(version)
    return msgspec.json.encode(raw)


async def silence(_: "Server") -> AsyncIterator[WatchFrame]:
    """A watch that stays open and says nothing."""
    await asyncio.Event().wait()
    yield WatchFrame("BOOKMARK", b"")


async def ends_at_once(_: "Server") -> AsyncIterator[WatchFrame]:
    """A watch that the server ends as soon as it is open."""
    nothing: tuple[WatchFrame, ...] = ()
    for frame in nothing:
        yield frame


def says(*frames: WatchFrame, then: Frames = silence) -> Frames:
    """A watch that brings these frames and goes on as another one."""

    async def watch(server: "Server") -> AsyncIterator[WatchFrame]:
        for frame in frames:
            yield frame
        async for frame in then(server):
            yield frame

    return watch


def expired(_: "Server") -> AsyncIterator[WatchFrame]:
    status = errors.Gone("too old resource version: 1 (9)").status()
    return says(WatchFrame("ERROR", msgspec.json.encode(status)), then=ends_at_once)(_)


class Server:
    """A transport that answers by script: what is there, and how the next watches go."""

    def __init__(self) -> None:
        self.items: list[bytes] = []
        self.version = 1
        self.lists: list[float] = []
        self.watches: list[tuple[float, str]] = []
        self.script: list[Frames | errors.ApiError] = []
        self.always: Frames | errors.ApiError = silence
        self.list_error: errors.ApiError | Exception | None = None

    async def send(self, request: Request) -> Response:
        self.lists.append(_now())
        if isinstance(self.list_error, errors.ApiError):
            body = msgspec.json.encode(self.list_error.status())
            return Response(int(self.list_error.status()["code"]), body)
        if self.list_error is not None:
            raise self.list_error
        items = b",".join(self.items)
        head = b'{"metadata":{"resourceVersion":"%d"},"items":[' % self.version
        return Response(200, head + items + b"]}")

    @asynccontextmanager
    async def watch(self, request: Request) -> AsyncIterator[AsyncIterator[WatchFrame]]:
        self.watches.append((_now(), request.query["resourceVersion"]))
        act = self.script.pop(0) if self.script else self.always
        if isinstance(act, errors.ApiError):
            raise act
        yield act(self)

    async def close(self) -> None:
        return

    @property
    def versions(self) -> list[str]:
        """From which version each watch was asked for."""
        return [version for _, version in self.watches]


def _now() -> float:
    return asyncio.get_running_loop().time()


class World:
    """Informers of ConfigMaps on a scripted server."""

    def __init__(self, *kinds: type[Object]) -> None:
        self.server = Server()
        self.caches = Caches()
        for kind in kinds or (ConfigMap,):
            self.caches.add(kind)
        self.informers = Informers(Client(self.server), self.caches)

    def names(self) -> list[str]:
        return [thing.metadata.name for thing in self.caches.list(ConfigMap)]

    async def run(self, for_s: float) -> None:
        """Let the informers work for a while."""
        owner = TaskOwner("test")
        owner.start(self.informers.run(), "informers")
        await asyncio.sleep(for_s)
        await owner.stop()


async def test_list_fills_the_cache() -> None:
    world = World()
    world.server.items = [encoded("a", 1), encoded("b", 2)]
    await world.run(1)
    assert world.names() == ["a", "b"]


async def test_watch_starts_at_the_list() -> None:
    world = World()
    world.server.version = 17
    await world.run(1)
    assert world.server.versions == ["17"]


async def test_ended_watch_is_resumed_without_a_list() -> None:
    world = World()
    frame = WatchFrame("ADDED", encoded("a", 5))
    world.server.script = [says(frame, then=ends_at_once)]
    await world.run(1)
    assert len(world.server.lists) == 1
    assert world.server.versions == ["1", "5"]


async def test_bookmark_moves_the_place_to_resume() -> None:
    world = World()
    frame = WatchFrame("BOOKMARK", encoded("", 44))
    world.server.script = [says(frame, then=ends_at_once)]
    await world.run(1)
    assert world.server.versions == ["1", "44"]


async def test_compacted_version_costs_a_new_list() -> None:
    world = World()
    world.server.items = [encoded("old", 1)]
    world.server.script = [expired]
    owner = TaskOwner("test")
    owner.start(world.informers.run(), "informers")
    await world.informers.synced()
    world.server.items, world.server.version = [encoded("new", 9)], 9
    await asyncio.sleep(5)
    await owner.stop()
    assert world.names() == ["new"]
    assert world.server.versions == ["1", "9"]


async def test_refused_version_costs_a_new_list() -> None:
    world = World()
    world.server.script = [errors.Gone("too old")]
    await world.run(5)
    assert len(world.server.lists) == 2


async def test_server_that_forgets_at_once_is_not_flooded() -> None:
    world = World()
    world.server.always = expired
    await world.run(60)
    assert len(world.server.lists) < 20


async def test_server_that_ends_every_watch_is_not_flooded() -> None:
    world = World()
    world.server.always = ends_at_once
    await world.run(60)
    assert len(world.server.watches) < 20
    assert len(world.server.lists) == 1


async def test_error_within_a_watch_resumes_it() -> None:
    world = World()
    status = errors.InternalError("etcd is away").status()
    frame = WatchFrame("ERROR", msgspec.json.encode(status))
    world.server.script = [says(frame, then=ends_at_once)]
    await world.run(5)
    assert world.server.versions == ["1", "1"]
    assert len(world.server.lists) == 1


async def test_unreachable_server_is_asked_with_growing_pauses() -> None:
    world = World()
    world.server.list_error = errors.Unavailable("nobody listens")
    await world.run(100)
    gaps = [b - a for a, b in zip(world.server.lists, world.server.lists[1:], strict=False)]
    assert gaps[0] == pytest.approx(0.1)
    assert gaps[-1] == pytest.approx(10)


async def test_failing_watch_after_a_good_list_backs_off() -> None:
    world = World()
    world.server.always = errors.Unavailable("going down")
    await world.run(60)
    assert len(world.server.watches) < 20
    assert len(world.server.lists) == 1


async def test_good_watch_forgets_the_failures() -> None:
    world = World()
    cut = says(WatchFrame("ADDED", encoded("a", 5)), then=ends_at_once)
    down = errors.Unavailable("down")
    world.server.script = [down, down, down, cut, down]
    await world.run(30)
    times = [at for at, _ in world.server.watches]
    assert times[-1] - times[-2] == pytest.approx(0.1)


async def test_kind_that_is_not_served_yet_is_waited_for() -> None:
    world = World()
    world.server.list_error = errors.NotFound("the server could not find the requested resource")
    owner = TaskOwner("test")
    owner.start(world.informers.run(), "informers")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.informers.synced(), 30)
    world.server.list_error = None
    await asyncio.wait_for(world.informers.synced(), 11)
    await owner.stop()


async def test_kind_that_is_served_no_more_is_empty() -> None:
    world = World()
    world.server.items = [encoded("a", 1)]
    away = errors.NotFound("the server could not find the requested resource")

    async def undefine(server: Server) -> AsyncIterator[WatchFrame]:
        server.list_error = away
        status = msgspec.json.encode(away.status())
        yield WatchFrame("ERROR", status)

    world.server.script = [undefine]
    await world.run(5)
    assert world.names() == []


@pytest.mark.parametrize(
    "frame",
    [
        WatchFrame("ADDED", b"no JSON at all"),
        WatchFrame("MODIFIED", b'{"metadata": {"resourceVersion": "x"}}'),
        WatchFrame("ERROR", b"\xff"),
    ],
    ids=["no-json", "odd-version", "odd-error"],
)
async def test_frame_that_cannot_be_read_costs_a_new_list(
    frame: WatchFrame, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.server.script = [says(frame)]
    await world.run(5)
    assert len(world.server.lists) == 2
    assert "the informer of ConfigMap failed" in caplog.text


async def test_failing_kind_does_not_hold_another() -> None:
    class Picky(Server):
        async def send(self, request: Request) -> Response:
            if request.path.endswith("secrets"):
                raise ZeroDivisionError("a bug")
            return await super().send(request)

    world = World(ConfigMap, Secret)
    picky = Picky()
    world.informers = Informers(Client(picky), world.caches)
    picky.items = [encoded("a", 1)]
    await world.run(5)
    assert world.names() == ["a"]


async def test_object_that_does_not_fit_is_left_out() -> None:
    world = World()
    odd = b'{"metadata": {"name": "odd", "namespace": "ns", "resourceVersion": "3"}, "data": 7}'
    world.server.items = [encoded("a", 1), odd, encoded("b", 2)]
    await world.run(5)
    assert world.names() == ["a", "b"]
    assert world.caches.raw(ConfigMap, Key("ns", "odd")) is not None
    assert len(world.server.lists) == 1


async def test_store_that_begins_anew_is_believed() -> None:
    """Restored from a backup: versions start again, and what was seen is not there."""
    world = World()
    world.server.items, world.server.version = [encoded("a", 900), encoded("b", 901)], 901
    world.server.script = [errors.Gone("version 901 is compacted, the oldest is 5")]
    owner = TaskOwner("test")
    owner.start(world.informers.run(), "informers")
    await world.informers.synced()
    world.server.items, world.server.version = [encoded("a", 4)], 5
    await asyncio.sleep(5)
    await owner.stop()
    (left,) = world.caches.list(ConfigMap)
    assert (left.metadata.name, left.metadata.resource_version) == ("a", "4")
    assert world.server.versions[-1] == "5"
