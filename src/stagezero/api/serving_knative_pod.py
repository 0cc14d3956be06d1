"""Checks of a revision's spec: the pod fields Knative allows, containers, limits."""

from stagezero.api import name_rules
from stagezero.api import serving_knative_container as container_checks
from stagezero.api.base import Raw
from stagezero.api.config_knative import KnativeConfig
from stagezero.api.config_knative_defaults import DefaultsConfig, FeaturesConfig
from stagezero.api.field_error import (
    Errors,
    FieldError,
    disallowed_fields,
    invalid_value,
    missing_field,
    out_of_bounds,
    via,
    via_index,
)
from stagezero.api.raw_fields import integer, is_set, part, parts, text
from stagezero.api.serving_knative_container import Role
from stagezero.api.serving_knative_volumes import check_volumes

_OWN = frozenset(
    {
        "containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds",
        "idleTimeoutSeconds",
    }
)  # fmt: skip
_ALLOWED = frozenset(
    {
        "serviceAccountName", "containers", "initContainers", "volumes", "imagePullSecrets",
        "enableServiceLinks",
    }
)  # fmt: skip
_GATED = {
    "affinity": "affinity",
    "topologySpreadConstraints": "topologyspreadconstraints",
    "hostAliases": "hostaliases",
    "nodeSelector": "nodeselector",
    "runtimeClassName": "runtimeclassname",
    "tolerations": "tolerations",
    "securityContext": "securitycontext",
    "priorityClassName": "priorityclassname",
    "schedulerName": "schedulername",
    "dnsPolicy": "dnspolicy",
    "dnsConfig": "dnsconfig",
}


def check(spec: Raw, config: KnativeConfig) -> Errors:
    """Check a revision's spec; paths begin with its fields."""
    features = config.features
    return (
        *_allowed_fields(spec, features),
        *_pod_security(spec),
        *check_volumes(spec, features),
        *_init_containers(spec, features),
        *_one_port(spec),
        *_containers(spec, features),
        *_service_account(spec),
        *_timeout(spec, config.defaults),
        *_concurrency(spec, config.defaults),
    )


def _allowed_fields(spec: Raw, features: FeaturesConfig) -> Errors:
    disallowed = [
        name
        for name, value in spec.items()
        if is_set(value) and not _is_allowed(name, value, features)
    ]
    return (disallowed_fields(*disallowed),) if disallowed else ()


def _is_allowed(name: str, value: object, features: FeaturesConfig) -> bool:
    if name in _GATED:
        return not features.is_disabled(f"kubernetes.podspec-{_GATED[name]}")
    if name == "automountServiceAccountToken":
        return value is False
    return name in _OWN or name in _ALLOWED


def _pod_security(spec: Raw) -> Errors:
    context = part(spec, "securityContext")
    fields = ("runAsUser", "runAsGroup", "fsGroup")
    return via(container_checks.user_ids(context, fields), "securityContext")


def _init_containers(spec: Raw, features: FeaturesConfig) -> Errors:
    containers = parts(spec, "initContainers")
    if not containers:
        return ()
    if not features.is_enabled("kubernetes.podspec-init-containers"):
        message = (
            "pod spec support for init-containers is off, "
            f"but found {len(containers)} init containers"
        )
        return (FieldError(message, ()),)
    errors: Errors = ()
    taken = {text(container, "name") for container in parts(spec, "containers")}
    for index, container in enumerate(containers):
        found = _taken_name(container, taken)
        found += container_checks.check(container, spec, Role.INIT, features)
        errors += via_index(found, "initContainers", index)
    return errors


def _taken_name(container: Raw, taken: set[str]) -> Errors:
    name = text(container, "name")
    if name in taken:
        return (FieldError(f'duplicate container name "{name}"', ("name",)),)
    taken.add(name)
    return ()


def _one_port(spec: Raw) -> Errors:
    containers = parts(spec, "containers")
    count = sum(len(parts(container, "ports")) for container in containers)
    if count == 0 and len(containers) > 1:
        return (missing_field("containers[*].ports"),)
    if count > 1:
        details = "Only a single port is allowed across all containers"
        message = "more than one container port is set"
        return (FieldError(message, ("containers[*].ports",), details),)
    return ()


def _containers(spec: Raw, features: FeaturesConfig) -> Errors:
    containers = parts(spec, "containers")
    if not containers:
        return (missing_field("containers"),)
    if len(containers) > 1 and not features.is_enabled("multi-container"):
        return (FieldError(f"multi-container is off, but found {len(containers)} containers", ()),)
    errors: Errors = ()
    taken: set[str] = set()
    for index, container in enumerate(containers):
        is_serving = len(containers) == 1 or bool(parts(container, "ports"))
        role = Role.SERVING if is_serving else Role.SIDECAR
        found = _taken_name(container, taken)
        found += container_checks.check(container, spec, role, features)
        errors += via_index(found, "containers", index)
    return errors


def _service_account(spec: Raw) -> Errors:
    name = text(spec, "serviceAccountName")
    problems = name_rules.dns_1123_subdomain(name) if name else []
    return tuple(invalid_value(name, "serviceAccountName", problem) for problem in problems)


def _timeout(spec: Raw, defaults: DefaultsConfig) -> Errors:
    seconds, longest = integer(spec, "timeoutSeconds"), defaults.max_revision_timeout_s
    if not seconds or 0 <= seconds <= longest:
        return ()
    return (out_of_bounds(seconds, 0, longest, "timeoutSeconds"),)


def _concurrency(spec: Raw, defaults: DefaultsConfig) -> Errors:
    limit = integer(spec, "containerConcurrency")
    low = 0 if defaults.allow_container_concurrency_zero else 1
    high = defaults.container_concurrency_max_limit
    if limit is None or low <= limit <= high:
        return ()
    return (out_of_bounds(limit, low, high, "containerConcurrency"),)
