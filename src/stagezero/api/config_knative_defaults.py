"""config-defaults, config-features, config-deployment and config-gc: small maps of plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stagezero.api import go_values
from stagezero.api.config_map_values import ConfigError, Values

_INT32_MAX = 2**31 - 1
HOUR_S = 3600


@dataclass(frozen=True)
class DefaultsConfig:
    """What a revision gets that its author left open; amounts are Kubernetes quantities."""

    revision_timeout_s: int = 300
    max_revision_timeout_s: int = 600
    container_name: str = "user-container"
    init_container_name: str = "init-container"
    container_concurrency: int = 0
    container_concurrency_max_limit: int = 1000
    allow_container_concurrency_zero: bool = True
    enable_service_links: bool | None = False
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)


def parse_defaults(data: Mapping[str, str]) -> DefaultsConfig:
    """Read config-defaults."""
    values = Values(data)
    config = DefaultsConfig(
        revision_timeout_s=values.integer(300, "revision-timeout-seconds"),
        max_revision_timeout_s=values.integer(600, "max-revision-timeout-seconds"),
        container_name=values.text("user-container", "container-name-template"),
        init_container_name=values.text("init-container", "init-container-name-template"),
        container_concurrency=values.integer(0, "container-concurrency"),
        container_concurrency_max_limit=values.integer(1000, "container-concurrency-max-limit"),
        allow_container_concurrency_zero=values.switch(True, "allow-container-concurrency-zero"),
        enable_service_links=_service_links(values),
        requests=_amounts(data, "request"),
        limits=_amounts(data, "limit"),
    )
    _check(config)
    return config


def _check(config: DefaultsConfig) -> None:
    timeout, longest = config.revision_timeout_s, config.max_revision_timeout_s
    if timeout > longest:
        raise ConfigError(
            f"revision-timeout-seconds ({timeout}) cannot be greater than "
            f"max-revision-timeout-seconds ({longest})"
        )
    limit = config.container_concurrency_max_limit
    if limit < 1:
        raise ConfigError(f"expected 1 <= {limit} <= {_INT32_MAX}: container-concurrency-max-limit")
    if not 0 <= config.container_concurrency <= limit:
        raise ConfigError(
            f"expected 0 <= {config.container_concurrency} <= {limit}: container-concurrency"
        )


def _service_links(values: Values) -> bool | None:
    text = values.text("false", "enable-service-links").lower()
    return None if text == "default" else text == "true"


def _amounts(data: Mapping[str, str], side: str) -> dict[str, str]:
    found = {}
    for resource in ("cpu", "memory", "ephemeral-storage"):
        text = data.get(f"revision-{resource}-{side}", "")
        if text:
            found[resource] = text
    return found


class Flag(StrEnum):
    """Whether a feature is on, off, or on for those who ask."""

    ENABLED = "Enabled"
    ALLOWED = "Allowed"
    DISABLED = "Disabled"


_FEATURES = {
    "multi-container": Flag.ENABLED,
    "kubernetes.podspec-dryrun": Flag.ALLOWED,
    "kubernetes.podspec-affinity": Flag.DISABLED,
    "kubernetes.podspec-topologyspreadconstraints": Flag.DISABLED,
    "kubernetes.podspec-hostaliases": Flag.DISABLED,
    "kubernetes.podspec-nodeselector": Flag.DISABLED,
    "kubernetes.podspec-tolerations": Flag.DISABLED,
    "kubernetes.podspec-fieldref": Flag.DISABLED,
    "kubernetes.podspec-runtimeclassname": Flag.DISABLED,
    "kubernetes.podspec-dnspolicy": Flag.DISABLED,
    "kubernetes.podspec-dnsconfig": Flag.DISABLED,
    "kubernetes.podspec-securitycontext": Flag.DISABLED,
    "kubernetes.podspec-priorityclassname": Flag.DISABLED,
    "kubernetes.podspec-schedulername": Flag.DISABLED,
    "kubernetes.podspec-volumes-emptydir": Flag.DISABLED,
    "kubernetes.podspec-init-containers": Flag.DISABLED,
    "kubernetes.podspec-persistent-volume-claim": Flag.DISABLED,
    "kubernetes.podspec-persistent-volume-write": Flag.DISABLED,
    "kubernetes.containerspec-addcapabilities": Flag.DISABLED,
    "tag-header-based-routing": Flag.DISABLED,
    "autodetect-http2": Flag.DISABLED,
}


@dataclass(frozen=True)
class FeaturesConfig:
    """Which optional parts of the API are open; names as in config-features."""

    flags: Mapping[str, Flag] = field(default_factory=lambda: dict(_FEATURES))

    def is_enabled(self, name: str) -> bool:
        """Whether a feature is on for everybody."""
        return self.flags.get(name) is Flag.ENABLED

    def is_disabled(self, name: str) -> bool:
        """Whether nobody may use a feature."""
        return self.flags.get(name, Flag.DISABLED) is Flag.DISABLED


def parse_features(data: Mapping[str, str]) -> FeaturesConfig:
    """Read config-features; a value that is no flag leaves the default, as upstream does."""
    flags = dict(_FEATURES)
    by_name = {flag.value.lower(): flag for flag in Flag}
    for name in flags:
        flags[name] = by_name.get(data.get(name, "").lower(), flags[name])
    return FeaturesConfig(flags)


@dataclass(frozen=True)
class DeploymentConfig:
    """How long a Deployment may take, and images whose digest is not looked up."""

    progress_deadline_s: int = 600
    registries_skipping_tag_resolving: frozenset[str] = frozenset(
        {"kind.local", "ko.local", "dev.local"}
    )


def parse_deployment(data: Mapping[str, str]) -> DeploymentConfig:
    """Read config-deployment."""
    values = Values(data)
    deadline = values.duration_ns(600 * go_values.SECOND_NS, "progress-deadline")
    if deadline <= 0:
        shown = go_values.format_duration(deadline)
        raise ConfigError(f"progress-deadline cannot be a non-positive duration, was {shown}")
    if deadline % go_values.SECOND_NS:
        shown = go_values.format_duration(deadline)
        raise ConfigError(f"progress-deadline must be rounded to a whole second, was: {shown}")
    skipped = values.text("", "registries-skipping-tag-resolving", "registriesSkippingTagResolving")
    config = DeploymentConfig(progress_deadline_s=deadline // go_values.SECOND_NS)
    if not skipped:
        return config
    registries = frozenset(name.strip() for name in skipped.split(","))
    return DeploymentConfig(config.progress_deadline_s, registries)


@dataclass(frozen=True)
class GCConfig:
    """When old revisions go; None is "disabled" (no limit)."""

    retain_since_create_s: int | None = 48 * HOUR_S
    retain_since_last_active_s: int | None = 15 * HOUR_S
    min_non_active_revisions: int = 20
    max_non_active_revisions: int | None = 1000


def parse_gc(data: Mapping[str, str]) -> GCConfig:
    """Read config-gc."""
    values = Values(data)
    lowest = values.integer(20, "min-non-active-revisions")
    if lowest < 0:
        raise ConfigError(f"min-non-active-revisions must be non-negative, was: {lowest}")
    highest = _disabled_or_integer(values, "max-non-active-revisions", 1000)
    if highest is not None and highest < lowest:
        raise ConfigError(
            f"min-non-active-revisions({lowest}) must be <= max-non-active-revisions({highest})"
        )
    return GCConfig(
        _disabled_or_seconds(values, "retain-since-create-time", 48 * HOUR_S),
        _disabled_or_seconds(values, "retain-since-last-active-time", 15 * HOUR_S),
        lowest,
        highest,
    )


def _disabled_or_integer(values: Values, key: str, default: int) -> int | None:
    if values.text("", key).lower() == "disabled":
        return None
    number = values.integer(default, key)
    if number < 0:
        raise ConfigError(f"{key} must be non-negative or disabled, was: {number}")
    return number


def _disabled_or_seconds(values: Values, key: str, default_s: int) -> int | None:
    if values.text("", key).lower() == "disabled":
        return None
    duration = values.duration_ns(default_s * go_values.SECOND_NS, key)
    if duration < 0:
        raise ConfigError(f"{key} must be non-negative or disabled, was: {duration}")
    return duration // go_values.SECOND_NS
