"""Kubernetes' defaults of a pod, for pods and for the templates of workloads.

Raw in, raw out, nothing changed in place. Runs before the schema is checked, so a part of a wrong
type is passed on as it is.
"""

from collections.abc import Callable

from stagezero.api.base import Raw
from stagezero.api.quantities import with_quantity_texts

_PROBE: Raw = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}
_SPEC: Raw = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER: Raw = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_FILE_MODE = 0o644
_WITH_MODE = ("secret", "configMap", "downwardAPI", "projected")
_TOKEN_LIFE_S = 3600


def default_pod_spec(spec: Raw) -> Raw:
    """A pod's spec with everything that Kubernetes fills in."""
    full = {**_SPEC, **spec}
    for name in ("containers", "initContainers"):
        full = changed_items(full, name, _container)
    return changed_items(full, "volumes", _volume)


def default_template(template: Raw) -> Raw:
    """A pod template with everything that Kubernetes fills in."""
    return changed_part(template, "spec", default_pod_spec)


def changed_part(raw: Raw, name: str, change: Callable[[Raw], Raw]) -> Raw:
    """The object with one part changed, if it has that part."""
    part = raw.get(name)
    return {**raw, name: change(part)} if isinstance(part, dict) else raw


def changed_items(raw: Raw, name: str, change: Callable[[Raw], Raw]) -> Raw:
    """The object with every item of one list changed, if it has that list."""
    items = raw.get(name)
    if not isinstance(items, list) or not items:
        return raw
    return {**raw, name: [change(item) if isinstance(item, dict) else item for item in items]}


def pull_policy(image: object) -> str:
    """Always for an image without a version or `latest`, else IfNotPresent."""
    if not isinstance(image, str) or "@" in image:
        return "IfNotPresent"
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return "IfNotPresent" if colon and tag != "latest" else "Always"


def _container(container: Raw) -> Raw:
    policy = {"imagePullPolicy": pull_policy(container.get("image"))}
    full = with_quantity_texts({**_CONTAINER, **policy, **container})
    full = changed_items(full, "ports", lambda port: {"protocol": "TCP", **port})
    full = changed_items(full, "env", _env)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        full = changed_part(full, name, _probe)
    return changed_part(full, "lifecycle", _lifecycle)


def _env(env: Raw) -> Raw:
    def source(value_from: Raw) -> Raw:
        return changed_part(value_from, "fieldRef", _field_ref)

    return changed_part(env, "valueFrom", source)


def _field_ref(reference: Raw) -> Raw:
    return {"apiVersion": "v1", **reference}


def _probe(probe: Raw) -> Raw:
    return _handler({**_PROBE, **probe})


def _lifecycle(lifecycle: Raw) -> Raw:
    for name in ("postStart", "preStop"):
        lifecycle = changed_part(lifecycle, name, _handler)
    return lifecycle


def _handler(handler: Raw) -> Raw:
    def http(action: Raw) -> Raw:
        full = {"scheme": "HTTP", **action}
        return {**full, "path": full.get("path") or "/"}

    full = changed_part(handler, "httpGet", http)
    return changed_part(full, "grpc", lambda action: {"service": "", **action})


def _volume(volume: Raw) -> Raw:
    if volume.keys() <= {"name"}:
        return {**volume, "emptyDir": {}}
    for name in _WITH_MODE:
        volume = changed_part(volume, name, lambda part: {"defaultMode": _FILE_MODE, **part})
    volume = changed_part(volume, "hostPath", lambda path: {"type": "", **path})
    volume = changed_part(volume, "downwardAPI", _downward)
    return changed_part(volume, "projected", _projected)


def _downward(source: Raw) -> Raw:
    return changed_items(source, "items", lambda item: changed_part(item, "fieldRef", _field_ref))


def _projected(volume: Raw) -> Raw:
    def source(one: Raw) -> Raw:
        one = changed_part(one, "downwardAPI", _downward)
        return changed_part(
            one, "serviceAccountToken", lambda token: {"expirationSeconds": _TOKEN_LIFE_S, **token}
        )

    return changed_items(volume, "sources", source)
