"""The whole control plane in one event loop: real API server and loops, fake node and fake Envoy.

The fake node runs every scheduled pod at once (unless told otherwise), the fake mesh says that Envoy
took every VirtualService (unless told otherwise).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from stagezero.api import errors
from stagezero.api.base import Key, Object, Raw, from_raw
from stagezero.api.istio import VirtualService
from stagezero.api.node import Node
from stagezero.api.pod import Pod
from stagezero.api.presets import knative, kserve, kubernetes
from stagezero.client.client import Client
from stagezero.client.inprocess import InProcess
from stagezero.compose.core import Core
from stagezero.kit.clock import LoopClock
from stagezero.kit.http import User
from stagezero.runtime.loop import Loop
from stagezero.store.memory import MemoryStore

T = TypeVar("T", bound=Object)
USER = User("tester", ("system:masters",))
NODE_NAME = "fake"


class FakeNode:
    """Runs pods in thought: Ready as soon as they are scheduled, gone as soon as they may go."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.is_ready: Callable[[Pod], bool] = lambda pod: True
        self.failure: Callable[[Pod], str] = lambda pod: ""
        self._count = 0
        self.loop = Loop("fake-node", self._step)
        core.caches.add(Pod)

    def connect(self) -> None:
        """Begin to listen."""
        self.loop.wake_on(self._core.caches, Pod, lambda pod, _: (pod.key,))

    async def _step(self, key: Key) -> float | None:
        pod = self._core.caches.get(Pod, key)
        if pod is None or not pod.spec.node_name:
            return None
        if pod.is_deleting:
            await self._core.client.delete(Pod, key, grace_s=0)
            return None
        status = self._status(pod)
        await self._core.client.patch(Pod, key, {"status": status}, "status")
        return None

    def _status(self, pod: Pod) -> Raw:
        ready = self.is_ready(pod)
        ip = pod.status.pod_ip or self._address()
        word = "True" if ready else "False"
        since = self._core.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        if pod.status.conditions and (
            {"Ready": word}.items() <= {c.type: c.status for c in pod.status.conditions}.items()
        ):
            since = pod.status.conditions[-1].last_transition_time or since
        kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        return {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "hostIP": "127.0.0.1",
            "conditions": [
                {
                    "type": kind,
                    "status": "True" if kind in kinds[:2] else word,
                    "lastTransitionTime": since,
                }
                for kind in kinds
            ],
            "containerStatuses": [
                {
                    "name": container.name,
                    "image": container.image,
                    "imageID": "",
                    "ready": ready,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": since}},
                }
                for container in pod.spec.containers
            ],
        }

    def _address(self) -> str:
        self._count += 1
        return f"10.244.0.{self._count + 1}"

    def again(self) -> None:
        """Look at every pod again, after `is_ready` was changed."""
        for pod in self._core.caches.list(Pod):
            self.loop.add(pod.key)


class FakeMesh:
    """Says of every VirtualService that Envoy took it."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.has_acked: Callable[[VirtualService], bool] = lambda route: True
        self.loop = Loop("fake-mesh", self._step)
        core.caches.add(VirtualService)

    def connect(self) -> None:
        """Begin to listen."""
        self.loop.wake_on(self._core.caches, VirtualService, lambda route, _: (route.key,))

    async def _step(self, key: Key) -> float | None:
        route = self._core.caches.get(VirtualService, key)
        if route is None:
            return None
        word = "True" if self.has_acked(route) else "Unknown"
        condition = {"type": "Reconciled", "status": word}
        status = {"observedGeneration": route.metadata.generation, "conditions": [condition]}
        if msgspec.to_builtins(route.status) != status:
            await self._core.client.patch(VirtualService, key, {"status": status}, "status")
        return None

    def again(self) -> None:
        """Look at every route again, after `has_acked` was changed."""
        for route in self._core.caches.list(VirtualService):
            self.loop.add(route.key)


class Plane:
    """A running control plane and a user's client."""

    def __init__(self, core: Core, node: FakeNode, mesh: FakeMesh) -> None:
        self.core, self.node, self.mesh = core, node, mesh
        self.client = Client(InProcess(core.server.handle, USER))

    async def apply(self, raw: Raw) -> Raw:
        """Create an object as a user does."""
        kind = _CLASSES[(raw["apiVersion"], raw["kind"])]
        namespace = raw["metadata"].get("namespace", "default")
        raw["metadata"]["namespace"] = namespace
        body = msgspec.json.encode(raw)
        query = {"fieldValidation": "Strict"}
        path = kind.resource.path(namespace)
        answer = await self.client.request("POST", path, query, body=body)
        made: Raw = msgspec.json.decode(answer.body)
        return made

    async def until(
        self, kind: type[T], name: str, holds: Callable[[T], bool], limit_s: float = 120.0
    ) -> T:
        """Wait (in virtual time) until an object exists and a claim about it holds."""
        key = Key("default" if kind.resource.namespaced else "", name)
        found = asyncio.Event()
        cache = self.core.caches.of(kind)

        def changed(before: Object | None, after: Object | None) -> None:
            if after is not None and after.key == key and holds(after):  # type: ignore[arg-type]
                found.set()

        cache.subscribe(changed)
        try:
            async with asyncio.timeout(limit_s):
                await found.wait()
        except TimeoutError:
            state = self.core.caches.raw(kind, key)
            raise AssertionError(f"{kind.__name__} {key} never got there: {state}") from None
        thing = cache.get(key)
        assert thing is not None
        return thing

    async def gone(self, kind: type[Object], name: str, limit_s: float = 120.0) -> None:
        """Wait until an object is not there any more."""
        async with asyncio.timeout(limit_s):
            while True:
                try:
                    await self.client.get(kind, name, "default")
                except errors.NotFound:
                    return
                await asyncio.sleep(0.05)


def _classes() -> dict[tuple[str, str], type[Object]]:
    from stagezero.api.builtin import BUILTIN_KINDS
    from stagezero.compose.catalogue import custom_kinds

    kinds = (*BUILTIN_KINDS, *custom_kinds())
    return {(kind.resource.api_version, kind.resource.kind): kind for kind in kinds}


_CLASSES = _classes()


@asynccontextmanager
async def running_plane() -> AsyncIterator[Plane]:
    """Start a control plane over a memory store, with a node that is ready."""
    store = MemoryStore()
    core = Core(store, LoopClock())
    node, mesh = FakeNode(core), FakeMesh(core)
    core.join(node)
    core.join(mesh)
    presets = (
        *kubernetes.objects(),
        *knative.objects(knative.GatewayPorts()),
        *kserve.objects("localhost"),
    )
    await core.start(presets)
    await core.client.create(from_raw(Node, _NODE))
    await core.client.patch(Node, Key("", NODE_NAME), {"status": _NODE["status"]}, "status")
    try:
        yield Plane(core, node, mesh)
    finally:
        await core.stop()
        await store.close()


_NODE: Raw = {
    "metadata": {"name": NODE_NAME},
    "status": {
        "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "110"},
        "capacity": {"cpu": "64", "memory": "256Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
