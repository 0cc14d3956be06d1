"""Checks of a revision's containers: allowed fields, environment, image, ports, probes."""

import re
from enum import Enum

from stagezero.api import serving_knative_volumes as volumes
from stagezero.api.base import Raw
from stagezero.api.config_knative_defaults import FeaturesConfig
from stagezero.api.field_error import (
    Errors,
    FieldError,
    disallowed_fields,
    invalid_value,
    missing_field,
    missing_one_of,
    multiple_one_of,
    out_of_bounds,
    via,
    via_index,
)
from stagezero.api.raw_fields import integer, is_set, part, parts, text

INT32_MAX = 2**31 - 1
RESERVED_ENV = ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")
_RESERVED_PORTS = frozenset({8012, 8013, 8022, 9090, 9091, 8008})
_PORT_FIELDS = frozenset({"containerPort", "name", "protocol"})
_HANDLERS = ("httpGet", "tcpSocket", "exec")
_FIELDS = frozenset(
    {
        "name", "args", "command", "env", "workingDir", "envFrom", "image", "imagePullPolicy",
        "livenessProbe", "ports", "readinessProbe", "resources", "securityContext",
        "terminationMessagePath", "terminationMessagePolicy", "volumeMounts",
    }
)  # fmt: skip
_SECURITY_FIELDS = frozenset(
    {"capabilities", "readOnlyRootFilesystem", "runAsUser", "runAsGroup", "runAsNonRoot"}
)
_REFERENCE = re.compile(
    r"[a-zA-Z0-9][-a-zA-Z0-9_.:/]*?(?::[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?"
    r"(?:@sha256:[0-9a-f]{64})?"
)


class Role(Enum):
    """What a container is in its pod: the one that serves, one beside it, one before it."""

    SERVING = "serving"
    SIDECAR = "sidecar"
    INIT = "init"


def check(container: Raw, spec: Raw, role: Role, features: FeaturesConfig) -> Errors:
    """Check one container of a pod spec; paths begin with its fields."""
    if not container:
        return (missing_field(""),)
    return (
        *_probes(container, spec, role),
        *_allowed_fields(container, role),
        *_name(container),
        *_env(container, role, features),
        *_env_from(container),
        *_image(container),
        *_ports(container, role),
        *_security_context(container, features),
        *_termination_message(container),
        *volumes.check_mounts(container, spec),
    )


def serving_port(spec: Raw) -> tuple[str, int]:
    """Name and number of the port that serves; http and 8080 where nothing is said."""
    declared = [port for one in parts(spec, "containers") for port in parts(one, "ports")[:1]]
    port = declared[-1] if declared else {}
    return text(port, "name") or "http", integer(port, "containerPort") or 8080


def _allowed_fields(container: Raw, role: Role) -> Errors:
    told_apart = ("startupProbe", "lifecycle") if role is Role.INIT else ()
    disallowed = [
        name
        for name, value in container.items()
        if name not in _FIELDS and name not in told_apart and is_set(value)
    ]
    return (disallowed_fields(*disallowed),) if disallowed else ()


def _name(container: Raw) -> Errors:
    name = text(container, "name")
    if name == "queue-proxy":
        return (FieldError(f'"{name}" is a reserved container name', ("name",)),)
    return ()


def _env(container: Raw, role: Role, features: FeaturesConfig) -> Errors:
    reserved = RESERVED_ENV if role is Role.SERVING else RESERVED_ENV[1:]
    errors: Errors = ()
    for index, variable in enumerate(parts(container, "env")):
        name = text(variable, "name")
        found: Errors = ()
        if not name:
            found += (missing_field("name"),)
        elif name in reserved:
            message = f'"{name}" is a reserved environment variable'
            found += (FieldError(message, ("name",)),)
        allowed = {"configMapKeyRef", "secretKeyRef"}
        if not features.is_disabled("kubernetes.podspec-fieldref"):
            allowed |= {"fieldRef", "resourceFieldRef"}
        disallowed = [key for key in part(variable, "valueFrom") if key not in allowed]
        if disallowed:
            found += (disallowed_fields(*(f"valueFrom.{key}" for key in disallowed)),)
        errors += via_index(found, "env", index)
    return errors


def _env_from(container: Raw) -> Errors:
    errors: Errors = ()
    for source in parts(container, "envFrom"):
        given = [name for name in ("configMapRef", "secretRef") if name in source]
        if len(given) == 2:
            errors += (multiple_one_of("configMapRef", "secretRef"),)
        elif not given:
            errors += (missing_one_of("configMapRef", "secretRef"),)
    return via(errors, "envFrom")


def _image(container: Raw) -> Errors:
    image = text(container, "image")
    if not image:
        return (missing_field("image"),)
    if _REFERENCE.fullmatch(image):
        return ()
    details = f'image: "{image}", error: could not parse reference: {image}'
    return (FieldError("Failed to parse image reference", ("image",), details),)


def _ports(container: Raw, role: Role) -> Errors:
    ports = parts(container, "ports")
    if role is Role.INIT:
        return tuple(error for port in ports for error in via(_port(port), "ports"))
    if not ports:
        return ()
    port = ports[0]
    errors = _port(port)
    protocol, name = text(port, "protocol"), text(port, "name")
    if protocol not in ("", "TCP"):
        errors += (invalid_value(protocol, "protocol"),)
    if name not in ("", "h2c", "http1"):
        details = "Name must be empty, or one of: 'h2c', 'http1'"
        errors += (FieldError(f"Port name {name} is not allowed", ("",), details),)
    return via(errors, "ports")


def _port(port: Raw) -> Errors:
    disallowed = [
        name for name, value in port.items() if name not in _PORT_FIELDS and is_set(value)
    ]
    errors: Errors = (disallowed_fields(*disallowed),) if disallowed else ()
    number = integer(port, "containerPort") or 0
    if number in _RESERVED_PORTS:
        errors += (invalid_value(f"{number} is a reserved port", "containerPort"),)
    if not 0 <= number <= 65535:
        errors += (out_of_bounds(number, 0, 65535, "containerPort"),)
    return errors


def _security_context(container: Raw, features: FeaturesConfig) -> Errors:
    context = part(container, "securityContext")
    disallowed = [
        name for name, value in context.items() if name not in _SECURITY_FIELDS and is_set(value)
    ]
    capabilities = part(context, "capabilities")
    if "add" in capabilities and features.is_disabled("kubernetes.containerspec-addcapabilities"):
        disallowed.append("capabilities.add")
    errors: Errors = (disallowed_fields(*disallowed),) if disallowed else ()
    return via(errors + user_ids(context, ("runAsUser", "runAsGroup")), "securityContext")


def user_ids(context: Raw, fields: tuple[str, ...]) -> Errors:
    """User and group numbers of a security context must fit 31 bits."""
    errors: Errors = ()
    for name in fields:
        number = integer(context, name)
        if number is not None and not 0 <= number <= INT32_MAX:
            errors += (out_of_bounds(number, 0, INT32_MAX, name),)
    return errors


def _termination_message(container: Raw) -> Errors:
    policy = text(container, "terminationMessagePolicy")
    if policy in ("", "File", "FallbackToLogsOnError"):
        return ()
    return (invalid_value(policy, "terminationMessagePolicy"),)


def _probes(container: Raw, spec: Raw, role: Role) -> Errors:
    if role is Role.INIT:
        fields = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
        return tuple(
            FieldError("field not allowed in an init container", (name,))
            for name in fields
            if container.get(name) is not None
        )
    given = [name for name in ("livenessProbe", "readinessProbe") if name in container]
    if role is Role.SIDECAR:
        return (disallowed_fields(*given),) if given else ()
    errors: Errors = ()
    for name in given:
        probe = part(container, name)
        found = _probe(probe, serving_port(spec)[0])
        if name == "readinessProbe":
            found += _readiness_times(probe)
        errors += via(found, name)
    return errors


def _probe(probe: Raw, port_name: str) -> Errors:
    errors: Errors = (disallowed_fields("grpc"),) if "grpc" in probe else ()
    given = [handler for handler in _HANDLERS if handler in probe]
    for handler in given:
        port = part(probe, handler).get("port")
        if isinstance(port, str) and port not in ("", port_name):
            details = "Probe port must match container port"
            errors += (invalid_value(port, f"{handler}.port", details),)
    if not given:
        return (*errors, missing_one_of(*_HANDLERS))
    return (*errors, multiple_one_of(*given)) if len(given) > 1 else errors


def _readiness_times(probe: Raw) -> Errors:
    def seconds(name: str) -> int:
        return integer(probe, name) or 0

    errors: Errors = ()
    bounds = [("periodSeconds", 0), ("initialDelaySeconds", 0), ("successThreshold", 1)]
    if seconds("periodSeconds") != 0:
        bounds += [("timeoutSeconds", 1), ("failureThreshold", 1)]
    for name, low in bounds:
        if seconds(name) < low:
            errors += (out_of_bounds(seconds(name), low, INT32_MAX, name),)
    if seconds("periodSeconds") == 0:
        for name in ("failureThreshold", "timeoutSeconds"):
            if seconds(name) != 0:
                message = f"{name} is disallowed when periodSeconds is zero"
                errors += (FieldError(message, (name,)),)
    return errors
