"""One InferenceService, from its spec to Knative Services, routes and status."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from stagezero.api import serving_knative as serving
from stagezero.api.base import Condition, ObjectMeta, Raw, from_raw, to_raw
from stagezero.api.conditions import find
from stagezero.api.istio import IstioStatus, VirtualService
from stagezero.api.presets.kserve import runtimes
from stagezero.api.serving_knative import Addressable, TrafficTarget
from stagezero.api.serving_kserve import ComponentStatus, InferenceService
from stagezero.controllers.kserve.plans.components import PREDICTOR, Component, traffic
from stagezero.controllers.kserve.plans.inference_service import Observed, plan
from stagezero.controllers.kserve.plans.ingress import IngressConfig, service_url
from stagezero.controllers.kserve.plans.runtimes import Candidate
from stagezero.controllers.kserve.plans.status import address_url, component_status
from stagezero.runtime.plan import Plan

NOW = datetime(2026, 11, 23, tzinfo=UTC)
STOCK = tuple(Candidate(runtime.metadata.name, runtime.spec) for runtime in runtimes())
REV1, REV2 = "mnist-predictor-default-00001", "mnist-predictor-default-00002"
URL = "http://mnist-predictor-default.default.localhost"


def isvc(predictor: Raw | None = None, **more: Any) -> InferenceService:
    model = {"modelFormat": {"name": "tensorflow"}, "storageUri": "gs://kserve/models/mnist"}
    return from_raw(
        InferenceService,
        {
            "metadata": {
                "name": "mnist", "namespace": "default", "uid": "u1", "generation": 1,
                **more.pop("metadata", {}),
            },
            "spec": {"predictor": predictor or {"model": model}, **more},
        },
    )  # fmt: skip


def ready_service(**status: Any) -> serving.Service:
    conditions = [
        Condition(type=kind, status="True")
        for kind in ("Ready", "RoutesReady", "ConfigurationsReady")
    ]
    target = TrafficTarget(latest_revision=True, percent=100, revision_name=REV1)
    seen = serving.ServiceStatus(
        observed_generation=1,
        conditions=conditions,
        latest_ready_revision_name=REV1,
        latest_created_revision_name=REV1,
        url=URL,
        address=Addressable(url="http://mnist-predictor-default.default.svc.cluster.local"),
        traffic=[target],
    )
    return serving.Service(
        metadata=ObjectMeta(name="mnist-predictor-default", namespace="default", generation=1),
        status=replace(seen, **status),
    )


def route(status: str = "True", **more: Any) -> VirtualService:
    condition = Condition(type="Reconciled", status=status, **more)
    return VirtualService(
        metadata=ObjectMeta(name="mnist", namespace="default", generation=1),
        status=IstioStatus(observed_generation=1, conditions=[condition]),
    )


def decide(thing: InferenceService, **observed: Any) -> Plan:
    seen: dict[str, Any] = {
        "isvc": thing, "runtimes": STOCK, "services": {}, "route": None, "config": IngressConfig(),
        **observed,
    }  # fmt: skip
    return plan(Observed(**seen), NOW)


def status_of(decided: Plan) -> Any:
    assert isinstance(decided.status, InferenceService)
    return decided.status.status


def conditions_of(decided: Plan) -> dict[str, str]:
    return {condition.type: condition.status for condition in status_of(decided).conditions}


def knative(decided: Plan) -> serving.Service:
    return next(thing for thing in decided.apply if isinstance(thing, serving.Service))


def test_predictor_becomes_a_knative_service() -> None:
    service = knative(decide(isvc()))
    assert service.metadata.name == "mnist-predictor-default"
    assert service.metadata.labels["serving.kserve.io/inferenceservice"] == "mnist"
    container = service.spec.template.spec.containers[0]
    assert (container.name, container.image) == ("kserve-container", "tensorflow/serving:2.6.2")


def test_model_s_place_goes_to_the_pods() -> None:
    annotations = knative(decide(isvc())).spec.template.metadata.annotations
    key = "internal.serving.kserve.io/storage-initializer-sourceuri"
    assert annotations[key] == "gs://kserve/models/mnist"
    assert annotations["autoscaling.knative.dev/minScale"] == "1"
    assert annotations["autoscaling.knative.dev/class"] == "kpa.autoscaling.knative.dev"


def test_replicas_become_annotations() -> None:
    model = {"sklearn": None, "model": {"modelFormat": {"name": "sklearn"}}}
    thing = isvc({**model, "minReplicas": 0, "maxReplicas": 3})
    annotations = knative(decide(thing)).spec.template.metadata.annotations
    assert annotations["autoscaling.knative.dev/minScale"] == "0"
    assert annotations["autoscaling.knative.dev/maxScale"] == "3"


def test_limits_go_to_the_revision() -> None:
    model = {"model": {"modelFormat": {"name": "sklearn"}}}
    spec = knative(decide(isvc({**model, "containerConcurrency": 5, "timeout": 60}))).spec
    assert spec.template.spec.container_concurrency == 5
    assert spec.template.spec.timeout_seconds == 60


def test_own_annotations_stay_behind() -> None:
    thing = isvc(
        metadata={
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "autoscaling.knative.dev/minScale": "7",
                "autoscaling.knative.dev/target": "5",
            }
        }
    )
    annotations = knative(decide(thing)).spec.template.metadata.annotations
    assert "kubectl.kubernetes.io/last-applied-configuration" not in annotations
    assert annotations["autoscaling.knative.dev/minScale"] == "1"
    assert annotations["autoscaling.knative.dev/target"] == "5"


def test_visibility_is_not_copied_to_pods() -> None:
    thing = isvc(metadata={"labels": {"serving.knative.dev/visibility": "cluster-local", "a": "b"}})
    service = knative(decide(thing))
    assert service.metadata.labels["serving.knative.dev/visibility"] == "cluster-local"
    assert "serving.knative.dev/visibility" not in service.spec.template.metadata.labels


def test_new_service_is_unknown() -> None:
    conditions = conditions_of(decide(isvc()))
    assert conditions["PredictorReady"] == "Unknown"
    assert conditions["IngressReady"] == "False"
    assert conditions["Ready"] == "False"


def test_ready_service_has_its_worked_example_status() -> None:
    taken = route(reason="Acknowledged", message="some words")
    decided = decide(isvc(), services={PREDICTOR: ready_service()}, route=taken)
    status = status_of(decided)
    assert all(not said.reason and not said.message for said in status.conditions)
    assert status.url == "http://mnist.default.localhost"
    assert status.address.url == "http://mnist.default.svc.cluster.local/v1/models/mnist:predict"
    assert conditions_of(decided) == {
        "IngressReady": "True", "PredictorConfigurationReady": "True", "PredictorReady": "True",
        "PredictorRouteReady": "True", "Ready": "True",
    }  # fmt: skip
    severities = {condition.type: condition.severity for condition in status.conditions}
    assert severities["PredictorRouteReady"] == "Info"
    component = to_raw(decided.status)["status"]["components"]["predictor"]  # type: ignore[arg-type]
    assert component["latestRolledoutRevision"] == REV1
    assert component["traffic"] == [{"revisionName": REV1, "latestRevision": True, "percent": 100}]


def test_second_protocol_has_its_path() -> None:
    model = {"modelFormat": {"name": "sklearn"}, "protocolVersion": "v2", "storageUri": "gs://b/m"}
    decided = decide(isvc({"model": model}), services={PREDICTOR: ready_service()})
    assert status_of(decided).address.url.endswith("/v2/models/mnist/infer")


def test_server_of_many_models_has_no_path() -> None:
    thing = isvc({"model": {"modelFormat": {"name": "sklearn"}}})
    assert address_url(thing) == "http://mnist.default.svc.cluster.local"


def test_transformer_speaks_the_first_protocol() -> None:
    model = {"modelFormat": {"name": "sklearn"}, "protocolVersion": "v2", "storageUri": "gs://b/m"}
    thing = isvc({"model": model}, transformer={"containers": [{"image": "x"}]})
    assert address_url(thing).endswith("/v1/models/mnist:predict")


def test_ready_waits_for_envoy() -> None:
    decided = decide(isvc(), services={PREDICTOR: ready_service()}, route=None)
    assert conditions_of(decided)["Ready"] == "Unknown"


def test_old_word_of_envoy_does_not_count() -> None:
    old = replace(route(), metadata=ObjectMeta(name="mnist", namespace="default", generation=2))
    decided = decide(isvc(), services={PREDICTOR: ready_service()}, route=old)
    assert conditions_of(decided)["IngressReady"] == "Unknown"


def test_rejection_by_envoy_is_told() -> None:
    refused = route("False", reason="EnvoyRejected", message="bad regex")
    decided = decide(isvc(), services={PREDICTOR: ready_service()}, route=refused)
    ready = find(status_of(decided).conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason, ready.message) == ("False", "EnvoyRejected", "bad regex")


def test_stale_service_is_not_ready() -> None:
    decided = decide(isvc(), services={PREDICTOR: ready_service(observed_generation=0)})
    assert conditions_of(decided)["PredictorReady"] == "Unknown"


def test_failure_of_the_revision_is_told() -> None:
    failed = Condition(type="Ready", status="False", reason="RevisionFailed", message="exit 1")
    service = ready_service(conditions=[failed], latest_ready_revision_name="")
    ready = find(status_of(decide(isvc(), services={PREDICTOR: service})).conditions, "Ready")
    assert ready is not None
    assert (ready.reason, ready.message) == ("RevisionFailed", "exit 1")


def test_becoming_ready_is_an_event() -> None:
    decided = decide(isvc(), services={PREDICTOR: ready_service()}, route=route())
    assert ("InferenceServiceReady", "InferenceService [mnist] is Ready") in [
        (event.reason, event.message) for event in decided.events
    ]


def test_staying_ready_is_no_event() -> None:
    first = decide(isvc(), services={PREDICTOR: ready_service()}, route=route())
    thing = replace(isvc(), status=status_of(first))
    again = decide(thing, services={PREDICTOR: ready_service()}, route=route())
    assert again.events == ()
    assert again.status == first.status or status_of(again) == status_of(first)


def test_unknown_runtime_is_told_where_users_look() -> None:
    model = {"modelFormat": {"name": "sklearn"}, "runtime": "nope"}
    decided = decide(isvc({"model": model}))
    ready = find(status_of(decided).conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "RuntimeNotRecognized")
    assert "nope" in ready.message
    assert decided.events[0].reason == "InternalError"
    assert decided.apply == ()


def test_refusal_keeps_what_is_known() -> None:
    good = decide(isvc(), services={PREDICTOR: ready_service()}, route=route())
    model = {"modelFormat": {"name": "sklearn"}, "runtime": "nope"}
    thing = replace(isvc({"model": model}), status=status_of(good))
    assert status_of(decide(thing)).url == "http://mnist.default.localhost"


def test_logger_says_that_it_has_no_effect() -> None:
    model = {"modelFormat": {"name": "sklearn"}}
    decided = decide(isvc({"model": model, "logger": {"mode": "all"}}))
    assert [event.reason for event in decided.events] == ["LoggerNotServed"]


def test_notice_is_said_once_a_generation() -> None:
    model = {"modelFormat": {"name": "sklearn"}}
    thing = isvc({"model": model, "logger": {"mode": "all"}})
    told = replace(thing, status=status_of(decide(thing)))
    assert decide(told).events == ()


def test_raw_deployment_is_refused_plainly() -> None:
    thing = isvc(metadata={"annotations": {"serving.kserve.io/deploymentMode": "RawDeployment"}})
    ready = find(status_of(decide(thing)).conditions, "Ready")
    assert ready is not None
    assert ready.reason == "DeploymentModeNotSupported"


def test_model_mesh_is_left_alone() -> None:
    thing = isvc(metadata={"annotations": {"serving.kserve.io/deploymentMode": "ModelMesh"}})
    assert decide(thing) == Plan()


def test_deleted_service_is_left_alone() -> None:
    assert decide(isvc(metadata={"deletionTimestamp": "2026-11-23T00:00:00Z"})) == Plan()


def test_transformer_knows_its_predictor() -> None:
    transformer = {"containers": [{"image": "mine"}]}
    services = [
        thing
        for thing in decide(isvc(transformer=transformer)).apply
        if isinstance(thing, serving.Service)
    ]
    assert [service.metadata.name for service in services] == [
        "mnist-predictor-default", "mnist-transformer-default",
    ]  # fmt: skip
    args = services[1].spec.template.spec.containers[0].args
    assert args[args.index("--predictor_host") + 1] == "mnist-predictor-default.default"


def test_removed_transformer_is_deleted() -> None:
    old = replace(ready_service(), metadata=ObjectMeta(name="mnist-transformer-default"))
    decided = decide(isvc(), services={PREDICTOR: ready_service(), "transformer": old})
    assert [thing.metadata.name for thing in decided.delete] == ["mnist-transformer-default"]


def test_custom_container_takes_its_model_along() -> None:
    env = [{"name": "STORAGE_URI", "value": "gs://b/m"}]
    thing = isvc({"containers": [{"name": "kserve-container", "image": "mine", "env": env}]})
    annotations = knative(decide(thing)).spec.template.metadata.annotations
    assert annotations["internal.serving.kserve.io/storage-initializer-sourceuri"] == "gs://b/m"


def test_virtual_service_names_both_hosts() -> None:
    decided = decide(isvc(), services={PREDICTOR: ready_service()}, route=route())
    vs = next(thing for thing in decided.apply if isinstance(thing, VirtualService))
    assert vs.spec.hosts == ["mnist.default.svc.cluster.local", "mnist.default.localhost"]
    headers = vs.spec.http[0].route[0].headers
    assert headers is not None
    assert headers.request is not None
    assert headers.request.set == {"Host": "mnist-predictor-default.default.svc.cluster.local"}


def test_internal_service_has_no_outer_host() -> None:
    inner = ready_service(url="http://mnist-predictor-default.default.svc.cluster.local")
    decided = decide(isvc(), services={PREDICTOR: inner}, route=route())
    vs = next(thing for thing in decided.apply if isinstance(thing, VirtualService))
    assert vs.spec.hosts == ["mnist.default.svc.cluster.local"]
    assert vs.spec.gateways == ["knative-serving/knative-local-gateway"]


@pytest.mark.parametrize(
    ("component", "service"),
    [
        ("http://mnist-predictor-default.ns.x", "http://mnist.ns.x"),
        ("http://m-predictor-default-default.taco-cat.xyz", "http://m-default.taco-cat.xyz"),
        ("http://m-transformer-default.ns.x:8080", "http://m.ns.x:8080"),
    ],
)
def test_service_url_leaves_the_component_out(component: str, service: str) -> None:
    assert service_url(component) == service


def split(percent: int | None, status: ComponentStatus, **metadata: Any) -> list[Raw]:
    predictor: Raw = {"model": {"modelFormat": {"name": "sklearn"}}}
    if percent is not None:
        predictor["canaryTrafficPercent"] = percent
    thing = isvc(predictor, metadata=metadata)
    component = Component(PREDICTOR, thing.spec.predictor, thing.spec.predictor.model)  # type: ignore[arg-type]

    return [msgspec.to_builtins(target) for target in traffic(thing, component, status)]


ROLLED = ComponentStatus(
    latest_ready_revision=REV1, latest_created_revision=REV1, latest_rolledout_revision=REV1
)
SECOND = ComponentStatus(
    latest_ready_revision=REV2, latest_created_revision=REV2, latest_rolledout_revision=REV1
)
DONE = ComponentStatus(
    latest_ready_revision=REV2, latest_created_revision=REV2,
    latest_rolledout_revision=REV2, previous_rolledout_revision=REV1,
)  # fmt: skip
ALL = [{"latestRevision": True, "percent": 100}]


@pytest.mark.parametrize(
    ("percent", "status", "targets"),
    [
        (None, ComponentStatus(), ALL),
        (10, ComponentStatus(), ALL),
        (10, ROLLED, ALL),
        (
            10,
            SECOND,
            [
                {"latestRevision": True, "percent": 10},
                {"tag": "prev", "revisionName": REV1, "latestRevision": False, "percent": 90},
            ],
        ),
        (100, SECOND, ALL),
        (None, SECOND, ALL),
        (
            0,
            SECOND,
            [
                {"latestRevision": True, "percent": 0},
                {"tag": "prev", "revisionName": REV1, "latestRevision": False, "percent": 100},
            ],
        ),
        (
            20,
            DONE,
            [
                {"latestRevision": True, "percent": 20},
                {"tag": "prev", "revisionName": REV1, "latestRevision": False, "percent": 80},
            ],
        ),
    ],
    ids=[
        "none", "first-canary", "no-previous", "canary", "promote", "promote-by-removal", "zero",
        "rollback",
    ],
)  # fmt: skip
def test_traffic_follows_the_canary(
    percent: int | None, status: ComponentStatus, targets: list[Raw]
) -> None:
    assert split(percent, status) == targets


def test_tag_routing_names_the_latest() -> None:
    targets = split(None, ROLLED, annotations={"serving.kserve.io/enable-tag-routing": "true"})
    assert targets[0]["tag"] == "latest"


def test_rolled_out_revision_moves_on_at_full_traffic() -> None:
    target = TrafficTarget(latest_revision=True, percent=100, revision_name=REV2)
    service = ready_service(
        traffic=[target], latest_ready_revision_name=REV2, latest_created_revision_name=REV2
    )
    status = component_status(SECOND, service)
    assert (status.previous_rolledout_revision, status.latest_rolledout_revision) == (REV1, REV2)


def test_canary_does_not_move_the_rolled_out_revision() -> None:
    target = TrafficTarget(latest_revision=True, percent=10, revision_name=REV2)
    service = ready_service(
        traffic=[target], latest_ready_revision_name=REV2, latest_created_revision_name=REV2
    )
    assert component_status(SECOND, service).latest_rolledout_revision == REV1


def test_rollback_moves_it_back() -> None:
    target = TrafficTarget(latest_revision=True, percent=20, revision_name=REV2)
    service = ready_service(
        traffic=[target], latest_ready_revision_name=REV2, latest_created_revision_name=REV2
    )
    assert component_status(DONE, service).latest_rolledout_revision == REV1
