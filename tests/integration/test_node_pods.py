"""The kubelet within the whole control plane, in virtual time, over a runtime in thought."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from stagezero.api import errors
from stagezero.api.base import Key, Object, Raw, from_raw
from stagezero.api.coordination import Lease
from stagezero.api.event import Event
from stagezero.api.node import Node
from stagezero.api.pod import Pod
from stagezero.client.client import Client
from stagezero.client.inprocess import InProcess
from stagezero.compose.core import Core
from stagezero.kit.clock import LoopClock
from stagezero.kit.http import User
from stagezero.node.images.catalogue import Catalogue
from stagezero.node.images.environments import Environments
from stagezero.node.machine import read_machine
from stagezero.node.model_fetch import ModelFetch
from stagezero.node.plans.references import Place
from stagezero.node.pods import Kubelet, NodeParts
from stagezero.node.registration import Registration
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.storage.store import ModelStore
from stagezero.runtime.events import Recorder
from stagezero.store.base import Store
from stagezero.store.memory import MemoryStore
from support.fake_runtime import FakeRuntime

pytestmark = [pytest.mark.looptime]

USER = User("tester", ("system:masters",))
CATALOGUE = """
[[image]]
names = ["example/own"]
entrypoint = ["run"]
interpreter = "platform"

[[image]]
names = ["example/fetch"]
entrypoint = ["{python}", "-m", "stagezero.node.storage"]
interpreter = "platform"
"""


@dataclass
class Small:
    """A control plane with one node of thought."""

    core: Core
    runtime: FakeRuntime
    client: Client
    folders: NodeFolders

    async def create(self, spec: Raw | None = None, name: str = "web") -> Pod:
        """Create a pod with one container, unless told otherwise."""
        containers = [{"name": "main", "image": "example/own"}]
        raw = {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": containers, **(spec or {})},
        }
        return await self.client.create(from_raw(Pod, raw))

    async def until(self, holds: Callable[[Pod], bool], name: str = "web") -> Pod:
        """Wait, in virtual time, until a claim about a pod holds."""
        found = asyncio.Event()
        cache = self.core.caches.of(Pod)

        def changed(_: Object | None, after: Object | None) -> None:
            if isinstance(after, Pod) and after.metadata.name == name and holds(after):
                found.set()

        cache.subscribe(changed)
        try:
            async with asyncio.timeout(3600):
                await found.wait()
        except TimeoutError:
            raw = self.core.caches.raw(Pod, Key("default", name))
            raise AssertionError(f"never got there: {raw}") from None
        thing = cache.get(Key("default", name))
        assert thing is not None
        return thing

    async def gone(self, name: str = "web") -> None:
        """Wait until a pod is not there."""
        async with asyncio.timeout(3600):
            while True:
                try:
                    await self.client.get(Pod, name, "default")
                except errors.NotFound:
                    return
                await asyncio.sleep(0.1)

    async def reasons(self) -> list[str]:
        """The reasons of all events of the kubelet."""
        events = (await self.client.list(Event, "default")).items
        return [event.reason for event in events if event.source.component == "kubelet"]


@asynccontextmanager
async def small(
    root: Path, store: Store | None = None, runtime: FakeRuntime | None = None
) -> AsyncIterator[Small]:
    """Start it; with the same store and runtime it is started again."""
    clock = LoopClock()
    core = Core(store or MemoryStore(), clock)
    runtime = runtime or FakeRuntime(clock)
    folders = NodeFolders(root / "node")
    folders.root.mkdir(exist_ok=True)
    (root / "catalogue").mkdir(exist_ok=True)
    (root / "catalogue" / "c.toml").write_text(CATALOGUE)
    models = ModelStore(root / "models")
    parts = NodeParts(
        place=Place("node", "127.0.0.1"),
        client=core.client,
        caches=core.caches,
        recorder=Recorder(core.client, clock, "kubelet"),
        clock=clock,
        runtime=runtime,
        folders=folders,
        catalogue=Catalogue((root / "catalogue",)),
        environments=Environments(root / "envs"),
        models=ModelFetch(models, root / "models", {}),
    )
    kubelet = Kubelet(parts)
    machine = read_machine("node", "127.0.0.1", folders.root)
    registration = Registration(lambda: machine, runtime.info, core.client, core.caches, clock)
    core.join(registration)
    core.join(kubelet)
    await core.start([])
    client = Client(InProcess(core.server.handle, USER))
    try:
        for name in ("default", "kube-node-lease"):
            try:
                await client.create_raw("/api/v1/namespaces", {"metadata": {"name": name}})
            except errors.AlreadyExists:
                continue
        yield Small(core, runtime, client, folders)
    finally:
        await core.stop()
        await kubelet.close()
        await models.close()


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Small]:
    """A control plane with one node of thought."""
    async with small(tmp_path) as running:
        yield running


def _is_ready(pod: Pod) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


def _reason(pod: Pod) -> str:
    statuses = [*pod.status.init_container_statuses, *pod.status.container_statuses]
    return next((s.state.waiting.reason for s in statuses if s.state.waiting), "")


def _restarts(pod: Pod) -> int:
    return sum(status.restart_count for status in pod.status.container_statuses)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


async def test_a_pod_becomes_ready_on_its_node(plane: Small) -> None:
    await plane.create()
    ready = await plane.until(_is_ready)
    assert (ready.spec.node_name, ready.status.pod_ip) == ("node", "10.244.0.2")
    assert ready.status.phase == "Running"


async def test_a_pod_of_another_node_is_left_alone(plane: Small) -> None:
    await plane.create({"nodeName": "other"})
    await asyncio.sleep(60)
    assert plane.runtime.started == []


async def test_a_start_is_told_in_the_kubelets_words(plane: Small) -> None:
    await plane.create()
    await plane.until(_is_ready)
    await asyncio.sleep(1)
    assert set(await plane.reasons()) == {"Pulled", "Created", "Started"}


async def test_crashes_are_restarted_after_0_10_and_20_seconds(plane: Small) -> None:
    plane.runtime.program = lambda spec: (1.0, 1)
    begin = _now_s()
    await plane.create()
    times = []
    for count in range(1, 5):
        await plane.until(lambda pod, count=count: _restarts(pod) == count)  # type: ignore[misc]
        times.append(round(_now_s() - begin))
    assert times == [1, 12, 33, 74]


async def test_a_crash_loop_is_told(plane: Small) -> None:
    plane.runtime.program = lambda spec: (1.0, 1)
    await plane.create()
    await plane.until(lambda pod: _reason(pod) == "CrashLoopBackOff")
    await asyncio.sleep(1)
    assert "BackOff" in await plane.reasons()


async def test_a_program_that_cannot_be_executed_is_told(plane: Small) -> None:
    plane.runtime.start_error = "no such file"
    await plane.create({"restartPolicy": "Never"})
    failed = await plane.until(lambda pod: pod.status.phase == "Failed")
    ended = failed.status.container_statuses[0].state.terminated
    assert ended is not None
    assert (ended.exit_code, ended.reason) == (128, "StartError")
    assert "no such file" in ended.message


async def test_a_sandbox_that_cannot_be_made_is_tried_again(plane: Small) -> None:
    plane.runtime.sandbox_error = "no address left"
    await plane.create()
    stuck = await plane.until(lambda pod: _reason(pod) == "ContainerCreating")
    waiting = stuck.status.container_statuses[0].state.waiting
    assert waiting is not None and "no address left" in waiting.message
    plane.runtime.sandbox_error = ""
    assert _is_ready(await plane.until(_is_ready))


async def test_an_image_that_appears_later_is_found(plane: Small, tmp_path: Path) -> None:
    containers = [{"name": "main", "image": "example/late"}]
    await plane.create({"containers": containers})
    await plane.until(lambda pod: _reason(pod) == "ErrImagePull")
    await plane.until(lambda pod: _reason(pod) == "ImagePullBackOff")
    text = '[[image]]\nnames = ["example/late"]\nentrypoint = ["x"]\ninterpreter = "platform"\n'
    _write(tmp_path / "catalogue" / "late.toml", text)
    await plane.until(_is_ready)


def _write(path: Path, text: str) -> None:
    path.write_text(text)


async def test_an_unhealthy_container_is_replaced(plane: Small) -> None:
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 5, "failureThreshold": 3}
    containers = [{"name": "main", "image": "example/own", "livenessProbe": probe}]
    await plane.create({"containers": containers})
    await plane.until(_is_ready)
    begin = _now_s()
    plane.runtime.exec_code = 1
    await plane.until(lambda pod: _restarts(pod) == 1)
    assert 10 <= _now_s() - begin <= 20


async def test_readiness_follows_its_probe_both_ways(plane: Small) -> None:
    plane.runtime.exec_code = 1
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 2, "failureThreshold": 2}
    containers = [{"name": "main", "image": "example/own", "readinessProbe": probe}]
    await plane.create({"containers": containers})
    await plane.until(lambda pod: pod.status.phase == "Running")
    plane.runtime.exec_code = 0
    await plane.until(_is_ready)
    plane.runtime.exec_code = 1
    await plane.until(lambda pod: not _is_ready(pod))
    assert plane.runtime.stops == []


async def test_a_startup_probe_holds_the_others_back(plane: Small) -> None:
    plane.runtime.exec_code = 1
    startup = {"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 60}
    live = {"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 1}
    containers = [
        {"name": "main", "image": "example/own", "startupProbe": startup, "livenessProbe": live}
    ]
    await plane.create({"containers": containers})
    await plane.until(lambda pod: pod.status.phase == "Running")
    await asyncio.sleep(20)
    assert plane.runtime.stops == []
    plane.runtime.exec_code = 0
    await plane.until(_is_ready)


async def test_a_startup_that_takes_too_long_is_ended(plane: Small) -> None:
    plane.runtime.exec_code = 1
    startup = {"exec": {"command": ["check"]}, "periodSeconds": 2, "failureThreshold": 5}
    containers = [{"name": "main", "image": "example/own", "startupProbe": startup}]
    await plane.create({"containers": containers})
    await plane.until(lambda pod: _restarts(pod) == 1)
    assert 7 <= _now_s() <= 15


async def test_a_deleted_pod_gets_its_grace(plane: Small) -> None:
    plane.runtime.ignores_sigterm = True
    pod = await plane.create({"terminationGracePeriodSeconds": 7})
    await plane.until(_is_ready)
    begin = _now_s()
    await plane.client.delete(Pod, pod.key)
    await plane.gone()
    assert 7 <= _now_s() - begin < 8
    assert [is_forced for _, is_forced in plane.runtime.stops] == [False, True]


async def test_a_pod_that_obeys_is_gone_at_once(plane: Small) -> None:
    pod = await plane.create()
    await plane.until(_is_ready)
    begin = _now_s()
    await plane.client.delete(Pod, pod.key)
    await plane.gone()
    assert _now_s() - begin < 1
    assert plane.runtime.uids() == set()


async def test_a_hook_runs_before_the_end(plane: Small) -> None:
    lifecycle = {"preStop": {"sleep": {"seconds": 4}}}
    containers = [{"name": "main", "image": "example/own", "lifecycle": lifecycle}]
    pod = await plane.create({"containers": containers})
    await plane.until(_is_ready)
    begin = _now_s()
    await plane.client.delete(Pod, pod.key)
    await plane.gone()
    assert 4 <= _now_s() - begin < 5


async def test_a_pod_of_the_same_name_is_another_pod(plane: Small) -> None:
    first = await plane.create()
    await plane.until(_is_ready)
    await plane.client.delete(Pod, first.key, grace_s=0)
    second = await plane.create()
    await plane.until(lambda pod: _is_ready(pod) and pod.uid == second.uid)
    await asyncio.sleep(30)
    assert plane.runtime.uids() == {second.uid}


async def test_what_was_started_before_is_taken_over(tmp_path: Path) -> None:
    store, runtime = MemoryStore(), FakeRuntime(LoopClock())
    async with small(tmp_path, store, runtime) as before:
        await before.create()
        ready = await before.until(_is_ready)
    async with small(tmp_path, store, runtime) as after:
        await asyncio.sleep(30)
        again = await after.client.get(Pod, "web", "default")
    assert len(runtime.started) == 1
    assert again.status == ready.status


async def test_a_pod_under_probe_stays_ready_over_a_restart(tmp_path: Path) -> None:
    store, runtime = MemoryStore(), FakeRuntime(LoopClock())
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 10}
    containers = [{"name": "main", "image": "example/own", "readinessProbe": probe}]
    async with small(tmp_path, store, runtime) as before:
        await before.create({"containers": containers})
        ready = await before.until(_is_ready)
    async with small(tmp_path, store, runtime) as after:
        seen: list[bool] = []

        def changed(_: Object | None, pod: Object | None) -> None:
            if isinstance(pod, Pod):
                seen.append(_is_ready(pod))

        after.core.caches.of(Pod).subscribe(changed)
        await asyncio.sleep(60)
        again = await after.client.get(Pod, "web", "default")
    assert again.status == ready.status
    assert False not in seen


async def test_what_ended_meanwhile_is_restarted(tmp_path: Path) -> None:
    store, runtime = MemoryStore(), FakeRuntime(LoopClock())
    async with small(tmp_path, store, runtime) as before:
        await before.create()
        await before.until(_is_ready)
    runtime.end(runtime.started[0].id, 5)
    async with small(tmp_path, store, runtime) as after:
        again = await after.until(lambda pod: _restarts(pod) == 1 and _is_ready(pod))
    ended = again.status.container_statuses[0].last_state.terminated
    assert ended is not None and ended.exit_code == 5


async def test_what_is_lost_altogether_has_ended_unknown(tmp_path: Path) -> None:
    store = MemoryStore()
    async with small(tmp_path, store) as before:
        await before.create()
        await before.until(_is_ready)
    async with small(tmp_path, store) as after:
        again = await after.until(lambda pod: _restarts(pod) == 1 and _is_ready(pod))
    ended = again.status.container_statuses[0].last_state.terminated
    assert ended is not None and ended.reason == "ContainerStatusUnknown"


async def test_runs_without_an_object_are_ended_at_start(tmp_path: Path) -> None:
    runtime = FakeRuntime(LoopClock())
    async with small(tmp_path, MemoryStore(), runtime) as before:
        await before.create()
        await before.until(_is_ready)
    async with small(tmp_path, MemoryStore(), runtime):
        await asyncio.sleep(20)
    assert runtime.uids() == set()


async def test_a_completed_pod_keeps_its_status_without_its_sandbox(tmp_path: Path) -> None:
    store, runtime = MemoryStore(), FakeRuntime(LoopClock())
    runtime.program = lambda spec: (3.0, 0)
    async with small(tmp_path, store, runtime) as before:
        await before.create({"restartPolicy": "Never"})
        done = await before.until(lambda pod: pod.status.phase == "Succeeded")
        await asyncio.sleep(5)
        assert runtime.uids() == set()
    async with small(tmp_path, store, runtime) as after:
        await asyncio.sleep(5)
        again = await after.client.get(Pod, "web", "default")
    assert again.status == done.status
    assert len(runtime.started) == 1


async def test_a_model_in_the_cache_is_linked_without_a_process(
    plane: Small, tmp_path: Path
) -> None:
    source = _model(tmp_path / "source")
    store = ModelStore(tmp_path / "models")
    await store.fetch(source)
    await plane.create(_with_model(source))
    ready = await plane.until(_is_ready)
    init = ready.status.init_container_statuses[0].state.terminated
    assert init is not None and (init.exit_code, init.reason) == (0, "Completed")
    assert [spec.id.container for spec in plane.runtime.started] == ["main"]
    folder = plane.folders.volume(ready.uid, "model")
    assert _read(folder / "weights") == "w"


async def test_a_model_that_is_not_here_is_fetched_by_its_program(
    plane: Small, tmp_path: Path
) -> None:
    source = _model(tmp_path / "source")
    plane.runtime.program = lambda spec: (2.0, 0) if spec.id.container == "init" else None
    await plane.create(_with_model(source))
    await plane.until(_is_ready)
    init = plane.runtime.started[0]
    assert init.is_of_platform
    assert init.argv[-2:] == (source, "/mnt/models")
    assert init.env["STAGEZERO_MODEL_CACHE"] == str(tmp_path / "models")
    assert init.env["STAGEZERO_TERMINATION_LOG"] == "/dev/termination-log"
    assert init.binds[-1].path == "/dev/termination-log"


def _model(folder: Path) -> str:
    folder.mkdir()
    (folder / "weights").write_text("w")
    return f"file://{folder}"


def _read(path: Path) -> str:
    return path.read_text()


def _with_model(source: str) -> Raw:
    mounts = [{"name": "model", "mountPath": "/mnt/models"}]
    init = {
        "name": "init",
        "image": "example/fetch",
        "args": [source, "/mnt/models"],
        "volumeMounts": mounts,
    }
    main = {"name": "main", "image": "example/own", "volumeMounts": mounts}
    volumes = [{"name": "model", "emptyDir": {}}]
    return {"initContainers": [init], "containers": [main], "volumes": volumes}


async def test_a_node_beats_every_ten_seconds(tmp_path: Path) -> None:
    # Not over the fixture: its timers were set before virtual time began.
    async with small(tmp_path) as plane:
        await asyncio.sleep(1)
        first = await plane.client.get(Lease, "node", "kube-node-lease")
        await asyncio.sleep(12)
        second = await plane.client.get(Lease, "node", "kube-node-lease")
        node = await plane.client.get(Node, "node")
    assert first.spec.holder_identity == "node"
    assert str(second.spec.renew_time) > str(first.spec.renew_time)
    assert any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
