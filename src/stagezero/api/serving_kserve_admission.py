"""Defaulting and validation of InferenceServices, with the words of KServe 0.8's webhooks.

Defaulting rewrites a framework key (`sklearn:`) to `model:` with its runtime; validation denies
what no runtime could serve. Both are pure; where 0.8 appends its defaults again on every update,
ours replaces them. The pod mutator is in `serving_kserve_storage`.
"""

import re
from copy import deepcopy

from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.errors import Denied
from stagezero.api.pod_defaults import changed_items
from stagezero.api.quantities import with_quantity_texts
from stagezero.api.serving_kserve import (
    CONTAINER_NAME,
    FRAMEWORKS,
    MODELS_DIR,
)

VALIDATOR = "inferenceservice.kserve-webhook-server.validator"
NAME_PATTERN = "[a-z]([-a-z0-9]*[a-z0-9])?"

_MLSERVER = "kserve-mlserver"
_RUNTIMES = {
    "sklearn": "kserve-sklearnserver",
    "xgboost": "kserve-xgbserver",
    "tensorflow": "kserve-tensorflow-serving",
    "pytorch": "kserve-torchserve",
    "triton": "kserve-tritonserver",
    "onnx": "kserve-tritonserver",
    "pmml": "kserve-pmmlserver",
    "lightgbm": "kserve-lgbserver",
    "paddle": "kserve-paddleserver",
}
_V1_BY_DEFAULT = ("sklearn", "xgboost", "tensorflow", "pmml", "lightgbm", "paddle")
_MODEL_CLASSES = {
    "xgboost": "mlserver_xgboost.XGBoostModel",
    "lightgbm": "mlserver_lightgbm.LightGBMModel",
}
_DEFAULT_MODEL_CLASS = "mlserver_sklearn.SKLearnModel"
_COMPONENTS = {
    "predictor": (*FRAMEWORKS, "model"),
    "transformer": (),
    "explainer": ("alibi", "aix", "art"),
}
_KINDS_TEXT = {
    "predictor": (
        "Exactly one of [SKLearn, XGBoost, Tensorflow, PyTorch, Triton, ONNX, PMML, LightGBM, "
        "Paddle, Model, PodSpec] must be specified in PredictorSpec"
    ),
    "transformer": "Exactly one of [PodSpec] must be specified in TransformerSpec",
    "explainer": "Exactly one of [Alibi, AIX, ART, PodSpec] must be specified in ExplainerSpec",
}
_PROTOCOLS = ("v1", "v2")
_STORAGE_PREFIXES = ("gs://", "s3://", "pvc://", "file://", "https://", "http://")
_CUSTOM_DEFAULTS = {"cpu": "1", "memory": "2Gi"}
_POSITIVE_INT = re.compile(r"\d+")


def default_inference_service(raw: Raw, request: AdmissionRequest) -> Raw:
    """Turn a framework key into `model:` and fill in what its runtime needs (spec §1.4)."""
    thing = deepcopy(raw)
    predictor = thing.get("spec", {}).get("predictor")
    if not isinstance(predictor, dict):
        return thing
    model = predictor.get("model")
    if isinstance(model, dict):
        _default_model(thing, model)
    for framework in FRAMEWORKS:
        if isinstance(predictor.get(framework), dict):
            predictor["model"] = _from_framework(thing, framework, predictor.pop(framework))
            break
    for name, kinds in _COMPONENTS.items():
        component = thing["spec"].get(name)
        if isinstance(component, dict):
            _default_custom(component)
            _write_quantities(component, kinds)
    return thing


def _default_model(thing: Raw, model: Raw) -> None:
    model.setdefault("name", "")
    model.setdefault("resources", {})
    framework = (model.get("modelFormat") or {}).get("name")
    runtime = model.get("runtime")
    if runtime == _MLSERVER:
        _default_mlserver(thing, model, str(framework))
    elif framework == "pytorch" and runtime in (None, _RUNTIMES["pytorch"]):
        _default_torchserve(thing, model)


def _from_framework(thing: Raw, framework: str, old: Raw) -> Raw:
    model: Raw = {"modelFormat": {"name": framework}, "name": "", "resources": {}, **old}
    if framework in _V1_BY_DEFAULT:
        model.setdefault("protocolVersion", "v1")
    wants_mlserver = framework in ("sklearn", "xgboost") and model["protocolVersion"] == "v2"
    model["runtime"] = _MLSERVER if wants_mlserver else _RUNTIMES[framework]
    if wants_mlserver:
        _default_mlserver(thing, model, framework)
    if framework == "pytorch":
        _default_torchserve(thing, model)
    if framework == "triton" and not model.get("storageUri"):
        explicit = "--model-control-mode=explicit"
        args = model.setdefault("args", [])
        if explicit not in args:
            args.append(explicit)
    return model


def _default_mlserver(thing: Raw, model: Raw, framework: str) -> None:
    env: list[Raw] = model.setdefault("env", [])
    if model.get("storageUri"):
        _set_env(env, "MLSERVER_MODEL_NAME", str(thing.get("metadata", {}).get("name", "")))
        _set_env(env, "MLSERVER_MODEL_URI", MODELS_DIR)
    else:
        _set_env(env, "MLSERVER_LOAD_MODELS_AT_STARTUP", "false")
    _set_label(thing, "modelClass", _MODEL_CLASSES.get(framework, _DEFAULT_MODEL_CLASS))


def _default_torchserve(thing: Raw, model: Raw) -> None:
    is_v2 = model.get("protocolVersion") == "v2"
    _set_label(thing, "serviceEnvelope", "kservev2" if is_v2 else "kserve")


def _set_env(env: list[Raw], name: str, value: str) -> None:
    env[:] = [entry for entry in env if entry.get("name") != name]
    env.append({"name": name, "value": value})


def _set_label(thing: Raw, name: str, value: str) -> None:
    thing.setdefault("metadata", {}).setdefault("labels", {})[name] = value


def _default_custom(component: Raw) -> None:
    containers = component.get("containers")
    if not isinstance(containers, list) or not containers or not isinstance(containers[0], dict):
        return
    container = containers[0]
    container["name"] = CONTAINER_NAME
    resources = container.setdefault("resources", {})
    for amounts in ("requests", "limits"):
        resources[amounts] = {**_CUSTOM_DEFAULTS, **(resources.get(amounts) or {})}


def _write_quantities(component: Raw, kinds: tuple[str, ...]) -> None:
    """Numbers become text, as they do when a webhook reads and writes them."""
    for kind in kinds:
        if isinstance(component.get(kind), dict):
            component[kind] = with_quantity_texts(component[kind])
    for name in ("containers", "initContainers"):
        component.update(changed_items(component, name, with_quantity_texts))


def validate_inference_service(raw: Raw, request: AdmissionRequest) -> None:
    """Deny what KServe 0.8 denies, in its order and with its words (spec §1.5)."""
    if request.operation == "DELETE":
        return
    name = str(raw.get("metadata", {}).get("name", ""))
    if not re.fullmatch(NAME_PATTERN, name):
        _deny(
            f'The InferenceService "{name}" is invalid: a InferenceService name must consist of '
            "lower case alphanumeric characters or '-', and must start with alphabetical "
            'character. (e.g. "my-name" or "abc-123", regex used for validation is '
            f"'{NAME_PATTERN}')"
        )
    _check_autoscaling(raw.get("metadata", {}).get("annotations") or {})
    for component, kinds in _COMPONENTS.items():
        part = raw.get("spec", {}).get(component)
        if isinstance(part, dict):
            _check_component(component, kinds, part)


def _deny(message: str) -> None:
    raise Denied(VALIDATOR, message, reason=message)


def _check_autoscaling(annotations: Raw) -> None:
    group = "serving.kserve.io"
    scaler = annotations.get(f"{group}/autoscalerClass")
    if scaler is not None and scaler != "hpa":
        _deny(f"[{scaler}] is not a supported autoscaler class type.\n")
    metric = annotations.get(f"{group}/metrics")
    if metric is not None and metric != "cpu":
        _deny(f"[{metric}] is not a supported metric.\n")
    target = annotations.get(f"{group}/targetUtilizationPercentage")
    if target is not None:
        is_number = _POSITIVE_INT.fullmatch(str(target)) is not None
        if not is_number or not 1 <= int(target) <= 100:
            _deny("The target utilization percentage should be a [1-100] integer.")


def _check_component(component: str, kinds: tuple[str, ...], part: Raw) -> None:
    given = [kind for kind in kinds if part.get(kind) is not None]
    has_containers = bool(part.get("containers"))
    if len(given) + has_containers != 1:
        _deny(_KINDS_TEXT[component])
    if given:
        _check_storage(part[given[0]].get("storageUri"))
    else:
        _check_protocol(part["containers"])
    _check_extension(part)


def _check_storage(uri: object) -> None:
    if uri is None or uri == "":
        return
    text = str(uri)
    is_known = text.startswith(_STORAGE_PREFIXES) or "://" not in text
    if not is_known:
        _deny(
            f"storageUri, must be one of: [{', '.join(_STORAGE_PREFIXES)}] or match "
            "https://{}.blob.core.windows.net/{}/{} or be an absolute or relative local path. "
            f"StorageUri [{text}] is not supported."
        )


def _check_protocol(containers: list[Raw]) -> None:
    """0.8 prints the two in each other's place."""
    for entry in containers[0].get("env") or []:
        given = entry.get("value", "")
        if entry.get("name") == "PROTOCOL" and given not in _PROTOCOLS:
            _deny(f"Invalid protocol {given}. Must be one of [{', '.join(_PROTOCOLS)}]")


def _check_extension(part: Raw) -> None:
    if _number(part, "containerConcurrency", 0) < 0:
        _deny("Parallelism cannot be less than 0.")
    low, high = _number(part, "minReplicas", 1), _number(part, "maxReplicas", 0)
    if low < 0:
        _deny("MinReplicas cannot be less than 0.")
    if high < 0:
        _deny("MaxReplicas cannot be less than 0.")
    if high and low > high:
        _deny("MinReplicas cannot be greater than MaxReplicas.")
    logger = part.get("logger")
    if isinstance(logger, dict) and logger.get("mode") not in ("all", "request", "response"):
        _deny("Invalid logger type")


def _number(part: Raw, field: str, default: int) -> int:
    value = part.get(field)
    return value if isinstance(value, int) else default


INFERENCE_SERVICE = Admission(default_inference_service, validate_inference_service)
