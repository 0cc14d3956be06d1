"""What the pod mutator adds to pods of InferenceServices, and what config says about it."""

import json

import pytest

from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.config import ConfigMap
from stagezero.api.errors import Denied
from stagezero.api.presets.kserve import objects
from stagezero.api.serving_kserve_storage import (
    StorageInitializer,
    pod_mutator,
    storage_initializer,
)

CREATE = AdmissionRequest("CREATE", None, "me")


def mutated(raw: Raw, request: AdmissionRequest, data: dict[str, str] | None = None) -> Raw:
    admission = pod_mutator(lambda: data or {})
    assert admission.default is not None
    return admission.default(raw, request)


def pod(**metadata: Raw) -> Raw:
    container = {"name": "kserve-container", "env": [{"name": "STORAGE_URI", "value": "gs://b/m"}]}
    return {"metadata": metadata, "spec": {"containers": [container]}}


OURS: dict[str, Raw] = {
    "labels": {"serving.kserve.io/inferenceservice": "iris"},
    "annotations": {"internal.serving.kserve.io/storage-initializer-sourceuri": "gs://b/m"},
}


def test_model_is_fetched_before_the_server_starts() -> None:
    spec = mutated(pod(**OURS), CREATE)["spec"]
    [fetcher] = spec["initContainers"]
    assert fetcher["args"] == ["gs://b/m", "/mnt/models"]
    assert fetcher["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert spec["volumes"] == [{"name": "kserve-provision-location", "emptyDir": {}}]
    mount = spec["containers"][0]["volumeMounts"][0]
    assert (mount["mountPath"], mount["readOnly"]) == ("/mnt/models", True)
    assert spec["containers"][0]["env"][0]["value"] == "/mnt/models"


def test_other_pods_are_left_alone() -> None:
    assert mutated(pod(labels={"app": "x"}), CREATE) == pod(labels={"app": "x"})


def test_mutation_happens_once() -> None:
    once = mutated(pod(**OURS), CREATE)
    assert mutated(once, CREATE) == once


def test_updates_are_not_mutated() -> None:
    assert mutated(pod(**OURS), AdmissionRequest("UPDATE", {}, "me")) == pod(**OURS)


def test_config_says_what_fetches_the_model() -> None:
    data = {"storageInitializer": json.dumps({"image": "my/fetcher:1", "memoryLimit": "4Gi"})}
    [fetcher] = mutated(pod(**OURS), CREATE, data)["spec"]["initContainers"]
    assert fetcher["image"] == "my/fetcher:1"
    assert fetcher["resources"]["limits"] == {"cpu": "1", "memory": "4Gi"}
    assert fetcher["resources"]["requests"] == {"cpu": "100m", "memory": "100Mi"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not JSON"),
        ("[]", "must be an object"),
        ('{"image": 7}', "image must be a string"),
    ],
    ids=["no-json", "list", "number"],
)
def test_unreadable_config_is_named(text: str, why: str) -> None:
    with pytest.raises(Denied, match=f"inferenceservice-config {why}"):
        mutated(pod(**OURS), CREATE, {"storageInitializer": text})


def test_other_pods_do_not_mind_an_unreadable_config() -> None:
    assert mutated(pod(), CREATE, {"storageInitializer": "{"}) == pod()


def test_preset_says_the_defaults() -> None:
    maps = [thing for thing in objects("localhost") if isinstance(thing, ConfigMap)]
    assert storage_initializer(maps[0].data) == StorageInitializer()
