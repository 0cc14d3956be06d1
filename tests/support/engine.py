"""The loop engine over a real API server in one event loop, with a wire that a test can cut.

`Widget` is a custom kind with a default that only the server knows, so that plans meet what
admission makes of their objects.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, ClassVar

import msgspec

from stagezero.api import errors
from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.apps import Deployment, ReplicaSet
from stagezero.api.base import (
    Condition,
    Key,
    Noun,
    Object,
    ObjectMeta,
    Raw,
    Resource,
    T,
    controlled_by,
)
from stagezero.api.core import ConfigMap
from stagezero.api.crd import crd_for
from stagezero.api.event import Event
from stagezero.apiserver.server import ApiServer, Kinds, refusal
from stagezero.client.cache import Caches
from stagezero.client.client import Client
from stagezero.client.inprocess import InProcess
from stagezero.kit.clock import LoopClock
from stagezero.kit.http import Handler, Request, Response, User, WatchFrame
from stagezero.kit.tasks import TaskOwner
from stagezero.runtime.carry import Carrier
from stagezero.runtime.controller import AnyController, ControllerLoop
from stagezero.runtime.events import Recorder
from stagezero.runtime.informers import Informers
from stagezero.store.memory import MemoryStore

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SYSTEM = User("system:stagezero:controller", ("system:stagezero", "system:masters"))
USER = User("tester", ("system:masters",))


class Shape(Noun):
    """Part of a Widget."""

    corners: int = 0
    color: str = ""


class WidgetSpec(Noun):
    """What a Widget shall be."""

    size: int = 0
    shape: Shape | None = None
    parts: list[str] = []  # noqa: RUF012  # msgspec copies it


class WidgetStatus(Noun):
    """What a Widget is."""

    observed_generation: int = 0
    url: str = ""
    ready: int = 0
    conditions: list[Condition] = []  # noqa: RUF012  # msgspec copies it


class Widget(Object):
    """A custom kind."""

    resource: ClassVar[Resource] = Resource("tests.dev", "v1", "Widget", "widgets", has_status=True)
    spec: WidgetSpec = WidgetSpec()
    status: WidgetStatus = WidgetStatus()


class Gadget(Object):
    """What a Widget makes."""

    resource: ClassVar[Resource] = Resource("tests.dev", "v1", "Gadget", "gadgets", has_status=True)
    spec: WidgetSpec = WidgetSpec()
    status: WidgetStatus = WidgetStatus()


def _paint(raw: Raw, _: AdmissionRequest) -> Raw:
    """The default that no plan knows: everything is grey."""
    spec = raw.get("spec") or {}
    shape = {"color": "grey", **(spec.get("shape") or {})}
    return {**raw, "spec": {**spec, "shape": shape}}


def _refuse_huge(raw: Raw, _: AdmissionRequest) -> None:
    if raw["spec"].get("size", 0) > 1000:
        raise errors.Denied("gadgets.tests.dev", "spec.size: too large", "BadRequest", 400)


class Wire:
    """Everything that our loops send; a test reads it, refuses some, or holds some up."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.sent: list[Request] = []
        self.refuse: Callable[[Request], errors.ApiError | None] = lambda request: None
        self.news = asyncio.Event()
        """While it is cleared, watches bring nothing."""
        self.news.set()

    async def handle(self, request: Request) -> Response:
        """Note a request and pass it on, unless it is to be refused."""
        if request.method != "GET":
            self.sent.append(request)
        error = self.refuse(request)
        response = await self._handler(request) if error is None else refusal(error)
        if response.events is None:
            return response
        return replace(response, events=self._held(response.events))

    async def _held(self, frames: AsyncIterator[WatchFrame]) -> AsyncIterator[WatchFrame]:
        async for frame in frames:
            await self.news.wait()
            yield frame

    def writes(self, word: str = "") -> list[str]:
        """Method and path of every write so far whose path contains a word; events never count."""
        lines = [f"{request.method} {request.path}" for request in self.sent]
        return [line for line in lines if word in line and "/events" not in line]

    def bodies(self, word: str = "") -> list[Any]:
        """The bodies of these writes."""
        return [
            msgspec.json.decode(request.body)
            for request in self.sent
            if word in request.path and "/events" not in request.path
        ]

    def clear(self) -> None:
        """Forget what was sent."""
        self.sent.clear()


class Lab:
    """API server, caches that follow it, and a carrier."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.store = MemoryStore()
        rules = ((Gadget, Admission(default=_paint, validate=_refuse_huge)),)
        self.server = ApiServer(self.store, self.clock, Kinds(admissions=rules))
        self.wire = Wire(self.server.handle)
        self.client = Client(InProcess(self.wire.handle, SYSTEM))
        self.user = Client(InProcess(self.server.handle, USER))
        self.caches = Caches()
        self.recorder = Recorder(self.client, self.clock, "lab")
        self.carrier = Carrier(self.client, self.caches, self.recorder)
        self.tasks = TaskOwner("lab")

    async def start(self, controllers: tuple[AnyController, ...]) -> None:
        """Install the kinds, fill the caches, run the controllers."""
        await self.user.create_raw("/api/v1/namespaces", {"metadata": {"name": "default"}})
        for kind in (Widget, Gadget):
            await self.user.create_raw(CRDS, crd_for(kind))
        for one in (Widget, Gadget, ConfigMap, Deployment, ReplicaSet, Event):
            self.caches.add(one)
        loops = [self.loop_of(controller) for controller in controllers]
        informers = Informers(self.client, self.caches)
        self.tasks.start(informers.run(), "informers")
        await informers.synced()
        for loop in loops:
            loop.connect()
            self.tasks.start(loop.loop.run(), loop.loop.name)
        self.wire.clear()

    def loop_of(self, controller: AnyController) -> ControllerLoop:
        """A controller on this lab's API."""
        return ControllerLoop(controller, self.caches, self.carrier, self.clock)

    async def widget(self, name: str = "w", size: int = 1) -> Widget:
        """Make a Widget as a user does, and see it in the caches."""
        meta = ObjectMeta(name=name, namespace="default")
        made = await self.user.create(Widget(metadata=meta, spec=WidgetSpec(size=size)))
        await self.calm()
        return made

    async def calm(self, for_s: float = 1.0) -> None:
        """Let everything that is under way happen."""
        await asyncio.sleep(for_s)

    async def get(self, kind: type[T], name: str) -> T:
        """Read from the API itself."""
        return await self.user.get(kind, name, "default")

    async def raw(self, kind: type[Object], name: str) -> Raw:
        """Read from the API itself, as JSON."""
        path = kind.resource.path("default", name)
        answer = await self.user.request("GET", path)
        raw: Raw = msgspec.json.decode(answer.body)
        return raw

    async def events(self) -> list[Event]:
        """All events, in the order in which they were first told."""
        found = (await self.user.list(Event, "default")).items
        return sorted(found, key=lambda event: int(event.metadata.resource_version))


def gadget(owner: Object, name: str = "g", **spec: Any) -> Gadget:
    """A Gadget that `owner` controls."""
    meta = ObjectMeta(name=name, namespace="default", owner_references=[controlled_by(owner)])
    return Gadget(metadata=meta, spec=WidgetSpec(**spec))


KEY = Key("default", "w")


@asynccontextmanager
async def lab(*controllers: AnyController) -> AsyncIterator[Lab]:
    """A running lab; it must leave no task behind."""
    made = Lab()
    try:
        await made.start(controllers)
        yield made
    finally:
        await made.tasks.stop()
        await made.server.close()
        await made.store.close()
