"""config-autoscaler: the numbers the autoscaler works with, checked as upstream checks them."""

from collections.abc import Mapping
from dataclasses import dataclass

from stagezero.api import names_knative as names
from stagezero.api.config_map_values import ConfigError, Values
from stagezero.api.go_values import SECOND_NS, format_duration, format_float

WINDOW_MIN_NS = 6 * SECOND_NS
WINDOW_MAX_NS = 3600 * SECOND_NS
TARGET_MIN = 0.01
_BUCKET_NS = SECOND_NS


@dataclass(frozen=True)
class AutoscalerConfig:
    """What config-autoscaler says, defaults filled in; durations are nanoseconds."""

    enable_scale_to_zero: bool = True
    allow_zero_initial_scale: bool = False
    container_concurrency_target_fraction: float = 0.7
    container_concurrency_target_default: float = 100.0
    target_utilization: float = 0.7
    requests_per_second_target_default: float = 200.0
    target_burst_capacity: float = 211.0
    activator_capacity: float = 100.0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    stable_window_ns: int = 60 * SECOND_NS
    panic_window_percentage: float = 10.0
    panic_threshold_percentage: float = 200.0
    scale_to_zero_grace_period_ns: int = 30 * SECOND_NS
    scale_to_zero_pod_retention_period_ns: int = 0
    scale_down_delay_ns: int = 0
    initial_scale: int = 1
    min_scale: int = 0
    max_scale: int = 0
    max_scale_limit: int = 0
    pod_autoscaler_class: str = names.KPA


def parse(data: Mapping[str, str]) -> AutoscalerConfig:
    """Read config-autoscaler; ConfigError says which number is out of its bounds."""
    values = Values(data)
    percentage = values.number(70.0, "container-concurrency-target-percentage")
    if percentage <= 1.0 and percentage > 0:
        percentage *= 100
    defaults = AutoscalerConfig()
    config = AutoscalerConfig(
        enable_scale_to_zero=values.switch(True, "enable-scale-to-zero"),
        allow_zero_initial_scale=values.switch(False, "allow-zero-initial-scale"),
        container_concurrency_target_fraction=percentage / 100,
        container_concurrency_target_default=values.number(
            100.0, "container-concurrency-target-default"
        ),
        requests_per_second_target_default=values.number(
            200.0, "requests-per-second-target-default"
        ),
        target_burst_capacity=values.number(211.0, "target-burst-capacity"),
        activator_capacity=values.number(100.0, "activator-capacity"),
        max_scale_up_rate=values.number(1000.0, "max-scale-up-rate"),
        max_scale_down_rate=values.number(2.0, "max-scale-down-rate"),
        stable_window_ns=values.duration_ns(defaults.stable_window_ns, "stable-window"),
        panic_window_percentage=values.number(10.0, "panic-window-percentage"),
        panic_threshold_percentage=values.number(200.0, "panic-threshold-percentage"),
        scale_to_zero_grace_period_ns=values.duration_ns(
            defaults.scale_to_zero_grace_period_ns, "scale-to-zero-grace-period"
        ),
        scale_to_zero_pod_retention_period_ns=values.duration_ns(
            0, "scale-to-zero-pod-retention-period"
        ),
        scale_down_delay_ns=values.duration_ns(0, "scale-down-delay"),
        initial_scale=values.integer(1, "initial-scale"),
        min_scale=values.integer(0, "min-scale"),
        max_scale=values.integer(0, "max-scale"),
        max_scale_limit=values.integer(0, "max-scale-limit"),
        pod_autoscaler_class=values.text(names.KPA, "pod-autoscaler-class"),
    )
    for check in (_check_durations, _check_targets, _check_rates, _check_windows, _check_scales):
        check(config)
    return config


def _check_durations(config: AutoscalerConfig) -> None:
    grace = config.scale_to_zero_grace_period_ns
    if grace <= 0:
        raise ConfigError(
            f"scale-to-zero-grace-period must be positive, was: {format_duration(grace)}"
        )
    delay = config.scale_down_delay_ns
    if delay < 0:
        raise ConfigError(f"scale-down-delay cannot be negative, was: {format_duration(delay)}")
    if delay % SECOND_NS:
        raise ConfigError(
            f"scale-down-delay = {format_duration(delay)}, must be specified with at most second "
            "precision"
        )
    retention = config.scale_to_zero_pod_retention_period_ns
    if retention < 0:
        raise ConfigError(
            "scale-to-zero-pod-retention-period cannot be negative, was: "
            f"{format_duration(retention)}"
        )


def _check_targets(config: AutoscalerConfig) -> None:
    burst = config.target_burst_capacity
    if burst < 0 and burst != -1:
        raise ConfigError(
            "target-burst-capacity must be either non-negative or -1 (for unlimited), "
            f"was: {burst:f}"
        )
    fraction = config.container_concurrency_target_fraction
    if not 0 < fraction <= 1:
        raise ConfigError(
            f"container-concurrency-target-percentage = {fraction * 100:f} is outside of valid "
            "range of (0, 100]"
        )
    target = fraction * config.container_concurrency_target_default
    if target < TARGET_MIN:
        raise ConfigError(
            "container-concurrency-target-percentage and container-concurrency-target-default "
            f"yield target concurrency of {format_float(target)}, can't be less than {TARGET_MIN}"
        )
    rps = config.requests_per_second_target_default
    if rps < TARGET_MIN:
        raise ConfigError(
            f"requests-per-second-target-default must be at least {TARGET_MIN}, "
            f"was: {format_float(rps)}"
        )


def _check_rates(config: AutoscalerConfig) -> None:
    if config.activator_capacity < 1:
        shown = format_float(config.activator_capacity)
        raise ConfigError(f"activator-capacity = {shown}, must be at least 1")
    if config.max_scale_up_rate <= 1.0:
        shown = format_float(config.max_scale_up_rate)
        raise ConfigError(f"max-scale-up-rate = {shown}, must be greater than 1.0")
    if config.max_scale_down_rate <= 1.0:
        shown = format_float(config.max_scale_down_rate)
        raise ConfigError(f"max-scale-down-rate = {shown}, must be greater than 1.0")


def _check_windows(config: AutoscalerConfig) -> None:
    window = config.stable_window_ns
    if not WINDOW_MIN_NS <= window <= WINDOW_MAX_NS:
        raise ConfigError(
            f"stable-window = {format_duration(window)}, must be in "
            f"[{format_duration(WINDOW_MIN_NS)}; {format_duration(WINDOW_MAX_NS)}] range"
        )
    if window % SECOND_NS:
        raise ConfigError(
            f"stable-window = {format_duration(window)}, must be specified with at most second "
            "precision"
        )
    lowest = 100 * _BUCKET_NS / window
    panic = config.panic_window_percentage
    if not lowest <= panic <= 100:
        raise ConfigError(
            f"panic-window-percentage = {format_float(panic)}, must be in "
            f"[{format_float(lowest)}, 100] interval"
        )


def _check_scales(config: AutoscalerConfig) -> None:
    lowest = 0 if config.allow_zero_initial_scale else 1
    if config.initial_scale < lowest:
        raise ConfigError(
            f"initial-scale = {config.initial_scale}, must be at least 0 "
            "(or at least 1 when allow-zero-initial-scale is false)"
        )
    if config.min_scale < 0:
        raise ConfigError(f"min-scale = {config.min_scale}, must be at least 0")
    if config.max_scale_limit < 0:
        raise ConfigError(f"max-scale-limit = {config.max_scale_limit}, must be at least 0")
    limit, most = config.max_scale_limit, config.max_scale
    low = 1 if limit else 0
    if most < low or (limit and most > limit):
        raise ConfigError(f"max-scale = {most}, must be in [{low}, max-scale-limit({limit})] range")
    if most and config.min_scale > most:
        raise ConfigError(f"min-scale ({config.min_scale}) must be less than max-scale ({most})")
