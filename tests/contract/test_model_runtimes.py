"""What every runtime of the model server promises, with a real model of its framework."""

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stagezero.modelserver.runtimes.table import RUNTIMES
from support.models import ModelServer, make, python_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Case:
    """One runtime: how a model is made and broken. `factor` is its only weight."""

    runtime: str
    code: str  # makes a model in `model/` that multiplies by FACTOR
    broken_file: str  # a file of the model that can be spoilt

    def make(self, folder: Path, factor: float) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        make(self.runtime, self.code.replace("FACTOR", str(factor)), cwd=folder)
        return folder / "model"

    def arguments(self, model: Path, name: str = "m") -> list[str]:
        return [f"--runtime={self.runtime}", f"--model_name={name}", f"--model_dir={model}"]


SKLEARN = Case(
    "sklearn",
    """
import os, joblib, numpy as np
from sklearn.linear_model import LinearRegression
os.makedirs("model")
x = np.arange(8.0).reshape(-1, 1)
joblib.dump(LinearRegression(fit_intercept=False).fit(x, x.ravel() * FACTOR), "model/model.joblib")
""",
    "model.joblib",
)

TENSORFLOW = Case(
    "tensorflow",
    """
import tensorflow as tf
class Times(tf.Module):
    def __init__(self):
        super().__init__()
        self.factor = tf.Variable(float(FACTOR))
    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def call(self, x):
        return {"y": tf.reshape(x * self.factor, [-1])}
times = Times()
tf.saved_model.save(times, "model/1", signatures=times.call)
""",
    "1/saved_model.pb",
)

CASES = [SKLEARN, TENSORFLOW]
ROWS = {"instances": [[1.0], [2.0]]}


def test_every_runtime_of_the_table_is_held_to_the_contract() -> None:
    assert sorted(case.runtime for case in CASES) == sorted(RUNTIMES)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.runtime)
def case(request: pytest.FixtureRequest) -> Case:
    assert isinstance(request.param, Case)
    return request.param


@pytest.fixture(scope="module")
def model(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return case.make(tmp_path_factory.mktemp(case.runtime), 3)


@pytest.fixture(scope="module")
def server(
    case: Case, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModelServer]:
    folder = tmp_path_factory.mktemp("server")
    with ModelServer(python_of(case.runtime), case.arguments(model), folder) as server:
        yield server.wait_until_listening()


def test_it_predicts_what_the_model_says(server: ModelServer) -> None:
    status, document = server.predict("m", ROWS)
    assert status == 200
    assert document["predictions"] == pytest.approx([3.0, 6.0])


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "nonsense"]
)
def test_any_content_type_is_accepted(server: ModelServer, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert server.ask("POST", "/v1/models/m:predict", ROWS, headers)[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="no-json"),
        pytest.param(b"[]", id="no-object"),
        pytest.param({"rows": [[1]]}, id="no-instances"),
        pytest.param({"instances": 1}, id="no-list"),
        pytest.param({"instances": [[1.0, 2.0]]}, id="width"),
        pytest.param({"instances": [[1.0], [1.0, 2.0]]}, id="ragged"),
        pytest.param({"instances": [["a"]]}, id="text"),
        pytest.param({"instances": []}, id="no-rows"),
        pytest.param(b"\xff\xfe", id="bytes"),
    ],
)
def test_a_callers_mistake_is_the_callers(server: ModelServer, body: object) -> None:
    status, document = server.predict("m", body)
    assert status == 400
    assert document["error"]
    assert server.predict("m", ROWS)[0] == 200


def test_an_unknown_model_is_not_found(server: ModelServer) -> None:
    status, document = server.predict("other", ROWS)
    assert status == 404
    assert "other" in document["error"]
    assert server.ask("GET", "/v1/models/other")[0] == 404


def test_a_loaded_model_is_there(server: ModelServer) -> None:
    assert server.ask("GET", "/v1/models/m")[0] == 200


def test_an_oversized_body_is_refused(server: ModelServer) -> None:
    headers = {"Content-Length": str(104857601)}
    status, text = server.ask("POST", "/v1/models/m:predict", b"", headers)
    assert status == 413
    assert "104857600" in json.loads(text)["error"]


def test_the_log_says_what_is_served_where(server: ModelServer, case: Case) -> None:
    prefix = python_of(case.runtime).parent.parent
    line = next(line for line in server.log.splitlines() if " serving " in line)
    assert f"model=m runtime={case.runtime} framework=" in line
    assert f"prefix={prefix}" in line
    assert f"address=0.0.0.0:{server.port}" in line


def test_each_request_is_in_the_log(server: ModelServer) -> None:
    server.ask("GET", "/v1/models/seen-in-the-log")
    server.wait_until_logged(" 404 GET /v1/models/seen-in-the-log ")


def test_other_weights_answer_otherwise(case: Case, tmp_path: Path) -> None:
    other = case.make(tmp_path, 5)
    with ModelServer(python_of(case.runtime), case.arguments(other), tmp_path / "s") as server:
        _, document = server.wait_until_listening().predict("m", ROWS)
        assert document["predictions"] == pytest.approx([5.0, 10.0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_it_ends_cleanly_when_told(
    case: Case, model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with ModelServer(python_of(case.runtime), case.arguments(model), tmp_path) as server:
        server.wait_until_listening()
        server.process.send_signal(number)
        assert server.wait_for_end() == 0
        assert "Traceback" not in server.log


def test_a_broken_model_ends_the_process_with_its_reason(case: Case, tmp_path: Path) -> None:
    model = case.make(tmp_path, 1)
    (model / case.broken_file).write_bytes(b"\x80\x04 this is no model")
    reason = tmp_path / "termination-log"
    reason.touch()
    env = {"TERMINATION_LOG": str(reason)}
    arguments = case.arguments(model)
    with ModelServer(python_of(case.runtime), arguments, tmp_path / "s", env) as server:
        assert server.wait_for_end() == 1
    last = server.log.splitlines()[-1]
    assert f"ERROR failed to load model m from {model}" in last
    assert reason.read_text().splitlines()[-1] == last.partition("ERROR ")[2]


def test_a_unix_socket_is_served_instead_of_a_port(case: Case, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    arguments = [*case.arguments(model), f"--unix_socket={path}"]
    with ModelServer(python_of(case.runtime), arguments, tmp_path) as server:
        server.wait_until_logged(f"address=unix:{path}")
        assert path.is_socket()
        assert not server.is_listening()


def test_the_port_of_the_environment_is_used(case: Case, model: Path, tmp_path: Path) -> None:
    arguments = [*case.arguments(model), "--http_port="]
    with ModelServer(python_of(case.runtime), arguments, tmp_path) as probe:
        probe.process.kill()
    env = {"PORT": str(probe.port)}
    with ModelServer(python_of(case.runtime), arguments, tmp_path, env) as server:
        server.wait_until_logged(f"address=0.0.0.0:{probe.port}")


def forked_answer(case: Case, model: Path, folder: Path) -> Any:
    """Preload, fork, serve in the child, ask it once."""
    code = f"""
import http.client, json, os, signal, socket, sys, threading, time
sys.path.insert(0, {str(Path(__file__).parents[2] / "src")!r})
from stagezero.modelserver.main import main, preload
preload({case.runtime!r})
threads = threading.active_count()
with socket.create_server(("127.0.0.1", 0)) as taken:
    port = taken.getsockname()[1]
child = os.fork()
if child == 0:
    os._exit(main({case.arguments(model)!r} + [f"--http_port={{port}}"]))
while True:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/v1/models/m:predict", {json.dumps(ROWS)!r})
        break
    except ConnectionRefusedError:
        time.sleep(0.01)
answer = json.loads(connection.getresponse().read())
connection.close()
os.kill(child, signal.SIGTERM)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps({{"answer": answer, "threads": threads, "code": code}}))
"""
    return make(case.runtime, code, cwd=folder)


def test_a_preloaded_process_can_be_forked(case: Case, model: Path, tmp_path: Path) -> None:
    result = forked_answer(case, model, tmp_path)
    assert result["answer"]["predictions"] == pytest.approx([3.0, 6.0])
    assert (result["threads"], result["code"]) == (1, 0)
