"""A control plane with a real node: real supervisor, real processes, no gateway."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stagezero.api import errors
from stagezero.api.base import Key, Raw, from_raw
from stagezero.api.event import Event
from stagezero.api.pod import Pod
from stagezero.client.client import Client
from stagezero.client.inprocess import InProcess
from stagezero.compose.core import Core
from stagezero.kit.clock import SystemClock
from stagezero.kit.http import User
from stagezero.node.images.catalogue import Catalogue
from stagezero.node.images.environments import Environments
from stagezero.node.logs import LogOptions, PodLogs
from stagezero.node.machine import read_machine
from stagezero.node.model_fetch import ModelFetch
from stagezero.node.plans.references import Place
from stagezero.node.pods import Kubelet, NodeParts
from stagezero.node.registration import Registration
from stagezero.node.removal import purge, take_down
from stagezero.node.sandbox.choose import open_runtime
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.processes import ProcessRuntime, Surroundings
from stagezero.node.sandbox.runtime import Isolation
from stagezero.node.storage.store import ModelStore
from stagezero.node.supervisor.client import SupervisorClient
from stagezero.runtime.events import Recorder
from stagezero.store.base import Store
from stagezero.store.memory import MemoryStore

USER = User("tester", ("system:masters",))

PROGRAM = '''
"""A server for tests: answers with its arguments' folder, its environment, or an end."""
import http.server, json, os, signal, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/env":
            body = json.dumps(dict(os.environ)).encode()
        elif self.path.startswith("/file/"):
            try:
                with open(self.path[5:], "rb") as file:
                    body = file.read()
            except OSError as error:
                self.send_error(404, str(error))
                return
        elif self.path.startswith("/exit/"):
            os._exit(int(self.path[6:]))
        else:
            body = b"ok"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        print("request", self.path, flush=True)

class Server(http.server.ThreadingHTTPServer):
    def server_bind(self):
        import socketserver
        socketserver.TCPServer.server_bind(self)

def main():
    words = sys.argv[1:]
    if words[:1] == ["--fail"]:
        with open(os.environ.get("TERMINATION", "/dev/termination-log"), "w") as file:
            file.write("bad day")
        sys.exit(int(words[1]))
    if words[:1] == ["--print"]:
        print(*words[1:], flush=True)
        sys.exit(0)
    if words[:1] == ["--stubborn"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    told = [word.removeprefix("--port=") for word in words if word.startswith("--port=")]
    if words[:1] == ["--fixed"]:
        told = words[1:]
    port = int(told[0] if told else os.environ["PORT"])
    print("listening on", port, flush=True)
    host = os.environ.get("STAGEZERO_LISTEN_HOST", "0.0.0.0")
    Server((host, port), Handler).serve_forever()

main()
'''

CATALOGUE = """
[[image]]
names = ["example/echo"]
entrypoint = ["{python}", "-I", "-S", "{source}"]
source = "echo.py"
port = 8080
"""


def write_catalogue(folder: Path) -> Path:
    """A catalogue with the image `example/echo`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "echo.py").write_text(PROGRAM)
    (folder / "echo.toml").write_text(CATALOGUE)
    return folder


def pod(
    name: str, *, args: list[str] | None = None, container: Raw | None = None, **spec: object
) -> Raw:
    """A pod with one container that serves on 8080; more of the container and of the spec."""
    main: Raw = {
        "name": "main",
        "image": "example/echo",
        "args": ["--port=8080"] if args is None else args,
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": 8080}},
    }
    main |= container or {}
    metadata = {"name": name, "namespace": "default"}
    return {"metadata": metadata, "spec": {"containers": [main], **spec}}


@dataclass
class World:
    """A running control plane and node."""

    core: Core
    runtime: ProcessRuntime
    logs: PodLogs
    supervisor: SupervisorClient
    client: Client

    async def create(self, raw: Raw) -> Pod:
        """Create a pod."""
        return await self.client.create(from_raw(Pod, raw))

    async def until(self, name: str, holds: Callable[[Pod], bool], limit_s: float = 20.0) -> Pod:
        """Wait until a claim about a pod holds."""
        key, found = Key("default", name), asyncio.Event()
        cache = self.core.caches.of(Pod)

        def changed(_: Pod | None, after: Pod | None) -> None:
            if after is not None and after.key == key and holds(after):
                found.set()

        cache.subscribe(changed)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(limit_s):
                await found.wait()
        except TimeoutError:
            raise AssertionError(
                f"{name} never got there: {self.core.caches.raw(Pod, key)} "
                f"{await self.events(name)}"
            ) from None
        thing = cache.get(key)
        assert thing is not None
        return thing

    async def ready(self, name: str) -> Pod:
        """Wait until a pod is Ready."""
        return await self.until(name, is_ready)

    async def gone(self, name: str, limit_s: float = 20.0) -> None:
        """Wait until a pod is not there any more."""

        async def is_gone() -> bool:
            try:
                await self.client.get(Pod, name, "default")
            except errors.NotFound:
                return True
            return False

        await eventually(is_gone, limit_s)

    async def events(self, name: str) -> list[tuple[str, str]]:
        """Reasons and messages of a pod's events."""
        found = await self.client.list(Event, "default")
        mine = [event for event in found.items if event.involved_object.name == name]
        return [(event.reason, event.message) for event in mine]

    async def told(self, name: str, words: str, limit_s: float = 15.0) -> None:
        """Wait until an event of a pod has these words in its reason or message."""

        async def is_told() -> bool:
            events = await self.events(name)
            return any(words in f"{reason} {message}" for reason, message in events)

        try:
            await eventually(is_told, limit_s)
        except TimeoutError:
            events = await self.events(name)
            raise AssertionError(f"no event of {name} says {words!r}: {events}") from None

    async def log(self, name: str, **options: object) -> str:
        """A container's log."""
        pieces = self.logs.read("default", name, LogOptions(**options))  # type: ignore[arg-type]
        return b"".join([piece async for piece in pieces]).decode()

    async def get(self, thing: Pod, path: str) -> str:
        """GET a path of a pod's server on 8080."""
        sandbox = self.runtime.sandbox(thing.uid)
        assert sandbox is not None
        reader, writer = await asyncio.open_connection(sandbox.ip, sandbox.port(8080))
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return answer.split(b"\r\n\r\n", 1)[1].decode()


async def eventually(holds: Callable[[], Awaitable[bool]], limit_s: float = 15.0) -> None:
    """Wait until something holds that nobody tells us of; TimeoutError if it never does."""
    async with asyncio.timeout(limit_s):
        while not await holds():  # noqa: ASYNC110 - other processes have no events for us
            await asyncio.sleep(0.02)


def is_ready(thing: Pod) -> bool:
    """Whether a pod's condition Ready is True."""
    return any(c.type == "Ready" and c.status == "True" for c in thing.status.conditions)


@dataclass(frozen=True)
class Options:
    """Where a node lives and how."""

    root: Path
    env_root: Path
    isolation: Isolation | None = None
    mirrors: Mapping[str, str] = field(default_factory=dict)

    @property
    def node(self) -> Path:
        """The node's own folder."""
        return self.root / "node"


@asynccontextmanager
async def control_plane(options: Options, store: Store | None = None) -> AsyncIterator[World]:
    """Start a control plane with a node; when the block ends both stop and the pods go on."""
    core = Core(store or MemoryStore(), SystemClock())
    folders = NodeFolders(options.node)
    supervisor = SupervisorClient(folders.supervisor)
    await supervisor.start()
    catalogue = write_catalogue(options.root / "catalogue")
    surroundings = Surroundings(visible=(options.env_root, catalogue))
    runtime = await open_runtime(folders, supervisor, surroundings, options.isolation)
    environments = Environments(options.env_root)
    models = ModelStore(options.root / "models", options.mirrors)
    kubelet = Kubelet(
        NodeParts(
            place=Place("stagezero", "127.0.0.1"),
            client=core.client,
            caches=core.caches,
            recorder=Recorder(core.client, core.clock, "kubelet"),
            clock=core.clock,
            runtime=runtime,
            folders=folders,
            catalogue=Catalogue((catalogue,)),
            environments=environments,
            models=ModelFetch(models, options.root / "models", options.mirrors),
        )
    )
    core.join(_registration(options, core, runtime))
    core.join(kubelet)
    await core.start([])
    client = Client(InProcess(core.server.handle, USER))
    try:
        await _with_default_namespace(client)
        logs = PodLogs(core.caches, folders, runtime)
        yield World(core, runtime, logs, supervisor, client)
    finally:
        await core.stop()
        await kubelet.close()
        await models.close()
        await environments.close()
        await supervisor.stop()


def _registration(options: Options, core: Core, runtime: ProcessRuntime) -> Registration:
    return Registration(
        lambda: read_machine("stagezero", "127.0.0.1", options.node),
        runtime.info,
        core.client,
        core.caches,
        core.clock,
    )


async def _with_default_namespace(client: Client) -> None:
    with contextlib.suppress(errors.AlreadyExists):
        await client.create_raw("/api/v1/namespaces", {"metadata": {"name": "default"}})


@asynccontextmanager
async def world(options: Options) -> AsyncIterator[World]:
    """The same, with everything removed at the end."""
    try:
        async with control_plane(options) as running:
            yield running
    finally:
        await end(options)


async def end(options: Options) -> None:
    """Take a node down and remove all of it."""
    await take_down(options.node, 0.5)
    purge(options.node)
