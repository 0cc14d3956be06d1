"""Defaulting of Knative's kinds, as its webhook does it: raw JSON in, a filled-in copy out."""

from copy import deepcopy

from stagezero.api import names_knative as names
from stagezero.api.base import Raw
from stagezero.api.config_knative_defaults import DefaultsConfig
from stagezero.api.quantities import with_quantity_texts
from stagezero.api.raw_fields import integer, part, parts, text

_WRITABLE = ("emptyDir", "persistentVolumeClaim")


def service(raw: Raw, config: DefaultsConfig) -> Raw:
    """A Service: its template, and all requests to the latest revision if nothing is said."""
    raw = deepcopy(raw)
    spec = _object(raw, "spec")
    _template(_object(spec, "template"), config)
    if not spec.get("traffic"):
        spec["traffic"] = [{"latestRevision": True, "percent": 100}]
    _targets(spec)
    return raw


def configuration(raw: Raw, config: DefaultsConfig) -> Raw:
    """A Configuration: its template."""
    raw = deepcopy(raw)
    _template(_object(_object(raw, "spec"), "template"), config)
    return raw


def revision(raw: Raw, config: DefaultsConfig) -> Raw:
    """A Revision: its spec."""
    raw = deepcopy(raw)
    _revision_spec(_object(raw, "spec"), config)
    return raw


def route(raw: Raw) -> Raw:
    """A Route: whether a target follows the latest revision."""
    raw = deepcopy(raw)
    _targets(_object(raw, "spec"))
    return raw


def domain_mapping(raw: Raw) -> Raw:
    """A DomainMapping: its reference is of its own namespace."""
    raw = deepcopy(raw)
    ref = _object(_object(raw, "spec"), "ref")
    if not ref.get("namespace"):
        ref["namespace"] = text(part(raw, "metadata"), "namespace")
    return raw


def user_info(raw: Raw, old: Raw | None, user: str) -> Raw:
    """Note who made the object and who changed its spec last."""
    if not user or (old is not None and old.get("spec") == raw.get("spec")):
        return raw
    metadata = part(raw, "metadata")
    annotations = {**part(metadata, "annotations"), names.LAST_MODIFIER: user}
    if old is None:
        annotations[names.CREATOR] = user
    return {**raw, "metadata": {**metadata, "annotations": annotations}}


def _object(raw: Raw, name: str) -> Raw:
    """The object under `name`, put there if it is missing; a copy if it has another type."""
    if raw.get(name) is None:
        raw[name] = {}
    value = raw[name]
    return value if isinstance(value, dict) else {}


def _targets(spec: Raw) -> None:
    for target in parts(spec, "traffic"):
        if target.get("latestRevision") is None:
            target["latestRevision"] = not target.get("revisionName")


def _template(template: Raw, config: DefaultsConfig) -> None:
    _revision_spec(_object(template, "spec"), config)


def _revision_spec(spec: Raw, config: DefaultsConfig) -> None:
    if not spec.get("timeoutSeconds"):
        spec["timeoutSeconds"] = config.revision_timeout_s
    if spec.get("containerConcurrency") is None:
        spec["containerConcurrency"] = config.container_concurrency
    if "enableServiceLinks" not in spec and config.enable_service_links is not None:
        spec["enableServiceLinks"] = config.enable_service_links
    containers = parts(spec, "containers")
    _names(containers, config.container_name)
    _names(parts(spec, "initContainers"), config.init_container_name)
    writable = {
        text(volume, "name")
        for volume in parts(spec, "volumes")
        if any(source in volume for source in _WRITABLE)
    }
    for container in containers:
        _resources(container, config)
        if len(containers) == 1 or parts(container, "ports"):
            _readiness(container)
        for mount in parts(container, "volumeMounts"):
            if text(mount, "name") not in writable:
                mount["readOnly"] = True


def _names(containers: list[Raw], template: str) -> None:
    taken = {text(container, "name") for container in containers}
    for index, container in enumerate(containers):
        if not container.get("name"):
            name = template if len(containers) == 1 else f"{template}-{index}"
            container["name"] = name if name not in taken else f"{template}-{index}"


def _resources(container: Raw, config: DefaultsConfig) -> None:
    for side, amounts in (("requests", config.requests), ("limits", config.limits)):
        if amounts:
            given = _object(_object(container, "resources"), side)
            for resource, amount in amounts.items():
                given.setdefault(resource, amount)
    container.update(with_quantity_texts(container))


def _readiness(container: Raw) -> None:
    probe = _object(container, "readinessProbe")
    if not any(handler in probe for handler in ("tcpSocket", "httpGet", "exec", "grpc")):
        probe["tcpSocket"] = {}
    if not probe.get("successThreshold"):
        probe["successThreshold"] = 1
    if (integer(probe, "periodSeconds") or 0) > 0:
        for name, seconds in (("failureThreshold", 3), ("timeoutSeconds", 1)):
            if not probe.get(name):
                probe[name] = seconds
    for handler in ("tcpSocket", "httpGet"):
        if handler in probe:
            _object(probe, handler).setdefault("port", 0)
    if "httpGet" in probe and not part(probe, "httpGet").get("path"):
        _object(probe, "httpGet")["path"] = "/"
