"""The pod mutator of KServe 0.8: new pods of InferenceServices get their model's download.

What the download runs and may use is said by `storageInitializer` in config map
inferenceservice-config; an edit counts for the next pod.
"""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.errors import Denied
from stagezero.api.serving_kserve import (
    CONTAINER_NAME,
    LABEL_ISVC,
    MODELS_DIR,
    SOURCE_URI_ANNOTATION,
)

MUTATOR = "inferenceservice.kserve-webhook-server.pod-mutator"
STORAGE_INITIALIZER = "storage-initializer"
PROVISION_VOLUME = "kserve-provision-location"
CONFIG_FIELD = "storageInitializer"


@dataclass(frozen=True)
class StorageInitializer:
    """The init container that fetches a model: its image and what it may use."""

    image: str = "kserve/storage-initializer:v0.8.0"
    memory_request: str = "100Mi"
    memory_limit: str = "1Gi"
    cpu_request: str = "100m"
    cpu_limit: str = "1"


_FIELDS = {
    "image": "image",
    "memoryRequest": "memory_request",
    "memoryLimit": "memory_limit",
    "cpuRequest": "cpu_request",
    "cpuLimit": "cpu_limit",
}


def storage_initializer(data: Mapping[str, str]) -> StorageInitializer:
    """Read inferenceservice-config; `Denied` says what is wrong with it."""
    try:
        given = json.loads(data.get(CONFIG_FIELD) or "{}")
    except ValueError as error:
        raise _unreadable(f"is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise _unreadable("must be an object")
    values = {ours: given[name] for name, ours in _FIELDS.items() if given.get(name)}
    wrong = [name for name, ours in _FIELDS.items() if not isinstance(values.get(ours, ""), str)]
    if wrong:
        raise _unreadable(f"{wrong[0]} must be a string")
    return StorageInitializer(**values)


def _unreadable(what: str) -> Denied:
    where = f"{CONFIG_FIELD} of config map kserve/inferenceservice-config"
    return Denied(MUTATOR, f"{where} {what}: correct it with kubectl edit")


def pod_mutator(read: Callable[[], Mapping[str, str]]) -> Admission:
    """Admission of pods; `read` gives the data of inferenceservice-config as it is now."""

    def mutate(raw: Raw, request: AdmissionRequest) -> Raw:
        if not _wants_model(raw, request):
            return raw
        return with_model(raw, storage_initializer(read()))

    return Admission(default=mutate)


def _wants_model(raw: Raw, request: AdmissionRequest) -> bool:
    metadata = raw.get("metadata", {})
    has_uri = bool((metadata.get("annotations") or {}).get(SOURCE_URI_ANNOTATION))
    is_ours = LABEL_ISVC in (metadata.get("labels") or {})
    has_one = any(
        init.get("name") == STORAGE_INITIALIZER
        for init in raw.get("spec", {}).get("initContainers") or []
    )
    return request.operation == "CREATE" and is_ours and has_uri and not has_one


def with_model(raw: Raw, initializer: StorageInitializer) -> Raw:
    """The pod with its storage initializer, and the folder that both share (spec §1.9)."""
    pod = deepcopy(raw)
    spec = pod["spec"]
    mount = {"name": PROVISION_VOLUME, "mountPath": MODELS_DIR}
    spec.setdefault("volumes", []).append({"name": PROVISION_VOLUME, "emptyDir": {}})
    spec.setdefault("initContainers", []).append(
        {
            "name": STORAGE_INITIALIZER,
            "image": initializer.image,
            "args": [pod["metadata"]["annotations"][SOURCE_URI_ANNOTATION], MODELS_DIR],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "resources": {
                "requests": {"cpu": initializer.cpu_request, "memory": initializer.memory_request},
                "limits": {"cpu": initializer.cpu_limit, "memory": initializer.memory_limit},
            },
            "volumeMounts": [mount],
        }
    )
    for container in spec.get("containers") or []:
        if container.get("name") == CONTAINER_NAME:
            container.setdefault("volumeMounts", []).append({**mount, "readOnly": True})
            _point_storage_uri(container)
    return pod


def _point_storage_uri(container: Raw) -> None:
    for entry in container.get("env") or []:
        if entry.get("name") == "STORAGE_URI":
            entry["value"] = MODELS_DIR
