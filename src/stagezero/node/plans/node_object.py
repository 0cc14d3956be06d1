"""The Node object: what this machine is, has and can take. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from stagezero.api import conditions
from stagezero.api.base import ObjectMeta
from stagezero.api.fields import Quantity
from stagezero.api.node import Node, NodeAddress, NodeCondition, NodeStatus, NodeSystemInfo
from stagezero.api.times import parse_time, write_time
from stagezero.node.sandbox.runtime import RuntimeInfo

CPU_OVERCOMMIT = 16
"""KServe asks one CPU for each model server, though it idles most of the time: a laptop with two
cores shall take thirty. CPU is shared by need, so requests are not reserved."""

MEMORY_OVERCOMMIT = 4
"""KServe asks 2 GiB for each; scikit-learn needs 0.1."""

PODS = 250

LEAST_FREE_MEMORY_BYTES = 100 << 20
LEAST_FREE_DISK = 0.03

HEARTBEAT_PERIOD = timedelta(minutes=5)
"""How long conditions that stay the same keep their heartbeat; the lease shows life meanwhile."""


@dataclass(frozen=True)
class Machine:
    """The facts of a machine; `name` is that of its Node."""

    name: str
    hostname: str
    address: str
    cpus: int
    memory_bytes: int
    free_memory_bytes: int
    disk_bytes: int
    free_disk_bytes: int
    kernel: str
    os_image: str
    architecture: str
    machine_id: str
    boot_id: str


def node_object(
    machine: Machine, info: RuntimeInfo, version: str, before: Node | None, now: datetime
) -> Node:
    """The Node as it shall be; its heartbeat moves with its conditions, or when it is due."""
    old = before.status.conditions if before else []
    found = conditions.settle(old, _conditions(machine, info), now)
    return Node(
        metadata=ObjectMeta(
            name=machine.name,
            labels={
                "kubernetes.io/arch": machine.architecture,
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": machine.hostname,
                "node-role.kubernetes.io/control-plane": "",
            },
            annotations={
                "node.stagezero.dev/network": info.isolation.value,
                "node.stagezero.dev/sandbox": str(info),
            },
        ),
        status=NodeStatus(
            capacity=_capacity(machine, 1, 1),
            allocatable=_capacity(machine, CPU_OVERCOMMIT, MEMORY_OVERCOMMIT),
            conditions=_heard_of(old, found, now),
            addresses=[
                NodeAddress("InternalIP", machine.address),
                NodeAddress("Hostname", machine.hostname),
            ],
            node_info=NodeSystemInfo(
                machine_id=machine.machine_id,
                system_uuid=machine.machine_id,
                boot_id=machine.boot_id,
                kernel_version=machine.kernel,
                os_image=machine.os_image,
                container_runtime_version=f"stagezero://{version}",
                kubelet_version=f"v{version}",
                kube_proxy_version=f"v{version}",
                operating_system="linux",
                architecture=machine.architecture,
            ),
        ),
    )


def _capacity(machine: Machine, cpu_factor: int, memory_factor: int) -> dict[str, Quantity]:
    return {
        "cpu": str(machine.cpus * cpu_factor),
        "memory": f"{machine.memory_bytes * memory_factor // 1024}Ki",
        "ephemeral-storage": f"{machine.disk_bytes // 1024}Ki",
        "pods": str(PODS),
    }


def _heard_of(
    old: list[NodeCondition], found: list[NodeCondition], now: datetime
) -> list[NodeCondition]:
    kept = old[0].last_heartbeat_time if old else None
    if kept is not None and _is_recent(kept, now):
        unchanged = [replace(condition, last_heartbeat_time=kept) for condition in found]
        if unchanged == old:
            return unchanged
    at = write_time(now)
    return [replace(condition, last_heartbeat_time=at) for condition in found]


def _is_recent(heartbeat: str, now: datetime) -> bool:
    try:
        return timedelta(0) <= now - parse_time(heartbeat) < HEARTBEAT_PERIOD
    except ValueError:  # somebody else wrote it
        return False


def _conditions(machine: Machine, info: RuntimeInfo) -> list[NodeCondition]:
    lacks_memory = machine.free_memory_bytes < LEAST_FREE_MEMORY_BYTES
    lacks_disk = machine.free_disk_bytes < machine.disk_bytes * LEAST_FREE_DISK
    return [
        _pressure("MemoryPressure", lacks_memory, "InsufficientMemory", "SufficientMemory"),
        _pressure("DiskPressure", lacks_disk, "DiskPressure", "NoDiskPressure"),
        NodeCondition(
            "Ready",
            conditions.TRUE,
            reason="KubeletReady",
            message=f"stagezero is ready; pods have {info}; limits are not enforced",
        ),
    ]


def _pressure(kind: str, is_lacking: bool, lacking: str, enough: str) -> NodeCondition:
    reason = f"KubeletHas{lacking if is_lacking else enough}"
    status = conditions.TRUE if is_lacking else conditions.FALSE
    return NodeCondition(kind, status, reason=reason)
