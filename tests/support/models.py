"""Environments with frameworks, models made in them, and model servers as real processes.

The environments are those that pods of the catalogue's images have, built on first use into the
user's cache. `STAGEZERO_TEST_ENVS` may name a folder that has them (`sklearn/`, `tensorflow/`).
"""

import asyncio
import fcntl
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import stagezero
from stagezero.node.images.catalogue import Catalogue
from stagezero.node.images.environments import Environments, default_root

SOURCES = Path(stagezero.__file__).parent.parent
EXAMPLES = SOURCES.parent / "examples"

_IMAGES = {"sklearn": "kserve/sklearnserver", "tensorflow": "tensorflow/serving"}
_START_TIMEOUT_S = 60.0
_LOOK_AGAIN_S = 0.01


@cache
def python_of(runtime: str) -> Path:
    """The interpreter of a runtime's environment, which is built if nobody has it."""
    given = os.environ.get("STAGEZERO_TEST_ENVS")
    if given:
        python = Path(given) / runtime / "bin" / "python"
        assert python.exists(), f"STAGEZERO_TEST_ENVS={given} has no {runtime}/bin/python"
        return python
    return _product_environment(_IMAGES[runtime])


def _product_environment(image: str) -> Path:
    """The environment that pods of an image have; built if it is not there, shared with them."""
    environments = Environments(default_root())
    built = asyncio.run(environments.ensure(Catalogue().resolve(image)))
    return built.python


def make(runtime: str, code: str, *, cwd: Path) -> Any:
    """Run code in a runtime's environment, in a folder; the JSON that it prints last, if any."""
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(cwd)}
    done = subprocess.run(
        [python_of(runtime), "-c", code], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if lines else None


def run_example(runtime: str, script: str, *arguments: str) -> str:
    """Run one of the examples' scripts in a runtime's environment; what it printed."""
    done = subprocess.run(
        [python_of(runtime), EXAMPLES / script, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
        return number


class ModelServer:
    """A model server process; the arguments are its own, on top of a free port."""

    def __init__(
        self,
        python: Path,
        arguments: Sequence[str],
        folder: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._log = folder / "server.log"
        command = [str(python), "-m", "stagezero.modelserver", f"--http_port={self.port}"]
        path = os.pathsep.join((str(SOURCES), str(folder)))
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *arguments],
                env={**os.environ, "PYTHONPATH": path, **(env or {})},
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        """All that the process has written."""
        return self._log.read_text()

    def wait_until_listening(self) -> "ModelServer":
        """Wait for the port, as the platform's probe does."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.is_listening():
                return self
            assert self.process.poll() is None, f"it ended:\n{self.log}"
            time.sleep(_LOOK_AGAIN_S)
        raise AssertionError(f"it does not listen:\n{self.log}")

    def wait_until_logged(self, text: str) -> None:
        """Wait for a line in the log."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while text not in self.log:
            assert time.monotonic() < deadline, f"{text!r} is not in the log:\n{self.log}"
            assert self.process.poll() is None, f"it ended:\n{self.log}"
            time.sleep(_LOOK_AGAIN_S)

    def is_listening(self) -> bool:
        """Say whether the port accepts a connection."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except ConnectionRefusedError:
            return False
        return True

    def ask(
        self, method: str, path: str, body: object = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """One request on a connection of its own; status and body."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, data, dict(headers or {}))
        response = connection.getresponse()
        answer = response.status, response.read().decode()
        connection.close()
        return answer

    def predict(self, name: str, body: object) -> tuple[int, Any]:
        """Ask a model; status and decoded answer."""
        status, text = self.ask("POST", f"/v1/models/{name}:predict", body)
        return status, json.loads(text)

    def wait_for_end(self) -> int:
        """The exit code of a process that ends by itself."""
        return self.process.wait(_START_TIMEOUT_S)

    def stop(self) -> int:
        """Stop it as the platform does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(35)

    def __enter__(self) -> "ModelServer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def cached_example(runtime: str, script: str, name: str, *arguments: str) -> Path:
    """A model made by one of the examples' scripts, made once a version of the script."""
    digest = hashlib.sha256((EXAMPLES / script).read_bytes()).hexdigest()[:12]
    cache_home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache_home / "stagezero" / "test-models" / f"{name}-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".making").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # several test processes may want it at once
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            run_example(runtime, script, str(unfinished), *arguments)
            unfinished.rename(folder)
    return folder
