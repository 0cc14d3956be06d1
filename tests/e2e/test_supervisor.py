"""The supervisor as the process it is: started, spoken to, killed, adopted from."""

import asyncio
import itertools
import json
import os
import random
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stagezero.node.supervisor import protocol
from stagezero.node.supervisor.client import Process, SupervisorClient
from stagezero.node.supervisor.identity import read_stat
from stagezero.node.supervisor.launch import SupervisorFailed, launch
from stagezero.node.supervisor.protocol import Refused
from stagezero.node.supervisor.spec import Mount, Restart, Spec
from support.node_world import eventually
from support.sandboxes import IS_ROOT, NEEDS_OWN_TREE

pytestmark = [pytest.mark.e2e]

ENV = {"PATH": "/usr/bin:/bin"}
USER_NAMESPACE = "" if IS_ROOT else "new"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose path is longer than a socket's name may be."""
    return tmp_path / ("long" * 30) / "supervisor"


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[SupervisorClient]:
    """A client of a supervisor of its own."""
    connected = SupervisorClient(folder)
    await connected.start()
    try:
        yield connected
    finally:
        await connected.shut_down(0.2)


def _spec(folder: Path, name: str, *argv: str, **more: object) -> Spec:
    return Spec(id=name, argv=argv, log=str(folder / "logs" / f"{name}.log"), env=ENV, **more)  # type: ignore[arg-type]


def _sh(folder: Path, name: str, script: str, **more: object) -> Spec:
    return _spec(folder, name, "sh", "-c", script, **more)


def _log(folder: Path, name: str) -> str:
    return (folder / "logs" / f"{name}.log").read_text()


async def _ended(client: SupervisorClient, name: str) -> Process:
    async with asyncio.timeout(10):
        await client.ended(name)
    return client.processes[name]


def _is_alive(pid: int) -> bool:
    found = read_stat(pid)
    return found is not None and found.state not in "ZX"


async def test_it_reports_exit_code_and_output(client: SupervisorClient, folder: Path) -> None:
    await client.start_process(_sh(folder, "a", "echo out; echo err >&2; exit 7"))
    ended = await _ended(client, "a")
    assert (ended.exit_code, ended.signal, ended.is_known_exit) == (7, 0, True)
    assert _log(folder, "a") == "out\nerr\n"


async def test_it_reports_the_signal_that_killed(client: SupervisorClient, folder: Path) -> None:
    await client.start_process(_spec(folder, "a", "sleep", "60"))
    await client.send_signal("a", signal.SIGTERM)
    ended = await _ended(client, "a")
    assert (ended.exit_code, ended.signal) == (143, 15)


async def test_it_starts_nothing_twice(client: SupervisorClient, folder: Path) -> None:
    await client.start_process(_spec(folder, "a", "sleep", "60"))
    with pytest.raises(Refused, match="already started") as refused:
        await client.start_process(_spec(folder, "a", "sleep", "60"))
    assert refused.value.code == protocol.EXISTS


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("/no/such/program",), "No such file"),
        (("nowhere-on-the-path",), "not found in"),
        (("/etc/passwd",), "Permission denied"),
        (("/tmp",), "Permission denied"),
    ],
    ids=["absent", "not-on-path", "not-executable", "folder"],
)
async def test_a_program_that_cannot_be_executed_is_refused(
    client: SupervisorClient, folder: Path, argv: tuple[str, ...], why: str
) -> None:
    with pytest.raises(Refused, match=why) as refused:
        await client.start_process(_spec(folder, "a", *argv))
    assert refused.value.code == protocol.START_FAILED
    await _forgotten(client, "a")


async def _forgotten(client: SupervisorClient, name: str) -> None:
    async def is_gone() -> bool:
        return name not in client.processes

    await eventually(is_gone)


async def test_a_child_gets_a_clean_slate(client: SupervisorClient, folder: Path) -> None:
    script = (
        "env; ulimit -c; umask; pwd; ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status"
    )
    await client.start_process(_sh(folder, "a", script, cwd="/usr", umask=0o027))
    await _ended(client, "a")
    lines = _log(folder, "a").splitlines()
    assert {"0", "0027", "/usr"} <= set(lines)
    assert [line for line in lines if "=" in line and not line.startswith(("PATH", "PWD"))] == []
    # The C library keeps 32 and 33 for itself: who was started by posix_spawn (make) ignores them.
    masks = [int(line.split()[1], 16) & ~0x180000000 for line in lines if line.startswith("Sig")]
    assert masks == [0, 0]
    assert [line for line in lines if line.isdigit() and 3 < int(line) < 27] == []


async def test_what_a_program_leaves_behind_ends_with_it(
    client: SupervisorClient, folder: Path
) -> None:
    await client.start_process(_sh(folder, "a", "sleep 60 & echo $!; exit 0"))
    await _ended(client, "a")
    left = int(_log(folder, "a"))

    async def is_dead() -> bool:
        return not _is_alive(left)

    await eventually(is_dead)


async def test_a_process_is_started_again_with_growing_delays(
    client: SupervisorClient, folder: Path
) -> None:
    restart = Restart(first_s=0.02, limit_s=0.1)
    await client.start_process(_sh(folder, "a", "date +%s.%N; exit 1", restart=restart))

    async def has_restarted() -> bool:
        return client.processes["a"].restarts >= 4

    await eventually(has_restarted)
    times = [float(line) for line in _log(folder, "a").split()]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[0] >= 0.02 and gaps[2] >= 0.08


async def test_a_final_signal_ends_the_restarts(client: SupervisorClient, folder: Path) -> None:
    await client.start_process(_spec(folder, "a", "sleep", "60", restart=Restart()))
    await client.send_signal("a", signal.SIGKILL)
    ended = await _ended(client, "a")
    assert ended.restarts == 0


async def test_what_restarts_is_started_while_nobody_is_connected(folder: Path) -> None:
    client = SupervisorClient(folder)
    await client.start()
    first = await client.start_process(
        _spec(folder, "a", "sleep", "60", restart=Restart(first_s=0.01))
    )
    await client.stop()
    os.kill(first.pid, signal.SIGKILL)
    again = SupervisorClient(folder)
    try:
        await again.start()

        async def is_back() -> bool:
            found = again.processes["a"]
            return found.is_running and found.pid != first.pid

        await eventually(is_back)
    finally:
        await again.shut_down(0.2)


async def test_a_killed_supervisor_is_replaced_and_finds_what_runs(
    client: SupervisorClient, folder: Path
) -> None:
    await client.start_process(_sh(folder, "done", "exit 5"))
    await _ended(client, "done")
    running = await client.start_process(_spec(folder, "a", "sleep", "60"))
    await _kill(client)
    assert client.processes["a"] == running
    assert client.processes["done"].exit_code == 5


async def _kill(client: SupervisorClient) -> None:
    old = client.pid
    os.kill(old, signal.SIGKILL)

    async def is_back() -> bool:
        return client.pid != old

    await eventually(is_back)


async def test_the_end_of_an_adopted_process_is_noticed_and_unknown(
    client: SupervisorClient, folder: Path
) -> None:
    running = await client.start_process(_spec(folder, "a", "sleep", "60"))
    await _kill(client)
    os.kill(running.pid, signal.SIGKILL)
    ended = await _ended(client, "a")
    assert (ended.is_known_exit, ended.exit_code) == (False, 137)


async def test_what_ended_while_no_supervisor_ran_is_unknown(folder: Path) -> None:
    client = SupervisorClient(folder)
    await client.start()
    running = await client.start_process(_spec(folder, "a", "sleep", "60"))
    await client.stop()
    os.kill(client.pid, signal.SIGKILL)
    os.kill(running.pid, signal.SIGKILL)
    again = SupervisorClient(folder)
    try:
        await again.start()
        assert again.processes["a"].has_exited
        assert not again.processes["a"].is_known_exit
    finally:
        await again.shut_down(0.2)


async def test_a_process_with_restarts_comes_back_after_a_killed_supervisor(
    client: SupervisorClient, folder: Path
) -> None:
    restart = Restart(first_s=0.01)
    running = await client.start_process(_spec(folder, "a", "sleep", "60", restart=restart))
    await _kill(client)
    os.kill(running.pid, signal.SIGKILL)

    async def is_back() -> bool:
        found = client.processes["a"]
        return found.is_running and found.pid != running.pid

    await eventually(is_back)


async def test_a_second_supervisor_of_a_folder_is_refused(
    client: SupervisorClient, folder: Path
) -> None:
    assert await launch(folder) is False
    assert client.processes is not None


async def test_shutting_down_ends_everything(folder: Path) -> None:
    client = SupervisorClient(folder)
    await client.start()
    stubborn = "trap '' TERM; while :; do sleep 0.05; done"
    one = await client.start_process(_sh(folder, "a", stubborn))
    two = await client.start_process(_spec(folder, "b", "sleep", "60", restart=Restart()))
    await client.shut_down(0.2)
    assert not _is_alive(one.pid) and not _is_alive(two.pid)
    assert not _is_alive(client.pid)


async def test_a_hang_up_does_not_end_it(client: SupervisorClient, folder: Path) -> None:
    os.kill(client.pid, signal.SIGHUP)
    await client.start_process(_sh(folder, "a", "exit 0"))
    assert (await _ended(client, "a")).exit_code == 0


@NEEDS_OWN_TREE
async def test_a_command_runs_beside_a_process(client: SupervisorClient, folder: Path) -> None:
    (folder.parent / "inside").mkdir()
    (folder.parent / "inside" / "note").write_text("seen")
    mounts = (Mount("/mnt/note", str(folder.parent / "inside")),)
    spec = _spec(folder, "a", "sleep", "60", mounts=mounts, user=USER_NAMESPACE)
    await client.start_process(spec)
    result = await client.execute("a", ["cat", "/mnt/note/note"], ENV)
    assert (result.exit_code, result.output) == (0, "seen")
    assert not _exists("/mnt/note")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 3", (3, False)),
        ("sleep 60", (-9, True)),
        ("yes | head -c 200000", (0, False)),
    ],
    ids=["fails", "too-long", "too-much"],
)
async def test_a_command_is_bounded(
    client: SupervisorClient, folder: Path, script: str, expected: tuple[int, bool]
) -> None:
    await client.start_process(_spec(folder, "a", "sleep", "60"))
    result = await client.execute("a", ["sh", "-c", script], ENV, timeout_s=0.3)
    assert (result.exit_code, result.is_timed_out) == expected
    assert len(result.output) <= 64 << 10


@NEEDS_OWN_TREE
async def test_a_read_only_mount_cannot_be_written(
    client: SupervisorClient, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    mounts = (Mount("/mnt/model", str(tmp_path / "model"), read_only=True),)
    script = "touch /mnt/model/x"
    await client.start_process(_sh(folder, "a", script, mounts=mounts, user=USER_NAMESPACE))
    assert (await _ended(client, "a")).exit_code != 0
    assert "Read-only" in _log(folder, "a")
    assert list((tmp_path / "model").iterdir()) == []


@NEEDS_OWN_TREE
async def test_mounts_leave_nothing_on_the_machine(
    client: SupervisorClient, folder: Path, tmp_path: Path
) -> None:
    before = _mounts()
    mounts = (Mount("/new/deep/place", str(tmp_path)), Mount("/etc/config", kind="tmpfs"))
    script = "ls -d /new/deep/place /etc/config /etc/passwd"
    await client.start_process(_sh(folder, "a", script, mounts=mounts, user=USER_NAMESPACE))
    assert (await _ended(client, "a")).exit_code == 0
    assert _mounts() == before
    assert not _exists("/new")


def _exists(path: str) -> bool:
    return os.path.exists(path)


def _mounts() -> str:
    with open("/proc/self/mounts") as file:
        return file.read()


@pytest.mark.root
@pytest.mark.skipif(not IS_ROOT, reason="needs root")
async def test_root_gives_up_its_powers_in_a_child(client: SupervisorClient, folder: Path) -> None:
    script = "grep -E 'CapEff|NoNewPrivs' /proc/self/status"
    await client.start_process(_sh(folder, "a", script))
    await _ended(client, "a")
    assert _log(folder, "a") == "CapEff:\t00000000a80425fb\nNoNewPrivs:\t1\n"


async def test_its_socket_is_for_its_own_user(client: SupervisorClient, folder: Path) -> None:
    assert _mode(folder / "socket") == 0o600
    assert _mode(folder) == 0o700


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.root
@pytest.mark.skipif(not IS_ROOT, reason="needs root to become another user")
async def test_another_user_is_turned_away(client: SupervisorClient, folder: Path) -> None:
    os.chmod(folder / "socket", 0o777)
    script = (
        "import os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "os.chdir(sys.argv[1])\n"
        "os.setuid(65534)\n"
        "s.connect('socket')\n"
        "print(s.recv(1))\n"
    )
    os.chmod(folder, 0o755)
    for parent in list(folder.parents)[:3]:
        os.chmod(parent, 0o755)
    command = [sys.executable, "-I", "-S", "-c", script, str(folder)]
    answer = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert answer.stdout == "b''\n", answer.stderr


async def test_it_is_small(client: SupervisorClient) -> None:
    lines = _lines(f"/proc/{client.pid}/smaps_rollup")
    rss_kb = next(int(line.split()[1]) for line in lines if line.startswith("Rss"))
    assert rss_kb < 20_000


def _lines(path: str) -> list[str]:
    with open(path) as file:
        return file.read().splitlines()


def _raw(folder: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    directory = os.open(folder, os.O_RDONLY)
    try:
        connection.connect(f"/proc/self/fd/{directory}/socket")
    finally:
        os.close(directory)
    return connection


def _hello(connection: socket.socket, version: int = protocol.VERSION) -> dict[str, object]:
    connection.sendall(protocol.encode({"id": 1, "op": "hello", "version": version}))
    answer = json.loads(connection.makefile().readline())
    assert isinstance(answer, dict)
    return answer


async def test_another_version_is_told_and_disconnected(
    client: SupervisorClient, folder: Path
) -> None:
    with _raw(folder) as connection:
        assert _hello(connection, 99)["code"] == protocol.VERSION_MISMATCH
        assert connection.recv(1) == b""


async def test_a_line_without_end_is_cut_off(client: SupervisorClient, folder: Path) -> None:
    with _raw(folder) as connection:
        _hello(connection)
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            for _ in range(256):
                connection.sendall(b"x" * 65536)
    await client.start_process(_sh(folder, "a", "exit 0"))
    assert (await _ended(client, "a")).exit_code == 0


def _nonsense(random_: random.Random) -> bytes:
    words: list[object] = [None, True, -1, 1e308, "", "a\0b", "\ud800", [], {}, [[]], {"id": {}}]
    operations = ["hello", "start", "signal", "list", "watch", "exec", "forget", "", None, 3]
    request = {
        "id": random_.choice([1, "x", None, [], {}]),
        "op": random_.choice(operations[1:]),
        "spec": random_.choice([*words, {"id": "f", "argv": random_.choice(words), "log": "/x"}]),
        "process": random_.choice(words),
        "signal": random_.choice([*words, 0, 9, 64, 10**30]),
        "since": random_.choice([*words, 0, 10**9]),
        "argv": random_.choice(words),
        "timeout_s": random_.choice([*words, float("nan"), float("inf")]),
    }
    line = json.dumps(request).encode() + b"\n"
    return random_.choice([line, line[: random_.randrange(len(line))] + b"\n", os.urandom(40)])


@pytest.mark.parametrize("seed", range(8))
async def test_nonsense_on_the_socket_hurts_nobody(
    client: SupervisorClient, folder: Path, seed: int
) -> None:
    running = await client.start_process(_spec(folder, "a", "sleep", "60"))
    random_ = random.Random(seed)
    for _ in range(20):
        with _raw(folder) as connection:
            if random_.random() < 0.9:
                _hello(connection)
            try:
                for _ in range(10):
                    connection.sendall(_nonsense(random_))
            except OSError:
                continue
    assert (await client.execute("a", ["true"], ENV)).exit_code == 0
    assert client.processes["a"] == running


async def test_a_watcher_that_does_not_read_is_dropped(
    client: SupervisorClient, folder: Path
) -> None:
    with _raw(folder) as lazy:
        _hello(lazy)
        lazy.sendall(protocol.encode({"id": 2, "op": "watch", "since": 0}))
        labels = {"words": "x" * 30_000}
        for number in range(60):
            await client.start_process(_spec(folder, f"p{number}", "true", labels=labels))
        received = 0
        try:
            while data := lazy.recv(1 << 20):
                received += len(data)
        except TimeoutError:
            pytest.fail("the lazy watcher was kept")
    assert received < 60 * 2 * 30_000


async def test_events_are_told_in_order_and_once(client: SupervisorClient, folder: Path) -> None:
    seen: list[tuple[str, str]] = []
    client.on_change(lambda process: seen.append((process.id, process.state)))
    for name in ("a", "b"):
        await client.start_process(_sh(folder, name, "exit 0"))
        await _ended(client, name)
    assert seen == [("a", "running"), ("a", "exited"), ("b", "running"), ("b", "exited")]


async def test_a_forgotten_process_is_gone_for_good(client: SupervisorClient, folder: Path) -> None:
    await client.start_process(_sh(folder, "a", "exit 0"))
    await _ended(client, "a")
    await client.forget("a")
    await _kill(client)
    assert "a" not in client.processes


async def test_a_running_process_cannot_be_forgotten(
    client: SupervisorClient, folder: Path
) -> None:
    await client.start_process(_spec(folder, "a", "sleep", "60"))
    with pytest.raises(Refused, match="still runs"):
        await client.forget("a")


async def test_secrets_are_not_written_to_the_journal(
    client: SupervisorClient, folder: Path
) -> None:
    spec = _sh(folder, "a", "exit 0")._replace(env={**ENV, "PASSWORD": "hunter2"})
    await client.start_process(spec)
    await _ended(client, "a")
    assert "hunter2" not in (folder / "journal").read_text()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SupervisorFailed, match="file/below"):
        await launch(tmp_path / "file" / "below")


def _write_journal(folder: Path, data: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "journal").write_bytes(data)


async def test_a_journal_of_nonsense_does_not_stop_it(folder: Path) -> None:
    _write_journal(folder, b'{"seq": 1}\n\xff\xfe\n{"type":"started","process":3}\n{"seq')
    client = SupervisorClient(folder)
    await client.start()
    try:
        assert dict(client.processes) == {}
    finally:
        await client.shut_down(0.2)


async def test_a_full_disk_does_not_end_it(client: SupervisorClient, folder: Path) -> None:
    spec = _spec(folder, "a", "sleep", "60", restart=Restart(first_s=0.05, limit_s=0.05))
    first = await client.start_process(spec)
    before = resource.prlimit(client.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(client.pid, resource.RLIMIT_FSIZE, (1, before[1]))
    os.kill(first.pid, signal.SIGKILL)

    async def is_running_again() -> bool:
        process = client.processes["a"]
        return process.is_running and process.pid != first.pid

    await eventually(is_running_again)
    resource.prlimit(client.pid, resource.RLIMIT_FSIZE, before)
    second = client.processes["a"]

    async def is_written_down() -> bool:
        return f'"pid":{second.pid}' in (folder / "journal").read_text()

    await eventually(is_written_down)
