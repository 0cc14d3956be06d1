"""How many pods a revision shall have, from its annotations and what is known of its load.

One pure function decides (`desired_scale`). For now a revision always keeps at least one pod; the
autoscaler's decision from load takes this place.
"""

from collections.abc import Mapping

from stagezero.api import names_knative as names
from stagezero.api.config_knative_autoscaler import AutoscalerConfig

UNREACHABLE = "Unreachable"


def min_scale(annotations: Mapping[str, str], config: AutoscalerConfig) -> int:
    """The least number of pods that the author or config-autoscaler asks for."""
    return _count(annotations, names.MIN_SCALE, config.min_scale)


def max_scale(annotations: Mapping[str, str], config: AutoscalerConfig) -> int:
    """The largest number of pods; 0 is no limit."""
    return _count(annotations, names.MAX_SCALE, config.max_scale)


def initial_scale(annotations: Mapping[str, str], config: AutoscalerConfig) -> int:
    """How many pods a new revision must have had to be ready."""
    wanted = _count(annotations, names.INITIAL_SCALE, config.initial_scale)
    return max(wanted, min_scale(annotations, config))


def desired_scale(
    annotations: Mapping[str, str],
    config: AutoscalerConfig,
    *,
    reachability: str = "",
    is_initialized: bool = False,
) -> int:
    """The number of pods wanted now."""
    least = 0 if reachability == UNREACHABLE else min_scale(annotations, config)
    if not is_initialized:
        least = max(least, initial_scale(annotations, config))
    wanted = max(1, least)
    most = max_scale(annotations, config)
    return min(wanted, most) if most else wanted


def _count(annotations: Mapping[str, str], annotation: names.Annotation, default: int) -> int:
    text = annotation.read(annotations)
    return int(text) if text.isdecimal() else default
