"""Runtime selection and the container that results."""

import msgspec
import pytest

from stagezero.api.base import ObjectMeta, from_raw
from stagezero.api.presets.kserve import runtimes
from stagezero.api.serving_kserve import (
    ClusterServingRuntime,
    ModelFormat,
    ModelSpec,
    PredictorSpec,
    ServingRuntimeSpec,
)
from stagezero.controllers.kserve.plans.runtimes import (
    Candidate,
    NoRuntime,
    container_of,
    placed,
    select,
)

STOCK = tuple(Candidate(runtime.metadata.name, runtime.spec) for runtime in runtimes())
META = ObjectMeta(name="mnist", namespace="default", labels={"modelClass": "M"})


def model(name: str, version: str | None = None, **more: object) -> ModelSpec:
    return ModelSpec(model_format=ModelFormat(name=name, version=version), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("framework", "version", "runtime"),
    [
        ("sklearn", None, "kserve-sklearnserver"),
        ("xgboost", None, "kserve-xgbserver"),
        ("lightgbm", None, "kserve-lgbserver"),
        ("tensorflow", "2", "kserve-tensorflow-serving"),
        ("tensorflow", "1", "kserve-tensorflow-serving"),
        ("pytorch", None, "kserve-torchserve"),
        ("onnx", None, "kserve-tritonserver"),
        ("triton", None, "kserve-tritonserver"),
        ("pmml", "4", "kserve-pmmlserver"),
        ("paddle", None, "kserve-paddleserver"),
        ("mlflow", None, "kserve-mlserver"),
    ],
)
def test_stock_set_serves_each_format(framework: str, version: str | None, runtime: str) -> None:
    assert select(model(framework, version), STOCK).name == runtime


@pytest.mark.parametrize(("framework", "version"), [("lightgbm", "3"), ("tensorrt", None)])
def test_format_without_auto_select_is_not_chosen(framework: str, version: str | None) -> None:
    with pytest.raises(NoRuntime, match="no runtime found to support predictor") as refusal:
        select(model(framework, version), STOCK)
    assert refusal.value.reason == "NoSupportingRuntime"


def test_named_runtime_needs_no_auto_select() -> None:
    chosen = select(model("tensorrt", runtime="kserve-tritonserver"), STOCK)
    assert chosen.name == "kserve-tritonserver"


def test_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(NoRuntime) as refusal:
        select(model("sklearn", runtime="nope"), STOCK)
    text = str(refusal.value)
    assert text.startswith("No ServingRuntimes or ClusterServingRuntimes with the name: nope")
    assert "kserve-sklearnserver" in text


def test_named_runtime_must_know_the_format() -> None:
    with pytest.raises(NoRuntime, match="does not support specified framework/version"):
        select(model("sklearn", runtime="kserve-xgbserver"), STOCK)


def test_versions_are_compared_as_text() -> None:
    with pytest.raises(NoRuntime):
        select(model("tensorflow", "2.0"), STOCK)


def test_disabled_runtime_is_refused_by_name() -> None:
    disabled = (Candidate("x", ServingRuntimeSpec(disabled=True)),)
    with pytest.raises(NoRuntime, match="specified runtime x is disabled"):
        select(model("sklearn", runtime="x"), disabled)


def test_namespace_runtime_comes_first() -> None:
    mine = Candidate("mine", STOCK[4].spec)
    assert select(model("sklearn"), (mine, *STOCK)).name == "mine"


def test_runtime_without_container_is_refused() -> None:
    bare = from_raw(
        ClusterServingRuntime,
        {"spec": {"supportedModelFormats": [{"name": "a", "autoSelect": True}]}},
    )
    with pytest.raises(NoRuntime, match="no container configuration"):
        select(model("a"), (Candidate("bare", bare.spec),))


def test_placeholders_are_filled_in() -> None:
    wanted = model("tensorflow")
    container = container_of(wanted, select(wanted, STOCK), META)
    assert container.args[0] == "--model_name=mnist"
    assert container.command == ["/usr/bin/tensorflow_model_server"]


def test_missing_label_becomes_empty() -> None:
    wanted = model("mlflow")
    container = container_of(wanted, select(wanted, STOCK), ObjectMeta(name="m"))
    assert container.env[0].value == ""


def test_label_is_filled_in() -> None:
    wanted = model("mlflow")
    container = container_of(wanted, select(wanted, STOCK), META)
    assert container.env[0].value == "M"


def test_args_and_env_are_appended() -> None:
    wanted = from_raw_model({"args": ["--more"], "env": [{"name": "A", "value": "1"}]})
    container = container_of(wanted, select(wanted, STOCK), META)
    assert container.args == [
        "--model_name=mnist", "--model_dir=/mnt/models", "--http_port=8080", "--more",
    ]  # fmt: skip
    assert [env.name for env in container.env] == ["A"]


def test_resources_are_merged_by_key() -> None:
    wanted = from_raw_model({"resources": {"limits": {"memory": "8Gi"}}})
    container = container_of(wanted, select(wanted, STOCK), META)
    assert container.resources.limits == {"cpu": "1", "memory": "8Gi"}
    assert container.resources.requests == {"cpu": "1", "memory": "2Gi"}


def runtime_with(**spec: object) -> Candidate:
    return Candidate("mine", msgspec.convert(spec, ServingRuntimeSpec))


def test_a_probe_is_merged_by_field() -> None:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5}
    runtime = runtime_with(containers=[{"name": "c", "livenessProbe": probe}])
    wanted = from_raw_model({"livenessProbe": {"periodSeconds": 30}})
    merged = container_of(wanted, runtime, META).liveness_probe
    assert merged is not None and merged.http_get is not None
    assert (merged.http_get.path, merged.period_seconds) == ("/healthz", 30)


PLACE = {
    "nodeSelector": {"disk": "ssd", "zone": "a"},
    "affinity": {"nodeAffinity": {"x": 1}},
    "tolerations": [{"key": "gpu"}],
}


def test_pods_run_where_the_runtime_says() -> None:
    assert placed(PredictorSpec(), runtime_with(**PLACE)) == msgspec.convert(PLACE, PredictorSpec)


def test_the_predictor_s_place_wins_over_the_runtime_s() -> None:
    own = {
        "nodeSelector": {"zone": "b"},
        "affinity": {"podAffinity": {"y": 1}},
        "tolerations": [{"key": "tpu"}],
    }
    found = placed(msgspec.convert(own, PredictorSpec), runtime_with(**PLACE))
    assert found.node_selector == {"disk": "ssd", "zone": "b"}
    assert found.affinity == {"nodeAffinity": {"x": 1}, "podAffinity": {"y": 1}}
    assert found.tolerations == [{"key": "tpu"}]


def test_runtime_version_becomes_the_tag() -> None:
    wanted = model("sklearn", runtime_version="v0.9.0")
    container = container_of(wanted, select(wanted, STOCK), META)
    assert container.image == "kserve/sklearnserver:v0.9.0"


def test_container_has_kserve_s_name() -> None:
    wanted = from_raw_model({"name": "mine"})
    assert container_of(wanted, select(wanted, STOCK), META).name == "kserve-container"


def from_raw_model(container: dict[str, object]) -> ModelSpec:

    return msgspec.convert({"modelFormat": {"name": "sklearn"}, **container}, ModelSpec)
