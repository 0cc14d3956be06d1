"""A real installation for end-to-end tests: its own folder and ports, everything else real."""

import asyncio
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

KUBECTL = shutil.which("kubectl")
LIMIT_S = 240.0
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Installation:
    """One running installation, and hands to use it."""

    state: Path
    mirrors: Mapping[str, str] = field(default_factory=dict)
    catalogues: tuple[Path, ...] = ()
    network: str = ""

    @property
    def kubeconfig(self) -> Path:
        """What kubectl is given."""
        return self.state / "kubeconfig"

    @property
    def ports(self) -> Mapping[str, int]:
        """The installation's ports."""
        found: Mapping[str, int] = json.loads((self.state / "ports.json").read_text())
        return found

    @property
    def pid(self) -> int:
        """The control plane's process."""
        return int(json.loads((self.state / "running.json").read_text())["pid"])

    def stagezero(self, *words: str, check: bool = True, stdin: str = "") -> str:
        """Run our command line; returns standard output, with errors appended if it may fail."""
        command = [sys.executable, "-m", "stagezero.cli.main", *words]
        return self._run(command, check, stdin)

    def kubectl(self, *words: str, check: bool = True, stdin: str = "", **env: str) -> str:
        """Run the real kubectl; the test is skipped where there is none."""
        if KUBECTL is None:
            pytest.skip("kubectl is not on the PATH")
        return self._run([KUBECTL, *words], check, stdin, env)

    def _run(
        self, command: list[str], check: bool, stdin: str, env: Mapping[str, str] | None = None
    ) -> str:
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "STAGEZERO_STATE": str(self.state),
            "COLUMNS": "250",
            **(env or {}),
        }
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            env=environment,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    def up(self) -> None:
        """Start it, detached, on ports of its own."""
        words = ["up", "--detach", "--http-port", "0", "--https-port", "0"]
        words += ["--api-port", str(self._api_port())]
        for prefix, place in self.mirrors.items():
            words += ["--mirror", f"{prefix}={place}"]
        for folder in self.catalogues:
            words += ["--catalogue", str(folder)]
        if self.network:
            words += ["--network", self.network]
        self.stagezero(*words)

    def _api_port(self) -> int:
        """The port it had, else a free one: installations that start at once must not meet."""
        if (self.state / "ports.json").exists():
            return self.ports["api"]
        with socket.create_server((HOST, 0)) as listener:
            return int(listener.getsockname()[1])

    def kill(self) -> None:
        """Kill the control plane with -9, and wait until it is dead."""
        descriptor = os.pidfd_open(self.pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [], LIMIT_S)
        finally:
            os.close(descriptor)

    def down(self) -> None:
        """Stop everything and remove what it wrote."""
        self.stagezero("down", "--purge")

    def get(self, kind: str, name: str, namespace: str = "default") -> Any:
        """An object as JSON."""
        return json.loads(self.stagezero("get", kind, name, "-n", namespace, "-o", "json"))

    def apply(self, text: str) -> str:
        """Apply YAML."""
        return self.stagezero("apply", "-f", "-", stdin=text)

    def wait(self, kind: str, name: str, condition: str = "Ready") -> None:
        """Wait until an object has a condition."""
        self.stagezero("wait", kind, name, "--for", condition, "--timeout", str(LIMIT_S))

    def delete(self, kind: str, *names: str) -> None:
        """Delete objects and wait until they are gone."""
        self.stagezero("delete", kind, *names)

    async def request(self, host: str, path: str = "/", body: bytes | None = None) -> Answer:
        """Send a request through the gateway by host name."""
        url = f"http://{HOST}:{self.ports['http']}{path}"
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            method = "GET" if body is None else "POST"
            async with session.request(method, url, data=body, headers={"Host": host}) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return Answer(answer.status, await answer.read(), headers)

    def call(self, host: str, path: str = "/", body: bytes | None = None) -> Answer:
        """The same, for tests without a loop."""
        return asyncio.run(self.request(host, path, body))


@contextmanager
def installed(folder: Path, **settings: Any) -> Iterator[Installation]:
    """Start an installation in a folder; stop and remove it at the end, logs shown on failure."""
    installation = Installation(folder / "s", **settings)
    try:
        installation.up()
        yield installation
    finally:
        installation.down()
