"""Pods, and the template from which workloads make them."""

from typing import Annotated, ClassVar

from msgspec import field

from stagezero.api.base import Condition, Noun, Object, ObjectMeta, Raw, Resource
from stagezero.api.container import Container, ContainerStatus
from stagezero.api.fields import MERGE_BY_IP, MERGE_BY_NAME, MERGE_BY_TYPE, Quantity, doc, merge_by
from stagezero.api.volume import Volume


class LocalObjectReference(Noun):
    """An object of the same namespace, by name."""

    name: str = ""


class HostAlias(Noun):
    """A line of the pod's hosts file."""

    ip: str
    hostnames: list[str] = []


class PodReadinessGate(Noun):
    """A further condition that must be True before the pod is Ready."""

    condition_type: str


class PodSpec(Noun):
    """What a pod runs."""

    containers: Annotated[list[Container], MERGE_BY_NAME] = []
    init_containers: Annotated[
        list[Container], MERGE_BY_NAME, doc("Run to their end, one by one, before the others.")
    ] = []
    ephemeral_containers: Annotated[list[Raw], MERGE_BY_NAME] = []
    volumes: Annotated[list[Volume], MERGE_BY_NAME] = []
    restart_policy: Annotated[str, doc("Always, OnFailure or Never.")] = ""
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None
    service_account_name: str = ""
    service_account: str = ""
    automount_service_account_token: bool | None = None
    image_pull_secrets: Annotated[list[LocalObjectReference], MERGE_BY_NAME] = []
    node_name: str = ""
    node_selector: dict[str, str] = {}
    affinity: Raw | None = None
    tolerations: list[Raw] = []
    topology_spread_constraints: Annotated[
        list[Raw], merge_by("topologyKey", "whenUnsatisfiable")
    ] = []
    scheduler_name: str = ""
    scheduling_gates: Annotated[list[Raw], MERGE_BY_NAME] = []
    priority_class_name: str = ""
    priority: int | None = None
    preemption_policy: str = ""
    overhead: dict[str, Quantity] = {}
    hostname: str = ""
    subdomain: str = ""
    set_hostname_as_fqdn: bool | None = field(name="setHostnameAsFQDN", default=None)
    host_aliases: Annotated[list[HostAlias], MERGE_BY_IP] = []
    host_network: bool = False
    host_pid: bool = field(name="hostPID", default=False)
    host_ipc: bool = field(name="hostIPC", default=False)
    host_users: bool | None = None
    share_process_namespace: bool | None = None
    security_context: Raw | None = None
    dns_policy: str = ""
    dns_config: Raw | None = None
    readiness_gates: list[PodReadinessGate] = []
    runtime_class_name: str | None = None
    enable_service_links: bool | None = None
    os: Raw | None = None
    resource_claims: Annotated[list[Raw], MERGE_BY_NAME] = []
    resources: Raw | None = None


class PodIP(Noun):
    """An address of a pod."""

    ip: str = ""


class HostIP(Noun):
    """An address of a pod's machine."""

    ip: str = ""


class PodStatus(Noun):
    """What became of a pod."""

    phase: Annotated[str, doc("Pending, Running, Succeeded, Failed or Unknown.")] = ""
    observed_generation: int = 0
    conditions: Annotated[list[Condition], MERGE_BY_TYPE] = []
    message: str = ""
    reason: str = ""
    nominated_node_name: str = ""
    host_ip: str = field(name="hostIP", default="")
    host_ips: Annotated[list[HostIP], MERGE_BY_IP] = field(name="hostIPs", default_factory=list)
    pod_ip: str = field(name="podIP", default="")
    pod_ips: Annotated[list[PodIP], MERGE_BY_IP] = field(name="podIPs", default_factory=list)
    start_time: str | None = None
    init_container_statuses: list[ContainerStatus] = []
    container_statuses: list[ContainerStatus] = []
    ephemeral_container_statuses: list[ContainerStatus] = []
    qos_class: str = ""
    resize: str = ""


class Pod(Object):
    """One or more containers that live and die together on one node."""

    resource: ClassVar[Resource] = Resource(
        "", "v1", "Pod", "pods",
        short_names=("po",), categories=("all",), has_status=True, is_builtin=True,
    )  # fmt: skip
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class PodTemplateSpec(Noun):
    """The pod that a workload makes."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class ObjectReference(Noun):
    """An object of any kind; `field_path` names a part of it."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


class Binding(Object):
    """Puts a pod on a node: posted to the pod's `binding` subresource."""

    resource: ClassVar[Resource] = Resource("", "v1", "Binding", "bindings", is_builtin=True)
    target: ObjectReference = ObjectReference()
