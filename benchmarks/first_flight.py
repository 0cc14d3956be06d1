"""How long the first steps take: `up`, apply → Ready → first prediction, and what is used idle.

    python -m benchmarks.first_flight

Everything is real: Envoy, pods, models. Environments and models are cached first, so that what is
timed is the platform, not the network. Medians of `ROUNDS`.
"""

import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from stagezero.cli.connection import connected
from stagezero.cli.waiting import until_holds
from stagezero.client.applying import Applier

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.models import cached_example  # noqa: E402  # needs the path above

_SERVICE = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: {name}}}
spec:
  predictor:
    model:
      modelFormat: {{name: {framework}}}
      storageUri: gs://bench/{name}
"""
ROUNDS = 5
IRIS_BODY = json.dumps({"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]})
MNIST_BODY = json.dumps({"instances": [[[0.0] * 28] * 28]})


class Bench:
    """One installation in a folder of its own."""

    def __init__(self, folder: Path, bucket: Path) -> None:
        self._env = {**os.environ, "STAGEZERO_STATE": str(folder / "s")}
        self._state = folder / "s"
        self._bucket = bucket

    def run(self, *words: str, stdin: str = "") -> str:
        """Run a command of stagezero; returns what it printed."""
        command = [sys.executable, "-m", "stagezero.cli.main", *words]
        done = subprocess.run(
            command, input=stdin, env=self._env, capture_output=True, text=True, check=True
        )
        return done.stdout

    def up(self) -> float:
        """Start; the seconds until the control plane says that it is ready."""
        mirror = f"gs://bench/={self._bucket.as_uri()}/"
        said = self.run("up", "-d", "--http-port", "0", "--https-port", "0", "--mirror", mirror)
        return float(said.split("ready in ")[1].split()[0])

    def down(self) -> None:
        """Stop and remove everything."""
        self.run("down", "--purge")

    def first_prediction(self, name: str, framework: str, body: str) -> tuple[float, float]:
        """Seconds from apply until Ready, and until the first answer."""
        timed = asyncio.run(self._first_prediction(name, framework, body))
        self.run("delete", "isvc", name)
        return timed

    async def _first_prediction(self, name: str, framework: str, body: str) -> tuple[float, float]:
        document = yaml.safe_load(_SERVICE.format(name=name, framework=framework))
        port = json.loads((self._state / "ports.json").read_text())["http"]
        async with connected(self._state / "kubeconfig") as connection:
            served = await connection.discovery.called("isvc")
            began = time.perf_counter()
            await Applier(connection.client, connection.discovery).apply(document, "default")
            await until_holds(connection, served, ("default", name), "Ready")
            ready = time.perf_counter() - began
        client = http.client.HTTPConnection("127.0.0.1", port)
        headers = {"Host": f"{name}.default.localhost"}
        client.request("POST", f"/v1/models/{name}:predict", body, headers)
        answer = client.getresponse()
        assert answer.status == 200, answer.read()
        return ready, time.perf_counter() - began

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of each part, idle."""
        found = {}
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(self._state) not in words:
                continue
            pages = int((path.parent / "statm").read_text().split()[1])
            part = next((name for key, name in _PARTS.items() if key in words), words.split()[0])
            found[part] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        return found


_PARTS = {
    "stagezero.compose": "control plane",
    "bootstrap.json": "Envoy",
    "script.py": "supervisor",
}


def medians(measure: Callable[[], tuple[float, ...]]) -> tuple[float, ...]:
    """The median of every figure over all rounds."""
    rounds = [measure() for _ in range(ROUNDS)]
    return tuple(statistics.median(column) for column in zip(*rounds, strict=True))


def main() -> None:
    """Measure and print the table."""
    iris = cached_example("sklearn", "models/make_iris_sklearn.py", "iris")
    mnist = cached_example("tensorflow", "models/make_mnist_tensorflow.py", "mnist")
    with tempfile.TemporaryDirectory(prefix="sz-bench-") as name:
        folder = Path(name)
        bucket = folder / "bucket"
        bucket.mkdir()
        (bucket / "iris").symlink_to(iris)
        (bucket / "mnist").symlink_to(mnist)
        bench = Bench(folder, bucket)
        starts = []
        for _ in range(ROUNDS):
            starts.append(bench.up())
            bench.down()
        bench.up()
        try:
            time.sleep(3)  # idle, after the first start's work
            memory = bench.memory_mb()
            bench.first_prediction("iris", "sklearn", IRIS_BODY)  # caches the model
            bench.first_prediction("mnist", "tensorflow", MNIST_BODY)
            svc = medians(lambda: bench.first_prediction("iris", "sklearn", IRIS_BODY))
            cnn = medians(lambda: bench.first_prediction("mnist", "tensorflow", MNIST_BODY))
        finally:
            bench.down()
    print(f"{'figure':<48}{'median':>10}   aim")
    print(f"{'up to ready, s':<48}{statistics.median(starts):>10.2f}   2")
    print(f"{'sklearn: apply to Ready, s':<48}{svc[0]:>10.2f}")
    print(f"{'sklearn: apply to first prediction, s':<48}{svc[1]:>10.2f}   1.5")
    print(f"{'tensorflow: apply to Ready, s':<48}{cnn[0]:>10.2f}")
    print(f"{'tensorflow: apply to first prediction, s':<48}{cnn[1]:>10.2f}   5")
    for part, size in sorted(memory.items()):
        print(f"{f'memory idle, {part}, MB':<48}{size:>10.0f}")
    print(f"{'memory idle, together, MB':<48}{sum(memory.values()):>10.0f}   150")


if __name__ == "__main__":
    main()
