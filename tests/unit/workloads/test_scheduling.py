"""The scheduler puts pods where they fit, and says why if they fit nowhere."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from stagezero.api.base import Raw
from stagezero.api.core import (
    Container,
    Node,
    NodeSpec,
    Pod,
    ResourceRequirements,
    Taint,
)
from stagezero.controllers.workloads.plans.placement import requests, used
from stagezero.controllers.workloads.plans.scheduling import (
    SchedulingObserved,
    needs_node,
    plan_scheduling,
)
from stagezero.runtime.plan import NOTHING, Plan
from support.workloads import NOW, asking, deleting, node, pod


def with_spec(thing: Pod, **fields: Any) -> Pod:
    return replace(thing, spec=replace(thing.spec, **fields))


def plan(thing: Pod, *nodes: Node, **taken: dict[str, Decimal]) -> Plan:
    return plan_scheduling(SchedulingObserved(thing, nodes, taken), NOW)


def chosen(made: Plan) -> str:
    if not made.apply:
        return ""
    (bound,) = made.apply
    assert isinstance(bound, Pod)
    return bound.spec.node_name


def message(made: Plan) -> str:
    assert isinstance(made.status, Pod)
    (condition,) = [
        found for found in made.status.status.conditions if found.type == "PodScheduled"
    ]
    assert (condition.status, condition.reason) == ("False", "Unschedulable")
    return condition.message


def tainted(effect: str = "NoSchedule") -> Node:
    return node(spec=NodeSpec(taints=[Taint("gpu", effect, "yes")]))


def test_a_pod_that_fits_is_put_on_the_node() -> None:
    assert chosen(plan(asking(cpu="1"), node())) == "n"


def test_the_event_tells_of_it() -> None:
    (told,) = plan(asking(), node()).events
    assert (told.reason, told.message) == (
        "Scheduled",
        "Successfully assigned default/p to n",
    )


def test_the_emptiest_node_is_chosen() -> None:
    busy = {"cpu": Decimal(3), "memory": Decimal(0)}
    assert chosen(plan(asking(cpu="1"), node("a"), node("b"), a=busy)) == "b"


def test_equal_nodes_are_chosen_by_name() -> None:
    assert chosen(plan(asking(), node("b"), node("a"))) == "a"


@pytest.mark.parametrize(
    ("thing", "nodes", "text"),
    [
        pytest.param(
            asking(cpu="5"), [node()], "0/1 nodes are available: 1 Insufficient cpu.", id="cpu"
        ),
        pytest.param(
            asking(cpu=5, memory="9Gi"),
            [node()],
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.",
            id="cpu and memory",
        ),
        pytest.param(
            asking(**{"nvidia.com/gpu": 1}),
            [node()],
            "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
            id="gpu",
        ),
        pytest.param(
            asking(),
            [node(ready="False")],
            "0/1 nodes are available: 1 node(s) had untolerated taint "
            "{node.kubernetes.io/not-ready: }.",
            id="not ready",
        ),
        pytest.param(
            asking(),
            [node(spec=NodeSpec(unschedulable=True))],
            "0/1 nodes are available: 1 node(s) were unschedulable.",
            id="cordoned",
        ),
        pytest.param(
            asking(),
            [tainted()],
            "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}.",
            id="taint",
        ),
        pytest.param(
            with_spec(asking(), node_selector={"disk": "ssd"}),
            [node()],
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
            id="selector",
        ),
        pytest.param(
            asking(cpu="5"),
            [node("a"), node("b"), tainted()],
            "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, "
            "2 Insufficient cpu.",
            id="several",
        ),
        pytest.param(asking(), [], "no nodes available to schedule pods", id="no node"),
    ],
)
def test_the_message_says_what_every_node_lacks(thing: Pod, nodes: list[Node], text: str) -> None:
    made = plan(thing, *nodes)
    assert not made.apply
    assert message(made) == text
    assert made.events[0].reason == "FailedScheduling"


def test_a_full_node_has_too_many_pods() -> None:
    made = plan(asking(), node(), n={"pods": Decimal(10)})
    assert message(made) == "0/1 nodes are available: 1 Too many pods."


def test_a_waiting_pod_is_told_once() -> None:
    first = plan(asking(cpu="5"), node())
    assert isinstance(first.status, Pod)
    later = plan_scheduling(SchedulingObserved(first.status, (node(),)), NOW + timedelta(minutes=5))
    assert later.status == first.status
    assert not later.events


def test_an_empty_cluster_runs_what_asks_for_nothing() -> None:
    assert chosen(plan(asking(), node(allocatable={}))) == "n"


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_tolerations(toleration: Raw, fits: bool) -> None:
    thing = with_spec(asking(), tolerations=[toleration])
    assert bool(chosen(plan(thing, tainted()))) == fits


def test_a_mild_taint_keeps_nobody_away() -> None:
    assert chosen(plan(asking(), tainted("PreferNoSchedule"))) == "n"


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ({"key": "disk", "operator": "In", "values": ["ssd"]}, True),
        ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, False),
        ({"key": "cores", "operator": "Gt", "values": ["4"]}, True),
        ({"key": "cores", "operator": "Lt", "values": ["4"]}, False),
        ({"key": "disk", "operator": "Gt", "values": ["4"]}, False),
        ({"key": "gpu", "operator": "Exists"}, False),
    ],
)
def test_node_affinity(expression: Raw, fits: bool) -> None:
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    labelled = node(labels={"disk": "ssd", "cores": "8"})
    assert bool(chosen(plan(with_spec(asking(), affinity=affinity), labelled))) == fits


@pytest.mark.parametrize("name", ["n", "other"])
def test_affinity_by_name(name: str) -> None:
    fields = [{"key": "metadata.name", "operator": "In", "values": [name]}]
    required = {"nodeSelectorTerms": [{"matchFields": fields}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    assert bool(chosen(plan(with_spec(asking(), affinity=affinity), node()))) == (name == "n")


@pytest.mark.parametrize(
    "thing",
    [
        pod(),
        deleting(asking()),
        pod(phase="Failed", spec=asking().spec),
        with_spec(asking(), scheduler_name="mine"),
        with_spec(asking(), scheduling_gates=[{"name": "wait"}]),
    ],
    ids=["bound", "being deleted", "ended", "another scheduler", "gated"],
)
def test_other_pods_are_left_alone(thing: Pod) -> None:
    assert not needs_node(thing)
    assert plan(thing, node()) == NOTHING


def test_a_large_init_container_counts() -> None:
    init = Container(name="init", resources=ResourceRequirements(requests={"cpu": "3"}))
    thing = with_spec(asking(cpu="1", memory="1Gi"), init_containers=[init])
    assert requests(thing) == {"cpu": Decimal(3), "memory": Decimal(2**30)}


def test_sidecars_and_overhead_are_added() -> None:
    sidecar = Container(
        name="s", restart_policy="Always", resources=ResourceRequirements(requests={"cpu": "1"})
    )
    thing = with_spec(asking(cpu="1"), init_containers=[sidecar], overhead={"cpu": "500m"})
    assert requests(thing) == {"cpu": Decimal("2.5")}


def test_ended_pods_use_nothing() -> None:
    bound = with_spec(asking(cpu="1"), node_name="n")
    ended = replace(bound, status=replace(bound.status, phase="Succeeded"))
    assert used([bound, ended]) == {"pods": Decimal(1), "cpu": Decimal(1)}
