"""The mesh room alone on a real API server in process: with the fake Envoy, or the real one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from stagezero.api.base import Condition, Key, Object, Raw, T, to_raw
from stagezero.api.core import Event
from stagezero.api.crd import crd_for
from stagezero.api.errors import NotFound
from stagezero.api.istio import Gateway, VirtualService
from stagezero.client.cache import Caches
from stagezero.client.client import Client
from stagezero.client.inprocess import InProcess
from stagezero.kit.clock import Clock, SystemClock
from stagezero.kit.http import User
from stagezero.mesh.controller import MeshController
from stagezero.mesh.plans.settings import GatewaySettings
from stagezero.mesh.witnesses import Envoy
from stagezero.runtime.carry import Carrier
from stagezero.runtime.events import Recorder
from stagezero.runtime.informers import Informers
from support.api_server import Api
from support.mesh import SETTINGS

USER = User("tester", ("system:masters",))
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEADLINE_S = 20.0


class MeshPlane:
    """A running mesh room, and a user's client."""

    def __init__(self, api: Api, clock: Clock, settings: GatewaySettings, envoy: Envoy) -> None:
        self.client = Client(InProcess(api.server.handle, USER))
        self.caches = Caches()
        self.caches.add(Event)
        self.envoy = envoy
        carrier = Carrier(self.client, self.caches, Recorder(self.client, clock, "mesh"))
        self.mesh = MeshController(settings, self.caches, carrier, envoy, clock)

    async def run(self, ready: asyncio.Event) -> None:
        """Fill the caches, then run the loops until cancelled."""
        informers = Informers(self.client, self.caches)
        async with asyncio.TaskGroup() as group:
            group.create_task(informers.run())
            await informers.synced()
            for part in self.mesh.parts:
                part.connect()
                group.create_task(part.loop.run())
            ready.set()

    async def put(self, *things: Object) -> None:
        """Create objects, or replace what they say."""
        for thing in things:
            raw = to_raw(thing)
            kept = {name: raw["metadata"][name] for name in ("name", "namespace")}
            raw["metadata"] = kept
            kind, key = type(thing), thing.key
            try:
                await self.client.get(kind, key.name, key.namespace)
            except NotFound:
                path = kind.resource.path(key.namespace)
                await self.client.request("POST", path, body=msgspec.json.encode(raw))
            else:
                patch: Raw = {name: raw[name] for name in ("spec", "subsets") if name in raw}
                await self.client.patch(kind, key, patch)

    async def until(self, kind: type[T], key: Key, holds: Callable[[T], bool]) -> T:
        """Wait until an object is as claimed."""

        def look() -> bool:
            thing = self.caches.get(kind, key)
            return thing is not None and holds(thing)

        await self.when(kind, look, lambda: f"{key} never got there: {self.caches.get(kind, key)}")
        thing = self.caches.get(kind, key)
        assert thing is not None
        return thing

    async def when(
        self, kind: type[Object], holds: Callable[[], bool], story: Callable[[], str]
    ) -> None:
        """Wait until a claim about the cache of a kind holds."""
        done = asyncio.Event()

        def changed(before: Object | None, after: Object | None) -> None:
            if holds():
                done.set()

        cache = self.caches.of(kind)
        cache.subscribe(changed)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await done.wait()
        except TimeoutError:
            raise AssertionError(story()) from None

    async def told(self, name: str, status: str, reason: str = "") -> Condition:
        """Wait until a VirtualService of default is told so, of its present generation."""

        def holds(service: VirtualService) -> bool:
            found = reconciled(service)
            is_current = service.status.observed_generation == service.metadata.generation
            wanted = found is not None and found.status == status
            return is_current and wanted and (not reason or found.reason == reason)  # type: ignore[union-attr]

        service = await self.until(VirtualService, Key("default", name), holds)
        condition = reconciled(service)
        assert condition is not None
        return condition

    async def gateway_told(self, key: Key, status: str, reason: str = "") -> Condition:
        """Wait until a Gateway is told so."""

        def holds(gateway: Gateway) -> bool:
            found = reconciled(gateway)
            return found is not None and found.status == status and reason in ("", found.reason)

        gateway = await self.until(Gateway, key, holds)
        condition = reconciled(gateway)
        assert condition is not None
        return condition

    def condition(self, name: str) -> Condition | None:
        """What a VirtualService of default is told now."""
        service = self.caches.get(VirtualService, Key("default", name))
        return reconciled(service) if service is not None else None

    async def event(self, reason: str) -> Event:
        """Wait for an event."""

        def find() -> Event | None:
            events = self.caches.list(Event)
            return next((event for event in events if event.reason == reason), None)

        await self.when(Event, lambda: find() is not None, lambda: f"no event {reason}")
        found = find()
        assert found is not None
        return found


def reconciled(thing: VirtualService | Gateway) -> Condition | None:
    """The mesh's condition."""
    return next((c for c in thing.status.conditions if c.type == "Reconciled"), None)


@asynccontextmanager
async def api_server(clock: Clock | None = None) -> AsyncIterator[Api]:
    """An API server that knows Istio's two kinds and a few namespaces."""
    api = Api(clock=clock or SystemClock())
    await api.server.start()
    client = Client(InProcess(api.server.handle, USER))
    for kind in (Gateway, VirtualService):
        await client.create_raw(CRDS, crd_for(kind))
    await api.with_namespaces("default", "knative-serving", "shop")
    try:
        yield api
    finally:
        await api.server.close()
        await api.store.close()


@asynccontextmanager
async def mesh_on(
    api: Api, envoy: Envoy, settings: GatewaySettings = SETTINGS, clock: Clock | None = None
) -> AsyncIterator[MeshPlane]:
    """A control plane's mesh room; leaving it is what a crash leaves: nothing is written."""
    plane = MeshPlane(api, clock or SystemClock(), settings, envoy)
    ready = asyncio.Event()
    task = asyncio.create_task(plane.run(ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    try:
        yield plane
    finally:
        for one in (task, waiting):
            one.cancel()
        await asyncio.wait((task, waiting))
