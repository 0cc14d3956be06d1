"""TensorFlow Serving's REST API over a model that doubles."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stagezero.modelserver.handlers.tfserving import TfServingHandler
from stagezero.modelserver.registry import Registry
from stagezero.modelserver.runtimes.base import Array, TensorModel
from stagezero.modelserver.transports.messages import Request, Response
from stagezero.modelserver.worker import Worker
from support.modelserver import DoublingModel, KeptExchange


class Server:
    """A handler over one model, `m`."""

    def __init__(self, model: TensorModel, timeout_s: float | None = None) -> None:
        models: Registry[TensorModel] = Registry(lambda name, folder: model)
        models.register("m", Path("/m"))
        models.load("m")
        models.register("empty", Path("/empty"))
        self.worker = Worker(asyncio.get_running_loop(), thread_count=2)
        self.handler = TfServingHandler(models, self.worker, timeout_s)

    async def response(self, method: str, path: str, body: object = b"") -> Response:
        exchange = KeptExchange()
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.handler.handle(Request(method, path, data), exchange)
        response = await exchange.answer()
        assert response.content_type == b"application/json"
        return response

    async def ask(self, method: str, path: str, body: object = b"") -> tuple[int, Any]:
        response = await self.response(method, path, body)
        return response.status, json.loads(response.body)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server(DoublingModel())
    yield server
    server.worker.close()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/m:predict",
        "/v1/models/m/versions/3:predict",
        "/V1/Models/m:PREDICT",
    ],
)
async def test_rows_are_predicted(server: Server, path: str) -> None:
    assert await server.ask("POST", path, {"instances": [1, 2]}) == (
        200,
        {"predictions": [2.0, 4.0]},
    )


async def test_columns_are_predicted(server: Server) -> None:
    answer = await server.ask("POST", "/v1/models/m:predict", {"inputs": {"x": [1, 2]}})
    assert answer == (200, {"outputs": [2.0, 4.0]})


VERSION = {
    "version": "3",
    "state": "AVAILABLE",
    "status": {"error_code": "OK", "error_message": ""},
}


@pytest.mark.parametrize("path", ["/v1/models/m", "/v1/models/m/versions/3"])
async def test_the_status_names_the_version(server: Server, path: str) -> None:
    assert await server.ask("GET", path) == (200, {"model_version_status": [VERSION]})


async def test_metadata_describes_the_signatures(server: Server) -> None:
    status, document = await server.ask("GET", "/v1/models/m/metadata")
    assert status == 200
    assert document["model_spec"] == {"name": "m", "signature_name": "", "version": "3"}
    signatures = document["metadata"]["signature_def"]["signature_def"]
    assert signatures["regress"] == {"method_name": "tensorflow/serving/regress"}


async def test_examples_are_classified(server: Server) -> None:
    body = {"signature_name": "classify", "examples": [{"a": 1}, {"a": 2}]}
    pairs = [["cat", 0.25], ["dog", 0.25]]
    answer = await server.ask("POST", "/v1/models/m:classify", body)
    assert answer == (200, {"results": [pairs, pairs]})


async def test_examples_are_regressed(server: Server) -> None:
    body = {"signature_name": "regress", "examples": [{"a": 1}, {"a": 2}]}
    answer = await server.ask("POST", "/v1/models/m/versions/3:regress", body)
    assert answer == (200, {"results": [0.5, 0.5]})


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("GET", "/v1/models", b"", 400, "Missing model name in request."),
        ("GET", "/v1/models/x", b"", 404, "Could not find any versions of model x"),
        ("GET", "/v1/models/m/versions/9", b"", 404, "Could not find version 9 of model m"),
        ("GET", "/v1/models/x/metadata", b"", 404, "Servable not found for request: Latest(x)"),
        ("POST", "/v1/models/x:predict", b"", 404, "Servable not found for request: Latest(x)"),
        (
            "POST",
            "/v1/models/m/versions/9:predict",
            b"",
            404,
            "Servable not found for request: Specific(m, 9)",
        ),
        (
            "POST",
            "/v1/models/m/labels/canary:predict",
            b"",
            400,
            "Unrecognized servable version label: canary",
        ),
        ("GET", "/v1/models/empty", b"", 503, "Model with name empty is not ready."),
        ("GET", "/v1/zzz", b"", 400, "Malformed request: GET /v1/zzz"),
        ("POST", "/v1/models/m", b"", 400, "Malformed request: POST /v1/models/m"),
        ("GET", "/v1/models/m:predict", b"", 400, "Malformed request: GET /v1/models/m:predict"),
        ("POST", "/v1/models/m:explain", b"", 400, "Malformed request: POST /v1/models/m:explain"),
        ("GET", "/", b"", 404, "Not found: /"),
        (
            "POST",
            "/v1/models/m:predict",
            {"signature_name": "none", "instances": [1]},
            400,
            'Serving signature name: "none" not found in signature def',
        ),
        (
            "POST",
            "/v1/models/m:predict",
            {"signature_name": "fails", "instances": [1]},
            500,
            "out of order",
        ),
        ("POST", "/v1/models/m:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("POST", "/v1/models/m:predict", b"", 400, "JSON Parse error: The document is empty"),
        (
            "POST",
            "/v1/models/m:classify",
            {"examples": [{"a": 1}]},
            400,
            "Expected classification signature method_name to be tensorflow/serving/classify."
            " Was: tensorflow/serving/predict",
        ),
        (
            "POST",
            "/v1/models/m:regress",
            {"signature_name": "classify", "examples": [{"a": 1}]},
            400,
            "Expected regression signature method_name to be tensorflow/serving/regress."
            " Was: tensorflow/serving/classify",
        ),
    ],
)
async def test_errors_read_as_upstreams(
    server: Server, method: str, path: str, body: object, status: int, error: str
) -> None:
    assert await server.ask(method, path, body) == (status, {"error": error})


async def test_errors_are_indented(server: Server) -> None:
    response = await server.response("GET", "/v1/models")
    assert response.body == b'{\n    "error": "Missing model name in request."\n}'


class HeldModel(DoublingModel):
    """Answers only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = threading.Event()
        self.calls = 0

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        self.calls += 1
        assert self.may_go.wait(5)
        return super().run(signature, inputs)


async def test_a_prediction_that_takes_too_long_is_given_up() -> None:
    model = HeldModel()
    server = Server(model, timeout_s=0.01)
    status, document = await server.ask("POST", "/v1/models/m:predict", {"instances": [1]})
    assert status == 504
    assert document["error"].startswith("Timed out")
    model.may_go.set()
    server.worker.close()


async def test_an_answer_in_time_cancels_the_deadline() -> None:
    server = Server(DoublingModel(), timeout_s=5)
    assert (await server.ask("POST", "/v1/models/m:predict", {"instances": [1]}))[0] == 200
    server.worker.close()
