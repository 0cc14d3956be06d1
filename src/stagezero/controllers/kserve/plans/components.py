"""The Knative Service of one component: predictor, transformer or explainer (spec §1.7).

A component is a pod spec with one container; for a predictor's model the container comes from its
runtime. Labels and annotations of the InferenceService go along, except those that are its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from stagezero.api import serving_knative as serving
from stagezero.api.base import ObjectMeta, controlled_by
from stagezero.api.container import Container
from stagezero.api.pod import PodSpec
from stagezero.api.serving_kserve import (
    LABEL_COMPONENT,
    LABEL_ISVC,
    SOURCE_URI_ANNOTATION,
    TAG_ROUTING_ANNOTATION,
    ComponentSpec,
    ComponentStatus,
    InferenceService,
)

PREDICTOR, TRANSFORMER, EXPLAINER = "predictor", "transformer", "explainer"
COMPONENTS = (PREDICTOR, TRANSFORMER, EXPLAINER)

_MIN_SCALE = "autoscaling.knative.dev/minScale"
_MAX_SCALE = "autoscaling.knative.dev/maxScale"
_CLASS = "autoscaling.knative.dev/class"
_KPA = "kpa.autoscaling.knative.dev"
_VISIBILITY = ("serving.knative.dev/visibility", "networking.knative.dev/visibility")
_OWN_ANNOTATIONS = (
    _MIN_SCALE,
    _MAX_SCALE,
    "autoscaling.knative.dev/min-scale",
    "autoscaling.knative.dev/max-scale",
    SOURCE_URI_ANNOTATION,
    "kubectl.kubernetes.io/last-applied-configuration",
)
_STORAGE_URI_ENV = "STORAGE_URI"


@dataclass(frozen=True)
class Component:
    """One component as it shall run: its spec, its container, and where its model lies."""

    kind: str
    spec: ComponentSpec
    container: Container
    storage_uri: str = ""


def service_name(isvc: InferenceService, kind: str) -> str:
    """The name of a component's Knative Service (0.8 adds `-default`)."""
    return f"{isvc.metadata.name}-{kind}-default"


def custom_component(
    isvc: InferenceService, kind: str, spec: ComponentSpec, protocol: str
) -> Component:
    """A component that brings its own container."""
    container = spec.containers[0]
    if kind != PREDICTOR:
        container = replace(container, args=_with_server_args(isvc, spec, container.args))
    uri = next((env.value for env in container.env if env.name == _STORAGE_URI_ENV), "")
    return Component(kind, spec, container, uri)


def _with_server_args(isvc: InferenceService, spec: ComponentSpec, args: list[str]) -> list[str]:
    host = f"{service_name(isvc, PREDICTOR)}.{isvc.metadata.namespace}"
    wanted = {
        "--model_name": isvc.metadata.name,
        "--predictor_host": host,
        "--http_port": "8080",
    }
    if spec.container_concurrency:
        wanted["--workers"] = str(spec.container_concurrency)
    added = [
        part
        for name, value in wanted.items()
        if not any(arg == name or arg.startswith(f"{name}=") for arg in args)
        for part in (name, value)
    ]
    return [*args, *added]


def knative_service(
    isvc: InferenceService, component: Component, status: ComponentStatus
) -> serving.Service:
    """The Knative Service that runs a component, with requests split as the canary asks."""
    labels = {
        **isvc.metadata.labels,
        LABEL_ISVC: isvc.metadata.name,
        LABEL_COMPONENT: component.kind,
    }
    pod_labels = {name: value for name, value in labels.items() if name not in _VISIBILITY}
    template = serving.RevisionTemplateSpec(
        metadata=ObjectMeta(
            labels={**pod_labels, **component.spec.labels},
            annotations=_template_annotations(isvc, component),
        ),
        spec=_revision_spec(component),
    )
    return serving.Service(
        metadata=ObjectMeta(
            name=service_name(isvc, component.kind),
            namespace=isvc.metadata.namespace,
            labels=labels,
            owner_references=[controlled_by(isvc)],
        ),
        spec=serving.ServiceSpec(template=template, traffic=traffic(isvc, component, status)),
    )


def _template_annotations(isvc: InferenceService, component: Component) -> dict[str, str]:
    annotations = {
        name: value
        for name, value in isvc.metadata.annotations.items()
        if name not in _OWN_ANNOTATIONS
    }
    annotations.setdefault(_CLASS, _KPA)
    low = component.spec.min_replicas
    annotations[_MIN_SCALE] = str(1 if low is None else low)
    if component.spec.max_replicas:
        annotations[_MAX_SCALE] = str(component.spec.max_replicas)
    if component.storage_uri:
        annotations[SOURCE_URI_ANNOTATION] = component.storage_uri
    return {**annotations, **component.spec.annotations}


def _revision_spec(component: Component) -> serving.RevisionSpec:
    pod: Mapping[str, object] = {
        name: getattr(component.spec, name) for name in PodSpec.__struct_fields__
    }
    spec = serving.RevisionSpec(**pod)  # type: ignore[arg-type]  # PodSpec's own fields
    return replace(
        spec,
        containers=[component.container, *component.spec.containers[1:]],
        container_concurrency=component.spec.container_concurrency,
        timeout_seconds=component.spec.timeout,
    )


def traffic(
    isvc: InferenceService, component: Component, status: ComponentStatus
) -> list[serving.TrafficTarget]:
    """How requests are split between the latest and the last rolled-out revision (spec §1.7)."""
    percent = component.spec.canary_traffic_percent
    rolled_out = status.latest_rolledout_revision
    is_settled = rolled_out == status.latest_ready_revision == status.latest_created_revision != ""
    if is_settled and percent is not None and percent < 100:
        rolled_out = status.previous_rolledout_revision
    has_tags = isvc.metadata.annotations.get(TAG_ROUTING_ANNOTATION) == "true"
    tag = "latest" if has_tags else ""
    if percent is None or not rolled_out:
        return [serving.TrafficTarget(latest_revision=True, percent=100, tag=tag)]
    targets = [serving.TrafficTarget(latest_revision=True, percent=percent, tag=tag)]
    if percent < 100:
        targets.append(
            serving.TrafficTarget(
                revision_name=rolled_out,
                latest_revision=False,
                percent=100 - percent,
                tag="prev",
            )
        )
    return targets
