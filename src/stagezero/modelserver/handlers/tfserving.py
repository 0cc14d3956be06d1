"""TensorFlow Serving's REST API: status, metadata, predict, classify and regress.

Paths, bodies and error texts are those of tensorflow_model_server. One version is served, the
highest that was there at the start.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stagezero.inference.errors import InvalidPayload
from stagezero.inference.tensors import Signature
from stagezero.inference.tfserving_examples import ExamplesBody, parse_examples
from stagezero.inference.tfserving_request import decode_body, parse_predict, tensors_of
from stagezero.inference.tfserving_response import (
    InconsistentOutputs,
    error_body,
    number_text,
    predict_body,
    results_body,
)
from stagezero.modelserver.errors import (
    InvalidInput,
    ModelNotReady,
    Overloaded,
    PredictionFailed,
    UnknownModel,
)
from stagezero.modelserver.handlers.deadline import DeadlineExchange
from stagezero.modelserver.registry import Registry
from stagezero.modelserver.runtimes.base import Array, TensorModel
from stagezero.modelserver.transports.messages import Exchange, Request, Response
from stagezero.modelserver.worker import Job, Worker

Models = Registry[TensorModel]

_JSON = b"application/json"
_MODEL = r"(?i)/v1/models/([^/:]+)(?:/(?:versions/(\d+)|labels/([^/:]+)))?"
_CALL = re.compile(_MODEL + r":(classify|regress|predict)")
_STATE = re.compile(_MODEL + r"(/metadata)?")
_METHODS = {"classify": "classification", "regress": "regression"}


@dataclass(frozen=True)
class _Target:
    """The model and the version that a path names."""

    name: str
    version: int | None
    label: str | None

    def __str__(self) -> str:
        if self.version is None:
            return f"Latest({self.name})"
        return f"Specific({self.name}, {self.version})"


def _json(value: Any) -> Response:
    return Response(200, json.dumps(value, indent=1).encode(), _JSON)


def _error(status: int, message: str) -> Response:
    headers = ((b"Retry-After", b"1"),) if status == 503 else ()
    return Response(status, error_body(message), _JSON, headers)


def answer_to(error: BaseException) -> Response:
    """The one mapping from what went wrong to a status."""
    if isinstance(error, (InvalidPayload, InvalidInput, InconsistentOutputs)):
        return _error(400, str(error))
    if isinstance(error, (ModelNotReady, Overloaded)):
        return _error(503, str(error))
    return _error(500, str(error))


class TfServingHandler:
    """The routes of the REST API over a registry of tensor models."""

    def __init__(self, models: Models, worker: Worker, timeout_s: float | None) -> None:
        self._models = models
        self._worker = worker
        self._timeout_s = timeout_s
        self._executors: dict[tuple[str, str], CallExecutor] = {}

    def handle(self, request: Request, exchange: Exchange) -> None:
        """Find the route and answer, or say what is wrong with the request."""
        call = _CALL.fullmatch(request.path) if request.method == "POST" else None
        state = _STATE.fullmatch(request.path) if request.method == "GET" else None
        if call is not None:
            self._call(_target(call), call.group(4).lower(), request, exchange)
        elif state is not None and state.group(4):
            exchange.respond(self._metadata(_target(state)))
        elif state is not None:
            exchange.respond(self._status(_target(state)))
        elif request.path.lower() == "/v1/models" and request.method == "GET":
            exchange.respond(_error(400, "Missing model name in request."))
        elif request.path.lower().startswith("/v1/"):
            message = f"Malformed request: {request.method} {request.path}"
            exchange.respond(_error(400, message))
        else:
            exchange.respond(_error(404, f"Not found: {request.path}"))

    def refusal(self, status: int, message: str) -> Response:
        """The answer to what the transport refuses."""
        return _error(status, message)

    def _call(self, target: _Target, method: str, request: Request, exchange: Exchange) -> None:
        found = self._find(target, f"Servable not found for request: {target}")
        if isinstance(found, Response):
            exchange.respond(found)
            return
        executor = self._executors.get((target.name, method))
        if executor is None:
            executor = CallExecutor(self._models, target.name, method)
            self._executors[target.name, method] = executor
        if self._timeout_s is not None:
            late = _error(504, f"Timed out: the model took more than {self._timeout_s:g} s")
            exchange = DeadlineExchange(exchange, self._timeout_s, late)
        try:
            self._worker.submit(Job(executor, request.body, exchange))
        except Overloaded as error:
            exchange.respond(answer_to(error))

    def _status(self, target: _Target) -> Response:
        unknown = f"Could not find any versions of model {target.name}"
        if target.version is not None:
            unknown = f"Could not find version {target.version} of model {target.name}"
        found = self._find(target, unknown)
        if isinstance(found, Response):
            return found
        status = {"error_code": "OK", "error_message": ""}
        version = {"version": str(found.version), "state": "AVAILABLE", "status": status}
        return _json({"model_version_status": [version]})

    def _metadata(self, target: _Target) -> Response:
        found = self._find(target, f"Servable not found for request: {target}")
        if isinstance(found, Response):
            return found
        spec = {"name": target.name, "signature_name": "", "version": str(found.version)}
        metadata = {"signature_def": {"signature_def": found.describe()}}
        return _json({"model_spec": spec, "metadata": metadata})

    def _find(self, target: _Target, unknown: str) -> TensorModel | Response:
        if target.label is not None:
            return _error(400, f"Unrecognized servable version label: {target.label}")
        try:
            model = self._models.ready(target.name)
        except UnknownModel:
            return _error(404, unknown)
        except ModelNotReady as error:
            return answer_to(error)
        if target.version not in (None, model.version):
            return _error(404, unknown)
        return model


def _target(match: re.Match[str]) -> _Target:
    version = match.group(2)
    return _Target(match.group(1), None if version is None else int(version), match.group(3))


@dataclass(frozen=True)
class CallExecutor:
    """Answers calls of one method of one model, on a worker's thread."""

    models: Models
    name: str
    method: str

    def execute(self, jobs: Sequence[Job]) -> Iterator[Response]:
        """Decode, run and encode each."""
        call = _predict if self.method == "predict" else self._examples
        for job in jobs:
            try:
                model = self.models.ready(self.name)
                yield Response(200, call(model, job.body), _JSON)
            except (
                InvalidPayload,
                InvalidInput,
                InconsistentOutputs,
                ModelNotReady,
                PredictionFailed,
            ) as error:
                yield answer_to(error)

    def failure(self, error: BaseException) -> Response:
        """The model raised something that nobody foresaw."""
        return answer_to(error)

    def _examples(self, model: TensorModel, body: bytes) -> bytes:
        request = parse_examples(decode_body(body))
        signature = _signature(model, request.signature_name)
        wanted = f"tensorflow/serving/{self.method}"
        if signature.method != wanted:
            raise InvalidPayload(
                f"Expected {_METHODS[self.method]} signature method_name to be {wanted}."
                f" Was: {signature.method}"
            )
        outputs = _run_examples(model, signature, request)
        return results_body(_RESULTS[self.method](outputs, len(request.examples)))


def _predict(model: TensorModel, body: bytes) -> bytes:
    request = parse_predict(decode_body(body))
    signature = _signature(model, request.signature_name)
    outputs = model.run(signature.name, tensors_of(request, signature.inputs))
    return predict_body(outputs, request.form)


def _signature(model: TensorModel, name: str) -> Signature:
    try:
        return model.signatures[name]
    except KeyError:
        raise InvalidPayload(
            f'Serving signature name: "{name}" not found in signature def'
        ) from None


def _run_examples(
    model: TensorModel, signature: Signature, request: ExamplesBody
) -> Mapping[str, Array]:
    if len(signature.inputs) != 1:
        raise InvalidPayload(f"Expected one input Tensor, got {len(signature.inputs)}.")
    (name,) = signature.inputs
    return model.run(signature.name, {name: model.serialize_examples(request.examples)})


def _classes(outputs: Mapping[str, Array], count: int) -> list[str]:
    """`[label, score]` pairs, a list an example; either may be missing from the model."""
    labels, scores = outputs.get("classes"), outputs.get("scores")
    width = next(array.size // count for array in (labels, scores) if array is not None)
    label_rows = _label_texts(labels, count, width)
    score_rows = _score_texts(scores, count, width)
    return [
        "[" + ", ".join(f"[{label}, {score}]" for label, score in zip(*pair, strict=True)) + "]"
        for pair in zip(label_rows, score_rows, strict=True)
    ]


def _label_texts(labels: Array | None, count: int, width: int) -> list[list[str]]:
    if labels is None:
        return [['""'] * width] * count
    texts = [json.dumps(_text(label), ensure_ascii=False) for label in labels.ravel()]
    return [texts[start : start + width] for start in range(0, count * width, width)]


def _score_texts(scores: Array | None, count: int, width: int) -> list[list[str]]:
    if scores is None:
        return [["0.0"] * width] * count
    texts = _float_texts(scores)
    return [texts[start : start + width] for start in range(0, count * width, width)]


def _values(outputs: Mapping[str, Array], count: int) -> list[str]:
    """One number an example."""
    values = outputs.get("outputs")
    if values is None or values.size != count:
        raise PredictionFailed(
            f'The regression\'s "outputs" are not one number for each of {count}'
        )
    return _float_texts(values)


def _float_texts(array: Array) -> list[str]:
    return [number_text(text) for text in array.ravel().astype(np.float32).astype("U32").tolist()]


def _text(label: Any) -> str:
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)


_RESULTS: Mapping[str, Callable[[Mapping[str, Array], int], list[str]]] = {
    "classify": _classes,
    "regress": _values,
}


def make_handler(models: Models, worker: Worker, timeout_s: float | None) -> TfServingHandler:
    """The handler, for the table of runtimes."""
    return TfServingHandler(models, worker, timeout_s)
