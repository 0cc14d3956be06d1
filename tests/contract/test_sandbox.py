"""The container runtime's contract: one suite for the fake and every kind of network.

As a user without root the same suite runs in a process of its own (`test_without_root`).
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import stagezero
from stagezero.kit.clock import SystemClock
from stagezero.node.removal import purge, take_down
from stagezero.node.sandbox.choose import open_runtime
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.ip_command import NetworkFailed
from stagezero.node.sandbox.runtime import (
    Bind,
    CannotStart,
    ContainerId,
    ContainerRun,
    ContainerSpec,
    Isolation,
    Runtime,
    RuntimeFailed,
    SandboxSpec,
)
from stagezero.node.supervisor.client import SupervisorClient
from support.fake_runtime import FakeRuntime
from support.node_world import eventually
from support.sandboxes import IS_ROOT, NEEDS_OWN_TREE, NEEDS_PASTA

ENV = {"PATH": "/usr/bin:/bin"}
KINDS = [
    pytest.param("fake"),
    pytest.param("host", marks=pytest.mark.e2e),
    pytest.param("pasta", marks=[pytest.mark.e2e, NEEDS_PASTA]),
    pytest.param(
        "bridge",
        marks=[
            pytest.mark.e2e,
            pytest.mark.root,
            pytest.mark.skipif(not IS_ROOT, reason="needs root"),
        ],
    ),
]
REAL = [kind for kind in KINDS if kind.values != ("fake",)]


@pytest.fixture
async def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Runtime]:
    """A runtime of each kind."""
    if request.param == "fake":
        yield FakeRuntime(SystemClock())
        return
    folders = NodeFolders(tmp_path / "node")
    client = SupervisorClient(folders.supervisor)
    await client.start()
    opened = await open_runtime(folders, client, wanted=Isolation(request.param))
    try:
        yield opened
    finally:
        await opened.close()
        await client.stop()
        await take_down(folders.root, 0.2)
        purge(folders.root)


def _spec(tmp_path: Path, *argv: str, uid: str = "u", restart: int = 0) -> ContainerSpec:
    run = ContainerId(uid, "main", restart)
    log = tmp_path / "logs" / uid / f"{restart}.log"
    return ContainerSpec(run, argv, ENV, "/", (), log)


async def _prepared(runtime: Runtime, uid: str = "u") -> None:
    await runtime.prepare(SandboxSpec(uid, "default", f"pod-{uid}", f"pod-{uid}", (8080,)))


async def _until(
    runtime: Runtime, holds: Callable[[list[ContainerRun]], bool], uid: str = "u"
) -> list[ContainerRun]:
    changed = asyncio.Event()
    forget = runtime.on_change(lambda _: changed.set())
    try:
        async with asyncio.timeout(10):
            while not holds(list(runtime.runs(uid))):
                changed.clear()
                await changed.wait()
    finally:
        forget()
    return list(runtime.runs(uid))


def _has_ended(runs: list[ContainerRun]) -> bool:
    return bool(runs) and not runs[-1].is_running


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
async def test_a_sandbox_is_made_once(runtime: Runtime) -> None:
    spec = SandboxSpec("u", "default", "web", "web", (8080,))
    first = await runtime.prepare(spec)
    assert await runtime.prepare(spec) == first == runtime.sandbox("u")
    assert runtime.uids() == {"u"}


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
async def test_sandboxes_differ_in_how_they_are_reached(runtime: Runtime) -> None:
    specs = [SandboxSpec(uid, "default", uid, uid, (8080,)) for uid in ("a", "b")]
    first, second = [await runtime.prepare(spec) for spec in specs]
    assert (first.ip, first.port(8080)) != (second.ip, second.port(8080))


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
async def test_a_run_is_under_way_when_start_returns(runtime: Runtime, tmp_path: Path) -> None:
    await _prepared(runtime)
    await runtime.start(_spec(tmp_path, "sleep", "60"))
    (run,) = runtime.runs("u")
    assert run.is_running and run.id == ContainerId("u", "main", 0)


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
async def test_the_same_run_is_not_started_twice(runtime: Runtime, tmp_path: Path) -> None:
    await _prepared(runtime)
    for _ in range(2):
        await runtime.start(_spec(tmp_path, "sleep", "60"))
    assert len(runtime.runs("u")) == 1


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
async def test_a_run_without_a_sandbox_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailed, match="no sandbox"):
        await runtime.start(_spec(tmp_path, "sleep", "60"))


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
@pytest.mark.parametrize(("is_forced", "number"), [(False, 15), (True, 9)])
async def test_a_stopped_run_ends_by_its_signal(
    runtime: Runtime, tmp_path: Path, is_forced: bool, number: int
) -> None:
    await _prepared(runtime)
    spec = _spec(tmp_path, "sleep", "60")
    await runtime.start(spec)
    await runtime.stop(spec.id, is_forced=is_forced)
    (run,) = await _until(runtime, _has_ended)
    assert (run.signal, run.exit_code, run.is_known_exit) == (number, 128 + number, True)


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
async def test_what_has_ended_or_never_was_may_be_stopped(runtime: Runtime, tmp_path: Path) -> None:
    await _prepared(runtime)
    spec = _spec(tmp_path, "sleep", "60")
    await runtime.start(spec)
    await runtime.stop(spec.id, is_forced=True)
    await _until(runtime, _has_ended)
    await runtime.stop(spec.id)
    await runtime.stop(ContainerId("u", "never", 0))


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
async def test_runs_are_told_oldest_first_until_forgotten(runtime: Runtime, tmp_path: Path) -> None:
    await _prepared(runtime)
    first, second = _spec(tmp_path, "sleep", "60"), _spec(tmp_path, "sleep", "60", restart=1)
    await runtime.start(first)
    await runtime.stop(first.id, is_forced=True)
    await _until(runtime, _has_ended)
    await runtime.start(second)
    assert [run.id.restart for run in runtime.runs("u")] == [0, 1]
    await runtime.forget(first.id)
    await _until(runtime, lambda runs: [run.id.restart for run in runs] == [1])


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
async def test_nothing_is_left_after_release(runtime: Runtime, tmp_path: Path) -> None:
    await _prepared(runtime)
    await runtime.start(_spec(tmp_path, "sleep", "60"))
    await runtime.release("u")
    assert runtime.sandbox("u") is None
    assert list(runtime.runs("u")) == []
    assert runtime.uids() == set()


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
async def test_a_release_may_be_repeated(runtime: Runtime) -> None:
    await _prepared(runtime)
    await runtime.release("u")
    await runtime.release("u")


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
async def test_a_command_runs_only_beside_a_run(runtime: Runtime, tmp_path: Path) -> None:
    await _prepared(runtime)
    spec = _spec(tmp_path, "sleep", "60")
    await runtime.start(spec)
    assert (await runtime.execute(spec.id, ["true"], 5)).exit_code == 0
    with pytest.raises(RuntimeFailed, match="does not run"):
        await runtime.execute(ContainerId("u", "other", 0), ["true"], 5)


@pytest.mark.parametrize("runtime", KINDS, indirect=True)
async def test_a_running_container_has_stats(runtime: Runtime, tmp_path: Path) -> None:
    await _prepared(runtime)
    spec = _spec(tmp_path, "sleep", "60")
    await runtime.start(spec)
    assert runtime.stats(spec.id) is not None
    assert runtime.stats(ContainerId("u", "other", 0)) is None


@pytest.mark.parametrize("runtime", REAL, indirect=True)
async def test_a_program_that_is_not_there_cannot_start(runtime: Runtime, tmp_path: Path) -> None:
    await _prepared(runtime)
    with pytest.raises(CannotStart, match="/no/such"):
        await runtime.start(_spec(tmp_path, "/no/such"))


async def _printed(runtime: Runtime, spec: ContainerSpec) -> str:
    await runtime.start(spec)
    await _until(runtime, _has_ended, spec.id.uid)
    return spec.log.read_text()


@NEEDS_OWN_TREE
@pytest.mark.parametrize("runtime", REAL, indirect=True)
async def test_a_container_sees_its_volumes_and_its_names(runtime: Runtime, tmp_path: Path) -> None:
    await _prepared(runtime)
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "file").write_text("weights\n")
    names = "grep pod-u /etc/hosts | cut -f2; ls -d /dev/null"
    script = f"cat /mnt/models/file; ls {tmp_path} || echo private; {names}"
    spec = _spec(tmp_path, "sh", "-c", script)
    bound = ContainerSpec(
        spec.id, spec.argv, spec.env, "/", (Bind(tmp_path / "v", "/mnt/models", True),), spec.log
    )
    text = await _printed(runtime, bound)
    lines = [line for line in text.splitlines() if not line.startswith("ls:")]
    assert lines == ["weights", "private", "pod-u", "/dev/null"]


@pytest.mark.parametrize("runtime", REAL, indirect=True)
async def test_a_forked_child_ends_with_its_container(runtime: Runtime, tmp_path: Path) -> None:
    await _prepared(runtime)
    text = await _printed(runtime, _spec(tmp_path, "sh", "-c", "sleep 61 & echo $!"))

    async def is_gone() -> bool:
        return not _exists(f"/proc/{text.strip()}")

    await eventually(is_gone)


def _exists(path: str) -> bool:
    return os.path.exists(path)


@pytest.mark.e2e
async def test_what_ran_in_a_lost_sandbox_is_ended_before_the_next(tmp_path: Path) -> None:
    folders = NodeFolders(tmp_path / "node")
    client = SupervisorClient(folders.supervisor)
    await client.start()
    try:
        first = await open_runtime(folders, client, wanted=Isolation.HOST)
        await _prepared(first)
        await first.start(_spec(tmp_path, "sleep", "60"))
        await first.close()
        (folders.pod("u") / "sandbox.json").unlink()
        second = await open_runtime(folders, client, wanted=Isolation.HOST)
        await _prepared(second)
        assert [run.is_running for run in second.runs("u")] == [False]
        await second.close()
    finally:
        await client.stop()
        await take_down(folders.root, 0.2)
        purge(folders.root)


@pytest.mark.root
@pytest.mark.e2e
@pytest.mark.skipif(not IS_ROOT, reason="needs root")
@pytest.mark.parametrize("runtime", ["bridge"], indirect=True)
async def test_a_pod_on_the_bridge_leaves_nothing_behind(runtime: Runtime) -> None:
    await _prepared(runtime)
    sandbox = runtime.sandbox("u")
    assert sandbox is not None and _exists(sandbox.net)
    veth = f"{os.path.basename(sandbox.net).replace('-', 'p')}"
    assert veth in _links()
    await runtime.release("u")
    assert not _exists(sandbox.net)
    assert veth not in _links()


def _links() -> set[str]:
    return set(os.listdir("/sys/class/net"))


@pytest.mark.skipif(IS_ROOT, reason="root may do it")
async def test_a_bridge_without_root_is_refused(tmp_path: Path) -> None:
    folders = NodeFolders(tmp_path / "node")
    client = SupervisorClient(folders.supervisor)
    await client.start()
    try:
        with pytest.raises(NetworkFailed, match="only root"):
            await open_runtime(folders, client, wanted=Isolation.BRIDGE)
    finally:
        await client.shut_down(0.2)


SYSTEM_PYTHON = "/usr/bin/python3"


def _can_run_without_root() -> bool:
    if not IS_ROOT or shutil.which("setpriv") is None or not os.path.exists(SYSTEM_PYTHON):
        return False
    version = subprocess.run([SYSTEM_PYTHON, "-V"], capture_output=True, text=True)
    return version.stdout.split()[-1:] >= ["3.11"]


WITHOUT_ROOT = """
import asyncio, sys
from pathlib import Path
from stagezero.node.removal import purge, take_down
from stagezero.node.sandbox.choose import open_runtime
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.runtime import Bind, ContainerId, ContainerSpec, SandboxSpec
from stagezero.node.supervisor.client import SupervisorClient

async def main(root):
    folders = NodeFolders(root / "node")
    client = SupervisorClient(folders.supervisor)
    await client.start()
    runtime = await open_runtime(folders, client)
    print(runtime.info)
    ports = []
    for uid in "ab":
        (root / uid).mkdir()
        (root / uid / "m").write_text(uid + chr(10))
        sandbox = await runtime.prepare(SandboxSpec(uid, "d", uid, uid, (8080,)))
        ports.append(sandbox.port(8080))
        script = "echo $PORT $0; cat /mnt/models/m; id -u; touch /mnt/models/x"
        spec = ContainerSpec(
            ContainerId(uid, "c", 0), ("sh", "-c", script, "--port=8080"), {"PATH": "/bin"}, "/",
            (Bind(root / uid, "/mnt/models", True),), root / f"{uid}.log",
        )
        await runtime.start(spec)
        await client.ended(f"pod/{uid}/c/0")
        print((root / f"{uid}.log").read_text())
    print("different ports:", len(set(ports)) == 2)
    await client.stop()
    await take_down(folders.root, 0.2)
    purge(folders.root)

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.e2e
@pytest.mark.root
@pytest.mark.skipif(not _can_run_without_root(), reason="needs root to give it up")
def test_without_root_two_pods_have_their_own_models_and_ports(tmp_path: Path) -> None:
    folder = Path("/var/tmp") / f"stagezero-test-{os.getpid()}"
    folder.mkdir()
    shutil.chown(folder, 65534, 65534)
    command = [
        *("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"),
        *(SYSTEM_PYTHON, "-c", WITHOUT_ROOT, str(folder)),
    ]
    source = str(Path(stagezero.__file__).parent.parent)
    try:
        found = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": source, "PATH": os.environ["PATH"], "HOME": str(folder)},
            timeout=50,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert found.returncode == 0, found.stderr
    assert "own file tree" in found.stdout
    assert found.stdout.count("\n65534\n") == 2
    assert found.stdout.count("Read-only file system") == 2
    assert "\na\n" in found.stdout and "\nb\n" in found.stdout
    assert "different ports: True" in found.stdout
