"""The ConfigMaps and Secrets a pod refers to, and the pod's own fields: values for its containers.

Everything that environments and volumes take from elsewhere passes through here, with Kubernetes'
words where it is missing.
"""

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from stagezero.api.config import ConfigMap, Secret
from stagezero.api.container import Container
from stagezero.api.fields import Quantity
from stagezero.api.pod import Pod
from stagezero.api.quantities import parse_quantity
from stagezero.api.volume import ResourceFieldSelector
from stagezero.node.plans.errors import ConfigError

_SUBSCRIPT = re.compile(r"metadata\.(?P<map>labels|annotations)\['(?P<key>[^']+)'\]")


@dataclass(frozen=True)
class Place:
    """Where a pod runs: what fields of its status will say."""

    node_name: str
    host_ip: str
    pod_ip: str = ""
    cpus: float = 1.0
    memory_bytes: int = 0


@dataclass(frozen=True)
class References:
    """The objects of a pod's namespace that it names; those that do not exist are missing here."""

    config_maps: Mapping[str, ConfigMap] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)

    def config_map(self, name: str) -> dict[str, bytes] | None:
        """All keys of a ConfigMap; None if there is no such object."""
        found = self.config_maps.get(name)
        if found is None:
            return None
        binary = {key: _decoded(value) for key, value in found.binary_data.items()}
        return {key: value.encode() for key, value in found.data.items()} | binary

    def secret(self, name: str) -> dict[str, bytes] | None:
        """All keys of a Secret; None if there is no such object."""
        found = self.secrets.get(name)
        if found is None:
            return None
        return {key: _decoded(value) for key, value in found.data.items()}


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value)
    except binascii.Error:
        return b""  # the API does not let such a value in


def field_value(pod: Pod, path: str, place: Place) -> str:
    """A field of the pod as text; ConfigError for a path that is not supported."""
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript is not None:
        values = pod.metadata.labels if subscript["map"] == "labels" else pod.metadata.annotations
        return values.get(subscript["key"], "")
    known = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "metadata.labels": _formatted(pod.metadata.labels),
        "metadata.annotations": _formatted(pod.metadata.annotations),
        "spec.nodeName": place.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name or "default",
        "status.hostIP": place.host_ip,
        "status.hostIPs": place.host_ip,
        "status.podIP": place.pod_ip,
        "status.podIPs": place.pod_ip,
    }
    if path not in known:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return known[path]


def _formatted(values: Mapping[str, str]) -> str:
    lines = []
    for key in sorted(values):
        escaped = values[key].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'{key}="{escaped}"')
    return "\n".join(lines)


def resource_value(
    pod: Pod, container: Container, selector: ResourceFieldSelector, place: Place
) -> str:
    """A limit or request of a container as text; what has no limit has that of the node."""
    name = selector.container_name or container.name
    everyone = (*pod.spec.containers, *pod.spec.init_containers)
    found = next((one for one in everyone if one.name == name), None)
    if found is None:
        raise ConfigError(f"container {name} not found")
    kind, _, resource = selector.resource.partition(".")
    if kind not in ("limits", "requests") or not resource:
        raise ConfigError(f"unsupported container resource : {selector.resource}")
    amounts: Mapping[str, Quantity] = found.resources.limits
    if kind == "requests":
        amounts = found.resources.requests
    whole: Quantity = {"cpu": place.cpus, "memory": place.memory_bytes}.get(resource, 0)
    amount = parse_quantity(amounts.get(resource, whole if kind == "limits" else 0))
    return str(math.ceil(amount / (parse_quantity(selector.divisor or 1) or 1)))
