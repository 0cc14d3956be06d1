"""`down` ends all that a node runs, whatever became of the supervisor that started it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stagezero.node.removal import take_down
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.supervisor.client import SupervisorClient
from stagezero.node.supervisor.identity import read_stat
from stagezero.node.supervisor.spec import Spec

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


def is_alive(pid: int) -> bool:
    found = read_stat(pid)
    return found is not None and found.state not in "ZX"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[int, int]]:
    """The pids of a supervisor, and of a process that it runs; nobody is connected."""
    folder = NodeFolders(tmp_path).supervisor
    client = SupervisorClient(folder)
    await client.start()
    argv = ("sleep", "300")
    log = str(tmp_path / "log")
    process = await client.start_process(
        Spec(id="a", argv=argv, log=log, env={"PATH": os.environ["PATH"]})
    )
    await client.stop()
    yield client.pid, process.pid
    await take_down(tmp_path, 0.2)


@pytest.mark.parametrize("hurt", [signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT])
async def test_what_runs_is_ended(
    tmp_path: Path, running: tuple[int, int], hurt: signal.Signals
) -> None:
    supervisor, process = running
    os.kill(supervisor, hurt)
    assert await take_down(tmp_path, 0.2)
    assert not is_alive(process)
    assert not is_alive(supervisor)


async def test_a_second_time_there_is_nothing_to_end(
    tmp_path: Path, running: tuple[int, int]
) -> None:
    assert await take_down(tmp_path, 0.2)
    assert not await take_down(tmp_path, 0.2)


async def test_where_nothing_was_started_nothing_is(tmp_path: Path) -> None:
    async with asyncio.timeout(5):
        assert not await take_down(tmp_path / "never")
    assert not (tmp_path / "never").exists()
