"""Defaulting and validation of InferenceServices as in KServe 0.8."""

from copy import deepcopy

import pytest

from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.errors import Denied
from stagezero.api.serving_kserve_admission import (
    default_inference_service,
    validate_inference_service,
)

CREATE = AdmissionRequest("CREATE", None, "me")
PREFIX = 'admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: '


def isvc(predictor: Raw, name: str = "iris", **metadata: Raw) -> Raw:
    return {"metadata": {"name": name, **metadata}, "spec": {"predictor": predictor}}


def defaulted(predictor: Raw) -> Raw:
    thing = default_inference_service(isvc(predictor), CREATE)
    model: Raw = thing["spec"]["predictor"]["model"]
    return model


@pytest.mark.parametrize(
    ("framework", "runtime", "protocol"),
    [
        ("sklearn", "kserve-sklearnserver", "v1"),
        ("xgboost", "kserve-xgbserver", "v1"),
        ("tensorflow", "kserve-tensorflow-serving", "v1"),
        ("pytorch", "kserve-torchserve", None),
        ("triton", "kserve-tritonserver", None),
        ("onnx", "kserve-tritonserver", None),
        ("pmml", "kserve-pmmlserver", "v1"),
        ("lightgbm", "kserve-lgbserver", "v1"),
        ("paddle", "kserve-paddleserver", "v1"),
    ],
)
def test_framework_key_becomes_model(framework: str, runtime: str, protocol: str | None) -> None:
    model = defaulted({framework: {"storageUri": "gs://b/m"}})
    assert model["modelFormat"] == {"name": framework}
    assert model["runtime"] == runtime
    assert model.get("protocolVersion") == protocol


def test_worked_example_is_stored_as_upstream() -> None:
    assert defaulted({"sklearn": {"storageUri": "gs://b/m"}}) == {
        "modelFormat": {"name": "sklearn"}, "name": "", "protocolVersion": "v1", "resources": {},
        "runtime": "kserve-sklearnserver", "storageUri": "gs://b/m",
    }  # fmt: skip


def test_framework_key_wins_over_model() -> None:
    both = {"sklearn": {"storageUri": "gs://new"}, "model": {"modelFormat": {"name": "xgboost"}}}
    assert defaulted(both)["storageUri"] == "gs://new"


@pytest.mark.parametrize(
    ("framework", "label"),
    [("sklearn", "mlserver_sklearn.SKLearnModel"), ("xgboost", "mlserver_xgboost.XGBoostModel")],
)
def test_second_protocol_means_mlserver(framework: str, label: str) -> None:
    predictor = {framework: {"protocolVersion": "v2", "storageUri": "gs://b/m"}}
    thing = default_inference_service(isvc(predictor), CREATE)
    model = thing["spec"]["predictor"]["model"]
    assert model["runtime"] == "kserve-mlserver"
    assert {entry["name"]: entry["value"] for entry in model["env"]} == {
        "MLSERVER_MODEL_NAME": "iris", "MLSERVER_MODEL_URI": "/mnt/models",
    }  # fmt: skip
    assert thing["metadata"]["labels"]["modelClass"] == label


def test_defaults_are_not_appended_again() -> None:
    predictor = {"sklearn": {"protocolVersion": "v2", "storageUri": "gs://b/m"}}
    once = default_inference_service(isvc(predictor), CREATE)
    assert default_inference_service(once, CREATE) == once


def test_pytorch_gets_its_envelope() -> None:
    thing = default_inference_service(isvc({"pytorch": {"storageUri": "gs://b/m"}}), CREATE)
    assert thing["metadata"]["labels"]["serviceEnvelope"] == "kserve"


def test_triton_without_model_is_explicit() -> None:
    assert defaulted({"triton": {}})["args"] == ["--model-control-mode=explicit"]


def test_custom_container_gets_name_and_size() -> None:
    thing = default_inference_service(
        isvc({"containers": [{"image": "x", "resources": {"limits": {"cpu": "4"}}}]}), CREATE
    )
    container = thing["spec"]["predictor"]["containers"][0]
    assert container["name"] == "kserve-container"
    assert container["resources"]["limits"] == {"cpu": "4", "memory": "2Gi"}


@pytest.mark.parametrize("kind", ["sklearn", "model"])
def test_amounts_given_as_numbers_become_text(kind: str) -> None:
    sized = {"resources": {"requests": {"cpu": 0.1, "memory": "1024Mi"}}}
    assert defaulted({kind: sized})["resources"]["requests"] == {"cpu": "100m", "memory": "1Gi"}


def test_explainer_s_amounts_become_text() -> None:
    thing = isvc({"sklearn": {}})
    thing["spec"]["explainer"] = {"alibi": {"resources": {"requests": {"cpu": 0.1}}}}
    explainer = default_inference_service(thing, CREATE)["spec"]["explainer"]
    assert explainer["alibi"]["resources"] == {"requests": {"cpu": "100m"}}


def test_defaulting_leaves_its_argument_alone() -> None:
    thing = isvc({"sklearn": {"storageUri": "gs://b/m"}})
    before = deepcopy(thing)
    default_inference_service(thing, CREATE)
    assert thing == before


@pytest.mark.parametrize("predictor", [None, "text", 5, []])
def test_defaulting_survives_nonsense(predictor: object) -> None:
    thing: Raw = {"spec": {"predictor": predictor}}
    assert default_inference_service(thing, CREATE) == thing


def refusal(thing: Raw) -> str:
    with pytest.raises(Denied) as denied:
        validate_inference_service(thing, CREATE)
    assert denied.value.message.startswith(PREFIX)
    return denied.value.message.removeprefix(PREFIX)


MODEL = {"modelFormat": {"name": "sklearn"}}


@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        ({}, "Exactly one of [SKLearn, XGBoost, Tensorflow"),
        ({"model": MODEL, "sklearn": {}}, "Exactly one of [SKLearn"),
        ({"model": MODEL, "containers": [{}]}, "Exactly one of [SKLearn"),
        (
            {"model": {**MODEL, "storageUri": "ftp://x"}},
            "storageUri, must be one of: [gs://, s3://",
        ),
        ({"model": MODEL, "containerConcurrency": -1}, "Parallelism cannot be less than 0."),
        ({"model": MODEL, "minReplicas": -1}, "MinReplicas cannot be less than 0."),
        ({"model": MODEL, "maxReplicas": -1}, "MaxReplicas cannot be less than 0."),
        (
            {"model": MODEL, "minReplicas": 3, "maxReplicas": 2},
            "MinReplicas cannot be greater than MaxReplicas.",
        ),
        ({"model": MODEL, "logger": {}}, "Invalid logger type"),
        ({"model": MODEL, "logger": {"mode": "some"}}, "Invalid logger type"),
        (
            {"containers": [{"env": [{"name": "PROTOCOL", "value": "v3"}]}]},
            "Invalid protocol v3. Must be one of [v1, v2]",
        ),
    ],
)
def test_bad_predictor_is_denied(predictor: Raw, message: str) -> None:
    assert refusal(isvc(predictor)).startswith(message)


@pytest.mark.parametrize("name", ["Iris", "1iris", "iris-", "i_ris", ""])
def test_bad_name_is_denied(name: str) -> None:
    assert refusal(isvc({"model": MODEL}, name)).startswith(
        f'The InferenceService "{name}" is invalid: a InferenceService name must consist of'
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("autoscalerClass", "kpa", "[kpa] is not a supported autoscaler class type.\n"),
        ("metrics", "memory", "[memory] is not a supported metric.\n"),
        ("targetUtilizationPercentage", "0", "The target utilization percentage should be a"),
        ("targetUtilizationPercentage", "many", "The target utilization percentage should be a"),
    ],
)
def test_bad_annotation_is_denied(key: str, value: str, message: str) -> None:
    annotations = {f"serving.kserve.io/{key}": value}
    assert refusal(isvc({"model": MODEL}, annotations=annotations)).startswith(message)


@pytest.mark.parametrize(
    "uri",
    ["gs://b/m", "s3://b/m", "pvc://c/m", "file:///m", "https://h/m", "http://h/m", "/mnt/m", "m"],
)
def test_known_places_are_admitted(uri: str) -> None:
    validate_inference_service(isvc({"model": {**MODEL, "storageUri": uri}}), CREATE)


def test_reason_is_the_message_as_in_0_8() -> None:
    with pytest.raises(Denied) as denied:
        validate_inference_service(isvc({"model": MODEL, "minReplicas": -1}), CREATE)
    assert denied.value.status()["reason"] == "MinReplicas cannot be less than 0."


@pytest.mark.parametrize("value", ["v1", "v2"])
def test_known_protocols_are_admitted(value: str) -> None:
    env = [{"name": "PROTOCOL", "value": value}]
    validate_inference_service(isvc({"containers": [{"env": env}]}), CREATE)


def test_deletion_is_never_denied() -> None:
    validate_inference_service(isvc({}), AdmissionRequest("DELETE", None, "me"))
