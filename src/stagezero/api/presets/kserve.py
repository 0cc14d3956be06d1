"""The objects of a KServe 0.8 installation: its namespace, configuration and nine runtimes.

Names, images, formats and arguments are KServe's own, so YAML written for a cluster finds them.
"""

import json

from stagezero.api.base import Object, ObjectMeta
from stagezero.api.config import ConfigMap, Namespace
from stagezero.api.container import Container, EnvVar, ResourceRequirements
from stagezero.api.fields import Quantity
from stagezero.api.serving_kserve import (
    CONTAINER_NAME,
    ClusterServingRuntime,
    ServingRuntimeSpec,
    SupportedModelFormat,
)

NAMESPACE = "kserve"
CONFIG_NAME = "inferenceservice-config"
_SIZE: dict[str, Quantity] = {"cpu": "1", "memory": "2Gi"}
_SERVER_ARGS = ["--model_name={{.Name}}", "--model_dir=/mnt/models", "--http_port=8080"]
_LOCAL_HOST = "knative-local-gateway.istio-system.svc.cluster.local"
_PUBLIC_HOST = "istio-ingressgateway.istio-system.svc.cluster.local"


def objects(ingress_domain: str) -> tuple[Object, ...]:
    """Everything that an installation creates once; later edits are the user's."""
    return (
        Namespace(metadata=ObjectMeta(name=NAMESPACE)),
        ConfigMap(
            metadata=ObjectMeta(name=CONFIG_NAME, namespace=NAMESPACE),
            data=_configuration(ingress_domain),
        ),
        *runtimes(),
    )


def _configuration(ingress_domain: str) -> dict[str, str]:
    values = {
        "ingress": {
            "ingressGateway": "knative-serving/knative-ingress-gateway",
            "ingressService": _PUBLIC_HOST,
            "localGateway": "knative-serving/knative-local-gateway",
            "localGatewayService": _LOCAL_HOST,
            "ingressDomain": ingress_domain,
        },
        "storageInitializer": {
            "image": "kserve/storage-initializer:v0.8.0",
            "memoryRequest": "100Mi",
            "memoryLimit": "1Gi",
            "cpuRequest": "100m",
            "cpuLimit": "1",
        },
        "credentials": {
            "gcs": {"gcsCredentialFileName": "gcloud-application-credentials.json"},
            "s3": {
                "s3AccessKeyIDName": "AWS_ACCESS_KEY_ID",
                "s3SecretAccessKeyName": "AWS_SECRET_ACCESS_KEY",
            },
        },
        "logger": {"image": "kserve/agent:v0.8.0", "defaultUrl": "http://default-broker"},
        "batcher": {"image": "kserve/agent:v0.8.0"},
        "deploy": {"defaultDeploymentMode": "Serverless"},
        "explainers": {},
        "transformers": {},
    }
    return {name: json.dumps(value, indent=2) for name, value in values.items()}


def runtimes() -> tuple[ClusterServingRuntime, ...]:
    """The nine ClusterServingRuntimes of KServe 0.8 (spec §1.3)."""
    return (
        _runtime("kserve-lgbserver", _kserve("lgbserver", "--nthread=1"), _auto("lightgbm", "2")),
        _runtime("kserve-mlserver", _mlserver(), *_mlserver_formats()),
        _runtime("kserve-paddleserver", _kserve("paddleserver"), _auto("paddle", "2")),
        _runtime(
            "kserve-pmmlserver", _kserve("pmmlserver"), _auto("pmml", "3"), _auto("pmml", "4")
        ),
        _runtime("kserve-sklearnserver", _kserve("sklearnserver"), _auto("sklearn", "1")),
        _runtime(
            "kserve-tensorflow-serving",
            _tensorflow(),
            _auto("tensorflow", "1"),
            _auto("tensorflow", "2"),
        ),
        _runtime("kserve-torchserve", _torchserve(), _auto("pytorch", "1")),
        _runtime("kserve-tritonserver", _triton(), *_triton_formats()),
        _runtime("kserve-xgbserver", _kserve("xgbserver", "--nthread=1"), _auto("xgboost", "1")),
    )


def _runtime(
    name: str, container: Container, *formats: SupportedModelFormat
) -> ClusterServingRuntime:
    return ClusterServingRuntime(
        metadata=ObjectMeta(name=name),
        spec=ServingRuntimeSpec(supported_model_formats=list(formats), containers=[container]),
    )


def _auto(name: str, version: str) -> SupportedModelFormat:
    return SupportedModelFormat(name=name, version=version, auto_select=True)


def _named(name: str, version: str) -> SupportedModelFormat:
    return SupportedModelFormat(name=name, version=version)


def _container(image: str, args: list[str], command: list[str], **env: str) -> Container:
    return Container(
        name=CONTAINER_NAME,
        image=image,
        command=command,
        args=args,
        env=[EnvVar(name=key, value=value) for key, value in env.items()],
        resources=ResourceRequirements(requests=_SIZE, limits=_SIZE),
    )


def _kserve(server: str, *more: str) -> Container:
    return _container(f"kserve/{server}:v0.8.0", [*_SERVER_ARGS, *more], [])


def _mlserver() -> Container:
    return _container(
        "docker.io/seldonio/mlserver:0.5.3",
        [],
        [],
        MLSERVER_MODEL_IMPLEMENTATION="{{.Labels.modelClass}}",
        MLSERVER_HTTP_PORT="8080",
        MLSERVER_GRPC_PORT="9000",
        MODELS_DIR="/mnt/models",
    )


def _mlserver_formats() -> tuple[SupportedModelFormat, ...]:
    named = (_named("sklearn", "0"), _named("xgboost", "1"), _named("lightgbm", "3"))
    return (*named, _auto("mlflow", "1"))


def _tensorflow() -> Container:
    args = [
        "--model_name={{.Name}}",
        "--port=9000",
        "--rest_api_port=8080",
        "--model_base_path=/mnt/models",
        "--rest_api_timeout_in_ms=60000",
    ]
    return _container("tensorflow/serving:2.6.2", args, ["/usr/bin/tensorflow_model_server"])


def _torchserve() -> Container:
    args = [
        "torchserve",
        "--start",
        "--model-store=/mnt/models/model-store",
        "--ts-config=/mnt/models/config/config.properties",
    ]
    envelope = {"TS_SERVICE_ENVELOPE": "{{.Labels.serviceEnvelope}}"}
    return _container("kserve/torchserve-kfs:0.5.3", args, [], **envelope)


def _triton() -> Container:
    args = [
        "tritonserver",
        "--model-store=/mnt/models",
        "--grpc-port=9000",
        "--http-port=8080",
        "--allow-grpc=true",
        "--allow-http=true",
    ]
    return _container("nvcr.io/nvidia/tritonserver:21.09-py3", args, [])


def _triton_formats() -> tuple[SupportedModelFormat, ...]:
    return (
        _named("tensorrt", "8"),
        _named("tensorflow", "1"),
        _named("tensorflow", "2"),
        _auto("onnx", "1"),
        _named("pytorch", "1"),
        _auto("triton", "2"),
    )
