"""The host of an InferenceService: a VirtualService over its components, and a Service name.

Requests for the service's own host go to the transformer, if there is one, else to the predictor;
`:explain` goes to the explainer. The component is named by the Host header, as KServe 0.8 does.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from stagezero.api.base import ObjectMeta, controlled_by
from stagezero.api.istio import (
    Destination,
    HeaderOperations,
    Headers,
    HTTPMatchRequest,
    HTTPRoute,
    HTTPRouteDestination,
    PortSelector,
    StringMatch,
    VirtualService,
    VirtualServiceSpec,
)
from stagezero.api.service import Service, ServiceSpec
from stagezero.api.serving_kserve import InferenceService
from stagezero.controllers.kserve.plans.components import (
    EXPLAINER,
    PREDICTOR,
    TRANSFORMER,
    service_name,
)

CLUSTER_DOMAIN = "svc.cluster.local"
_EXPLAIN = r"^/v1/models/[\w-]+:explain$"


@dataclass(frozen=True)
class IngressConfig:
    """The gateways that InferenceServices use, from config map inferenceservice-config."""

    gateway: str = "knative-serving/knative-ingress-gateway"
    local_gateway: str = "knative-serving/knative-local-gateway"
    local_service: str = "knative-local-gateway.istio-system.svc.cluster.local"


def entry_component(isvc: InferenceService) -> str:
    """The component that answers for the service's own host."""
    return TRANSFORMER if isvc.spec.transformer is not None else PREDICTOR


def service_url(component_url: str) -> str:
    """The service's URL, from its entry component's: the component's suffix is left out."""
    for kind in (PREDICTOR, TRANSFORMER):
        suffix = f"-{kind}-default"
        if suffix in component_url:
            return component_url.replace(suffix, "", 1)
    return component_url


def cluster_host(isvc: InferenceService) -> str:
    """The service's name within the cluster."""
    return f"{isvc.metadata.name}.{isvc.metadata.namespace}.{CLUSTER_DOMAIN}"


def virtual_service(isvc: InferenceService, url: str, config: IngressConfig) -> VirtualService:
    """Route the service's hosts to its components through the local gateway."""
    inner, outer = cluster_host(isvc), urlsplit(url).hostname or ""
    is_public = bool(outer) and not outer.endswith(CLUSTER_DOMAIN)
    hosts = [inner, outer] if is_public else [inner]
    gateways = [config.local_gateway, config.gateway] if is_public else [config.local_gateway]
    pairs = list(zip(hosts, gateways, strict=True))
    routes = [_route(isvc, entry_component(isvc), pairs, config)]
    if isvc.spec.explainer is not None:
        routes.insert(0, _route(isvc, EXPLAINER, pairs, config, _EXPLAIN))
    return VirtualService(
        metadata=ObjectMeta(
            name=isvc.metadata.name,
            namespace=isvc.metadata.namespace,
            labels=isvc.metadata.labels,
            owner_references=[controlled_by(isvc)],
        ),
        spec=VirtualServiceSpec(hosts=hosts, gateways=gateways, http=routes),
    )


def _route(
    isvc: InferenceService,
    kind: str,
    pairs: list[tuple[str, str]],
    config: IngressConfig,
    uri: str = "",
) -> HTTPRoute:
    host = f"{service_name(isvc, kind)}.{isvc.metadata.namespace}.{CLUSTER_DOMAIN}"
    return HTTPRoute(
        match=[
            HTTPMatchRequest(
                uri=StringMatch(regex=uri) if uri else None,
                authority=StringMatch(regex=_authority(name)),
                gateways=[gateway],
            )
            for name, gateway in pairs
        ],
        route=[
            HTTPRouteDestination(
                destination=Destination(host=config.local_service, port=PortSelector(number=80)),
                headers=Headers(request=HeaderOperations(set={"Host": host})),
                weight=100,
            )
        ],
    )


def _authority(host: str) -> str:
    """A regular expression for a host with any port, and for the short forms of inner names."""
    if host.endswith(f".{CLUSTER_DOMAIN}"):
        short = re.escape(host.removesuffix(f".{CLUSTER_DOMAIN}"))
        return rf"^{short}(\.svc(\.cluster\.local)?)?(?::\d{{1,5}})?$"
    return rf"^{re.escape(host)}(?::\d{{1,5}})?$"


def name_service(isvc: InferenceService, config: IngressConfig) -> Service:
    """The Service that makes the service's name resolve within the cluster."""
    return Service(
        metadata=ObjectMeta(
            name=isvc.metadata.name,
            namespace=isvc.metadata.namespace,
            owner_references=[controlled_by(isvc)],
        ),
        spec=ServiceSpec(
            type="ExternalName", external_name=config.local_service, session_affinity="None"
        ),
    )
