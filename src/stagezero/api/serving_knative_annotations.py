"""Checks of the annotations that steer a revision: autoscaling, roll-out, deadlines.

Paths are the annotation's key; the caller prefixes `metadata.annotations`.
"""

from collections.abc import Mapping

from stagezero.api import names_knative as names
from stagezero.api.config_knative_autoscaler import (
    TARGET_MIN,
    WINDOW_MAX_NS,
    WINDOW_MIN_NS,
    AutoscalerConfig,
)
from stagezero.api.field_error import (
    Errors,
    FieldError,
    invalid_key_name,
    invalid_value,
    out_of_bounds,
)
from stagezero.api.go_values import (
    SECOND_NS,
    format_duration,
    parse_duration,
    parse_float,
    parse_int32,
)

_INT32_MAX = 2**31 - 1
_SECOND_PRECISION = "must be specified with at most second precision"
_ELSEWHERE = (
    'autoscaling annotations must be put under "spec.template.metadata.annotations" to work'
)
_PERCENTAGES = (
    (names.PANIC_WINDOW, "1", "100"),
    (names.PANIC_THRESHOLD, "110", "1000"),
    (names.TARGET_UTILIZATION, "1", "100"),
)
_ALGORITHMS = ("linear", "weighted-exponential", "weightedExponential")

Annotations = Mapping[str, str]


def no_autoscaling(annotations: Annotations) -> Errors:
    """On a Service or Configuration itself, autoscaling annotations would do nothing."""
    return tuple(
        invalid_key_name(key, "", _ELSEWHERE)
        for key in annotations
        if key.startswith(names.AUTOSCALING)
    )


def autoscaling(annotations: Annotations, config: AutoscalerConfig) -> Errors:
    """Check every autoscaling annotation of a revision."""
    return (
        *_class(annotations),
        *_scales(annotations, config),
        *_percentages(annotations),
        *_target(annotations),
        *_burst_capacity(annotations),
        *_window(annotations),
        *_period(annotations, names.POD_RETENTION, is_whole_seconds=False),
        *_period(annotations, names.SCALE_DOWN_DELAY, is_whole_seconds=True),
        *_metric(annotations),
        *_algorithm(annotations),
        *_initial_scale(annotations, config),
    )


def _class(annotations: Annotations) -> Errors:
    value = annotations.get(names.CLASS.key, "")
    if value.endswith(names.AUTOSCALING) and value not in (names.KPA, names.HPA):
        return (invalid_value(value, names.CLASS.key),)
    return ()


def _scales(annotations: Annotations, config: AutoscalerConfig) -> Errors:
    least, errors = _count(annotations, names.MIN_SCALE)
    most, more = _count(annotations, names.MAX_SCALE)
    errors += more
    if most != 0 and most < least:
        message = f"max-scale={most} is less than min-scale={least}"
        errors += (FieldError(message, (names.MAX_SCALE.key, names.MIN_SCALE.key)),)
    found, limit = names.MAX_SCALE.found(annotations), config.max_scale_limit
    if found and limit:
        if most > limit:
            errors += (out_of_bounds(most, 1, limit, found[0]),)
        if most == 0:
            errors += (
                FieldError(f"max-scale=0 (unlimited), must be less than {limit}", (found[0],)),
            )
    return errors


def _count(annotations: Annotations, annotation: names.Annotation) -> tuple[int, Errors]:
    found = annotation.found(annotations)
    if found is None:
        return 0, ()
    key, value = found
    try:
        number = parse_int32(value)
    except ValueError:
        return 0, (invalid_value(value, key),)
    except OverflowError:
        return 0, (out_of_bounds(value, 0, _INT32_MAX, key),)
    return (number, ()) if number >= 0 else (0, (out_of_bounds(value, 0, _INT32_MAX, key),))


def _percentages(annotations: Annotations) -> Errors:
    errors: Errors = ()
    for annotation, low, high in _PERCENTAGES:
        found = annotation.found(annotations)
        if found is None:
            continue
        key, value = found
        number = _float(value)
        if number is None:
            errors += (invalid_value(value, key),)
        elif not float(low) <= number <= float(high):
            errors += (out_of_bounds(value, low, high, key),)
    return errors


def _float(text: str) -> float | None:
    try:
        return parse_float(text)
    except ValueError:
        return None


def _target(annotations: Annotations) -> Errors:
    value = annotations.get(names.TARGET.key)
    if value is None:
        return ()
    number = _float(value)
    if number is None:
        return (invalid_value(value, names.TARGET.key),)
    if number < TARGET_MIN:
        message = f"target {value} should be at least {TARGET_MIN}"
        return (FieldError(message, (names.TARGET.key,)),)
    return ()


def _burst_capacity(annotations: Annotations) -> Errors:
    found = names.TARGET_BURST_CAPACITY.found(annotations)
    if found is None:
        return ()
    number = _float(found[1])
    if number is None or (number < 0 and number != -1):
        return (invalid_value(found[1], found[0]),)
    return ()


def _window(annotations: Annotations) -> Errors:
    key = names.WINDOW.key
    value = annotations.get(key)
    if value is None:
        return ()
    duration = _duration(value)
    if duration is None:
        return (invalid_value(value, key),)
    if not WINDOW_MIN_NS <= duration <= WINDOW_MAX_NS:
        low, high = format_duration(WINDOW_MIN_NS), format_duration(WINDOW_MAX_NS)
        return (out_of_bounds(value, low, high, key),)
    return (FieldError(_SECOND_PRECISION, (key,)),) if duration % SECOND_NS else ()


def _period(
    annotations: Annotations, annotation: names.Annotation, *, is_whole_seconds: bool
) -> Errors:
    found = annotation.found(annotations)
    if found is None:
        return ()
    key, value = found
    duration = _duration(value)
    if duration is None:
        return (invalid_value(value, key),)
    if not 0 <= duration <= WINDOW_MAX_NS:
        return (out_of_bounds(value, "0s", format_duration(WINDOW_MAX_NS), key),)
    if is_whole_seconds and duration % SECOND_NS:
        return (FieldError(_SECOND_PRECISION, (key,)),)
    return ()


def _duration(text: str) -> int | None:
    try:
        return parse_duration(text)
    except ValueError:
        return None


def _metric(annotations: Annotations) -> Errors:
    metric = annotations.get(names.METRIC.key)
    scaler = annotations.get(names.CLASS.key, names.KPA)
    if metric is None or scaler not in (names.KPA, names.HPA):
        return ()
    is_known = metric in ("concurrency", "rps") if scaler == names.KPA else metric != ""
    return () if is_known else (invalid_value(metric, names.METRIC.key),)


def _algorithm(annotations: Annotations) -> Errors:
    value = annotations.get(names.ALGORITHM.key, "")
    if annotations.get(names.CLASS.key) != names.KPA or not value or value in _ALGORITHMS:
        return ()
    return (invalid_value(value, names.ALGORITHM.key),)


def _initial_scale(annotations: Annotations, config: AutoscalerConfig) -> Errors:
    found = names.INITIAL_SCALE.found(annotations)
    if found is None:
        return ()
    key, value = found
    try:
        number = int(value)
    except ValueError:
        return (invalid_value(value, key),)
    if number < 0:
        return (invalid_value(value, f"{key} must be greater than 0"),)
    if number == 0 and not config.allow_zero_initial_scale:
        return (invalid_value(value, f"{key}=0 not allowed by cluster"),)
    return ()


def rollout_duration(annotations: Annotations) -> Errors:
    """The annotation of a Service or Route that asks for a gradual roll-out."""
    return _whole_seconds(annotations, names.ROLLOUT_DURATION, "rollout-duration")


def progress_deadline(annotations: Annotations) -> Errors:
    """The annotation of a revision that bounds how long its Deployment may take."""
    return _whole_seconds(annotations, names.PROGRESS_DEADLINE, "progress-deadline")


def _whole_seconds(annotations: Annotations, annotation: names.Annotation, name: str) -> Errors:
    found = annotation.found(annotations)
    if found is None or found[1] == "":
        return ()
    key, value = found
    duration = _duration(value)
    if duration is None:
        return (invalid_value(value, key),)
    if duration % SECOND_NS:
        return (FieldError(f"{name}={value} is not at second precision", (key,)),)
    return (FieldError(f"{name}={value} must be positive", (key,)),) if duration < 0 else ()


def queue_resources(annotations: Annotations) -> Errors:
    """The share of resources for queue-proxy; checked for compatibility, there is none here."""
    found = names.QUEUE_RESOURCES.found(annotations)
    if found is None:
        return ()
    key, value = found
    number = _float(value)
    if number is None:
        return (invalid_value(value, key),)
    if not 0.1 <= number <= 100:
        return (out_of_bounds(value, "0.1", "100", key),)
    return ()
