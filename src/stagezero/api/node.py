"""Nodes: the machines that pods run on."""

from typing import Annotated, ClassVar

from msgspec import field

from stagezero.api.base import Condition, Noun, Object, Raw, Resource
from stagezero.api.fields import MERGE_BY_TYPE, Quantity, doc, merge_by


class Taint(Noun):
    """Keeps pods away that do not tolerate it."""

    key: str
    effect: str
    value: str = ""
    time_added: str | None = None


class NodeSpec(Noun):
    """What an administrator says of a node."""

    pod_cidr: str = field(name="podCIDR", default="")
    pod_cidrs: list[str] = field(name="podCIDRs", default_factory=list)
    provider_id: str = field(name="providerID", default="")
    unschedulable: Annotated[bool, doc("No new pods (kubectl cordon).")] = False
    taints: list[Taint] = []


class NodeAddress(Noun):
    """An address of a node: InternalIP, ExternalIP or Hostname."""

    type: str
    address: str


class NodeSystemInfo(Noun):
    """What a node is."""

    machine_id: str = field(name="machineID", default="")
    system_uuid: str = field(name="systemUUID", default="")
    boot_id: str = field(name="bootID", default="")
    kernel_version: str = ""
    os_image: str = ""
    container_runtime_version: str = ""
    kubelet_version: str = ""
    kube_proxy_version: str = ""
    operating_system: str = ""
    architecture: str = ""


class DaemonEndpoint(Noun):
    """A port of a daemon."""

    port: int = field(name="Port")


class NodeDaemonEndpoints(Noun):
    """Where the node's daemons listen."""

    kubelet_endpoint: DaemonEndpoint | None = None


class ContainerImage(Noun):
    """An image that the node has."""

    names: list[str] = []
    size_bytes: int = 0


class NodeCondition(Condition):
    """A condition of a node, which also tells when its kubelet was last heard of."""

    last_heartbeat_time: str | None = None


class NodeStatus(Noun):
    """What a node can give, and whether it is well."""

    capacity: dict[str, Quantity] = {}
    allocatable: dict[str, Quantity] = {}
    phase: str = ""
    conditions: Annotated[list[NodeCondition], MERGE_BY_TYPE] = []
    addresses: Annotated[list[NodeAddress], merge_by("type")] = []
    daemon_endpoints: NodeDaemonEndpoints = NodeDaemonEndpoints()
    node_info: NodeSystemInfo = NodeSystemInfo()
    images: list[ContainerImage] = []
    volumes_in_use: list[str] = []
    volumes_attached: list[Raw] = []


class Node(Object):
    """A machine that runs pods."""

    resource: ClassVar[Resource] = Resource(
        "", "v1", "Node", "nodes",
        short_names=("no",), namespaced=False, has_status=True, is_builtin=True,
    )  # fmt: skip
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
