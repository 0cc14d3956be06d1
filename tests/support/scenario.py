"""The scenario's two objects, and what is asked of objects in tests of the whole control plane."""

from pathlib import Path
from typing import Any

import yaml

from stagezero.api import serving_knative
from stagezero.api.base import Raw
from stagezero.api.conditions import find
from stagezero.api.serving_kserve import InferenceService

_EXAMPLE = Path(__file__).parents[2] / "examples" / "01-mnist" / "mnist_tensorflow.yaml"


def mnist(name: str = "mnist") -> Raw:
    """The article's InferenceService."""
    raw: Raw = yaml.safe_load(_EXAMPLE.read_text())
    raw["metadata"]["name"] = name
    return raw


def hello(name: str = "helloworld-go", target: str = "Go Sample v1", **spec: Any) -> Raw:
    """The article's Knative Service."""
    container = {
        "image": "gcr.io/knative-samples/helloworld-go",
        "env": [{"name": "TARGET", "value": target}],
    }
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"template": {"spec": {"containers": [container]}}, **spec},
    }


def is_ready(thing: InferenceService | serving_knative.Service | serving_knative.Route) -> bool:
    """Whether an object is Ready as it is now specified."""
    return ready_word(thing) == "True"


def ready_word(
    thing: InferenceService | serving_knative.Service | serving_knative.Route,
) -> str:
    """True, False or Unknown; Unknown also while the status is about an older state."""
    ready = find(thing.status.conditions, "Ready")
    is_current = thing.status.observed_generation == thing.metadata.generation
    return ready.status if ready is not None and is_current else "Unknown"
