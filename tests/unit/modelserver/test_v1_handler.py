"""The V1 protocol: each row of upstream's table, and what the caller may get wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from stagezero.modelserver.errors import ModelMissing
from stagezero.modelserver.handlers.v1 import V1Handler
from stagezero.modelserver.registry import Registry
from stagezero.modelserver.runtimes.base import RowModel
from stagezero.modelserver.transports.messages import Request, Response
from stagezero.modelserver.worker import Worker
from support.modelserver import KeptExchange, RaisingModel, SumModel

Ask = Callable[..., Any]


def raise_(error: BaseException) -> Any:
    raise error


MODELS: dict[str, Callable[[], RowModel]] = {
    "sums": SumModel,
    "raises": lambda: RaisingModel(lambda: raise_(RuntimeError("it is </broken>"))),
    "exits": lambda: RaisingModel(lambda: raise_(SystemExit(3))),
    "odd": lambda: RaisingModel(lambda: {1, 2}),
    "nan": lambda: RaisingModel(lambda: [float("nan"), 0.1]),
    "missing": lambda: raise_(ModelMissing("nothing there")),
    "broken": lambda: raise_(ValueError("bad magic")),
}


class Server:
    """A handler over the models above, all loaded but the last two."""

    def __init__(self) -> None:
        self.models: Registry[RowModel] = Registry(lambda name, folder: MODELS[name]())
        self.worker = Worker(asyncio.get_running_loop(), thread_count=1)
        self.handler = V1Handler(self.models, self.worker)
        for name in MODELS:
            self.models.register(name, Path("/models") / name)
            if name not in ("missing", "broken"):
                self.models.load(name)

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
        response = await self.response(method, path, body)
        assert response.content_type == b"application/json; charset=UTF-8"
        return response.status, response.body.decode()

    async def response(self, method: str, path: str, body: bytes = b"") -> Response:
        exchange = KeptExchange()
        self.handler.handle(Request(method, path, body), exchange)
        return await exchange.answer()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    yield server
    server.worker.close()


NAMES = ", ".join(f'"{name}"' for name in MODELS)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/", 200, '{"status": "alive"}'),
        ("GET", "/v2/health/live", 200, '{"status": "alive"}'),
        ("GET", "/v1/models", 200, f'{{"models": [{NAMES}]}}'),
        ("GET", "/v2/models", 200, f'{{"models": [{NAMES}]}}'),
        ("GET", "/v1/models/sums", 200, '{"name": "sums", "ready": true}'),
        ("GET", "/v2/models/sums/status", 200, '{"name": "sums", "ready": true}'),
        ("GET", "/v1/models/missing", 503, '{"name": "missing", "ready": false}'),
        ("GET", "/v2/models/missing/status", 503, '{"name": "missing", "ready": false}'),
        ("GET", "/v1/models/x", 404, '{"error": "Model with name x does not exist."}'),
        ("GET", "/v1/nothing", 404, '{"error": "invalid path"}'),
        ("GET", "/metrics", 404, '{"error": "invalid path"}'),
        ("GET", "/v1/models/", 404, '{"error": "invalid path"}'),
        ("GET", "/v1/models/a.b", 404, '{"error": "invalid path"}'),
        ("GET", "/v1/models/../sums", 404, '{"error": "invalid path"}'),
        ("POST", "/", 405, '{"error": null}'),
        ("POST", "/v1/models/sums", 405, '{"error": null}'),
        ("GET", "/v1/models/sums:predict", 405, '{"error": null}'),
        ("DELETE", "/v1/models/sums", 405, '{"error": null}'),
        ("HEAD", "/", 405, '{"error": null}'),
        ("GET", "/v2/repository/models/sums/load", 405, '{"error": null}'),
    ],
)
async def test_paths_are_answered_as_upstream_answers_them(
    server: Server, method: str, path: str, status: int, body: str
) -> None:
    assert await server.ask(method, path) == (status, body)


@pytest.mark.parametrize("path", ["/v1/models/sums:predict", "/v2/models/sums/infer"])
async def test_predict_answers_with_predictions(server: Server, path: str) -> None:
    answer = await server.ask("POST", path, b'{"instances": [[1, 2], [3, 4.5]]}')
    assert answer == (200, '{"predictions": [3, 7.5]}')


@pytest.mark.parametrize(
    ("name", "body", "status", "error"),
    [
        ("sums", b"", 400, "Unrecognized request format: Expecting value: line 1 column 1"),
        ("sums", b"{}", 400, "'instances'"),
        ("sums", b'{"instances": 1}', 400, 'Expected \\"instances\\" to be a list'),
        ("sums", b'{"instances": [["a"]]}', 400, "numbers, please"),
        ("sums", b'{"instances": [[13]]}', 500, "unlucky"),
        ("raises", b'{"instances": [[1]]}', 500, "it is <\\/broken>"),
        ("exits", b'{"instances": [[1]]}', 500, "3"),
        ("odd", b'{"instances": [[1]]}', 500, "Object of type set is not JSON serializable"),
        ("x", b'{"instances": [[1]]}', 404, "Model with name x does not exist."),
        ("missing", b'{"instances": [[1]]}', 503, "Model with name missing is not ready."),
        ("broken", b'{"instances": [[1]]}', 503, "Model with name broken is not ready."),
    ],
)
async def test_what_goes_wrong_is_said(
    server: Server, name: str, body: bytes, status: int, error: str
) -> None:
    have_status, have_body = await server.ask("POST", f"/v1/models/{name}:predict", body)
    assert have_status == status
    assert have_body.startswith(f'{{"error": "{error}')


async def test_nan_is_printed_as_upstream_prints_it(server: Server) -> None:
    answer = await server.ask("POST", "/v1/models/nan:predict", b'{"instances": [[1]]}')
    assert answer == (200, '{"predictions": [NaN, 0.1]}')


@pytest.mark.parametrize(
    ("name", "body", "status", "answer"),
    [
        ("sums", b'{"instances": []}', 500, '{"error": ""}'),
        ("sums", b'{"instances": 1}', 400, '{"error": "Expected \\"instances\\" to be a list"}'),
        ("x", b"{}", 404, '{"error": "Model with name x does not exist."}'),
        ("missing", b"{}", 503, '{"error": "Model with name missing is not ready."}'),
    ],
)
async def test_explain_is_not_implemented(
    server: Server, name: str, body: bytes, status: int, answer: str
) -> None:
    for path in (f"/v1/models/{name}:explain", f"/v2/models/{name}/explain"):
        assert await server.ask("POST", path, body) == (status, answer)


async def test_a_model_is_unloaded_and_loaded_again(server: Server) -> None:
    path = "/v2/repository/models/sums/"
    assert await server.ask("POST", path + "unload") == (200, '{"name": "sums", "unload": true}')
    assert (await server.ask("GET", "/v1/models/sums"))[0] == 404
    assert await server.ask("POST", path + "load") == (200, '{"name": "sums", "load": true}')
    assert (await server.ask("GET", "/v1/models/sums"))[0] == 200


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("missing/load", 503, '{"error": "Model with name missing is not ready."}'),
        ("x/load", 503, '{"error": "Model with name x is not ready."}'),
        ("x/unload", 404, '{"error": "Model with name x does not exist."}'),
        (
            "broken/load",
            500,
            '{"error": "Model with name broken is not ready. failed to load model broken from'
            ' \\/models\\/broken: ValueError: bad magic"}'.replace("\\/", "/"),
        ),
    ],
)
async def test_what_cannot_be_loaded_is_said(
    server: Server, path: str, status: int, body: str
) -> None:
    assert await server.ask("POST", f"/v2/repository/models/{path}") == (status, body)


async def test_a_missing_model_is_served_once_it_has_come(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "missing", SumModel)
    answer = await server.ask("POST", "/v1/models/missing:predict", b'{"instances": [[1, 1]]}')
    assert answer == (200, '{"predictions": [2]}')


async def test_a_full_queue_asks_to_come_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stagezero.modelserver.worker.MAX_WAITING", 0)
    response = await server.response("POST", "/v1/models/sums:predict", b'{"instances": [[1]]}')
    assert response.status == 503
    assert (b"Retry-After", b"1") in response.headers


async def test_405_names_what_is_allowed(server: Server) -> None:
    response = await server.response("PUT", "/v1/models/sums:predict")
    assert response.headers == ((b"Allow", b"POST"),)


async def test_what_the_transport_refuses_has_the_protocols_form(server: Server) -> None:
    response = server.handler.refusal(413, "too large")
    assert (response.status, response.body) == (413, b'{"error": "too large"}')
