"""How fast the model server answers, asked directly: no gateway, keep-alive clients beside it.

    python benchmarks/modelserver.py --python ENV/bin/python [--model FOLDER] [--seconds 3]

Starts one server of an iris SVC (two rows a request) and measures requests a second and latency at
1, 16 and 64 clients; then starts it anew, alone, and measures start to first answer. With
`--runtime tensorflow` and a folder made by examples/models/make_mnist_tensorflow.py: one digit a
request. Client and server share the machine's cores: compare within one run only.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

ROOT = Path(__file__).resolve().parent.parent
BODIES = {
    "sklearn": {"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]},
    "tensorflow": {"instances": [[[0.0] * 28] * 28]},
}


@dataclass(frozen=True)
class Target:
    """A server to start and what to ask of it."""

    command: list[str]
    port: int
    body: bytes

    def request(self) -> bytes:
        head = (
            f"POST /v1/models/m:predict HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body

    def start(self) -> subprocess.Popen[bytes]:
        env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        process = subprocess.Popen(self.command, env=env, stdout=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                if process.poll() is not None:
                    raise SystemExit(f"the server ended with {process.returncode}") from None
                time.sleep(0.005)
            else:
                return process


class Client(asyncio.Protocol):
    """Asks again as soon as it is answered, until told to stop."""

    def __init__(self, request: bytes, latencies_s: list[float]) -> None:
        self._request = request
        self._latencies_s = latencies_s
        self._received = b""
        self._asked_at = 0.0
        self.stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._asked_at = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        if len(body) < length:
            return
        assert head.startswith(b"HTTP/1.1 200"), self._received
        self._received = b""
        self._latencies_s.append(time.perf_counter() - self._asked_at)
        if self.stopped:
            self._transport.close()
        else:
            self._ask()


async def measure(target: Target, client_count: int, seconds: float) -> list[float]:
    """Latencies in seconds of all requests answered in the time."""
    loop = asyncio.get_running_loop()
    latencies_s: list[float] = []
    clients = []
    for _ in range(client_count):
        _, client = await loop.create_connection(
            lambda: Client(target.request(), latencies_s), "127.0.0.1", target.port
        )
        clients.append(client)
    await asyncio.sleep(0.5)
    latencies_s.clear()
    await asyncio.sleep(seconds)
    measured = latencies_s.copy()
    for client in clients:
        client.stopped = True
    await asyncio.sleep(0.1)
    return measured


def start_to_first_answer_s(target: Target) -> float:
    started = time.perf_counter()
    process = target.start()
    with socket.create_connection(("127.0.0.1", target.port)) as connection:
        connection.sendall(target.request())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    took_s = time.perf_counter() - started
    process.terminate()
    process.wait()
    return took_s


def memory_mb(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("Pss:")[1].split()[0]) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="an environment's interpreter")
    parser.add_argument("--runtime", choices=sorted(BODIES), default="sklearn")
    parser.add_argument("--model", type=Path, required=True, help="folder with the model")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--port", type=int, default=18431)
    args = parser.parse_args()
    command = [
        args.python, "-m", "stagezero.modelserver", "--runtime", args.runtime,
        "--model_name", "m", "--model_dir", str(args.model), "--http_port", str(args.port),
    ]  # fmt: skip
    target = Target(command, args.port, json.dumps(BODIES[args.runtime]).encode())

    process = target.start()
    print(f"{args.runtime}: clients | requests/s | p50 ms | p99 ms | server CPU µs/request")
    for client_count in (1, 16, 64):
        before_s = cpu_s(process.pid)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            latencies_s = sorted(runner.run(measure(target, client_count, args.seconds)))
        used_s = (cpu_s(process.pid) - before_s) * args.seconds / (args.seconds + 0.6)
        count = len(latencies_s)
        p50, p99 = (latencies_s[int(count * share)] * 1000 for share in (0.5, 0.99))
        print(
            f"{client_count:>8} | {count / args.seconds:>10,.0f} | {p50:>6.2f} | {p99:>6.2f}"
            f" | {used_s / count * 1e6:>6.0f}"
        )
    print(f"memory (PSS): {memory_mb(process.pid):.0f} MB")
    process.terminate()
    process.wait()
    times_s = [start_to_first_answer_s(target) for _ in range(3)]
    print(f"start to first answer, median of 3: {statistics.median(times_s):.2f} s")


if __name__ == "__main__":
    main()
