"""Host names and URLs of a Route and of its tags, from config-domain and config-network."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stagezero.api import names_knative as names
from stagezero.api.config_knative import KnativeConfig
from stagezero.api.go_template import Scope, TemplateError
from stagezero.api.serving_knative import Route
from stagezero.controllers.knative.plans import children

HTTP_PORT, HTTPS_PORT = 80, 443


@dataclass(frozen=True)
class GatewayPorts:
    """The ports on which the gateway takes requests from outside."""

    http: int = HTTP_PORT
    https: int = HTTPS_PORT


@dataclass(frozen=True)
class Namer:
    """Names the hosts of one Route; `local_names` are its targets kept inside the cluster."""

    route: Route
    config: KnativeConfig
    ports: GatewayPorts = field(default_factory=GatewayPorts)
    local_names: frozenset[str] = frozenset()

    def target_name(self, tag: str) -> str:
        """The first part of a target's host; also the name of its placeholder Service."""
        name = self.route.metadata.name
        if not tag:
            return name
        return self.config.network.tag_template.render({"Name": name, "Tag": tag})

    def is_local(self, tag: str) -> bool:
        """Whether a target answers inside the cluster only."""
        if names.is_cluster_local(self.route.metadata.labels):
            return True
        is_local = self.target_name(tag) in self.local_names
        return is_local or self._domain() == names.CLUSTER_DOMAIN

    def external_host(self, tag: str) -> str:
        """The host of a target as it is called from outside; TemplateError if there is none."""
        meta = self.route.metadata
        scope: Scope = {
            "Name": self.target_name(tag),
            "Namespace": meta.namespace,
            "Domain": self._domain(),
            "Annotations": _texts(meta.annotations),
            "Labels": _texts(meta.labels),
        }
        host = self.config.network.domain_template.render(scope)
        if not host or any(part == "" for part in host.split(".")):
            source = self.config.network.domain_template.source
            raise TemplateError(f'domain-template "{source}" gives no host name here: "{host}"')
        return host

    def local_host(self, tag: str) -> str:
        """The host of a target inside the cluster."""
        return f"{self.target_name(tag)}.{self.route.metadata.namespace}.{names.CLUSTER_DOMAIN}"

    def local_hosts(self, tag: str) -> list[str]:
        """All spellings of the host inside the cluster, shortest first."""
        full = self.local_host(tag)
        short = full.removesuffix(f".{names.CLUSTER_DOMAIN}")
        return [short, f"{short}.svc", full]

    def host(self, tag: str) -> str:
        """The host that a target's URL names."""
        return self.local_host(tag) if self.is_local(tag) else self.external_host(tag)

    def url(self, tag: str) -> str:
        """The URL of a target; it names the gateway's port where that is not the usual one."""
        if self.is_local(tag):
            return self.local_url(tag)
        scheme = self.config.network.default_external_scheme
        port, usual = self.ports.http, HTTP_PORT
        if scheme == "https":
            port, usual = self.ports.https, HTTPS_PORT
        suffix = "" if port == usual else f":{port}"
        return f"{scheme}://{self.external_host(tag)}{suffix}"

    def local_url(self, tag: str) -> str:
        """The URL of a target inside the cluster."""
        return f"http://{self.local_host(tag)}"

    def _domain(self) -> str:
        return self.config.domain.domain_for(self.route.metadata.labels)


def _texts(entries: Mapping[str, str]) -> dict[str, str]:
    return children.without(entries)
