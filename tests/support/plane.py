"""The whole control plane in one event loop: real API server and loops, fake node and fake Envoy.

The fake node runs every scheduled pod at once, and the fake mesh says that Envoy took every
VirtualService, unless they are told otherwise. The store outlives the control plane, so that a test
may stop and start it like a process; the store's journal tells every write.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import msgspec

from stagezero.api import errors
from stagezero.api.base import Key, Object, Raw, from_raw
from stagezero.api.builtin import BUILTIN_KINDS
from stagezero.api.istio import VirtualService
from stagezero.api.node import Node
from stagezero.api.pod import Pod
from stagezero.api.presets import knative, kserve, kubernetes
from stagezero.client.client import Client
from stagezero.client.inprocess import InProcess
from stagezero.compose.catalogue import custom_kinds
from stagezero.compose.core import Core
from stagezero.kit.clock import LoopClock
from stagezero.kit.http import Request, Response, User
from stagezero.runtime.loop import Loop
from stagezero.store.base import Durability, Encode, Stored, StoreKey
from stagezero.store.memory import MemoryStore

T = TypeVar("T", bound=Object)
USER = User("tester", ("system:masters",))
NODE_NAME = "fake"
AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
EVERY_KIND: tuple[type[Object], ...] = (*BUILTIN_KINDS, *custom_kinds())
_CLASSES = {(kind.resource.api_version, kind.resource.kind): kind for kind in EVERY_KIND}


class Write(NamedTuple):
    """One committed write: what an object was and is; None where there is none."""

    key: StoreKey
    before: Raw | None
    after: Raw | None

    def __str__(self) -> str:
        fields = " ".join(changed_fields(self.before or {}, self.after or {}))
        return f"{'/'.join(self.key)}: {fields}"


def changed_fields(before: Any, after: Any, path: str = "") -> list[str]:
    """The paths of the fields in which two JSON values differ, with both values."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for name in sorted(before.keys() | after.keys()):
            if name not in ("resourceVersion", "managedFields"):
                found += changed_fields(before.get(name), after.get(name), f"{path}.{name}")
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for at, (b, a) in pairs for line in changed_fields(b, a, f"{path}[{at}]")]
    return [] if before == after else [f"{path}: {before!r} -> {after!r}"]


class JournalStore(MemoryStore):
    """A memory store that notes its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[Write] = []

    async def put(
        self, key: StoreKey, encode: Encode, expected: int | None, durability: Durability
    ) -> Stored:
        """Write, and note it."""
        before = self.get(key)
        stored = await super().put(key, encode, expected, durability)
        self._note(key, before, stored)
        return stored

    async def delete(
        self, key: StoreKey, encode: Encode, expected: int, durability: Durability
    ) -> Stored:
        """Remove, and note it."""
        before = self.get(key)
        stored = await super().delete(key, encode, expected, durability)
        self._note(key, before, None)
        return stored

    def _note(self, key: StoreKey, before: Stored | None, after: Stored | None) -> None:
        pair = [None if one is None else msgspec.json.decode(one.data) for one in (before, after)]
        self.journal.append(Write(key, pair[0], pair[1]))

    def since(self, version: int) -> list[str]:
        """The writes of the last versions, for a failing test to show."""
        count = self.version - version
        return [str(write) for write in self.journal[-count:]] if count else []


class FakeNode:
    """Runs pods in thought: Ready as soon as they are scheduled, gone as soon as they may go."""

    def __init__(self, plane: "Plane") -> None:
        self._plane = plane
        self.is_ready: Callable[[Pod], bool] = lambda pod: True
        self.failure: Callable[[Pod], str] = lambda pod: ""
        """Why a pod's container crashes; empty for one that runs."""
        self._count = 0
        self.loop = Loop("fake-node", self._step)

    def connect(self) -> None:
        """Begin to listen."""
        self.loop.wake_on(self._plane.core.caches, Pod, lambda pod, _: (pod.key,))

    async def _step(self, key: Key) -> float | None:
        client = self._plane.core.client
        pod = self._plane.core.caches.get(Pod, key)
        if pod is None or not pod.spec.node_name:
            return None
        try:
            if pod.is_deleting:
                await client.delete(Pod, key, grace_s=0)
            else:
                await client.patch(Pod, key, {"status": self._status(pod)}, "status")
        except errors.NotFound:
            return None
        return None

    def _status(self, pod: Pod) -> Raw:
        why = self.failure(pod)
        ready = self.is_ready(pod) and not why
        ip = pod.status.pod_ip or self._address()
        word = "True" if ready else "False"
        now = self._plane.core.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        since = now
        if pod.status.conditions and (
            {"Ready": word}.items() <= {c.type: c.status for c in pod.status.conditions}.items()
        ):
            since = pod.status.conditions[-1].last_transition_time or now
        kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        return {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "hostIP": "127.0.0.1",
            "startTime": pod.status.start_time or now,
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
                    "state": _crashed(why) if why else {"running": {"startedAt": since}},
                }
                for container in pod.spec.containers
            ],
        }

    def _address(self) -> str:
        self._count += 1
        return f"10.244.{self._count // 250}.{self._count % 250 + 1}"

    def again(self) -> None:
        """Look at every pod again, after `is_ready` or `failure` was changed."""
        for pod in self._plane.core.caches.list(Pod):
            self.loop.add(pod.key)


def _crashed(why: str) -> Raw:
    return {"terminated": {"exitCode": 1, "reason": "Error", "message": why}}


class FakeMesh:
    """Says of every VirtualService that Envoy took it."""

    def __init__(self, plane: "Plane") -> None:
        self._plane = plane
        self.has_acked: Callable[[VirtualService], bool] = lambda route: True
        self.loop = Loop("fake-mesh", self._step)

    def connect(self) -> None:
        """Begin to listen."""
        caches = self._plane.core.caches
        self.loop.wake_on(caches, VirtualService, lambda route, _: (route.key,))

    async def _step(self, key: Key) -> float | None:
        route = self._plane.core.caches.get(VirtualService, key)
        if route is None:
            return None
        word = "True" if self.has_acked(route) else "Unknown"
        condition = {"type": "Reconciled", "status": word}
        status = {"observedGeneration": route.metadata.generation, "conditions": [condition]}
        if msgspec.to_builtins(route.status) != status:
            try:
                client = self._plane.core.client
                await client.patch(VirtualService, key, {"status": status}, "status")
            except errors.NotFound:
                return None
        return None

    def again(self) -> None:
        """Look at every route again, after `has_acked` was changed."""
        for route in self._plane.core.caches.list(VirtualService):
            self.loop.add(route.key)


class Plane:
    """A running control plane and a user's client."""

    core: Core
    client: Client

    def __init__(self, store: JournalStore | None = None) -> None:
        self.store = store or JournalStore()
        self.node, self.mesh = FakeNode(self), FakeMesh(self)
        self.requests: list[str] = []
        """What the loops asked of the API beside reading, also where nothing had to be written."""

    async def start(self) -> None:
        """Start the control plane on the store, as a process does."""
        self.core = Core(self.store, LoopClock())
        for kind in EVERY_KIND:
            self.core.caches.add(kind)
        # Loops are of one life of the control plane, what the node and Envoy do is not.
        self.node.loop = Loop("fake-node", self.node._step)
        self.mesh.loop = Loop("fake-mesh", self.mesh._step)
        self.core.join(self.node)
        self.core.join(self.mesh)
        self.client = Client(InProcess(self.core.server.handle, USER))
        self._listen_to(self.core.client)
        await self.core.start(_presets())
        try:
            await self.core.client.create(from_raw(Node, _NODE))
        except errors.AlreadyExists:
            return
        await self.node_has()

    async def node_has(self, **room: str) -> None:
        """Say how much room the node has."""
        amounts = {**_ROOM, **room}
        conditions = [{"type": "Ready", "status": "True"}]
        status = {"allocatable": amounts, "capacity": amounts, "conditions": conditions}
        await self.core.client.patch(Node, Key("", NODE_NAME), {"status": status}, "status")

    def _listen_to(self, client: Client) -> None:
        carry = client._transport.send

        async def send(request: Request) -> Response:
            if request.method != "GET":
                self.requests.append(f"{request.method} {request.path} {request.body.decode()}")
            return await carry(request)

        client._transport.send = send  # type: ignore[method-assign]

    async def stop(self) -> None:
        """End the control plane in the middle of whatever it does."""
        await self.core.stop()

    async def restart(self) -> None:
        """End the control plane and start another one on the same store."""
        await self.stop()
        await self.start()

    @property
    def version(self) -> int:
        """The version of the last write to anything."""
        return self.store.version

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

    async def table(self, kind: type[Object], namespace: str = "default") -> list[list[Any]]:
        """The rows that kubectl prints, by default columns only."""
        path = kind.resource.path(namespace if kind.resource.namespaced else "")
        answer = await self.client.request("GET", path, headers={"accept": AS_TABLE})
        table = msgspec.json.decode(answer.body)
        shown = [not column["priority"] for column in table["columnDefinitions"]]
        return [
            [column["name"] for column in table["columnDefinitions"] if not column["priority"]],
            *(
                [cell for cell, is_shown in zip(row["cells"], shown, strict=True) if is_shown]
                for row in table["rows"]
            ),
        ]

    async def until(
        self,
        kind: type[T],
        name: str,
        holds: Callable[[T], bool],
        limit_s: float = 120.0,
        namespace: str = "default",
    ) -> T:
        """Wait (in virtual time) until an object exists and a claim about it holds."""
        key = Key(namespace if kind.resource.namespaced else "", name)
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

    async def gone(
        self, kind: type[Object], name: str, limit_s: float = 120.0, namespace: str = "default"
    ) -> None:
        """Wait until an object is not there any more."""
        async with asyncio.timeout(limit_s):
            while True:
                try:
                    await self.client.get(kind, name, namespace)
                except errors.NotFound:
                    return
                await asyncio.sleep(0.05)

    async def quiet(self, for_s: float = 30.0, limit_s: float = 1800.0) -> None:
        """Wait until nothing has been written for a while."""
        end = asyncio.get_running_loop().time() + limit_s
        while asyncio.get_running_loop().time() < end:
            version = self.version
            await asyncio.sleep(for_s)
            if self.version == version:
                return
        last = "\n".join(self.store.since(self.version - 12))
        raise AssertionError(f"the control plane does not come to rest:\n{last}")

    def objects(self, kind: type[T], namespace: str = "") -> list[T]:
        """All objects of a kind as the caches hold them."""
        return self.core.caches.list(kind, namespace)


def _presets() -> tuple[Object, ...]:
    return (
        *kubernetes.objects(),
        *knative.objects(knative.GatewayPorts()),
        *kserve.objects("localhost"),
    )


@asynccontextmanager
async def running_plane(store: JournalStore | None = None) -> AsyncIterator[Plane]:
    """Start a control plane over a memory store, with a node that is ready."""
    plane = Plane(store)
    await plane.start()
    try:
        yield plane
    finally:
        await plane.stop()
        if store is None:
            await plane.store.close()


_NODE: Raw = {"metadata": {"name": NODE_NAME}}
_ROOM = {"cpu": "64", "memory": "256Gi", "pods": "110"}
