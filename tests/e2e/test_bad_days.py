"""Bad input and bad days: one clear error where the user looks, and nothing else disturbed."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.installation import HOST, Installation, installed

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("bad-days"), pytest.mark.timeout(300)]

LIMIT_S = 60.0


def isvc(name: str, uri: str, more: str = "") -> str:
    return f"""
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: {name}}}
spec:
  predictor:
    model:
      modelFormat: {{name: sklearn}}
      storageUri: "{uri}"
      {more}
"""


ROWS = b'{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}'
IRIS_HOST, IRIS_PATH = "iris.default.localhost", "/v1/models/iris:predict"


@pytest.fixture(scope="module")
def iris(installation: Installation) -> Installation:
    installation.apply(isvc("iris", "gs://kserve/models/iris"))
    installation.wait("isvc", "iris")
    return installation


@pytest.fixture(autouse=True)
def undisturbed(iris: Installation) -> Iterator[None]:
    """Whatever a test does, the model that is served goes on answering."""
    yield
    assert iris.call(IRIS_HOST, IRIS_PATH, ROWS).json() == {"predictions": [1, 1]}


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until a claim about the world holds."""
    try:
        async with asyncio.timeout(LIMIT_S):
            while not holds():  # noqa: ASYNC110  # the world outside has no event to wait on
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"never came true: {what}") from None


def condition(installation: Installation, name: str) -> tuple[str, str, str]:
    status = installation.get("isvc", name).get("status") or {}
    for found in status.get("conditions") or []:
        if found["type"] == "Ready":
            return found["status"], found.get("reason", ""), found.get("message", "")
    return "", "", ""


async def test_unknown_runtime_is_told_in_the_condition(iris: Installation) -> None:
    iris.apply(isvc("nobody", "gs://kserve/models/iris", "runtime: nope"))
    await until(lambda: condition(iris, "nobody")[1] == "RuntimeNotRecognized", "the reason")
    assert "kserve-sklearnserver" in condition(iris, "nobody")[2]
    iris.delete("isvc", "nobody")


async def test_missing_model_is_told_by_its_cause(iris: Installation) -> None:
    iris.apply(isvc("absent", "gs://kserve/models/absent"))
    await until(lambda: "absent" in condition(iris, "absent")[2], "a message naming the model")
    assert condition(iris, "absent")[0] == "False"
    iris.delete("isvc", "absent")


async def test_model_that_cannot_be_loaded_is_told_by_its_cause(
    iris: Installation, bucket: Path
) -> None:
    (bucket / "models" / "broken").mkdir()
    (bucket / "models" / "broken" / "model.joblib").write_bytes(b"no pickle at all")
    iris.apply(isvc("broken", "gs://kserve/models/broken"))
    await until(lambda: "failed to load" in condition(iris, "broken")[2], "the loader's words")
    iris.delete("isvc", "broken")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (isvc("a", "gs://x", "storageURL: x"), 'unknown field "spec.predictor.model.storageURL"'),
        (isvc("a", "ftp://x"), "StorageUri [ftp://x] is not supported."),
        (isvc("A", "gs://x"), "must consist of lower case alphanumeric characters"),
        (isvc("a", "gs://x").replace("name: a", "name: null"), "metadata.name"),
        (isvc("a", "gs://x") + "    minReplicas: many\n", "spec.predictor.minReplicas"),
        ("apiVersion: v1\nkind: Nothing\nmetadata: {name: a}\n", "Nothing"),
        ("apiVersion: v1\nkind: [\n", "not YAML"),
    ],
    ids=["field", "scheme", "name", "no-name", "type", "kind", "yaml"],
)
def test_bad_yaml_is_refused_with_its_place(iris: Installation, text: str, words: str) -> None:
    said = iris.stagezero("apply", "-f", "-", stdin=text, check=False)
    assert words in said
    assert "Traceback" not in said


def test_second_up_is_refused(iris: Installation) -> None:
    said = iris.stagezero("up", "--detach", check=False)
    assert f"it runs already (pid {iris.pid})" in said


def test_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        other = Installation(tmp_path / "s")
        said = other.stagezero("up", "--detach", "--http-port", str(port), check=False)
        other.stagezero("down", "--purge")
    assert f"port {port} of {HOST}, asked for as the http port, cannot be used" in said


def test_nothing_started_is_said(tmp_path: Path) -> None:
    said = Installation(tmp_path / "s").stagezero("get", "isvc", check=False)
    assert "run `stagezero up` first" in said


def test_bad_request_harms_nobody(iris: Installation) -> None:
    answer = iris.call(IRIS_HOST, IRIS_PATH, b'{"instances": [["many", "words"]]}')
    assert answer.status in (400, 500)
    assert "error" in answer.json()


class Load:
    """Requests without a pause; counts what went wrong."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.answers = 0
        self.errors: list[str] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop."""
        while not stop.is_set():
            try:
                answer = await self._installation.request(IRIS_HOST, IRIS_PATH, ROWS)
                if answer.status != 200:
                    self.errors.append(f"{answer.status} {answer.body[:200]!r}")
            except OSError as error:
                self.errors.append(repr(error))
            self.answers += 1


async def under_load(installation: Installation, hurt: Callable[[], None]) -> Load:
    """Hurt the installation while requests run; they go on for a while after it has recovered."""
    load, stop = Load(installation), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(load.run(stop))
        await answered(load, 50)
        await asyncio.to_thread(hurt)
        await answered(load, 200)
        stop.set()
    return load


async def answered(load: Load, more: int) -> None:
    """Wait until so many more requests were answered."""
    goal = load.answers + more
    await until(lambda: load.answers >= goal, f"{more} more answers")


def pod_pids(installation: Installation) -> set[str]:
    pods = json.loads(installation.stagezero("get", "pods", "-o", "json"))["items"]
    return {
        status.get("containerID", "")
        for pod in pods
        if "iris" in pod["metadata"]["name"]
        for status in pod["status"].get("containerStatuses", [])
    }


async def test_clients_do_not_notice_the_control_plane_s_death(iris: Installation) -> None:
    before = pod_pids(iris)

    def hurt() -> None:
        iris.kill()
        iris.up()

    load = await under_load(iris, hurt)
    assert load.errors == []
    assert pod_pids(iris) == before
    iris.wait("isvc", "iris")


async def test_writes_acknowledged_before_death_are_there_after(iris: Installation) -> None:
    names = [f"kept-{number}" for number in range(20)]
    for name in names:
        iris.apply(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n")
    iris.kill()
    iris.up()
    found = iris.stagezero("get", "configmaps", "-o", "name").split()
    assert {f"configmap/{name}" for name in names} <= set(found)
    iris.delete("configmap", *names)


def supervised(installation: Installation, needle: str) -> list[int]:
    """The processes of this installation whose command line holds a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if needle in words and str(installation.state) in words:
            found.append(int(path.parent.name))
    return found


async def test_pods_serve_on_when_the_supervisor_dies(iris: Installation) -> None:
    before = pod_pids(iris)

    def hurt() -> None:
        for pid in supervised(iris, "supervisor"):
            os.kill(pid, signal.SIGKILL)

    load = await under_load(iris, hurt)
    assert load.errors == []
    assert pod_pids(iris) == before
    await until(lambda: bool(supervised(iris, "supervisor")), "a supervisor again")


async def test_envoy_comes_back_by_itself(iris: Installation) -> None:
    old = supervised(iris, "envoy --config-path") or supervised(iris, "bootstrap.json")
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: bool(set(supervised(iris, "bootstrap.json")) - set(old)), "a new Envoy")

    def answers() -> bool:
        try:
            probe = subprocess.run(
                [
                    sys.executable, "-c",
                    f"import socket; socket.create_connection(('{HOST}', {iris.ports['http']}))",
                ],
                check=False, capture_output=True, timeout=10,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        return probe.returncode == 0

    await until(answers, "an open port")


async def test_crashed_pod_is_started_again(iris: Installation) -> None:
    [pod] = [
        name.removeprefix("pod/")
        for name in iris.stagezero("get", "pods", "-o", "name").split()
        if "iris" in name
    ]
    old = pod_pids(iris)
    for pid in model_servers(iris):
        os.kill(pid, signal.SIGKILL)
    await until(lambda: pod_pids(iris) not in (old, {""}, set()), "another container")
    iris.wait("pod", pod)
    iris.wait("isvc", "iris")


def model_servers(installation: Installation) -> list[int]:
    """The processes that serve iris: told by the log file that they write to."""
    found = []
    for path in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            log = os.readlink(path)
        except OSError:
            continue
        if log.startswith(str(installation.state)) and "iris" in log and "kserve-container" in log:
            found.append(int(path.parent.parent.name))
    return found


def test_user_s_own_program_runs_as_an_image(bucket: Path, tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(
        "import http.server, os\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        body = os.environ['K_REVISION'].encode()\n"
        "        self.send_response(200); self.send_header('Content-Length', str(len(body)))\n"
        "        self.end_headers(); self.wfile.write(body)\n"
        "http.server.ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), H).serve_forever()\n"
    )
    (tmp_path / "mine.toml").write_text(
        '[[image]]\nnames = ["example.com/echo"]\n'
        'entrypoint = ["{python}", "{source}"]\nsource = "echo.py"\n'
    )
    with installed(tmp_path / "i", catalogues=(tmp_path,)) as own:
        own.apply(
            "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: echo}\n"
            "spec: {template: {spec: {containers: [{image: example.com/echo}]}}}\n"
        )
        own.wait("ksvc", "echo")
        assert own.call("echo.default.localhost").body == b"echo-00001"
