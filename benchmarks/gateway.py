"""What the gateway costs: added latency over a direct call, requests a second, memory, ACK times.

    python benchmarks/gateway.py [--seconds 3] [--routes 1000]

Starts the real Envoy as `stagezero up` does, behind it a trivial upstream in a process of its own.
One client takes turns, a direct request and one through the gateway, so that both see the same
machine; then 16 and 64 keep-alive clients measure throughput. With `--routes` that many
InferenceService-like pairs of VirtualServices are added: time to plan, to ACK, and memory.
Client, Envoy and upstream share the machine's cores: compare within one run only.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

from stagezero.api.base import Raw, from_raw
from stagezero.api.core import Endpoints, Service
from stagezero.api.istio import Gateway, VirtualService
from stagezero.mesh.bootstrap import EnvoySettings, envoy_command
from stagezero.mesh.model import Model
from stagezero.mesh.plans.settings import GatewaySettings, ListenerAddress
from stagezero.mesh.xds import XdsServer

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GATEWAY = "knative-serving/knative-ingress-gateway"
LOCAL = "knative-serving/knative-local-gateway"
LOOPBACK = "knative-local-gateway.istio-system.svc.cluster.local"


class Upstream(asyncio.Protocol):
    """Answers every request head with two bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        self._transport.write(ANSWER * len(heads))


async def serve_upstream() -> None:
    """The upstream's process: print the port, serve until killed."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Client(asyncio.Protocol):
    """One keep-alive connection; one request at a time."""

    def __init__(self, host: str) -> None:
        self._request = f"GET / HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
        self._answer: asyncio.Future[bytes] | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.endswith(b"\r\n\r\nok") and self._answer is not None:
            answer, self._buffer = self._buffer, b""
            self._answer.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("closed"))

    async def ask(self) -> float:
        """Send a request; returns how long the answer took, in seconds."""
        self._answer = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        self._transport.write(self._request)
        answer = await self._answer
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return time.perf_counter() - started


async def connect(port: int, host: str) -> Client:
    """Open a connection."""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(host), "127.0.0.1", port)
    return client


async def latencies(direct: int, gateway: int, host: str, seconds: float) -> None:
    """Take turns, directly and through the gateway, with one client each."""
    clients = {"direct": await connect(direct, host), "gateway": await connect(gateway, host)}
    taken: dict[str, list[float]] = {name: [] for name in clients}
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        for name, client in clients.items():
            taken[name].append(await client.ask())
    for name, times in taken.items():
        p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
        print(f"{name:<10} 1 client    p50 {p50 * 1e3:6.3f} ms   p99 {p99 * 1e3:6.3f} ms")
    added = statistics.median(taken["gateway"]) - statistics.median(taken["direct"])
    print(f"{'added':<10} 1 client    p50 {added * 1e3:6.3f} ms")


async def throughput(name: str, port: int, host: str, clients: int, seconds: float) -> None:
    """Requests a second of many keep-alive clients."""
    connections = [await connect(port, host) for _ in range(clients)]
    times: list[float] = []
    ends = time.perf_counter() + seconds

    async def work(client: Client) -> None:
        while time.perf_counter() < ends:
            times.append(await client.ask())

    await asyncio.gather(*(work(client) for client in connections))
    rate, p50 = len(times) / seconds, statistics.median(times)
    p99 = statistics.quantiles(times, n=100)[98]
    print(f"{name:<10} {clients:>2} clients {rate:8.0f} requests/s   ", end="")
    print(f"p50 {p50 * 1e3:6.2f} ms   p99 {p99 * 1e3:6.2f} ms")


@dataclass
class World:
    """A model fed by hand, with an upstream behind every Service."""

    model: Model
    upstream: int

    def gateways(self) -> None:
        """The two Gateways of a Knative installation."""
        for name, port in ((GATEWAY, 80), (LOCAL, 8081)):
            server = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
            spec = {"selector": {"istio": "ingressgateway"}, "servers": [server]}
            raw = {"metadata": _meta(*reversed(name.split("/"))), "spec": spec}
            self.model.gateway_changed(None, from_raw(Gateway, raw))

    def inference_service(self, name: str) -> None:
        """What an InferenceService amounts to at the gateway: two VirtualServices, one Service."""
        inner = f"{name}-predictor-default"
        revision = f"{inner}-00001"
        service = {"metadata": _meta(revision), "spec": {"ports": [{"port": 80, "name": "http"}]}}
        self.model.service_changed(None, from_raw(Service, service))
        self.model.virtual_service_changed(None, _virtual_service(name, inner, LOOPBACK))
        self.model.virtual_service_changed(None, _virtual_service(inner, "", revision))

    def endpoints(self, key: object) -> Endpoints:
        """The upstream, behind whatever Service is asked for."""
        addresses = [{"ip": "127.0.0.1"}]
        subset = {"addresses": addresses, "ports": [{"name": "http", "port": self.upstream}]}
        return from_raw(Endpoints, {"metadata": {"name": str(key)}, "subsets": [subset]})


def _meta(name: str, namespace: str = "default") -> Raw:
    return {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}", "generation": 1}


def _virtual_service(name: str, inner: str, target: str) -> VirtualService:
    route: Raw = {
        "retries": {},
        "route": [{"destination": {"host": target, "port": {"number": 80}}}],
    }
    if inner:
        route["rewrite"] = {"authority": f"{inner}.default.svc.cluster.local"}
    hosts = [f"{name}.default.localhost", f"{name}.default.svc.cluster.local"]
    spec = {"hosts": hosts, "gateways": [GATEWAY, LOCAL], "http": [route]}
    return from_raw(VirtualService, {"metadata": _meta(name), "spec": spec})


async def publish(world: World, server: XdsServer) -> tuple[float, float]:
    """Plan and publish; returns seconds to plan, and to the last acknowledgement after that."""
    started = time.perf_counter()
    world.model.build()
    planned = time.perf_counter()
    server.publish(world.model.snapshot)
    await server.settled([r for kind in world.model.snapshot.values() for r in kind.values()])
    return planned - started, time.perf_counter() - planned


def memory(pid: int) -> str:
    """Resident memory of a process: all of it, and what is not the program's own file."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    total, anonymous = sum(map(int, values.values())) / 1024, int(values["RssAnon"]) / 1024
    return f"{total:.0f} MB resident, {anonymous:.0f} MB of it not the program file"


async def measure(options: argparse.Namespace, directory: Path, upstream: int) -> None:
    """All measurements, one after the other."""
    port, local = 18080, 18081
    gateway = GatewaySettings(
        {80: ListenerAddress("127.0.0.1", port), 8081: ListenerAddress("127.0.0.1", local)}
    )
    settings = EnvoySettings(directory)
    command = envoy_command(settings)
    for path, content in command.files.items():
        path.write_bytes(content)
    server = XdsServer(f"unix:{settings.xds_socket}")
    await server.start()
    envoy = await asyncio.create_subprocess_exec(*command.argv)
    try:
        world = World(model=Model(gateway, lambda key: world.endpoints(key)), upstream=upstream)
        world.gateways()
        world.inference_service("mnist")
        await publish(world, server)
        print(f"Envoy idle: {memory(envoy.pid)}")
        host = "mnist.default.localhost"
        await latencies(upstream, port, host, options.seconds)
        for clients in (16, 64):
            await throughput("direct", upstream, host, clients, options.seconds)
            await throughput("gateway", port, host, clients, options.seconds)
        await many_routes(options.routes, world, server)
        print(f"Envoy with {options.routes} more: {memory(envoy.pid)}")
        print(f"this process (planner and xDS server): {memory(os.getpid())}")
    finally:
        envoy.terminate()
        await envoy.wait()
        await server.stop()


async def many_routes(count: int, world: World, server: XdsServer) -> None:
    """Add InferenceServices at once, then one more."""
    for number in range(count):
        world.inference_service(f"m{number}")
    plan_s, ack_s = await publish(world, server)
    print(f"{count} InferenceServices at once: plan {plan_s:.2f} s, ACK {ack_s:.2f} s")
    taken = []
    for number in range(11):
        world.inference_service(f"late{number}")
        taken.append(await publish(world, server))
    plan_s, ack_s = (statistics.median(times) for times in zip(*taken, strict=True))
    print(f"one more beside them: plan {plan_s * 1e3:.1f} ms, ACK {ack_s * 1e3:.1f} ms (medians)")


def main() -> None:
    """Parse, start the upstream, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--routes", type=int, default=1000)
    parser.add_argument("--upstream", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.upstream:
        uvloop.run(serve_upstream())
        return
    command = [sys.executable, __file__, "--upstream"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        upstream = int(process.stdout.readline())
        try:
            with tempfile.TemporaryDirectory(prefix="gw-") as directory:
                uvloop.run(measure(options, Path(directory), upstream))
        finally:
            process.kill()


if __name__ == "__main__":
    main()
