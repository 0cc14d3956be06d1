"""KServe's V1 protocol, as the Python server of 0.8 answers it.

Statuses and bodies are upstream's; where upstream answers 500 to a mistake of the caller, the
status is 400 here and the body the same (docs/differences-modelserver.md).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stagezero.inference import v1
from stagezero.inference.errors import InvalidPayload
from stagezero.modelserver.errors import (
    InvalidInput,
    ModelBroken,
    ModelMissing,
    ModelNotReady,
    Overloaded,
    PredictionFailed,
    UnknownModel,
)
from stagezero.modelserver.handlers.together import Outcome, predict_together
from stagezero.modelserver.registry import Registry
from stagezero.modelserver.runtimes.base import RowModel
from stagezero.modelserver.transports.messages import Exchange, Request, Response
from stagezero.modelserver.worker import Job, Worker

Models = Registry[RowModel]
Action = Callable[[str, Request, Exchange], None]

_NAME = "([a-zA-Z0-9_-]+)"
_RETRY_AFTER = ((b"Retry-After", b"1"),)


@dataclass(frozen=True)
class _Route:
    pattern: re.Pattern[str]
    method: str
    action: Action


def answer_to(error: BaseException) -> Response:
    """The one mapping from what went wrong to a status."""
    if isinstance(error, (InvalidPayload, InvalidInput)):
        status = 400
    elif isinstance(error, UnknownModel):
        status = 404
    elif isinstance(error, (ModelNotReady, Overloaded)):
        status = 503
    else:
        status = 500
    headers = _RETRY_AFTER if isinstance(error, Overloaded) else ()
    return Response(status, v1.error_body(str(error)), headers=headers)


class V1Handler:
    """The routes of the V1 protocol over a registry of row models."""

    def __init__(self, models: Models, worker: Worker) -> None:
        self._models = models
        self._worker = worker
        self._executors: dict[str, PredictExecutor] = {}
        self._routes = [
            _Route(re.compile(pattern), method, action)
            for pattern, method, action in (
                (f"/v[12]/models/{_NAME}(?::predict|/infer)", "POST", self._predict),
                ("/", "GET", self._alive),
                ("/v2/health/live", "GET", self._alive),
                ("/v[12]/models", "GET", self._list),
                (f"/v1/models/{_NAME}", "GET", self._ready),
                (f"/v2/models/{_NAME}/status", "GET", self._ready),
                (f"/v1/models/{_NAME}:explain", "POST", self._explain),
                (f"/v2/models/{_NAME}/explain", "POST", self._explain),
                (f"/v2/repository/models/{_NAME}/load", "POST", self._load),
                (f"/v2/repository/models/{_NAME}/unload", "POST", self._unload),
            )
        ]

    def handle(self, request: Request, exchange: Exchange) -> None:
        """Find the route and answer, or say what is wrong with the request."""
        for route in self._routes:
            match = route.pattern.fullmatch(request.path)
            if match is None:
                continue
            if request.method != route.method:
                allow = ((b"Allow", route.method.encode()),)
                exchange.respond(Response(405, v1.error_body(None), headers=allow))
                return
            try:
                route.action(match.group(1) if match.groups() else "", request, exchange)
            except (UnknownModel, ModelNotReady, Overloaded, InvalidPayload) as error:
                exchange.respond(answer_to(error))
            return
        exchange.respond(Response(404, v1.error_body("invalid path")))

    def refusal(self, status: int, message: str) -> Response:
        """The answer to what the transport refuses."""
        return Response(status, v1.error_body(message))

    def _alive(self, name: str, request: Request, exchange: Exchange) -> None:
        exchange.respond(Response(200, v1.encode({"status": "alive"})))

    def _list(self, name: str, request: Request, exchange: Exchange) -> None:
        exchange.respond(Response(200, v1.encode({"models": self._models.names()})))

    def _ready(self, name: str, request: Request, exchange: Exchange) -> None:
        is_ready = self._models.is_ready(name)
        body = v1.readiness_body(name, is_ready=is_ready)
        exchange.respond(Response(200 if is_ready else 503, body))

    def _predict(self, name: str, request: Request, exchange: Exchange) -> None:
        self._models.is_ready(name)
        executor = self._executors.get(name)
        if executor is None:
            executor = self._executors[name] = PredictExecutor(self._models, name)
        self._worker.submit(Job(executor, request.body, exchange))

    def _explain(self, name: str, request: Request, exchange: Exchange) -> None:
        self._models.ready(name)
        v1.check_lists(v1.decode_body(request.body))
        exchange.respond(Response(500, v1.error_body("")))

    def _load(self, name: str, request: Request, exchange: Exchange) -> None:
        self._worker.submit(Job(LoadExecutor(self._models, name), b"", exchange))

    def _unload(self, name: str, request: Request, exchange: Exchange) -> None:
        self._models.unload(name)
        exchange.respond(Response(200, v1.encode({"name": name, "unload": True})))


@dataclass(frozen=True)
class PredictExecutor:
    """Answers predict requests of one model, on a worker's thread."""

    models: Models
    name: str

    def execute(self, jobs: Sequence[Job]) -> Iterator[Response]:
        """Decode all, predict with as few calls as the model allows, and encode each."""
        try:
            model = self._model()
        except (UnknownModel, ModelNotReady) as error:
            yield from (answer_to(error) for _ in jobs)
            return
        decoded = [_instances(job.body) for job in jobs]
        for outcome in predict_together(model, decoded):
            yield _respond(outcome)

    def failure(self, error: BaseException) -> Response:
        """The model, or its result, raised something that nobody foresaw."""
        return answer_to(error)

    def _model(self) -> RowModel:
        """The model, loading it if it is registered and not loaded, as upstream does."""
        try:
            return self.models.ready(self.name)
        except ModelNotReady as not_ready:
            try:
                return self.models.load(self.name)
            except (ModelMissing, ModelBroken):
                raise not_ready from None


def _instances(body: bytes) -> list[Any] | InvalidPayload:
    try:
        return v1.instances_of(v1.decode_body(body))
    except InvalidPayload as error:
        return error


def _respond(outcome: Outcome) -> Response:
    if isinstance(outcome, BaseException):
        return answer_to(outcome)
    try:
        return Response(200, v1.predictions_body(outcome))
    except (TypeError, ValueError, RecursionError) as error:
        # The model returned what JSON cannot say.
        return answer_to(PredictionFailed(str(error)))


@dataclass(frozen=True)
class LoadExecutor:
    """Loads one model, on a worker's thread."""

    models: Models
    name: str

    def execute(self, jobs: Sequence[Job]) -> Iterator[Response]:
        """Load the model and say so."""
        for _ in jobs:
            try:
                self.models.load(self.name)
            except (UnknownModel, ModelMissing):
                yield answer_to(ModelNotReady(self.name))
            except ModelBroken as error:
                message = f"Model with name {self.name} is not ready. {error}"
                yield answer_to(PredictionFailed(message))
            else:
                yield Response(200, v1.encode({"name": self.name, "load": True}))

    def failure(self, error: BaseException) -> Response:
        """Loading raised something that nobody foresaw."""
        return answer_to(error)


def make_handler(models: Models, worker: Worker, timeout_s: float | None) -> V1Handler:
    """The handler, for the table of runtimes; the protocol has no time-out of its own."""
    del timeout_s
    return V1Handler(models, worker)
