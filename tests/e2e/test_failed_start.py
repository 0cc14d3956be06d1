"""A start that fails says why in one line and leaves no process behind."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stagezero.compose.lifecycle import stop_all, supervisor_runs
from stagezero.compose.settings import Settings
from stagezero.store.lock import holder

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def up(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stagezero.cli.main", "up", "--state", str(state), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": "250"},
    )


@pytest.mark.parametrize("words", [(), ("--detach",)], ids=["in-front", "detached"])
def test_a_taken_port_ends_the_start_and_the_supervisor(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    state = tmp_path / "s"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = up(state, "--http-port", port, *words)
    assert done.returncode == 1
    assert f"error: port {port} of 127.0.0.1, asked for as the http port" in done.stderr
    assert "Traceback" not in done.stderr
    assert not asyncio.run(supervisor_runs(state / "node" / "supervisor"))


@pytest.mark.parametrize("words", [(), ("--detach",)], ids=["in-front", "detached"])
def test_a_folder_too_deep_for_sockets_is_told(tmp_path: Path, words: tuple[str, ...]) -> None:
    state = tmp_path / ("deep" * 30)
    done = up(state, *words)
    assert done.returncode == 1
    assert "choose a shorter state directory" in done.stderr and "Traceback" not in done.stderr
    assert not (state / "node").exists()


def test_a_catalogue_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = up(tmp_path / "s", "--catalogue", str(tmp_path / "none"))
    assert done.returncode == 2 and "does not exist" in done.stderr


@pytest.mark.parametrize("words", [(), ("--detach",)], ids=["in-front", "detached"])
def test_a_start_can_be_stopped_while_it_lasts(tmp_path: Path, words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "stagezero.cli.main"]
    state = tmp_path / "s"
    ports = ("--http-port", "0", "--https-port", "0")
    with subprocess.Popen(
        [*command, "up", "--state", str(state), *ports, *words], stderr=subprocess.PIPE, text=True
    ) as starting:
        deadline = time.monotonic() + 30
        while holder(state / "store.sqlite") is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        ended = asyncio.run(stop_all(Settings(state=state)))
        _, errors = starting.communicate(timeout=60)
    assert ended[0].startswith("control plane")
    assert "stopped by SIGTERM while it started" in errors and "Traceback" not in errors
    assert not asyncio.run(supervisor_runs(state / "node" / "supervisor"))
