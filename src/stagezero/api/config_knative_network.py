"""config-network: how host names are made, and which scheme and ingress class Routes use."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from stagezero.api import go_template
from stagezero.api import names_knative as names
from stagezero.api.config_map_values import ConfigError, Values

DOMAIN_TEMPLATE = go_template.parse("{{.Name}}.{{.Namespace}}.{{.Domain}}")
TAG_TEMPLATE = go_template.parse("{{.Tag}}-{{.Name}}")
CERTIFICATE_CLASS = "cert-manager.certificate.networking.knative.dev"


@dataclass(frozen=True)
class NetworkConfig:
    """What config-network says, defaults filled in."""

    ingress_class: str = names.INGRESS_CLASS_ISTIO
    certificate_class: str = CERTIFICATE_CLASS
    domain_template: go_template.Template = DOMAIN_TEMPLATE
    tag_template: go_template.Template = TAG_TEMPLATE
    auto_tls: bool = False
    http_protocol: str = "Enabled"
    rollout_duration_s: int = 0
    autocreate_cluster_domain_claims: bool = False
    default_external_scheme: str = "http"
    mesh_compatibility_mode: str = "auto"


def parse(data: Mapping[str, str]) -> NetworkConfig:
    """Read config-network, keys in either spelling; ConfigError names what cannot be used."""
    values = Values(data)
    return NetworkConfig(
        ingress_class=values.text(names.INGRESS_CLASS_ISTIO, "ingress-class", "ingress.class"),
        certificate_class=values.text(CERTIFICATE_CLASS, "certificate-class", "certificate.class"),
        domain_template=_domain_template(values),
        tag_template=_tag_template(values),
        auto_tls=values.text("", "auto-tls", "autoTLS", "external-domain-tls").lower() == "enabled",
        http_protocol=_http_protocol(values),
        rollout_duration_s=_rollout_duration(values),
        autocreate_cluster_domain_claims=values.switch(
            False, "autocreate-cluster-domain-claims", "autocreateClusterDomainClaims"
        ),
        default_external_scheme=_scheme(values),
        mesh_compatibility_mode=_mesh_mode(values),
    )


def _domain_template(values: Values) -> go_template.Template:
    source = values.text(DOMAIN_TEMPLATE.source, "domain-template", "domainTemplate")
    template = _parsed("domain-template", source)
    sample: go_template.Scope = {
        "Name": "foo",
        "Namespace": "bar",
        "Domain": "baz.com",
        "Annotations": _Anything(),
        "Labels": _Anything(),
    }
    host = _rendered("domain-template", template, sample)
    _check_host("domain-template", host)
    return template


def _tag_template(values: Values) -> go_template.Template:
    source = values.text(TAG_TEMPLATE.source, "tag-template", "tagTemplate")
    template = _parsed("tag-template", source)
    _check_host("tag-template", _rendered("tag-template", template, {"Name": "foo", "Tag": "v2"}))
    return template


def _parsed(key: str, source: str) -> go_template.Template:
    try:
        return go_template.parse(source)
    except go_template.TemplateError as error:
        raise ConfigError(f'error parsing {key} "{source}": {error}') from error


def _rendered(key: str, template: go_template.Template, scope: go_template.Scope) -> str:
    try:
        return template.render(scope)
    except go_template.TemplateError as error:
        raise ConfigError(f'error executing {key} "{template.source}": {error}') from error


def _check_host(key: str, host: str) -> None:
    if not host:
        raise ConfigError(f"{key}: empty hostname")
    try:
        url = urlsplit(f"https://{host}")
        parsed = url.hostname
    except ValueError as error:
        raise ConfigError(f'{key} gives "{host}", which is no host name: {error}') from error
    if url.path or url.query:
        raise ConfigError(f"domain template has url path: {url.path}{url.query}")
    if parsed != host.lower() or not all(_is_host_character(letter) for letter in host):
        raise ConfigError(f'{key} gives "{host}", which is no host name')


def _is_host_character(letter: str) -> bool:
    return letter.isascii() and (letter.isalnum() or letter in "-.")


def _http_protocol(values: Values) -> str:
    text = values.text("Enabled", "http-protocol", "httpProtocol")
    by_name = {"": "Enabled", "enabled": "Enabled", "redirected": "Redirected"}
    if text.lower() not in by_name:
        raise ConfigError(f"httpProtocol {text} in config-network ConfigMap is not supported")
    return by_name[text.lower()]


def _rollout_duration(values: Values) -> int:
    seconds = values.integer(0, "rollout-duration", "rolloutDuration")
    if seconds < 0:
        raise ConfigError(f"rollout-duration must be a positive integer, but was {seconds}")
    return seconds


def _scheme(values: Values) -> str:
    text = values.text("http", "default-external-scheme", "defaultExternalScheme")
    if text not in ("http", "https"):
        raise ConfigError(f'default-external-scheme must be http or https, but was "{text}"')
    return text


def _mesh_mode(values: Values) -> str:
    text = values.text("auto", "mesh-compatibility-mode").lower()
    if text not in ("auto", "enabled", "disabled"):
        raise ConfigError(f'mesh-compatibility-mode must be auto, enabled or disabled: "{text}"')
    return text


class _Anything(dict[str, str]):
    """A sample map in which every label or annotation is there."""

    def get(self, key: str, default: str = "") -> str:  # type: ignore[override]  # only str here
        return "sample"
