"""The scenario's objects through the whole control plane, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from stagezero.api import errors, serving_knative
from stagezero.api.apps import Deployment
from stagezero.api.base import Key, Raw
from stagezero.api.conditions import find
from stagezero.api.config import ConfigMap
from stagezero.api.istio import VirtualService
from stagezero.api.pod import Pod
from stagezero.api.serving_kserve import InferenceService
from support.plane import Plane, running_plane

pytestmark = pytest.mark.looptime
EXAMPLE = Path(__file__).parents[2] / "examples" / "01-mnist" / "mnist_tensorflow.yaml"


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    async with running_plane() as plane:
        yield plane


def mnist() -> Raw:
    raw: Raw = yaml.safe_load(EXAMPLE.read_text())
    return raw


HELLO: Raw = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {"name": "helloworld-go"},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "image": "gcr.io/knative-samples/helloworld-go",
                        "env": [{"name": "TARGET", "value": "Go Sample v1"}],
                    }
                ]
            }
        }
    },
}


def is_ready(thing: InferenceService | serving_knative.Service | serving_knative.Route) -> bool:
    ready = find(thing.status.conditions, "Ready")
    return (
        ready is not None
        and ready.status == "True"
        and thing.status.observed_generation == thing.metadata.generation
    )


async def test_knative_service_becomes_ready(plane: Plane) -> None:
    await plane.apply(HELLO)
    ready = await plane.until(serving_knative.Service, "helloworld-go", is_ready)
    assert ready.status.url == "http://helloworld-go.default.localhost"
    assert ready.status.latest_ready_revision_name == "helloworld-go-00001"


async def test_inference_service_becomes_ready(plane: Plane) -> None:
    await plane.apply(mnist())
    ready = await plane.until(InferenceService, "mnist", is_ready)
    assert ready.status.url == "http://mnist.default.localhost"
    predictor = ready.status.components["predictor"]
    assert predictor.latest_ready_revision == "mnist-predictor-default-00001"
    assert predictor.url == "http://mnist-predictor-default.default.localhost"


async def test_pods_fetch_the_model_first(plane: Plane) -> None:
    await plane.apply(mnist())
    await plane.until(InferenceService, "mnist", is_ready)
    pod = plane.core.caches.list(Pod)[0]
    assert pod.spec.init_containers[0].args == ["gs://kserve/models/mnist", "/mnt/models"]


async def test_ready_waits_for_the_probe(plane: Plane) -> None:
    plane.node.is_ready = lambda pod: False
    await plane.apply(mnist())
    await plane.until(Pod, await pod_name(plane), lambda pod: pod.status.phase == "Running")
    with pytest.raises(AssertionError, match="never got there"):
        await plane.until(InferenceService, "mnist", is_ready, limit_s=60)
    plane.node.is_ready = lambda pod: True
    plane.node.again()
    await plane.until(InferenceService, "mnist", is_ready)


async def pod_name(plane: Plane) -> str:
    deployment = "mnist-predictor-default-00001-deployment"
    await plane.until(Deployment, deployment, lambda thing: thing.status.replicas == 1)
    return plane.core.caches.list(Pod)[0].metadata.name


async def test_ready_waits_for_envoy(plane: Plane) -> None:
    plane.mesh.has_acked = lambda route: False
    await plane.apply(mnist())
    with pytest.raises(AssertionError, match="never got there"):
        await plane.until(InferenceService, "mnist", is_ready, limit_s=60)
    plane.mesh.has_acked = lambda route: True
    plane.mesh.again()
    await plane.until(InferenceService, "mnist", is_ready)


def is_denied(thing: InferenceService) -> bool:
    ready = find(thing.status.conditions, "Ready")
    return ready is not None and ready.status == "False" and ready.reason == "Refused"


def mnist_on(disk: str) -> Raw:
    """The service with a nodeSelector, which Knative does not allow unless told to."""
    raw = mnist()
    raw["spec"]["predictor"]["nodeSelector"] = {"disk": disk}
    return raw


async def move(plane: Plane, disk: str | None) -> None:
    patch = {"spec": {"predictor": {"nodeSelector": {"disk": disk}}}}
    await plane.client.patch(InferenceService, Key("default", "mnist"), patch)


async def test_what_knative_denies_is_told_in_the_conditions(plane: Plane) -> None:
    await plane.apply(mnist_on("ssd"))
    denied = await plane.until(InferenceService, "mnist", is_denied)
    predictor = find(denied.status.conditions, "PredictorReady")
    assert predictor is not None and (predictor.status, predictor.reason) == ("False", "Refused")
    assert "must not set the field(s): spec.template.spec.nodeSelector" in predictor.message
    assert denied.status.observed_generation == denied.metadata.generation


async def test_a_denial_is_gone_once_the_service_is_repaired(plane: Plane) -> None:
    await plane.apply(mnist_on("ssd"))
    await plane.until(InferenceService, "mnist", is_denied)
    await move(plane, None)
    ready = await plane.until(InferenceService, "mnist", is_ready)
    assert not any(condition.reason == "Refused" for condition in ready.status.conditions)


async def test_a_denied_edit_leaves_what_runs(plane: Plane) -> None:
    await plane.apply(mnist())
    before = await plane.until(InferenceService, "mnist", is_ready)
    await move(plane, "ssd")
    denied = await plane.until(InferenceService, "mnist", is_denied)
    assert denied.status.url == before.status.url
    assert denied.status.components == before.status.components


async def test_a_denial_that_lasts_writes_no_status_again(plane: Plane) -> None:
    await plane.apply(mnist_on("ssd"))
    denied = await plane.until(InferenceService, "mnist", is_denied)
    await asyncio.sleep(3600)
    again = await plane.client.get(InferenceService, "mnist", "default")
    assert again.metadata.resource_version == denied.metadata.resource_version


async def test_deletion_takes_everything_along(plane: Plane) -> None:
    await plane.apply(mnist())
    await plane.until(InferenceService, "mnist", is_ready)
    await plane.client.delete(InferenceService, Key("default", "mnist"))
    await plane.gone(InferenceService, "mnist")
    await plane.gone(Deployment, "mnist-predictor-default-00001-deployment")
    await plane.gone(VirtualService, "mnist")
    assert plane.core.caches.list(Pod) == []


async def test_change_of_the_spec_makes_a_revision(plane: Plane) -> None:
    await plane.apply(HELLO)
    await plane.until(serving_knative.Service, "helloworld-go", is_ready)
    container = {"image": "gcr.io/knative-samples/helloworld-go"}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    await plane.client.patch(serving_knative.Service, Key("default", "helloworld-go"), patch)
    ready = await plane.until(
        serving_knative.Service,
        "helloworld-go",
        lambda thing: (
            is_ready(thing) and thing.status.latest_ready_revision_name == "helloworld-go-00002"
        ),
    )
    assert ready.status.traffic[0].revision_name == "helloworld-go-00002"


async def test_domain_follows_the_config_map(plane: Plane) -> None:
    await plane.apply(HELLO)
    await plane.until(serving_knative.Service, "helloworld-go", is_ready)
    key = Key("knative-serving", "config-domain")
    patch = {"data": {"taco-cat.xyz": "", "localhost": None}}
    await plane.client.patch(ConfigMap, key, patch)
    await plane.client.patch(
        ConfigMap,
        Key("knative-serving", "config-network"),
        {"data": {"domain-template": "{{.Name}}-{{.Namespace}}.{{.Domain}}"}},
    )
    await plane.until(
        serving_knative.Route,
        "helloworld-go",
        lambda route: route.status.url == "http://helloworld-go-default.taco-cat.xyz",
    )


async def test_unknown_runtime_is_told_on_the_object(plane: Plane) -> None:
    wrong = mnist()
    wrong["spec"]["predictor"]["model"]["runtime"] = "nope"
    await plane.apply(wrong)
    told = await plane.until(InferenceService, "mnist", lambda thing: bool(thing.status.conditions))
    ready = find(told.status.conditions, "Ready")
    assert ready is not None
    assert ready.reason == "RuntimeNotRecognized"


async def test_unknown_field_is_refused(plane: Plane) -> None:
    wrong = mnist()
    wrong["spec"]["predictor"]["mdoel"] = {}
    with pytest.raises(errors.ApiError, match=r'unknown field "spec.predictor.mdoel"'):
        await plane.apply(wrong)


async def test_wrong_type_is_refused(plane: Plane) -> None:
    wrong = mnist()
    wrong["spec"]["predictor"]["minReplicas"] = "many"
    with pytest.raises(errors.Invalid, match=r"spec.predictor.minReplicas"):
        await plane.apply(wrong)


async def test_defaults_of_the_config_map_are_live(plane: Plane) -> None:
    key = Key("knative-serving", "config-defaults")
    await plane.client.patch(ConfigMap, key, {"data": {"revision-timeout-seconds": "123"}})
    await asyncio.sleep(1)  # virtual: the watch brings the edit to the caches
    made = await plane.apply(deepcopy(HELLO))
    assert made["spec"]["template"]["spec"]["timeoutSeconds"] == 123
