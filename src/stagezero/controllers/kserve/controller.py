"""The shell of the InferenceService controller: what wakes it and what it reads."""

import json
from collections.abc import Iterable

from stagezero.api import serving_knative as serving
from stagezero.api.base import Key, Object
from stagezero.api.config import ConfigMap
from stagezero.api.istio import VirtualService
from stagezero.api.presets.kserve import CONFIG_NAME, NAMESPACE
from stagezero.api.service import Service
from stagezero.api.serving_kserve import ClusterServingRuntime, InferenceService, ServingRuntime
from stagezero.client.cache import Caches
from stagezero.controllers.kserve.plans.components import COMPONENTS, service_name
from stagezero.controllers.kserve.plans.inference_service import Observed, plan
from stagezero.controllers.kserve.plans.ingress import IngressConfig
from stagezero.controllers.kserve.plans.runtimes import Candidate
from stagezero.runtime.controller import AnyController, Controller, Watch, every, owner_keys

CONFIG_KEY = Key(NAMESPACE, CONFIG_NAME)


def controllers() -> tuple[AnyController, ...]:
    """The controllers of this domain."""
    owned = owner_keys(InferenceService)
    return (
        Controller(
            name="kserve-inferenceservice",
            primary=InferenceService,
            gather=gather,
            plan=plan,
            watches=(
                Watch(serving.Service, owned),
                Watch(VirtualService, owned),
                Watch(Service, owned),
                Watch(ServingRuntime, every(InferenceService)),
                Watch(ClusterServingRuntime, every(InferenceService)),
                Watch(ConfigMap, _config_keys),
            ),
        ),
    )


def _config_keys(thing: Object, caches: Caches) -> Iterable[Key]:
    return caches.of(InferenceService).keys() if thing.key == CONFIG_KEY else ()


def gather(isvc: InferenceService, caches: Caches) -> Observed:
    """Collect an InferenceService's runtimes, Knative Services, routes and configuration."""
    namespace = isvc.metadata.namespace
    found = {
        kind: caches.get(serving.Service, Key(namespace, service_name(isvc, kind)))
        for kind in COMPONENTS
    }
    return Observed(
        isvc=isvc,
        runtimes=_candidates(caches, namespace),
        services={kind: service for kind, service in found.items() if service is not None},
        route=caches.get(VirtualService, isvc.key),
        config=read_config(caches.get(ConfigMap, CONFIG_KEY)),
    )


def _candidates(caches: Caches, namespace: str) -> tuple[Candidate, ...]:
    local = caches.list(ServingRuntime, namespace)
    cluster = caches.list(ClusterServingRuntime)
    return (
        *(Candidate(runtime.metadata.name, runtime.spec) for runtime in local),
        *(Candidate(runtime.metadata.name, runtime.spec) for runtime in cluster),
    )


def read_config(config_map: ConfigMap | None) -> IngressConfig:
    """The gateways named by inferenceservice-config; KServe's own names where it is silent."""
    text = config_map.data.get("ingress", "{}") if config_map is not None else "{}"
    try:
        values = json.loads(text)
    except ValueError:
        values = {}
    values = values if isinstance(values, dict) else {}
    default = IngressConfig()
    return IngressConfig(
        gateway=str(values.get("ingressGateway", default.gateway)),
        local_gateway=str(values.get("localGateway", default.local_gateway)),
        local_service=str(values.get("localGatewayService", default.local_service)),
    )
