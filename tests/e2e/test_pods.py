"""Pods as real processes, over a real supervisor and a real control plane in this process."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stagezero.api.base import Key
from stagezero.api.config import ConfigMap
from stagezero.api.node import Node
from stagezero.api.pod import Pod
from stagezero.node.sandbox.runtime import Isolation
from support.node_world import Options, World, control_plane, end, eventually, is_ready, pod, world
from support.sandboxes import IS_ROOT, NEEDS_OWN_TREE, NEEDS_PASTA

pytestmark = [pytest.mark.e2e]

ISOLATIONS = [
    pytest.param(
        Isolation.BRIDGE,
        marks=[pytest.mark.root, pytest.mark.skipif(not IS_ROOT, reason="needs root")],
        id="bridge",
    ),
    pytest.param(Isolation.PASTA, marks=NEEDS_PASTA, id="pasta"),
    pytest.param(Isolation.HOST, id="host"),
]
READINESS = {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}}}


@pytest.fixture(scope="session")
def env_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where environments are built once for all tests of a run."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(params=ISOLATIONS)
def options(request: pytest.FixtureRequest, tmp_path: Path, env_root: Path) -> Options:
    """Options of a node, once for each way to keep pods apart."""
    return Options(tmp_path, env_root, request.param)


@pytest.fixture
async def place(options: Options) -> AsyncIterator[World]:
    """A running control plane and node."""
    async with world(options) as running:
        yield running


def _config_map(name: str, data: dict[str, str]) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


async def _configure(place: World, name: str, **data: str) -> None:
    await place.client.create_raw("/api/v1/namespaces/default/configmaps", _config_map(name, data))


async def _uid_of_process(place: World, thing: Pod) -> int:
    return place.runtime.runs(thing.uid)[-1].pid


async def test_a_pod_becomes_ready_and_answers(place: World) -> None:
    await place.create(pod("one", container=READINESS))
    ready = await place.ready("one")
    assert await place.get(ready, "/") == "ok"
    assert ready.status.phase == "Running"
    assert ready.status.container_statuses[0].started


@NEEDS_OWN_TREE
async def test_two_pods_on_one_port_see_their_own_models(place: World) -> None:
    mount = [{"name": "model", "mountPath": "/mnt/models", "readOnly": True}]
    for name in ("a", "b"):
        await _configure(place, f"model-{name}", weights=name * 3)
        volumes = [{"name": "model", "configMap": {"name": f"model-{name}"}}]
        await place.create(
            pod(name, container={"volumeMounts": mount, **READINESS}, volumes=volumes)
        )
    first, second = await place.ready("a"), await place.ready("b")
    assert await place.get(first, "/file/mnt/models/weights") == "aaa"
    assert await place.get(second, "/file/mnt/models/weights") == "bbb"


@NEEDS_OWN_TREE
@pytest.mark.parametrize("path", ["/etc/config", "/var/secrets", "/new/and/deep"])
async def test_a_volume_appears_wherever_it_is_mounted(place: World, path: str) -> None:
    await _configure(place, "settings", key="value")
    mounts = [{"name": "c", "mountPath": path}]
    volumes = [{"name": "c", "configMap": {"name": "settings"}}]
    await place.create(pod("one", container={"volumeMounts": mounts}, volumes=volumes))
    ready = await place.ready("one")
    assert await place.get(ready, f"/file{path}/key") == "value"
    assert not _is_on_machine(f"{path}/key")


def _is_on_machine(path: str) -> bool:
    return os.path.exists(path)


@NEEDS_OWN_TREE
async def test_a_changed_config_map_reaches_the_volume(place: World) -> None:
    await _configure(place, "settings", key="old")
    mounts = [{"name": "c", "mountPath": "/etc/config"}]
    volumes = [{"name": "c", "configMap": {"name": "settings"}}]
    await place.create(pod("one", container={"volumeMounts": mounts}, volumes=volumes))
    ready = await place.ready("one")
    key = Key("default", "settings")
    await place.client.patch(ConfigMap, key, {"data": {"key": "new"}})

    async def is_new() -> bool:
        return await place.get(ready, "/file/etc/config/key") == "new"

    await eventually(is_new)


async def test_the_environment_is_the_pods_own(
    place: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGEZERO_TEST_SECRET", "of the control plane")
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)2"},
        {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    await place.create(pod("one", container={"env": env}))
    seen = json.loads(await place.get(await place.ready("one"), "/env"))
    assert (seen["A"], seen["B"], seen["ME"], seen["HOSTNAME"]) == ("1", "12", "one", "one")
    assert "STAGEZERO_TEST_SECRET" not in seen


async def test_a_missing_config_map_is_named_and_awaited(place: World) -> None:
    source = {"configMapKeyRef": {"name": "later", "key": "k"}}
    env = [{"name": "A", "valueFrom": source}]
    await place.create(pod("one", container={"env": env}))
    stuck = await place.until("one", lambda p: _waiting(p) == "CreateContainerConfigError")
    waiting = stuck.status.container_statuses[0].state.waiting
    assert waiting is not None and waiting.message == 'configmap "later" not found'
    await _configure(place, "later", k="v")
    assert '"A": "v"' in await place.get(await place.ready("one"), "/env")


def _waiting(thing: Pod) -> str:
    statuses = [*thing.status.container_statuses, *thing.status.init_container_statuses]
    return next((s.state.waiting.reason for s in statuses if s.state.waiting), "")


async def test_an_unknown_image_says_why(place: World) -> None:
    await place.create(pod("one", container={"image": "example/none"}))
    stuck = await place.until("one", lambda p: _waiting(p) == "ErrImagePull")
    waiting = stuck.status.container_statuses[0].state.waiting
    assert waiting is not None and "is not in the catalogue" in waiting.message
    await place.told("one", "Failed to pull image")


@NEEDS_OWN_TREE
async def test_a_failing_container_is_restarted_then_held_back(place: World) -> None:
    await place.create(pod("one", args=["--fail", "3"]))
    held = await place.until("one", lambda p: _waiting(p) == "CrashLoopBackOff")
    status = held.status.container_statuses[0]
    ended = status.last_state.terminated
    assert status.restart_count == 1
    assert ended is not None and (ended.exit_code, ended.reason) == (3, "Error")
    assert status.state.waiting is not None
    assert status.state.waiting.message.startswith("back-off 10s restarting failed container=main")


@NEEDS_OWN_TREE
async def test_the_termination_message_is_told(place: World) -> None:
    await place.create(pod("one", args=["--fail", "3"], restartPolicy="Never"))
    failed = await place.until("one", lambda p: p.status.phase == "Failed")
    ended = failed.status.container_statuses[0].state.terminated
    assert ended is not None and ended.message == "bad day"


async def test_a_pod_that_is_through_has_succeeded(place: World) -> None:
    await place.create(pod("one", args=["--print", "done"], restartPolicy="Never"))
    through = await place.until("one", lambda p: p.status.phase == "Succeeded")
    ended = through.status.container_statuses[0].state.terminated
    assert ended is not None and ended.reason == "Completed"
    assert await place.log("one") == "done\n"


async def test_init_containers_run_first_in_order(place: World) -> None:
    share = {"volumeMounts": [{"name": "work", "mountPath": "/work"}]}
    inits = [
        {"name": n, "image": "example/echo", "args": ["--print", n], **share} for n in ("x", "y")
    ]
    volumes = [{"name": "work", "emptyDir": {}}]
    await place.create(pod("one", initContainers=inits, volumes=volumes))
    ready = await place.ready("one")
    assert [s.ready for s in ready.status.init_container_statuses] == [True, True]
    assert await place.log("one", container="y") == "y\n"


async def test_a_failing_readiness_probe_keeps_the_pod_unready(place: World) -> None:
    probe = {"httpGet": {"path": "/file/no", "port": 8080}, "periodSeconds": 1}
    await place.create(pod("one", container={"readinessProbe": probe}))
    running = await place.until("one", lambda p: p.status.phase == "Running")
    assert not is_ready(running)
    await place.told("one", "Unhealthy Readiness probe failed: HTTP probe failed with statuscode")


async def test_a_failing_liveness_probe_restarts_the_container(place: World) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    await place.create(pod("one", container={"livenessProbe": probe}))
    again = await place.until("one", lambda p: _restarts(p) >= 1)
    assert again.status.container_statuses[0].last_state.terminated is not None
    await place.told("one", "Killing Container main failed liveness probe, will be restarted")


def _restarts(thing: Pod) -> int:
    return sum(status.restart_count for status in thing.status.container_statuses)


@pytest.mark.parametrize("probe", ["exec", "tcpSocket"])
async def test_other_probes_make_a_pod_ready(place: World, probe: str) -> None:
    action = {"exec": {"command": ["true"]}, "tcpSocket": {"port": 8080}}[probe]
    await place.create(pod("one", container={"readinessProbe": {probe: action}}))
    assert is_ready(await place.ready("one"))


async def test_a_deleted_pod_ends_gracefully_and_is_gone(place: World) -> None:
    await place.create(pod("one"))
    ready = await place.ready("one")
    process = await _uid_of_process(place, ready)
    await place.client.delete(Pod, ready.key)
    await place.gone("one")
    assert not _is_alive(process)
    await place.told("one", "Killing Stopping container main")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_stubborn_container_is_killed_after_its_grace(place: World) -> None:
    args = ["--stubborn", "--port=8080"]
    await place.create(pod("one", args=args, terminationGracePeriodSeconds=1))
    ready = await place.ready("one")
    process = await _uid_of_process(place, ready)
    started = asyncio.get_running_loop().time()
    await place.client.delete(Pod, ready.key)
    await place.gone("one")
    assert asyncio.get_running_loop().time() - started >= 1
    assert not _is_alive(process)


async def test_a_log_is_followed_to_its_end(place: World) -> None:
    await place.create(pod("one"))
    ready = await place.ready("one")
    following = asyncio.create_task(place.log("one", follow=True))
    assert await place.get(ready, "/hello") == "ok"
    await place.client.delete(Pod, ready.key, grace_s=1)
    text = await asyncio.wait_for(following, 10)
    assert text.splitlines() == [text.splitlines()[0], "request /hello"]


async def test_pods_outlive_the_control_plane_and_are_adopted(options: Options) -> None:
    from stagezero.store.memory import MemoryStore

    store = MemoryStore()
    try:
        async with control_plane(options, store) as before:
            await before.create(pod("one", container=READINESS))
            ready = await before.ready("one")
            process = await _uid_of_process(before, ready)
            assert await before.get(ready, "/") == "ok"
        assert _is_alive(process)
        async with control_plane(options, store) as after:
            again = await after.ready("one")
            assert await after.get(again, "/") == "ok"
            assert await _uid_of_process(after, again) == process
            assert again.status.container_statuses[0].restart_count == 0
            assert _since(again) == _since(ready)
    finally:
        await end(options)


def _since(thing: Pod) -> str | None:
    return next(c.last_transition_time for c in thing.status.conditions if c.type == "Ready")


async def test_pods_whose_objects_are_gone_are_ended_at_start(options: Options) -> None:
    try:
        async with control_plane(options) as before:
            await before.create(pod("one"))
            process = await _uid_of_process(before, await before.ready("one"))
        async with control_plane(options) as after:

            async def is_empty() -> bool:
                return not after.runtime.uids()

            await eventually(is_empty)
        assert not _is_alive(process)
    finally:
        await end(options)


async def _kill_supervisor(place: World) -> None:
    old = place.supervisor.pid
    os.kill(old, signal.SIGKILL)

    async def is_back() -> bool:
        return place.supervisor.pid != old

    await eventually(is_back)


async def test_a_killed_supervisor_leaves_pods_serving(place: World) -> None:
    await place.create(pod("one", container=READINESS))
    ready = await place.ready("one")
    process = await _uid_of_process(place, ready)
    await _kill_supervisor(place)
    assert await place.get(ready, "/") == "ok"
    assert await _uid_of_process(place, ready) == process


async def test_the_end_of_an_adopted_container_is_unknown(place: World) -> None:
    await place.create(pod("one"))
    ready = await place.ready("one")
    process = await _uid_of_process(place, ready)
    await _kill_supervisor(place)
    os.kill(process, signal.SIGKILL)
    again = await place.until("one", lambda p: _restarts(p) == 1)
    ended = again.status.container_statuses[0].last_state.terminated
    assert ended is not None
    assert (ended.reason, ended.exit_code) == ("ContainerStatusUnknown", 137)


async def test_the_node_is_registered_and_ready(place: World) -> None:
    async def is_told() -> bool:
        nodes = (await place.client.list(Node)).items
        return bool(nodes and nodes[0].status.conditions)

    await eventually(is_told)
    node = await place.client.get(Node, "stagezero")
    assert [c.status for c in node.status.conditions if c.type == "Ready"] == ["True"]
    assert int(str(node.status.allocatable["cpu"])) >= 12
    network = node.metadata.annotations["node.stagezero.dev/network"]
    assert network == place.runtime.info.isolation.value


@pytest.fixture
async def shared(tmp_path: Path, env_root: Path) -> AsyncIterator[World]:
    """A node whose pods share the machine's network."""
    async with world(Options(tmp_path, env_root, Isolation.HOST)) as running:
        yield running


async def test_on_a_shared_network_programs_are_told_to_stay_on_loopback(shared: World) -> None:
    await shared.create(pod("one", container=READINESS))
    seen = json.loads(await shared.get(await shared.ready("one"), "/env"))
    assert seen["STAGEZERO_LISTEN_HOST"] == "127.0.0.1"


async def test_on_a_shared_network_a_fixed_port_is_refused_with_the_reason(shared: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    more = {"ports": [{"containerPort": port}], "readinessProbe": {"tcpSocket": {"port": port}}}
    await shared.create(pod("one", args=["--fixed", str(port)], container=more))

    def is_refused(thing: Pod) -> bool:
        words = f"container main listens on port {port} instead of"
        return any(c.reason == "FixedPort" and words in c.message for c in thing.status.conditions)

    refused = await shared.until("one", is_refused)
    assert not is_ready(refused)


@NEEDS_PASTA
async def test_a_pasta_that_dies_comes_back(tmp_path: Path, env_root: Path) -> None:
    async with world(Options(tmp_path, env_root, Isolation.PASTA)) as place:
        await place.create(pod("one", container=READINESS))
        ready = await place.ready("one")
        os.kill(place.supervisor.processes[f"net/{ready.uid}/pasta"].pid, signal.SIGKILL)

        async def is_back() -> bool:
            try:
                return await place.get(ready, "/") == "ok"
            except (OSError, IndexError):
                return False

        await eventually(is_back)
