"""KIngress to VirtualServices as net-istio writes them: one for the gateways, one for the mesh.

Requests are matched by the beginning of their authority, so that `host` and `host:port` both match;
`retries: {}` switches Istio's own retries off. Net-istio's probe duplicates are left out: readiness
comes from Envoy's acknowledgement, not from probes.
"""

from collections.abc import Iterable, Mapping

from stagezero.api import names_knative as names
from stagezero.api import networking_knative as networking
from stagezero.api.base import ObjectMeta, controlled_by
from stagezero.api.istio import (
    Destination,
    HeaderOperations,
    Headers,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
    PortSelector,
    StringMatch,
    VirtualService,
    VirtualServiceSpec,
)
from stagezero.api.networking_knative import HTTPIngressPath, Ingress, IngressRule
from stagezero.controllers.istio.plans.gateways import MESH, Gateways

_LOCAL_SUFFIX = f".{names.CLUSTER_DOMAIN}"
_NOT_COPIED = (names.ROUTE, names.ROUTE_NAMESPACE)


def ingress_name(ingress: Ingress) -> str:
    """The name of the VirtualService that the gateways carry."""
    return names.child_name(ingress.metadata.name, "-ingress")


def mesh_name(ingress: Ingress) -> str:
    """The name of the VirtualService for sidecars."""
    return names.child_name(ingress.metadata.name, "-mesh")


def make_virtual_services(ingress: Ingress, gateways: Gateways) -> tuple[VirtualService, ...]:
    """The VirtualServices of a KIngress: `-mesh` only if it has hosts inside the cluster."""
    hosts = sorted({host for rule in ingress.spec.rules for host in rule.hosts})
    local = [host for host in hosts if host.endswith(_LOCAL_SUFFIX)]
    by_visibility = {
        networking.EXTERNAL_IP: gateways.public,
        networking.CLUSTER_LOCAL: gateways.local,
    }
    made = [_make(ingress, ingress_name(ingress), _expanded(hosts), by_visibility)]
    if local:
        in_mesh = dict.fromkeys(by_visibility, (MESH,))
        made.append(_make(ingress, mesh_name(ingress), _expanded(local), in_mesh))
    return tuple(made)


def _expanded(hosts: Iterable[str]) -> set[str]:
    """Hosts with the shorter spellings of those inside the cluster."""
    expanded = set(hosts)
    for host in hosts:
        if host.endswith(_LOCAL_SUFFIX):
            short = host.removesuffix(_LOCAL_SUFFIX)
            expanded |= {short, f"{short}.svc"}
    return expanded


def _make(
    ingress: Ingress, name: str, hosts: set[str], gateways: Mapping[str, tuple[str, ...]]
) -> VirtualService:
    meta = ingress.metadata
    labels = {key: value for key, value in meta.labels.items() if key not in _NOT_COPIED}
    routes = [
        _route(path, sorted(hosts & set(rule.hosts)), gateways[_visibility(rule)])
        for rule in ingress.spec.rules
        for path in rule.http.paths
        if hosts & set(rule.hosts)
    ]
    used = {gateway for route in routes for match in route.match for gateway in match.gateways}
    return VirtualService(
        metadata=ObjectMeta(
            name=name,
            namespace=meta.namespace,
            labels={**labels, names.INGRESS_LABEL: meta.name},
            annotations=dict(meta.annotations),
            owner_references=[controlled_by(ingress)],
        ),
        spec=VirtualServiceSpec(hosts=sorted(hosts), gateways=sorted(used), http=routes),
    )


def _visibility(rule: IngressRule) -> str:
    return rule.visibility or networking.EXTERNAL_IP


def _route(path: HTTPIngressPath, hosts: list[str], gateways: tuple[str, ...]) -> HTTPRoute:
    return HTTPRoute(
        match=[_match(path, prefix, gateways) for prefix in _prefixes(hosts)],
        route=[
            HTTPRouteDestination(
                destination=Destination(
                    host=f"{split.service_name}.{split.service_namespace}{_LOCAL_SUFFIX}",
                    port=PortSelector(int(split.service_port)),
                ),
                weight=split.percent,
                headers=_set_headers(split.append_headers),
            )
            for split in path.splits
        ],
        rewrite=HTTPRewrite(authority=path.rewrite_host) if path.rewrite_host else None,
        retries=HTTPRetry(),
        headers=_set_headers(path.append_headers),
    )


def _set_headers(headers: Mapping[str, str]) -> Headers | None:
    return Headers(request=HeaderOperations(set=dict(headers))) if headers else None


def _match(path: HTTPIngressPath, prefix: str, gateways: tuple[str, ...]) -> HTTPMatchRequest:
    return HTTPMatchRequest(
        gateways=sorted(gateways),
        authority=StringMatch(prefix=prefix),
        uri=StringMatch(prefix=path.path) if path.path else None,
        headers={
            name: StringMatch(exact=match.exact) for name, match in sorted(path.headers.items())
        },
    )


def _prefixes(hosts: list[str]) -> list[str]:
    """The beginnings of authorities to match; one that begins with another needs no own match."""
    chosen: list[str] = []
    for prefix in sorted({host.removesuffix(_LOCAL_SUFFIX) for host in hosts}):
        if not any(prefix.startswith(shorter) for shorter in chosen):
            chosen.append(prefix)
    return chosen
