"""`predict`: send a body to a served model by its name or URL, whatever this machine resolves.

The gateway's address comes from the Service istio-ingressgateway, the host from the status; a host
of any domain answers without DNS, and the curl line to repeat it is printed on request.
"""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
import typer

from stagezero.api import errors
from stagezero.api.base import Key
from stagezero.api.service import Service
from stagezero.api.serving_kserve import InferenceService
from stagezero.cli.connection import Connection, with_connection
from stagezero.cli.options import Namespace, State, kubeconfig_of
from stagezero.cli.output import complain, say

GATEWAY = Key("istio-system", "istio-ingressgateway")


class NotServed(Exception):
    """There is nothing to call yet; says why and what to look at."""


@dataclass(frozen=True)
class Target:
    """Where a request goes: the gateway's address, the host it names, and the path."""

    address: str
    port: int
    host: str
    path: str

    @property
    def url(self) -> str:
        """The URL to connect to."""
        return f"http://{self.address}:{self.port}{self.path}"

    def curl(self, body: str) -> str:
        """The curl line that sends the same request."""
        host, url = shlex.quote(f"Host: {self.host}"), shlex.quote(self.url)
        kind = shlex.quote("Content-Type: application/json")
        return f"curl -H {host} -H {kind} -d {shlex.quote(body)} {url}"


async def gateway_address(connection: Connection) -> tuple[str, int]:
    """The address and plain port of the gateway."""
    service = await connection.client.get(Service, GATEWAY.name, GATEWAY.namespace)
    ingress = service.status.load_balancer.ingress
    port = next((port.port for port in service.spec.ports if port.name == "http2"), 80)
    return (ingress[0].ip if ingress and ingress[0].ip else "127.0.0.1"), port


async def target_of(connection: Connection, what: str, namespace: str, path: str) -> Target:
    """Find out how to call an InferenceService by name, or any URL or host."""
    address, port = await gateway_address(connection)
    if "/" in what or "." in what:
        parts = urlsplit(what if "//" in what else f"http://{what}")
        return Target(address, port, parts.hostname or "", path or parts.path or "/")
    try:
        isvc = await connection.client.get(InferenceService, what, namespace)
    except errors.NotFound as error:
        raise NotServed(f"{error.message}; `stagezero get isvc -A` lists what there is") from error
    if not isvc.status.url:
        ready = next((c for c in isvc.status.conditions if c.type == "Ready"), None)
        why = f": {ready.reason} {ready.message}".rstrip() if ready is not None else ""
        raise NotServed(
            f'inferenceservice "{what}" is not ready{why}; '
            f"`kubectl describe isvc {what} -n {namespace}` tells more"
        )
    host = urlsplit(isvc.status.url).hostname or ""
    return Target(address, port, host, path or f"/v1/models/{what}:predict")


def predict(
    what: Annotated[str, typer.Argument(help="An InferenceService's name, a URL or a host.")],
    data: Annotated[
        str, typer.Option("--data", "-d", help="The body; @file reads a file, @- standard input.")
    ] = "",
    path: Annotated[str, typer.Option(help="The path; the model's :predict if left out.")] = "",
    curl: Annotated[bool, typer.Option("--curl", help="Print the curl line instead.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait.")] = 60.0,
    state: State = None,
    namespace: Namespace = "",
) -> None:
    """Send a request to a model through the gateway and print the answer.

    Example: stagezero predict mnist -d @mnist.json
    """
    body = _body(data)

    async def work(connection: Connection) -> int:
        place = namespace or connection.namespace
        target = await target_of(connection, what, place, path)
        if curl:
            say(target.curl(data or "{}"))
            return 0
        status, answer = await send(target, body, timeout_s)
        say(answer.decode(errors="replace").rstrip("\n"))
        return status

    status = with_connection(kubeconfig_of(state), work)
    if status >= 400:
        complain(f"the answer's status is {status}")
        raise typer.Exit(1)


def _body(data: str) -> bytes:
    if not data.startswith("@"):
        return data.encode()
    return sys.stdin.buffer.read() if data == "@-" else Path(data[1:]).read_bytes()


async def send(target: Target, body: bytes, timeout_s: float = 60.0) -> tuple[int, bytes]:
    """Send a body to a target (POST; GET without a body); returns the status and the answer."""
    headers = {"Host": target.host, "Content-Type": "application/json"}
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            method = "POST" if body else "GET"
            async with session.request(
                method, target.url, data=body or None, headers=headers
            ) as answer:
                return answer.status, await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NotServed(
            f"{target.url}: {error or 'no answer in time'}; `stagezero status` shows the gateway"
        ) from error
