"""Workloads that keep pods running: Deployment and ReplicaSet, and the scale of both."""

from typing import Annotated, ClassVar

from stagezero.api.base import Condition, LabelSelector, Noun, Object, Resource
from stagezero.api.fields import MERGE_BY_TYPE, RETAIN_KEYS, IntOrString, doc
from stagezero.api.pod import PodTemplateSpec


class RollingUpdateDeployment(Noun):
    """How far a rolling update may go above and below the wanted number of pods."""

    max_unavailable: IntOrString | None = None
    max_surge: IntOrString | None = None


class DeploymentStrategy(Noun):
    """How old pods give way to new ones: RollingUpdate or Recreate."""

    type: str = ""
    rolling_update: RollingUpdateDeployment | None = None


class DeploymentSpec(Noun):
    """How many pods of which template, and how they are replaced."""

    replicas: Annotated[int | None, doc("Number of pods wanted; 1 if not given.")] = None
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    strategy: Annotated[DeploymentStrategy, RETAIN_KEYS] = DeploymentStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None
    paused: bool = False
    progress_deadline_seconds: int | None = None


class DeploymentStatus(Noun):
    """How far a Deployment has come."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    conditions: Annotated[list[Condition], MERGE_BY_TYPE] = []
    collision_count: int | None = None


class Deployment(Object):
    """Keeps a number of pods running and replaces them step by step when the template changes."""

    resource: ClassVar[Resource] = Resource(
        "apps", "v1", "Deployment", "deployments",
        short_names=("deploy",), categories=("all",),
        has_status=True, has_scale=True, is_builtin=True,
    )  # fmt: skip
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class ReplicaSetSpec(Noun):
    """How many pods of which template."""

    replicas: int | None = None
    min_ready_seconds: int = 0
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()


class ReplicaSetStatus(Noun):
    """How many of the pods there are."""

    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0
    conditions: Annotated[list[Condition], MERGE_BY_TYPE] = []


class ReplicaSet(Object):
    """Keeps a number of like pods running."""

    resource: ClassVar[Resource] = Resource(
        "apps", "v1", "ReplicaSet", "replicasets",
        short_names=("rs",), categories=("all",),
        has_status=True, has_scale=True, is_builtin=True,
    )  # fmt: skip
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class ScaleSpec(Noun):
    """The number of pods wanted."""

    replicas: int = 0


class ScaleStatus(Noun):
    """The number of pods there are; `selector` in its text form."""

    replicas: int
    selector: str = ""


class Scale(Object):
    """The scale of a workload: its `scale` subresource."""

    resource: ClassVar[Resource] = Resource("autoscaling", "v1", "Scale", "scales", is_builtin=True)
    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus(0)
