"""Fakes at the model server's seams: a transport, a handler, an exchange and models."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stagezero.inference.tensors import Signature, TensorSpec
from stagezero.modelserver.access import AccessLog
from stagezero.modelserver.errors import InvalidInput, PredictionFailed
from stagezero.modelserver.runtimes.base import Array
from stagezero.modelserver.transports.http import Connection
from stagezero.modelserver.transports.messages import Exchange, Request, Response
from stagezero.modelserver.transports.port import Limits, Port


class FakeTransport(asyncio.Transport):
    """Keeps what is written and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False
        self.is_paused = False
        self.has_ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_closed, "nothing is written to a closed transport"
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_ended = True

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def take(self) -> bytes:
        """What was written since the last time."""
        written, self.written = self.written, b""
        return written


class SlowHandler:
    """Keeps every exchange until the test answers it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, Exchange]] = []
        self.was_asked = asyncio.Event()

    def handle(self, request: Request, exchange: Exchange) -> None:
        self.asked.append((request, exchange))
        self.was_asked.set()

    def refusal(self, status: int, message: str) -> Response:
        return Response(status, message.encode(), b"text/plain")

    def answer(self, body: bytes = b"ok", index: int = -1) -> None:
        """Answer the request at the index, the last one if none is given."""
        self.asked[index][1].respond(Response(200, body, b"text/plain"))


class EchoHandler(SlowHandler):
    """Answers at once with method, path and body."""

    def handle(self, request: Request, exchange: Exchange) -> None:
        super().handle(request, exchange)
        self.answer(f"{request.method} {request.path} ".encode() + request.body)


class FakeClock:
    """A clock that a test winds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Wire:
    """A connection between a fake transport and a handler, with a clock that a test winds."""

    def __init__(self, handler: SlowHandler, descriptor: int, limits: Limits) -> None:
        loop = asyncio.get_running_loop()
        self.clock = FakeClock()
        self.access = AccessLog(loop, descriptor)
        self.port = Port(handler, self.access, limits, loop, clock=self.clock)
        self.transport = FakeTransport()
        self.connection = Connection(self.port)
        self.connection.connection_made(self.transport)

    def feed(self, data: bytes) -> bytes:
        """Let bytes arrive; what was written since."""
        self.connection.data_received(data)
        return self.transport.take()


class KeptExchange:
    """Keeps the answer and lets a test wait for it."""

    def __init__(self) -> None:
        self.is_abandoned = False
        self.responses: list[Response] = []
        self._answered = asyncio.Event()

    def respond(self, response: Response) -> None:
        self.responses.append(response)
        self._answered.set()

    async def answer(self) -> Response:
        async with asyncio.timeout(5):
            await self._answered.wait()
        return self.responses[0]


class SumModel:
    """Predicts each row's sum; refuses text, fails on 13; counts its calls."""

    def __init__(self, *, is_row_wise: bool = True) -> None:
        self.is_row_wise = is_row_wise
        self.calls: list[list[Any]] = []

    def predict(self, rows: list[Any]) -> Any:
        self.calls.append(rows)
        if any(isinstance(value, str) for row in rows for value in row):
            raise InvalidInput("numbers, please")
        if any(13 in row for row in rows):
            raise PredictionFailed("unlucky")
        return [sum(row) for row in rows]


class RaisingModel:
    """Does on a request whatever a test wants."""

    is_row_wise = True

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    def predict(self, rows: list[Any]) -> Any:
        return self._act()


class DoublingModel:
    """A tensor model: doubles, classifies and regresses; its second signature fails."""

    version = 3

    def __init__(self) -> None:
        x = {"x": TensorSpec("x", "float32", (None,))}
        text = {"inputs": TensorSpec("inputs", "string", (None,))}
        self.signatures: Mapping[str, Signature] = {
            "serving_default": Signature(
                "serving_default",
                x,
                {"y": TensorSpec("y", "float32", (None,))},
                "tensorflow/serving/predict",
            ),
            "fails": Signature("fails", x, {}, "tensorflow/serving/predict"),
            "classify": Signature("classify", text, {}, "tensorflow/serving/classify"),
            "regress": Signature("regress", text, {}, "tensorflow/serving/regress"),
        }

    def describe(self) -> Mapping[str, Any]:
        return {name: {"method_name": item.method} for name, item in self.signatures.items()}

    def run(self, signature: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if signature == "fails":
            raise PredictionFailed("out of order")
        if signature == "serving_default":
            return {"y": inputs["x"] * 2}
        count = len(inputs["inputs"])
        if signature == "regress":
            return {"outputs": np.full((count, 1), 0.5, dtype=np.float32)}
        labels = np.array([[b"cat", b"dog"]] * count, dtype=object)
        return {"classes": labels, "scores": np.full((count, 2), 0.25, dtype=np.float32)}

    def serialize_examples(self, examples: Sequence[Mapping[str, Any]]) -> Array:
        return np.array([repr(dict(example)).encode() for example in examples], dtype=object)
