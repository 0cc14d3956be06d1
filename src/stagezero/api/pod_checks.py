"""What Kubernetes refuses in a pod's spec, in pods and in the templates of workloads."""

from collections.abc import Iterator

from stagezero.api import mistakes
from stagezero.api.base import Raw
from stagezero.api.container_checks import container_mistakes, duplicates
from stagezero.api.mistakes import FieldError
from stagezero.api.name_rules import dns_1123_label
from stagezero.api.raw_fields import integer, parts, text

_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_NO_UPDATE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions"
    " to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
    "was previously negative)"
)


def pod_spec_mistakes(spec: Raw, path: str) -> Iterator[FieldError]:
    """Everything wrong with a pod's spec."""
    yield from _volumes(spec, f"{path}.volumes")
    volumes = {text(volume, "name") for volume in parts(spec, "volumes")}
    containers = parts(spec, "containers")
    if not containers:
        yield mistakes.required(f"{path}.containers")
    seen: set[str] = set()
    for name in ("initContainers", "containers"):
        for index, container in enumerate(parts(spec, name)):
            at = f"{path}.{name}[{index}]"
            yield from container_mistakes(container, at, volumes)
            if text(container, "name") in seen:
                yield mistakes.duplicate(f"{at}.name", text(container, "name"))
            seen.add(text(container, "name"))
    yield from _policies(spec, path)
    for name in ("terminationGracePeriodSeconds", "activeDeadlineSeconds"):
        seconds = integer(spec, name)
        if seconds is not None and seconds < 0:
            problem = "must be greater than or equal to 0"
            yield mistakes.invalid_value(f"{path}.{name}", seconds, problem)


def pod_update_mistakes(spec: Raw, old: Raw) -> Iterator[FieldError]:
    """What was changed that a pod keeps for life; a node is given once."""
    if _kept(spec) != _kept(old) or (old.get("nodeName") and _node(spec) != _node(old)):
        yield mistakes.forbidden("spec", _NO_UPDATE)
        return
    before, after = old.get("tolerations") or [], spec.get("tolerations") or []
    if any(toleration not in after for toleration in before):
        yield mistakes.forbidden("spec.tolerations", "existing tolerations may not be removed")


def _node(spec: Raw) -> object:
    return spec.get("nodeName")


def _kept(spec: Raw) -> Raw:
    free = {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"}
    kept = {name: value for name, value in spec.items() if name not in free and value}
    for name in ("containers", "initContainers"):
        kept[name] = [{**container, "image": ""} for container in parts(spec, name)]
    return kept


def _volumes(spec: Raw, path: str) -> Iterator[FieldError]:
    volumes = parts(spec, "volumes")
    yield from duplicates(volumes, path, "name")
    for index, volume in enumerate(volumes):
        at, name = f"{path}[{index}]", text(volume, "name")
        for problem in dns_1123_label(name):
            yield mistakes.invalid_value(f"{at}.name", name, problem)
        sources = [key for key, value in volume.items() if key != "name" and value is not None]
        if not sources:
            yield mistakes.required(at, "must specify a volume type")
        for source in sources[1:]:
            yield mistakes.forbidden(f"{at}.{source}", "may not specify more than 1 volume type")


def _policies(spec: Raw, path: str) -> Iterator[FieldError]:
    for name, known in (("restartPolicy", _RESTART_POLICIES), ("dnsPolicy", _DNS_POLICIES)):
        value = text(spec, name)
        if value and value not in known:
            yield mistakes.unsupported(f"{path}.{name}", value, known)
