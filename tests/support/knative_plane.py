"""Knative's control plane in one event loop: real API server and controllers, fake node and mesh.

The node and the mesh are the two seams where a test decides: which pods become ready, which
VirtualServices Envoy acknowledges. `Plane.until` waits for a state in virtual time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from stagezero.api import autoscaling_knative as autoscaling
from stagezero.api import networking_knative as networking
from stagezero.api import serving_knative as serving
from stagezero.api.base import Key, Object, ObjectMeta, Raw, T, to_raw
from stagezero.api.core import ConfigMap, Namespace, Pod
from stagezero.api.crd import crd_for
from stagezero.api.errors import NotFound
from stagezero.api.istio import Gateway, VirtualService
from stagezero.api.presets import knative as preset
from stagezero.api.serving_knative_admission import admissions
from stagezero.apiserver.server import ApiServer, Kinds
from stagezero.client.cache import Caches
from stagezero.client.client import Client
from stagezero.client.inprocess import InProcess
from stagezero.controllers.istio.controllers import istio_controllers
from stagezero.controllers.knative.controllers import knative_controllers
from stagezero.controllers.workloads.deployments import DEPLOYMENTS
from stagezero.controllers.workloads.endpoints import endpoints_controller
from stagezero.controllers.workloads.replicasets import REPLICA_SETS
from stagezero.kit.clock import LoopClock
from stagezero.kit.http import User
from stagezero.runtime.carry import Carrier
from stagezero.runtime.controller import AnyController, ControllerLoop
from stagezero.runtime.events import Recorder
from stagezero.runtime.informers import Informers
from stagezero.runtime.loop import Loop
from stagezero.store.memory import MemoryStore

CRDS: tuple[type[Object], ...] = (
    serving.Service, serving.Configuration, serving.Revision, serving.Route,
    serving.DomainMapping, serving.Image, autoscaling.PodAutoscaler, autoscaling.Metric,
    networking.Ingress, networking.ServerlessService, networking.Certificate,
    networking.ClusterDomainClaim, Gateway, VirtualService,
)  # fmt: skip
DEADLINE_S = 120.0


Answer = Callable[[VirtualService], tuple[str, str, str] | None]
"""Status, reason and message of `Reconciled`; None while Envoy has not said anything."""


def acknowledged(_: VirtualService) -> tuple[str, str, str]:
    """Envoy has taken it."""
    return "True", "", ""


@dataclass
class FakeNode:
    """Says what becomes of pods: ready at once, unless `outcome` gives another status."""

    outcome: Callable[[Pod], Raw | None] = field(default_factory=lambda: ready_status)


@dataclass
class FakeMesh:
    """Says what Envoy makes of a VirtualService; `answer` may be changed during a test."""

    answer: Answer = field(default_factory=lambda: acknowledged)


def ready_status(pod: Pod) -> Raw:
    """The status of a pod that runs and is ready."""
    # Of 24 bits: two pods that met at one address would be one endpoint, and never two.
    address = f"10.{'.'.join(map(str, sha256(pod.metadata.name.encode()).digest()[:3]))}"
    kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    return {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": kind, "status": "True"} for kind in kinds],
        "containerStatuses": [
            {
                "name": container.name,
                "ready": True,
                "restartCount": 0,
                "image": container.image,
                "imageID": "",
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }
            for container in pod.spec.containers
        ],
    }


@dataclass(frozen=True)
class Options:
    """What a test leaves out of the control plane."""

    has_endpoints: bool = True
    admits_config_maps: bool = True


class Plane:
    """The running control plane, as a test sees it."""

    def __init__(self, node: FakeNode, mesh: FakeMesh, options: "Options") -> None:
        self.node, self.mesh = node, mesh
        clock = LoopClock()
        rules = tuple(
            (kind, rule)
            for kind, rule in admissions().items()
            if kind is not ConfigMap or options.admits_config_maps
        )
        self._store = MemoryStore()
        self._server = ApiServer(self._store, clock, Kinds(admissions=rules))
        self.handle = self._server.handle
        self.client = Client(InProcess(self._server.handle, User("ann")))
        self.caches = Caches()
        carrier = Carrier(self.client, self.caches, Recorder(self.client, clock, "test"))
        controllers: tuple[AnyController, ...] = (
            *knative_controllers(), *istio_controllers(),
            DEPLOYMENTS, REPLICA_SETS,
            *((endpoints_controller(),) if options.has_endpoints else ()),
        )  # fmt: skip
        self._loops = [
            ControllerLoop(controller, self.caches, carrier, clock) for controller in controllers
        ]
        self._node_loop = Loop("fake-node", self._run_pod)
        self._mesh_loop = Loop("fake-mesh", self._carry)

    async def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Install Knative and start every loop in `group`."""
        await self._server.start()
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for kind in CRDS:
            await self.client.create_raw(path, crd_for(kind))
        await self.create(Namespace(metadata=ObjectMeta(name="default")))
        for thing in preset.objects(preset.GatewayPorts()):
            await self.create(thing)
        informers = Informers(self.client, self.caches)
        tasks = [group.create_task(informers.run(), name="informers")]
        await informers.synced()
        for loop in self._loops:
            loop.connect()
            tasks.append(group.create_task(loop.loop.run(), name=loop.loop.name))
        self._node_loop.wake_on(self.caches, Pod, lambda thing, _: (thing.key,))
        self._mesh_loop.wake_on(self.caches, VirtualService, lambda thing, _: (thing.key,))
        tasks += [
            group.create_task(self._node_loop.run(), name="node"),
            group.create_task(self._mesh_loop.run(), name="mesh"),
        ]
        return tasks

    async def close(self) -> None:
        """End the server's watches."""
        await self._server.close()

    async def create(self, thing: Object) -> None:
        """Create an object unless it is there."""
        await self.client.create(thing)

    async def apply(self, raw: Raw) -> None:
        """Create or merge an object from JSON, as a user does."""
        kind = next(one for one in CRDS if one.resource.kind == raw["kind"])
        path = kind.resource.path(raw["metadata"].get("namespace", "default"))
        try:
            await self.client.patch_raw(f"{path}/{raw['metadata']['name']}", raw)
        except NotFound:
            await self.client.create_raw(path, raw)

    async def edit(self, name: str, data: dict[str, str]) -> None:
        """Change keys of a config map of knative-serving."""
        await self.client.patch(ConfigMap, Key(preset.SERVING, name), {"data": data})

    @property
    def version(self) -> int:
        """The version of the last write to anything."""
        return self._store.version

    async def get(self, kind: type[T], name: str, namespace: str = "default") -> T:
        """Read an object from the API."""
        return await self.client.get(kind, name, namespace)

    async def until(
        self,
        kind: type[T],
        name: str,
        is_so: Callable[[T], bool],
        namespace: str = "default",
    ) -> T:
        """Wait until an object is as wanted; fails with what it was instead."""
        last: object = None
        for _ in range(int(DEADLINE_S / 0.1)):
            try:
                thing = await self.client.get(kind, name, namespace)
            except NotFound as error:
                last = error
            else:
                if is_so(thing):
                    return thing
                last = thing
            await asyncio.sleep(0.1)
        raise AssertionError(f"{kind.__name__} {name} never became as wanted: {last}")

    def poke(self) -> None:
        """Ask node and mesh again: their rules were changed."""
        for kind, loop in ((Pod, self._node_loop), (VirtualService, self._mesh_loop)):
            for key in [one.key for one in self.caches.list(kind)]:
                loop.add(key)

    async def _run_pod(self, key: Key) -> float | None:
        pod = self.caches.get(Pod, key)
        if pod is None:
            return None
        if pod.is_deleting:
            await self.client.delete(Pod, key, grace_s=0)
            return None
        status = self.node.outcome(pod)
        if status is None or to_raw(pod).get("status") == status:
            return None
        if not pod.spec.node_name:
            await self.client.post(Pod, key, "binding", _binding(key))
        await self.client.patch(Pod, key, {"status": status}, "status")
        return None

    async def _carry(self, key: Key) -> float | None:
        service = self.caches.get(VirtualService, key)
        if service is None:
            return None
        answer = self.mesh.answer(service)
        if answer is None:
            return None
        status, reason, message = answer
        condition = {"type": "Reconciled", "status": status, "reason": reason, "message": message}
        told = {"observedGeneration": service.metadata.generation, "conditions": [condition]}
        if to_raw(service).get("status") != told:
            await self.client.patch(VirtualService, key, {"status": told}, "status")
        return None


def _binding(key: Key) -> Raw:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": key.name, "namespace": key.namespace},
        "target": {"kind": "Node", "name": "here"},
    }


@asynccontextmanager
async def running(
    node: FakeNode | None = None, mesh: FakeMesh | None = None, **options: Any
) -> AsyncIterator[Plane]:
    """A control plane that runs during the block; `options` are those of `Options`."""
    plane = Plane(node or FakeNode(), mesh or FakeMesh(), Options(**options))
    async with asyncio.TaskGroup() as group:
        tasks = await plane.start(group)
        try:
            yield plane
        finally:
            for task in tasks:
                task.cancel()
            await plane.close()
