"""The Node object."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from stagezero.api.node import Node
from stagezero.api.quantities import parse_quantity
from stagezero.api.times import write_time
from stagezero.node.machine import read_machine
from stagezero.node.plans.node_object import Machine, node_object
from stagezero.node.sandbox.runtime import Isolation, RuntimeInfo
from support.pods_seen import BRIDGE, NOW

GIB = 1 << 30
MACHINE = Machine(
    name="stagezero",
    hostname="laptop",
    address="127.0.0.1",
    cpus=2,
    memory_bytes=8 * GIB,
    free_memory_bytes=4 * GIB,
    disk_bytes=100 * GIB,
    free_disk_bytes=50 * GIB,
    kernel="6.1",
    os_image="Linux",
    architecture="amd64",
    machine_id="m",
    boot_id="b",
)


def _node(
    machine: Machine = MACHINE, info: RuntimeInfo = BRIDGE, before: Node | None = None
) -> Node:
    return node_object(machine, info, "0.1.0", before, NOW)


def _conditions(node: Node) -> dict[str, str]:
    return {condition.type: condition.status for condition in node.status.conditions}


def test_a_node_that_is_well_is_ready() -> None:
    assert _conditions(_node()) == {
        "Ready": "True",
        "MemoryPressure": "False",
        "DiskPressure": "False",
    }


def test_a_dozen_serving_pods_fit_on_two_cores() -> None:
    allocatable = _node().status.allocatable
    assert parse_quantity(allocatable["cpu"]) >= 12
    assert parse_quantity(allocatable["memory"]) >= 12 * 2 * GIB


def test_capacity_is_what_there_is() -> None:
    capacity = _node().status.capacity
    assert parse_quantity(capacity["cpu"]) == 2
    assert parse_quantity(capacity["memory"]) == 8 * GIB


@pytest.mark.parametrize(
    ("machine", "kind"),
    [
        (replace(MACHINE, free_memory_bytes=1), "MemoryPressure"),
        (replace(MACHINE, free_disk_bytes=1), "DiskPressure"),
    ],
    ids=["memory", "disk"],
)
def test_a_lack_is_a_condition(machine: Machine, kind: str) -> None:
    assert _conditions(_node(machine))[kind] == "True"


def test_how_pods_are_kept_apart_is_told() -> None:
    shared = RuntimeInfo(Isolation.HOST, False, "not root")
    node = _node(info=shared)
    assert node.metadata.annotations["node.stagezero.dev/network"] == "host"
    ready = next(c for c in node.status.conditions if c.type == "Ready")
    assert "not root" in ready.message and "limits are not enforced" in ready.message


def test_a_node_that_stays_ready_keeps_its_date() -> None:
    first = _node()
    again = node_object(MACHINE, BRIDGE, "0.1.0", first, NOW + timedelta(hours=1))
    assert [c.last_transition_time for c in again.status.conditions] == [
        c.last_transition_time for c in first.status.conditions
    ]


@pytest.mark.parametrize(
    ("after", "machine", "moves"),
    [
        (timedelta(seconds=290), MACHINE, False),
        (timedelta(seconds=300), MACHINE, True),
        (timedelta(seconds=10), replace(MACHINE, free_memory_bytes=1), True),
        (timedelta(hours=-1), MACHINE, True),
    ],
    ids=["not yet due", "due", "changed", "clock turned back"],
)
def test_a_heartbeat_moves_every_five_minutes_or_with_a_change(
    after: timedelta, machine: Machine, moves: bool
) -> None:
    first = _node()
    again = node_object(machine, BRIDGE, "0.1.0", first, NOW + after)
    beats = {c.last_heartbeat_time for c in again.status.conditions}
    assert beats == {write_time(NOW + after if moves else NOW)}


def test_a_heartbeat_that_is_no_date_is_written_anew() -> None:
    first = _node()
    broken = [msgspec.structs.replace(c, last_heartbeat_time="x") for c in first.status.conditions]
    status = msgspec.structs.replace(first.status, conditions=broken)
    again = _node(before=msgspec.structs.replace(first, status=status))
    assert {c.last_heartbeat_time for c in again.status.conditions} == {write_time(NOW)}


def test_this_machine_can_be_read(tmp_path: Path) -> None:
    machine = read_machine("n", "127.0.0.1", tmp_path)
    assert machine.cpus >= 1
    assert 0 < machine.free_memory_bytes <= machine.memory_bytes
    assert machine.boot_id and machine.kernel
