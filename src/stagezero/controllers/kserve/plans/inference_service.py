"""One InferenceService: the Knative Services of its components, its host, its status, its news."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from stagezero.api import serving_knative as serving
from stagezero.api.base import Object
from stagezero.api.conditions import TRUE, find
from stagezero.api.istio import VirtualService
from stagezero.api.serving_kserve import (
    MODE_ANNOTATION,
    ComponentStatus,
    InferenceService,
    InferenceServiceStatus,
)
from stagezero.controllers.kserve.plans.components import (
    EXPLAINER,
    PREDICTOR,
    TRANSFORMER,
    Component,
    custom_component,
    knative_service,
)
from stagezero.controllers.kserve.plans.ingress import (
    IngressConfig,
    name_service,
    virtual_service,
)
from stagezero.controllers.kserve.plans.runtimes import (
    Candidate,
    NoRuntime,
    container_of,
    placed,
    select,
)
from stagezero.controllers.kserve.plans.status import (
    READY,
    denied_status,
    refused_status,
    status_of,
)
from stagezero.runtime.plan import NOTHING, Happening, Plan, Refusal, normal, warning

MODEL_MESH, RAW, STANDARD = "ModelMesh", "RawDeployment", "Standard"


@dataclass(frozen=True)
class Observed:
    """What the plan sees; `services` are the components' Knative Services that exist."""

    isvc: InferenceService
    runtimes: tuple[Candidate, ...]
    services: dict[str, serving.Service]
    route: VirtualService | None
    config: IngressConfig


class _Refused(Exception):
    """The service cannot run as it is written; `reason` for the condition."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def plan(observed: Observed, now: datetime) -> Plan:
    """Decide what an InferenceService needs; a refusal leaves what runs as it is."""
    isvc = observed.isvc
    mode = isvc.metadata.annotations.get(MODE_ANNOTATION)
    if isvc.is_deleting or mode == MODEL_MESH:
        return NOTHING
    try:
        components = tuple(_components(observed, mode))
    except (NoRuntime, _Refused) as refusal:
        status = refused_status(isvc, refusal.reason, str(refusal), now)
        events = (warning("InternalError", str(refusal)), *_news(isvc, status))
        return Plan(status=replace(isvc, status=status), events=events)
    status = status_of(isvc, observed.services, observed.route, now)
    return Plan(
        apply=(*_services(observed, components), *_host(observed, status)),
        delete=_leftovers(observed, components),
        status=replace(isvc, status=status),
        events=(*_news(isvc, status), *_notices(isvc)),
        if_refused=partial(_denied, isvc, status, now),
    )


def _denied(
    isvc: InferenceService, status: InferenceServiceStatus, now: datetime, refusal: Refusal
) -> Plan:
    """Tell in the conditions what the API does not let us write; what runs already stays."""
    denied = denied_status(isvc, status, refusal, now)
    return Plan(status=replace(isvc, status=denied), events=tuple(_news(isvc, denied)))


def _components(observed: Observed, mode: str | None) -> Iterator[Component]:
    isvc = observed.isvc
    if mode in (RAW, STANDARD):
        raise _Refused(
            "DeploymentModeNotSupported",
            f"deployment mode {mode} is not served yet: remove annotation {MODE_ANNOTATION}",
        )
    protocol = "v1"
    predictor = isvc.spec.predictor
    if predictor.model is not None:
        runtime = select(predictor.model, observed.runtimes)
        container = container_of(predictor.model, runtime, isvc.metadata)
        uri = predictor.model.storage_uri or ""
        yield Component(PREDICTOR, placed(predictor, runtime), container, uri)
        protocol = predictor.model.protocol_version or protocol
    elif predictor.containers:
        yield custom_component(isvc, PREDICTOR, predictor, protocol)
    else:
        raise _Refused("InvalidPredictorSpec", "spec.predictor names no model and no containers")
    if isvc.spec.transformer is not None:
        yield custom_component(isvc, TRANSFORMER, isvc.spec.transformer, protocol)
    if isvc.spec.explainer is not None:
        if not isvc.spec.explainer.containers:
            raise _Refused(
                "ExplainerNotSupported",
                "spec.explainer: the built-in explainers are not served yet; "
                "give `containers:` of your own",
            )
        yield custom_component(isvc, EXPLAINER, isvc.spec.explainer, protocol)


def _services(observed: Observed, components: tuple[Component, ...]) -> Iterator[Object]:
    known = observed.isvc.status.components
    for component in components:
        status = known.get(component.kind, ComponentStatus())
        yield knative_service(observed.isvc, component, status)


def _host(observed: Observed, status: InferenceServiceStatus) -> Iterator[Object]:
    if status.url:
        yield name_service(observed.isvc, observed.config)
        yield virtual_service(observed.isvc, status.url, observed.config)


def _leftovers(observed: Observed, components: tuple[Component, ...]) -> tuple[Object, ...]:
    wanted = {component.kind for component in components}
    return tuple(service for kind, service in observed.services.items() if kind not in wanted)


def _news(isvc: InferenceService, status: InferenceServiceStatus) -> Iterator[Happening]:
    before, after = find(isvc.status.conditions, READY), find(status.conditions, READY)
    was_ready = before is not None and before.status == TRUE
    is_ready = after is not None and after.status == TRUE
    name = isvc.metadata.name
    if is_ready and not was_ready:
        yield normal("InferenceServiceReady", f"InferenceService [{name}] is Ready")
    if was_ready and not is_ready:
        yield warning("InferenceServiceNotReady", f"InferenceService [{name}] is no longer Ready")


def _notices(isvc: InferenceService) -> Iterator[Happening]:
    if isvc.status.observed_generation == isvc.metadata.generation:
        return  # said once for each generation
    for kind in (PREDICTOR, TRANSFORMER, EXPLAINER):
        component = getattr(isvc.spec, kind)
        if component is None:
            continue
        for feature in ("logger", "batcher"):
            if getattr(component, feature) is not None:
                yield warning(
                    f"{feature.capitalize()}NotServed",
                    f"spec.{kind}.{feature} is stored and has no effect yet",
                )
