"""The whole system on one machine: the core, and its edges: API port, Envoy, pods.

Started in the order in which one needs the other; stopped in the reverse. The supervisor, and with
it Envoy and the pods, goes on when the control plane stops: `lifecycle.stop_all` ends it too.
"""

import asyncio
import json
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import asdict

from stagezero.api.base import Object
from stagezero.api.presets import knative, kserve, kubernetes
from stagezero.apiserver import kubeconfig
from stagezero.apiserver.http import Application, HttpServer
from stagezero.apiserver.identity import Identity, bearer, open_identity
from stagezero.compose.core import Core
from stagezero.compose.lifecycle import supervisor_runs
from stagezero.compose.node import NodeRoom, PodLogHandler, is_envoy_running, start_envoy
from stagezero.compose.ports import Claims, Ports, choose
from stagezero.compose.process import start_ticks
from stagezero.compose.settings import Settings
from stagezero.kit.clock import SystemClock
from stagezero.kit.http import User
from stagezero.mesh.bootstrap import EnvoySettings, require_short_paths
from stagezero.mesh.controller import MeshController
from stagezero.mesh.plans.settings import GatewaySettings, ListenerAddress
from stagezero.mesh.xds import XdsServer
from stagezero.node.removal import take_down
from stagezero.node.sandbox.choose import open_runtime
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.processes import Surroundings
from stagezero.node.supervisor.client import SupervisorClient
from stagezero.store.sqlite import SqliteStore

log = logging.getLogger(__name__)

ADMIN = User("kubernetes-admin", ("system:masters",))


class System:
    """A running installation; `start` once, then `stop` once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._stack = AsyncExitStack()
        self._core: Core | None = None
        self._is_up = False

    @property
    def failure(self) -> "asyncio.Future[BaseException]":
        """Resolves when something that everything depends on has ended with an error."""
        assert self._core is not None, "start comes first"
        return self._core.failure

    async def start(self) -> Ports:
        """Start everything; returns the ports when kubectl may come."""
        settings = self._settings
        require_short_paths(EnvoySettings(directory=settings.envoy))
        _make_folders(settings)
        store = await SqliteStore.open(settings.database)
        self._stack.push_async_callback(store.close)
        making = asyncio.create_task(open_identity(settings.pki), name="identity")
        self._stack.callback(making.cancel)
        folders = NodeFolders(settings.node)
        supervisor = await self._open_supervisor(folders)
        is_running = is_envoy_running(supervisor)
        claims = Claims(settings.host)
        self._stack.callback(claims.close)
        file = settings.state / "ports.json"
        ports = choose(settings, file, claims, is_gateway_running=is_running)
        runtime = await open_runtime(folders, supervisor, surroundings(settings), settings.network)
        log.info("pods have: %s", runtime.info)
        logs = PodLogHandler(folders, runtime, self._clock)
        core = self._core = Core(
            store, self._clock, {("pods", "log"): logs.handle}, address=settings.host
        )
        logs.caches = core.caches
        node = NodeRoom(settings, runtime, folders)
        self._stack.push_async_callback(node.close)
        node.join(core)
        await self._join_mesh(core, ports)
        await start_envoy(supervisor, settings)
        await core.start(presets(settings, ports))
        self._stack.push_async_callback(core.stop)
        await self._open_api(core, ports, await making)
        _write_running(settings, ports)
        self._stack.callback(settings.running.unlink, missing_ok=True)
        self._is_up = True
        return ports

    async def _open_supervisor(self, folders: NodeFolders) -> SupervisorClient:
        """Connect to the supervisor, started if need be; it ends with a start that fails."""
        if not await supervisor_runs(folders.supervisor):
            self._stack.push_async_callback(self._take_down_unless_up)
        supervisor = SupervisorClient(folders.supervisor)
        await supervisor.start()
        self._stack.push_async_callback(supervisor.stop)
        return supervisor

    async def _take_down_unless_up(self) -> None:
        if not self._is_up:
            await take_down(self._settings.node)

    async def stop(self) -> None:
        """Stop the control plane; Envoy and pods go on."""
        await self._stack.aclose()

    async def _join_mesh(self, core: Core, ports: Ports) -> None:
        host = self._settings.host
        listeners = {
            80: ListenerAddress(host, ports.http),
            443: ListenerAddress(host, ports.https),
            knative.LOCAL_LISTENER: ListenerAddress(host, ports.local),
        }
        envoy = EnvoySettings(directory=self._settings.envoy)
        server = XdsServer(f"unix:{envoy.xds_socket}")
        carrier = core.carrier("mesh")
        mesh = MeshController(GatewaySettings(listeners), core.caches, carrier, server, core.clock)
        for part in mesh.parts:
            core.join(part)
        await server.start()
        self._stack.push_async_callback(server.stop)

    async def _open_api(self, core: Core, ports: Ports, identity: Identity) -> None:
        settings = self._settings
        application = Application(core.server.handle, bearer({identity.token: ADMIN}))
        server = HttpServer(application, settings.host, ports.api, identity.certificate)
        await server.start()
        self._stack.push_async_callback(server.stop)
        url = f"https://{settings.host}:{server.port}"
        config = kubeconfig.kubeconfig(url, identity.ca_pem, identity.token)
        kubeconfig.write(settings.kubeconfig, config)


def surroundings(settings: Settings) -> Surroundings:
    """What pods must see wherever it lies, and the state with its keys, which they must not."""
    return Surroundings(visible=(settings.env_root, *settings.catalogues), hidden=(settings.state,))


def presets(settings: Settings, ports: Ports) -> tuple[Object, ...]:
    """The objects of an installation, in order."""
    gateway = knative.GatewayPorts(http=ports.http, https=ports.https)
    return (
        *kubernetes.objects(),
        *knative.objects(gateway),
        *kserve.objects(settings.domain),
    )


def _make_folders(settings: Settings) -> None:
    for folder in (settings.state, settings.pki, settings.node, settings.envoy):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write_running(settings: Settings, ports: Ports) -> None:
    facts = {
        "pid": os.getpid(),
        "started": start_ticks(os.getpid()),
        "ports": asdict(ports),
        "catalogues": [str(folder) for folder in settings.catalogues],
    }
    new = settings.running.with_suffix(".new")
    new.write_text(json.dumps(facts))
    new.replace(settings.running)
