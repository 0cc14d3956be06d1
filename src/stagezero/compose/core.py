"""The control plane without its edges: API server, client, caches and control loops.

No port and no process: over a memory store and virtual time the whole of it runs in one test. Rooms
that touch the world (node, mesh) join through `caches` and `loops`.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

from stagezero.api.base import Key, Object
from stagezero.api.builtin import BUILTIN_KINDS
from stagezero.api.presets import knative
from stagezero.apiserver.server import ApiServer, Kinds
from stagezero.client.cache import Caches
from stagezero.client.client import Client
from stagezero.client.inprocess import InProcess
from stagezero.compose.catalogue import admissions, custom_kinds
from stagezero.compose.installation import install
from stagezero.controllers.istio.controllers import istio_controllers
from stagezero.controllers.knative.controllers import knative_controllers
from stagezero.controllers.kserve.controller import controllers as kserve_controllers
from stagezero.controllers.workloads.deployments import DEPLOYMENTS
from stagezero.controllers.workloads.endpoint_slices import ENDPOINT_SLICES
from stagezero.controllers.workloads.endpoints import endpoints_controller
from stagezero.controllers.workloads.garbage import GarbageCollector
from stagezero.controllers.workloads.namespaces import NamespaceLoop
from stagezero.controllers.workloads.replicasets import REPLICA_SETS
from stagezero.controllers.workloads.scheduling import scheduling_controller
from stagezero.controllers.workloads.services import services_controller
from stagezero.kit.clock import Clock
from stagezero.kit.http import Handler, User
from stagezero.kit.tasks import TaskOwner
from stagezero.runtime.carry import Carrier
from stagezero.runtime.controller import AnyController, ControllerLoop
from stagezero.runtime.events import Recorder
from stagezero.runtime.informers import Informers
from stagezero.runtime.loop import Loop
from stagezero.store.base import Store

log = logging.getLogger(__name__)

SYSTEM_GROUP = "system:stagezero"
"""Whoever is in it writes derived state: what the loops can make anew."""

SYSTEM_USER = User("system:stagezero:controller", (SYSTEM_GROUP, "system:masters"))


class Joined(Protocol):
    """A loop that belongs to a room: connected when the caches are filled, then run."""

    @property
    def loop(self) -> Loop:
        """What runs."""
        ...

    def connect(self) -> None:
        """Begin to listen to the caches."""
        ...


def all_controllers(address: str) -> tuple[AnyController, ...]:
    """Every controller of every domain; the gateway answers at `address`."""
    return (
        DEPLOYMENTS,
        REPLICA_SETS,
        endpoints_controller(),
        ENDPOINT_SLICES,
        scheduling_controller(),
        services_controller(_balancers(address)),
        *knative_controllers(),
        *istio_controllers(),
        *kserve_controllers(),
    )


def _balancers(address: str) -> dict[Key, str]:
    services = knative.services(knative.GatewayPorts())
    return {service.key: address for service in services if service.spec.type == "LoadBalancer"}


class Core:
    """Owns the API server and the loops; `start` returns when the caches are filled."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        subresources: Mapping[tuple[str, str], Handler] | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.caches = Caches()
        self.clock = clock
        kinds = Kinds(admissions=admissions(self.caches), subresources=subresources or {})
        self.server = ApiServer(store, clock, kinds)
        self.client = Client(InProcess(self.server.handle, SYSTEM_USER))
        self._tasks = TaskOwner("core")
        everything = (*BUILTIN_KINDS, *custom_kinds())
        garbage = GarbageCollector(self.client, self.caches, everything)
        carrier = self.carrier("namespaces")
        namespaces = NamespaceLoop(self.client, self.caches, carrier, clock, everything)
        loops = [self._loop_of(controller) for controller in all_controllers(address)]
        self._joined: list[Joined] = [garbage, namespaces, *loops]

    def carrier(self, component: str) -> Carrier:
        """What carries out the plans of a component, and tells events in its name."""
        recorder = Recorder(self.client, self.clock, component)
        return Carrier(self.client, self.caches, recorder)

    def _loop_of(self, controller: AnyController) -> ControllerLoop:
        return ControllerLoop(controller, self.caches, self.carrier(controller.name), self.clock)

    @property
    def failure(self) -> asyncio.Future[BaseException]:
        """Resolves when a task that everything depends on has ended with an error."""
        if self._tasks.failure is None:
            self._tasks.failure = asyncio.get_running_loop().create_future()
        return self._tasks.failure

    def join(self, joined: Joined) -> None:
        """Run a loop of another room beside the controllers; call before `start`."""
        self._joined.append(joined)

    async def start(self, presets: Sequence[Object]) -> None:
        """Serve, install what is missing, fill the caches, and begin to control."""
        await self.server.start()
        await install(self.client, custom_kinds(), presets)
        informers = Informers(self.client, self.caches)
        self._tasks.start(informers.run(), "informers")
        await informers.synced()
        for joined in self._joined:
            joined.connect()
            self._tasks.start(joined.loop.run(), joined.loop.name)

    async def stop(self) -> None:
        """End the loops, then the server; nothing acknowledged is lost."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.client.close)
            stack.push_async_callback(self.server.close)
            await self._tasks.stop()
