"""A start that fails says why in one line and leaves no process behind."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stagezero.compose.lifecycle import supervisor_runs

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
