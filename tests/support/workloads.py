"""Builders of core objects for tests: short calls, only what a test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from stagezero.api.apps import (
    Deployment,
    DeploymentSpec,
    DeploymentStrategy,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    RollingUpdateDeployment,
)
from stagezero.api.base import Condition, LabelSelector, Object, ObjectMeta, controlled_by
from stagezero.api.core import (
    Container,
    ContainerPort,
    Node,
    NodeStatus,
    Pod,
    PodSpec,
    PodStatus,
    PodTemplateSpec,
    ResourceRequirements,
    Service,
    ServicePort,
    ServiceSpec,
)
from stagezero.api.node import NodeCondition
from stagezero.api.times import write_time

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LABELS = {"app": "web"}


def ago(seconds: float) -> str:
    """A written time so many seconds before NOW."""
    return write_time(NOW - timedelta(seconds=seconds))


def meta(name: str, **more: Any) -> ObjectMeta:
    """Metadata in namespace `default`, born a minute ago."""
    fields = {"namespace": "default", "uid": f"uid-{name}", "creation_timestamp": ago(60)}
    return ObjectMeta(name=name, **(fields | more))


def template(image: str = "v1", labels: dict[str, str] | None = None) -> PodTemplateSpec:
    """A pod template with one container."""
    return PodTemplateSpec(
        metadata=ObjectMeta(labels=labels or LABELS),
        spec=PodSpec(containers=[Container(name="main", image=image)]),
    )


def deployment(replicas: int = 2, image: str = "v1", **spec: Any) -> Deployment:
    """A Deployment `web` that surges by one and misses none."""
    rolling = RollingUpdateDeployment(max_surge=1, max_unavailable=0)
    fields: dict[str, Any] = {
        "selector": LabelSelector(LABELS),
        "template": template(image),
        "strategy": DeploymentStrategy("RollingUpdate", rolling),
    }
    return Deployment(
        metadata=meta("web", generation=1),
        spec=DeploymentSpec(replicas=replicas, **(fields | spec)),
    )


def replica_set(replicas: int = 2, ready: int = 0, name: str = "web-a", **more: Any) -> ReplicaSet:
    """A ReplicaSet whose pods all exist, some of them ready."""
    return ReplicaSet(
        metadata=meta(name, generation=1, **more),
        spec=ReplicaSetSpec(replicas, 0, LabelSelector(LABELS), template()),
        status=ReplicaSetStatus(replicas, replicas, ready, ready, 1),
    )


def pod(
    name: str = "p",
    ready: bool = False,
    owner: Object | None = None,
    phase: str = "Running",
    **more: Any,
) -> Pod:
    """A pod on node `n`, running, ready for half a minute if it is ready."""
    spec = more.pop("spec", PodSpec(node_name="n", containers=[Container(name="main")]))
    status = more.pop("status", {})
    fields = {"labels": LABELS, "owner_references": [controlled_by(owner)] if owner else []}
    condition = Condition("Ready", "True" if ready else "False", last_transition_time=ago(30))
    return Pod(
        metadata=meta(name, **(fields | more)),
        spec=spec,
        status=replace(PodStatus(phase=phase, conditions=[condition]), **status),
    )


def deleting(thing: Any) -> Any:
    """The same object while it is being deleted."""
    return replace(thing, metadata=replace(thing.metadata, deletion_timestamp=ago(1)))


def service(
    selector: dict[str, str] | None = None, *ports: ServicePort, name: str = "web", **spec: Any
) -> Service:
    """A Service that selects the pods of these builders, port 80 to 8080."""
    wanted = list(ports) or [ServicePort(80, "http", "TCP", target_port=8080)]
    chosen = LABELS if selector is None else selector
    return Service(metadata=meta(name), spec=ServiceSpec(ports=wanted, selector=chosen, **spec))


def serving_pod(name: str, ip: str, ready: bool = True, **more: Any) -> Pod:
    """A pod with an address and the named port `http` on 8080."""
    container = Container(name="main", ports=[ContainerPort(8080, "http", "TCP")])
    spec = PodSpec(node_name="n", containers=[container])
    return pod(name, ready, spec=spec, status={"pod_ip": ip}, **more)


def node(name: str = "n", ready: str = "True", **more: Any) -> Node:
    """A node with four CPUs, 8 GiB and room for ten pods."""
    room = more.pop("allocatable", {"cpu": "4", "memory": "8Gi", "pods": "10"})
    spec = more.pop("spec", None)
    found = Node(
        metadata=meta(name, namespace="", **more),
        status=NodeStatus(allocatable=room, conditions=[NodeCondition("Ready", ready)]),
    )
    return found if spec is None else replace(found, spec=spec)


def asking(name: str = "p", /, **requests: Any) -> Pod:
    """A pod that waits for a node and asks for resources."""
    container = Container(name="main", resources=ResourceRequirements(requests=requests))
    return pod(name, phase="Pending", spec=PodSpec(containers=[container]))
