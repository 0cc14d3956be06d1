"""The KIngress of a Route: one rule a host group and visibility, one split a revision."""

import json

from stagezero.api import names_knative as names
from stagezero.api import networking_knative as networking
from stagezero.api.base import ObjectMeta, controlled_by
from stagezero.api.networking_knative import (
    HTTPIngressPath,
    HTTPIngressRuleValue,
    Ingress,
    IngressBackendSplit,
    IngressRule,
    IngressSpec,
)
from stagezero.api.serving_knative import Route
from stagezero.controllers.knative.plans import children
from stagezero.controllers.knative.plans.hosts import Namer
from stagezero.controllers.knative.plans.traffic import Target, Traffic

REVISION_HEADER = "Knative-Serving-Revision"
NAMESPACE_HEADER = "Knative-Serving-Namespace"
INGRESS_CLASS_KEY = f"{names.NETWORKING}/ingress.class"


def make_ingress(namer: Namer, traffic: Traffic) -> Ingress:
    """The KIngress that asks the network layer for what the Route says."""
    route = namer.route
    meta = route.metadata
    return Ingress(
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            labels={
                **meta.labels,
                names.ROUTE: meta.name,
                names.ROUTE_NAMESPACE: meta.namespace,
            },
            annotations={
                **children.without(meta.annotations),
                INGRESS_CLASS_KEY: ingress_class(namer),
                names.ROLLOUT_STATE: _rollout(traffic),
            },
            owner_references=[controlled_by(route)],
        ),
        spec=IngressSpec(
            rules=[rule for tag in sorted(traffic.groups) for rule in _rules(namer, traffic, tag)],
            http_option=_http_option(namer),
        ),
    )


def ingress_class(namer: Namer) -> str:
    """Which network layer carries the Route: its annotation, or config-network."""
    annotations = namer.route.metadata.annotations
    return names.INGRESS_CLASS.read(annotations, namer.config.network.ingress_class)


def _http_option(namer: Namer) -> str:
    option = names.HTTP_OPTION.read(namer.route.metadata.annotations)
    by_name = {"enabled": "Enabled", "redirected": "Redirected"}
    return by_name.get(option.lower(), namer.config.network.http_protocol)


def _rules(namer: Namer, traffic: Traffic, tag: str) -> list[IngressRule]:
    paths = HTTPIngressRuleValue([_path(namer.route, traffic.groups[tag])])
    rules = [IngressRule(namer.local_hosts(tag), networking.CLUSTER_LOCAL, paths)]
    if not namer.is_local(tag):
        hosts = [namer.external_host(tag)]
        rules.append(IngressRule(hosts, networking.EXTERNAL_IP, paths))
    return rules


def _path(route: Route, targets: tuple[Target, ...]) -> HTTPIngressPath:
    namespace = route.metadata.namespace
    splits = [
        IngressBackendSplit(
            service_namespace=namespace,
            service_name=target.revision,
            service_port=81 if target.protocol == networking.H2C else 80,
            percent=target.percent,
            append_headers={NAMESPACE_HEADER: namespace, REVISION_HEADER: target.revision},
        )
        for target in targets
        if target.percent
    ]
    return HTTPIngressPath(splits=splits)


def _rollout(traffic: Traffic) -> str:
    """The state of gradual roll-outs: none is under way, every latest revision has its share."""
    configurations = [
        {
            "configurationName": target.target.configuration_name,
            **({"tag": tag} if tag else {}),
            "percent": target.percent,
            "revisions": [{"revisionName": target.revision, "percent": target.percent}],
            "stepParams": {},
        }
        for tag in sorted(traffic.groups)
        for target in traffic.groups[tag]
        if target.target.latest_revision
    ]
    return json.dumps({"configurations": configurations}, separators=(",", ":"))
