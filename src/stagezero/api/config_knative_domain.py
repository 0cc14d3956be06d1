"""config-domain: which domain a Route's host name ends in.

A key is a domain, its value a selector on the Route's labels or nothing; the most specific match
wins. `localhost` is what a fresh installation ships, so it yields to any other domain without a
selector: adding one's own domain is enough to use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from stagezero.api import names_knative as names
from stagezero.api.config_map_values import ConfigError

DEFAULT_DOMAIN = "example.com"
SHIPPED_DOMAIN = "localhost"


@dataclass(frozen=True)
class DomainConfig:
    """Domains and their selectors."""

    domains: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: {DEFAULT_DOMAIN: {}})

    def domain_for(self, labels: Mapping[str, str]) -> str:
        """The domain of a Route with these labels; `svc.cluster.local` keeps it inside."""
        if names.is_cluster_local(labels):
            return names.CLUSTER_DOMAIN
        matching = [
            (-len(selector), domain == SHIPPED_DOMAIN, domain)
            for domain, selector in self.domains.items()
            if selector.items() <= labels.items()
        ]
        return min(matching)[2] if matching else DEFAULT_DOMAIN


def parse(data: Mapping[str, str]) -> DomainConfig:
    """Read config-domain; ConfigError names the domain whose selector cannot be read."""
    domains = {
        domain: _selector(domain, text)
        for domain, text in data.items()
        if domain != names.EXAMPLE_KEY
    }
    if all(domains.values()):
        domains[DEFAULT_DOMAIN] = {}
    return DomainConfig(domains)


def _selector(domain: str, text: str) -> dict[str, str]:
    try:
        value = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f'the value of domain "{domain}" is not YAML: {error}') from error
    if not isinstance(value, dict) or not value.keys() <= {"selector", "type"}:
        raise ConfigError(f'the value of domain "{domain}" must be empty or "selector: ..."')
    selector = value.get("selector") or {}
    if not isinstance(selector, dict) or not all(
        isinstance(part, str) for pair in selector.items() for part in pair
    ):
        raise ConfigError(f'the selector of domain "{domain}" must map labels to texts')
    return selector
