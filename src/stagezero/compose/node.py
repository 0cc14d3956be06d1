"""The node's part of the system: supervisor, Envoy's process, kubelet, logs."""

import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta

from stagezero.api import errors
from stagezero.client.cache import Caches
from stagezero.compose.core import Core
from stagezero.compose.process import ENVOY
from stagezero.compose.settings import Settings
from stagezero.kit.clock import Clock, parse_rfc3339
from stagezero.kit.http import Request, Response
from stagezero.mesh.bootstrap import EnvoySettings, envoy_command
from stagezero.node.images.catalogue import Catalogue
from stagezero.node.images.environments import Environments
from stagezero.node.logs import LogOptions, PodLogs
from stagezero.node.machine import read_machine
from stagezero.node.model_fetch import ModelFetch
from stagezero.node.plans.references import Place
from stagezero.node.pods import Kubelet, NodeParts
from stagezero.node.registration import Registration
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.processes import ProcessRuntime
from stagezero.node.storage.store import ModelStore
from stagezero.node.supervisor.client import SupervisorClient
from stagezero.node.supervisor.spec import Restart, Spec
from stagezero.runtime.events import Recorder

log = logging.getLogger(__name__)

NODE_NAME = "stagezero"


async def start_envoy(supervisor: SupervisorClient, settings: Settings) -> None:
    """Let the supervisor run Envoy, unless it does."""
    if is_envoy_running(supervisor):
        log.info("the gateway is running already: adopted")
        return
    envoy = EnvoySettings(directory=settings.envoy)
    command = envoy_command(envoy)
    for path, content in command.files.items():
        path.write_bytes(content)
    await supervisor.forget(ENVOY)
    output = envoy.directory / "envoy.log"
    spec = Spec(id=ENVOY, argv=command.argv, log=str(output), restart=Restart())
    await supervisor.start_process(spec)


def is_envoy_running(supervisor: SupervisorClient) -> bool:
    """Whether an Envoy of an earlier start runs on."""
    process = supervisor.processes.get(ENVOY)
    return process is not None and process.is_running


class NodeRoom:
    """Builds what runs pods, and lets it join the core."""

    def __init__(self, settings: Settings, runtime: ProcessRuntime, folders: NodeFolders) -> None:
        self._settings = settings
        self._runtime = runtime
        self._folders = folders
        self._environments = Environments(settings.env_root)
        self._models = ModelStore(settings.model_root, settings.mirrors)
        self._stack = AsyncExitStack()
        self._stack.push_async_callback(self._environments.close)
        self._stack.push_async_callback(self._models.close)

    def join(self, core: Core) -> None:
        """Add kubelet and registration to the core."""
        kubelet = Kubelet(self._parts(core))
        core.join(kubelet)
        self._stack.push_async_callback(kubelet.close)
        core.join(
            Registration(
                lambda: read_machine(NODE_NAME, self._settings.host, self._settings.node),
                self._runtime.info,
                core.client,
                core.caches,
                core.clock,
            )
        )

    def _parts(self, core: Core) -> NodeParts:
        settings = self._settings
        machine = read_machine(NODE_NAME, settings.host, settings.node)
        return NodeParts(
            place=Place(
                node_name=NODE_NAME,
                host_ip=settings.host,
                cpus=machine.cpus,
                memory_bytes=machine.memory_bytes,
            ),
            client=core.client,
            caches=core.caches,
            recorder=Recorder(core.client, core.clock, "kubelet"),
            clock=core.clock,
            runtime=self._runtime,
            folders=self._folders,
            catalogue=Catalogue(settings.catalogues),
            environments=self._environments,
            models=ModelFetch(self._models, settings.model_root, settings.mirrors),
        )

    async def close(self) -> None:
        """End probes, builds and downloads under way; what runs goes on running."""
        await self._stack.aclose()


class PodLogHandler:
    """The `log` subresource of pods; `caches` are those of the core that serves it."""

    def __init__(self, folders: NodeFolders, runtime: ProcessRuntime, clock: Clock) -> None:
        self._folders = folders
        self._runtime = runtime
        self._clock = clock
        self.caches: Caches | None = None

    async def handle(self, request: Request) -> Response:
        """Answer with the log as a stream."""
        if request.method != "GET":
            raise errors.MethodNotAllowed("a log can only be read")
        assert self.caches is not None, "the core is built before it serves"
        _, _, _, _, namespace, _, name, _ = request.path.split("/")
        logs = PodLogs(self.caches, self._folders, self._runtime)
        pieces = logs.read(namespace, name, log_options(request.query, self._clock))
        return Response(200, headers={"content-type": "text/plain"}, stream=pieces)


def log_options(query: Mapping[str, str], clock: Clock) -> LogOptions:
    """Read the query of a request for a log; BadRequest names the parameter that is wrong."""
    since = None
    if query.get("sinceTime"):
        since = parse_rfc3339(query["sinceTime"])
    elif query.get("sinceSeconds"):
        since = clock.now() - timedelta(seconds=_number(query, "sinceSeconds") or 0)
    return LogOptions(
        container=query.get("container", ""),
        follow=query.get("follow") in ("true", "1"),
        previous=query.get("previous") in ("true", "1"),
        timestamps=query.get("timestamps") in ("true", "1"),
        tail_lines=_number(query, "tailLines"),
        since=since,
        limit_bytes=_number(query, "limitBytes"),
    )


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise errors.BadRequest(f"{name}={text} is not a number") from error
