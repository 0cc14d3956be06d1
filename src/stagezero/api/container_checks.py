"""What Kubernetes refuses in a container: names, ports, environment, mounts, probes, resources."""

import re
from collections.abc import Iterator, Set
from typing import Any

from stagezero.api import mistakes
from stagezero.api.base import Raw
from stagezero.api.mistakes import FieldError
from stagezero.api.name_rules import dns_1123_label, qualified_name
from stagezero.api.quantities import parse_quantity
from stagezero.api.raw_fields import integer, part, parts, text

PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_NOT_AN_ENV_NAME = (
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or "
    "'.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1',"
    " regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')"
)
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([a-z0-9-]*[a-z0-9])*")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_NOT_NEGATIVE = "must be greater than or equal to 0"
BAD_PORT = "must be between 1 and 65535, inclusive"


def container_mistakes(container: Raw, path: str, volumes: Set[str]) -> Iterator[FieldError]:
    """Everything wrong with one container; `volumes` are the names that it may mount."""
    name = text(container, "name")
    if not name:
        yield mistakes.required(f"{path}.name")
    else:
        for problem in dns_1123_label(name):
            yield mistakes.invalid_value(f"{path}.name", name, problem)
    if not text(container, "image"):
        yield mistakes.required(f"{path}.image")
    elif container["image"] != container["image"].strip():
        problem = "must not have leading or trailing whitespace"
        yield mistakes.invalid_value(f"{path}.image", container["image"], problem)
    policy = text(container, "imagePullPolicy")
    if policy and policy not in _PULL_POLICIES:
        yield mistakes.unsupported(f"{path}.imagePullPolicy", policy, _PULL_POLICIES)
    yield from _ports(container, path)
    yield from _env(container, path)
    yield from _mounts(container, path, volumes)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe) is not None:
            yield from _probe(part(container, probe), f"{path}.{probe}", probe)
    yield from _resources(part(container, "resources"), f"{path}.resources")


def port_number(value: Any, path: str) -> Iterator[FieldError]:
    """A port's number is in range."""
    if not isinstance(value, int) or not 1 <= value <= 65535:
        yield mistakes.invalid_value(path, value, BAD_PORT)


def port_reference(value: Any, path: str) -> Iterator[FieldError]:
    """A port by number or by name."""
    if not isinstance(value, str):
        yield from port_number(value, path)
        return
    if len(value) > 15:
        yield mistakes.invalid_value(path, value, "must be no more than 15 characters")
    if not _PORT_NAME.fullmatch(value) or "--" in value:
        problem = (
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), and at least "
            "one letter"
        )
        yield mistakes.invalid_value(path, value, problem)


def duplicates(items: list[Raw], path: str, key: str) -> Iterator[FieldError]:
    """A key that appears twice in a list."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        value = text(item, key)
        if value and value in seen:
            yield mistakes.duplicate(f"{path}[{index}].{key}", value)
        seen.add(value)


def _ports(container: Raw, path: str) -> Iterator[FieldError]:
    ports = parts(container, "ports")
    yield from duplicates(ports, f"{path}.ports", "name")
    for index, port in enumerate(ports):
        at = f"{path}.ports[{index}]"
        number = integer(port, "containerPort")
        if not number:
            yield mistakes.required(f"{at}.containerPort")
        else:
            yield from port_number(number, f"{at}.containerPort")
        if text(port, "name"):
            yield from port_reference(text(port, "name"), f"{at}.name")
        protocol = text(port, "protocol")
        if protocol and protocol not in PROTOCOLS:
            yield mistakes.unsupported(f"{at}.protocol", protocol, PROTOCOLS)


def _env(container: Raw, path: str) -> Iterator[FieldError]:
    for index, env in enumerate(parts(container, "env")):
        at, name = f"{path}.env[{index}]", text(env, "name")
        if not name:
            yield mistakes.required(f"{at}.name")
        elif not _ENV_NAME.fullmatch(name):
            yield mistakes.invalid_value(f"{at}.name", name, _NOT_AN_ENV_NAME)
        if env.get("valueFrom") is None:
            continue
        sources = [source for source in part(env, "valueFrom").values() if source is not None]
        if text(env, "value"):
            problem = "may not be specified when `value` is not empty"
            yield mistakes.invalid_value(f"{at}.valueFrom", "", problem)
        elif not sources:
            problem = (
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or "
                "`secretKeyRef`"
            )
            yield mistakes.invalid_value(f"{at}.valueFrom", "", problem)
        elif len(sources) > 1:
            problem = "may not have more than one field specified at a time"
            yield mistakes.invalid_value(f"{at}.valueFrom", "", problem)


def _mounts(container: Raw, path: str, volumes: Set[str]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, mount in enumerate(parts(container, "volumeMounts")):
        at, name = f"{path}.volumeMounts[{index}]", text(mount, "name")
        if not name:
            yield mistakes.required(f"{at}.name")
        elif name not in volumes:
            yield mistakes.not_found(f"{at}.name", name)
        target = text(mount, "mountPath")
        if not target:
            yield mistakes.required(f"{at}.mountPath")
        elif target in seen:
            yield mistakes.invalid_value(f"{at}.mountPath", target, "must be unique")
        seen.add(target)
        yield from _sub_path(text(mount, "subPath"), f"{at}.subPath")


def _sub_path(sub_path: str, path: str) -> Iterator[FieldError]:
    if sub_path.startswith("/"):
        yield mistakes.invalid_value(path, sub_path, "must be a relative path")
    if ".." in sub_path.split("/"):
        yield mistakes.invalid_value(path, sub_path, "must not contain '..'")


def _probe(probe: Raw, path: str, kind: str) -> Iterator[FieldError]:
    handlers = [name for name in _HANDLERS if probe.get(name) is not None]
    if not handlers:
        yield mistakes.required(path, "must specify a handler type")
    for name in handlers[1:]:
        problem = "may not specify more than 1 handler type"
        yield mistakes.forbidden(f"{path}.{name}", problem)
    for name in handlers:
        yield from _handler(part(probe, name), f"{path}.{name}", name)
    for name in (
        "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
        "failureThreshold",
    ):  # fmt: skip
        number = integer(probe, name)
        if number is not None and number < 0:
            yield mistakes.invalid_value(f"{path}.{name}", number, _NOT_NEGATIVE)
    successes = integer(probe, "successThreshold")
    if kind != "readinessProbe" and successes is not None and successes != 1:
        yield mistakes.invalid_value(f"{path}.successThreshold", successes, "must be 1")


def _handler(handler: Raw, path: str, kind: str) -> Iterator[FieldError]:
    if kind == "exec":
        if not handler.get("command"):
            yield mistakes.required(f"{path}.command")
        return
    yield from port_reference(handler.get("port", 0), f"{path}.port")
    scheme = text(handler, "scheme")
    if scheme and scheme not in ("HTTP", "HTTPS"):
        yield mistakes.unsupported(f"{path}.scheme", scheme, ("HTTP", "HTTPS"))


def _resources(resources: Raw, path: str) -> Iterator[FieldError]:
    limits, requests = part(resources, "limits"), part(resources, "requests")
    for what, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            yield from _amount(name, amount, f"{path}.{what}")
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is not None and _is_more(amount, limit):
            problem = f"must be less than or equal to {name} limit of {limit}"
            yield mistakes.invalid_value(f"{path}.requests", str(amount), problem)


def _amount(name: str, amount: Any, path: str) -> Iterator[FieldError]:
    for problem in qualified_name(name):
        yield mistakes.invalid_value(path, name, problem)
    try:
        number = parse_quantity(amount)
    except ValueError as error:
        yield mistakes.invalid_value(f"{path}[{name}]", amount, str(error))
        return
    if number < 0:
        yield mistakes.invalid_value(f"{path}[{name}]", str(amount), _NOT_NEGATIVE)


def _is_more(amount: Any, limit: Any) -> bool:
    try:
        return parse_quantity(amount) > parse_quantity(limit)
    except ValueError:
        return False
