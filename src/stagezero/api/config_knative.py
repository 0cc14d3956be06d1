"""The configuration of Knative Serving: the config maps of namespace knative-serving as one value.

Controllers and admission read `KnativeConfig`; `check` is what keeps a broken edit out.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stagezero.api import (
    config_knative_autoscaler,
    config_knative_defaults,
    config_knative_domain,
    config_knative_network,
)
from stagezero.api import names_knative as names
from stagezero.api.config_knative_autoscaler import AutoscalerConfig
from stagezero.api.config_knative_defaults import (
    DefaultsConfig,
    DeploymentConfig,
    FeaturesConfig,
    GCConfig,
)
from stagezero.api.config_knative_domain import DomainConfig
from stagezero.api.config_knative_network import NetworkConfig
from stagezero.api.config_map_values import ConfigError

NAMESPACE = "knative-serving"

Data = Mapping[str, str]


@dataclass(frozen=True)
class KnativeConfig:
    """All of Knative Serving's configuration; a field a config map, defaults where none is."""

    domain: DomainConfig = field(default_factory=DomainConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    autoscaler: AutoscalerConfig = field(default_factory=AutoscalerConfig)
    defaults: DefaultsConfig = field(default_factory=DefaultsConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    deployment: DeploymentConfig = field(default_factory=DeploymentConfig)
    gc: GCConfig = field(default_factory=GCConfig)


PARSERS: dict[str, tuple[str, Callable[[Data], object]]] = {
    "config-domain": ("domain", config_knative_domain.parse),
    "config-network": ("network", config_knative_network.parse),
    "config-autoscaler": ("autoscaler", config_knative_autoscaler.parse),
    "config-defaults": ("defaults", config_knative_defaults.parse_defaults),
    "config-features": ("features", config_knative_defaults.parse_features),
    "config-deployment": ("deployment", config_knative_defaults.parse_deployment),
    "config-gc": ("gc", config_knative_defaults.parse_gc),
}
"""Config map → the field of KnativeConfig that it fills and how it is read."""

MAP_NAMES = tuple(PARSERS)


def parse(maps: Mapping[str, Data]) -> KnativeConfig:
    """Read the config maps that are there; ConfigError on the first that cannot be read."""
    fields = {
        attribute: parser(maps[name])
        for name, (attribute, parser) in PARSERS.items()
        if name in maps
    }
    return KnativeConfig(**fields)  # type: ignore[arg-type]  # the table pairs fields and parsers


def check(name: str, data: Data, annotations: Mapping[str, str]) -> None:
    """Refuse a config map that cannot be read or whose example was edited, by ConfigError."""
    _check_example(data, annotations)
    if name in PARSERS:
        PARSERS[name][1](data)


def _check_example(data: Data, annotations: Mapping[str, str]) -> None:
    wanted = annotations.get(names.EXAMPLE_CHECKSUM)
    example = data.get(names.EXAMPLE_KEY)
    if wanted is None or example is None or checksum(example) == wanted:
        return
    raise ConfigError(
        'the update modifies a key in "_example" which is probably not what you want. Instead, '
        'copy the respective setting to the top-level of the ConfigMap, directly below "data"'
    )


def checksum(example: str) -> str:
    """The checksum of an example block: CRC-32 in hex, line ends and outer space left aside."""
    text = example.strip().replace("\r\n", "\n")
    return f"{zlib.crc32(text.encode()):08x}"
