"""Tables of built-in kinds read as Kubernetes' own server writes them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stagezero.api.apps import Deployment, ReplicaSet
from stagezero.api.base import LabelSelector, LabelSelectorRequirement, Object, Raw
from stagezero.api.builtin import BUILTIN_KINDS
from stagezero.api.core import (
    ConfigMap,
    Endpoints,
    Event,
    Namespace,
    Node,
    Pod,
    Secret,
    Service,
)
from stagezero.api.discovery import EndpointSlice
from stagezero.api.printing import PRINTERS, printed
from stagezero.api.selectors import selector_text

NOW = datetime(2026, 1, 1, 0, 1, 0, tzinfo=UTC)
BORN = "2026-01-01T00:00:00Z"


def show(kind: type[Object], **fields: Any) -> dict[str, Any]:
    metadata = {"name": "x", "creationTimestamp": BORN, **fields.pop("metadata", {})}
    return printed(kind, {"metadata": metadata, **fields}, NOW)


def state(**kinds: Raw) -> Raw:
    return {"name": "c", "ready": False, "restartCount": 0, "image": "", "imageID": ""} | {
        "state": kinds
    }


def pod(*statuses: Raw, phase: str = "Running", **more: Any) -> Raw:
    status = {"phase": phase, "containerStatuses": list(statuses), **more.pop("status", {})}
    spec = {"containers": [{"name": f"c{n}"} for n in range(max(1, len(statuses)))]}
    return {"spec": spec | more.pop("spec", {}), "status": status, **more}


RUNNING = state(running={}) | {"ready": True}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        pytest.param(pod(phase="Pending"), "Pending", id="not scheduled"),
        pytest.param(
            pod(state(waiting={"reason": "ContainerCreating"}), phase="Pending"),
            "ContainerCreating",
            id="creating",
        ),
        pytest.param(pod(RUNNING), "Running", id="running"),
        pytest.param(
            pod(state(waiting={"reason": "CrashLoopBackOff"})), "CrashLoopBackOff", id="crash loop"
        ),
        pytest.param(
            pod(state(waiting={"reason": "ErrImagePull"}), phase="Pending"),
            "ErrImagePull",
            id="no image",
        ),
        pytest.param(
            pod(state(terminated={"exitCode": 0, "reason": "Completed"}), phase="Succeeded"),
            "Completed",
            id="completed",
        ),
        pytest.param(
            pod(state(terminated={"exitCode": 1, "reason": "Error"}), phase="Failed"),
            "Error",
            id="error",
        ),
        pytest.param(pod(state(terminated={"exitCode": 3})), "ExitCode:3", id="exit code"),
        pytest.param(
            pod(state(terminated={"exitCode": 137, "signal": 9})), "Signal:9", id="signal"
        ),
        pytest.param(
            pod(state(terminated={"exitCode": 0, "reason": "Completed"}), RUNNING),
            "NotReady",
            id="one completed, one runs, not ready",
        ),
        pytest.param(
            pod(state(terminated={"exitCode": 0, "reason": "Completed"}), RUNNING, status=READY),
            "Running",
            id="one completed, one runs, ready",
        ),
        pytest.param(
            pod(RUNNING, metadata={"deletionTimestamp": BORN}), "Terminating", id="terminating"
        ),
        pytest.param(
            pod(RUNNING, metadata={"deletionTimestamp": BORN}, status={"reason": "NodeLost"}),
            "Unknown",
            id="node lost",
        ),
        pytest.param(
            pod(phase="Failed", status={"reason": "Evicted"}), "Evicted", id="reason of the pod"
        ),
        pytest.param(
            pod(
                phase="Pending",
                status={
                    "conditions": [
                        {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
                    ]
                },
            ),
            "SchedulingGated",
            id="gated",
        ),
    ],
)
def test_the_status_word_of_a_pod(raw: Raw, word: str) -> None:
    assert show(Pod, **raw)["Status"] == word


@pytest.mark.parametrize(
    ("inits", "word"),
    [
        pytest.param([state(running={}), state(waiting={})], "Init:0/2", id="first runs"),
        pytest.param(
            [state(terminated={"exitCode": 0}), state(running={})], "Init:1/2", id="second runs"
        ),
        pytest.param(
            [state(waiting={"reason": "CrashLoopBackOff"})],
            "Init:CrashLoopBackOff",
            id="crash loop",
        ),
        pytest.param([state(waiting={"reason": "PodInitializing"})], "Init:0/2", id="waits"),
        pytest.param(
            [state(terminated={"exitCode": 2, "reason": "Error"})], "Init:Error", id="error"
        ),
        pytest.param([state(terminated={"exitCode": 2})], "Init:ExitCode:2", id="exit code"),
        pytest.param(
            [state(terminated={"exitCode": 0}), state(terminated={"exitCode": 0})],
            "PodInitializing",
            id="all done",
        ),
    ],
)
def test_the_status_word_while_initializing(inits: list[Raw], word: str) -> None:
    raw = pod(
        state(waiting={"reason": "PodInitializing"}),
        phase="Pending",
        spec={"initContainers": [{"name": "a"}, {"name": "b"}]},
        status={"initContainerStatuses": inits},
    )
    assert show(Pod, **raw)["Status"] == word


def test_ready_counts_containers() -> None:
    assert show(Pod, **pod(RUNNING, state(waiting={"reason": "x"})))["Ready"] == "1/2"


def test_restarts_tell_when_the_last_one_was() -> None:
    again = RUNNING | {
        "restartCount": 3,
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:30Z"}},
    }
    assert show(Pod, **pod(again))["Restarts"] == "3 (30s ago)"


def test_restarts_of_a_calm_pod_are_a_number() -> None:
    assert show(Pod, **pod(RUNNING))["Restarts"] == "0"


def test_wide_columns_of_a_pod_have_lower_priority() -> None:
    wide = [column.name for column in PRINTERS[("", "pods")].columns if column.priority]
    assert wide == ["IP", "Node", "Nominated Node", "Readiness Gates"]


def test_a_pod_without_address_and_node_says_none() -> None:
    cells = show(Pod, **pod(phase="Pending"))
    assert (cells["IP"], cells["Node"]) == ("<none>", "<none>")


def test_readiness_gates_are_counted() -> None:
    raw = pod(RUNNING, spec={"readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]})
    raw["status"]["conditions"] = [{"type": "a", "status": "True"}]
    assert show(Pod, **raw)["Readiness Gates"] == "1/2"


def test_a_deployment_prints_its_counts() -> None:
    cells = show(
        Deployment,
        spec={
            "replicas": 2,
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b"}]}},
        },
        status={"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
    )
    assert list(cells.values()) == ["x", "1/2", 2, 1, "60s", "a,b", "i,", "app=x"]


def test_a_sleeping_deployment_prints_zeros() -> None:
    cells = show(Deployment, spec={"replicas": 0})
    assert list(cells.values())[:5] == ["x", "0/0", 0, 0, "60s"]


def test_headings_are_kubernetes_own() -> None:
    names = [column.name for column in PRINTERS[("apps", "deployments")].columns]
    assert names[:5] == ["Name", "Ready", "Up-to-date", "Available", "Age"]


def test_a_replica_set_prints_its_counts() -> None:
    cells = show(ReplicaSet, spec={"replicas": 3}, status={"replicas": 2, "readyReplicas": 1})
    assert list(cells.values())[:4] == ["x", 3, 2, 1]


@pytest.mark.parametrize(
    ("spec", "status", "cells"),
    [
        pytest.param(
            {"type": "ClusterIP", "clusterIP": "10.96.0.1", "ports": [{"port": 80}]},
            {},
            ["ClusterIP", "10.96.0.1", "<none>", "80/TCP"],
            id="cluster ip",
        ),
        pytest.param(
            {"type": "ClusterIP", "clusterIP": "None"},
            {},
            ["ClusterIP", "None", "<none>", "<none>"],
            id="headless",
        ),
        pytest.param(
            {"type": "ExternalName", "externalName": "a.b"},
            {},
            ["ExternalName", "<none>", "a.b", "<none>"],
            id="external name",
        ),
        pytest.param(
            {"type": "LoadBalancer", "clusterIPs": ["10.0.0.2"]},
            {},
            ["LoadBalancer", "10.0.0.2", "<pending>", "<none>"],
            id="balancer pending",
        ),
        pytest.param(
            {
                "type": "LoadBalancer",
                "clusterIP": "10.0.0.2",
                "ports": [{"port": 80, "nodePort": 30080}, {"port": 443, "protocol": "UDP"}],
            },
            {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}},
            ["LoadBalancer", "10.0.0.2", "127.0.0.1", "80:30080/TCP,443/UDP"],
            id="balancer",
        ),
        pytest.param(
            {"externalIPs": ["1.2.3.4"]},
            {},
            ["ClusterIP", "<none>", "1.2.3.4", "<none>"],
            id="external ips",
        ),
    ],
)
def test_a_service_prints_how_it_is_reached(spec: Raw, status: Raw, cells: list[str]) -> None:
    assert list(show(Service, spec=spec, status=status).values())[1:5] == cells


def subset(count: int, *ports: int) -> Raw:
    return {
        "addresses": [{"ip": f"10.0.0.{n}"} for n in range(count)],
        "ports": [{"port": port} for port in ports],
    }


@pytest.mark.parametrize(
    ("subsets", "text"),
    [
        ([], "<none>"),
        ([{"notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1}]}], ""),
        ([subset(2, 80)], "10.0.0.0:80,10.0.0.1:80"),
        ([subset(1)], "10.0.0.0"),
        ([subset(5, 80)], "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."),
    ],
    ids=["none", "not ready", "two", "no port", "many"],
)
def test_endpoints_show_three_at_most(subsets: list[Raw], text: str) -> None:
    assert show(Endpoints, subsets=subsets)["Endpoints"] == text


def test_a_slice_lists_ports_and_addresses() -> None:
    cells = show(
        EndpointSlice,
        addressType="IPv4",
        ports=[{"port": 8080}, {"port": 81}],
        endpoints=[{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}],
    )
    assert list(cells.values())[1:4] == ["IPv4", "8080,81", "10.0.0.1,10.0.0.2"]


@pytest.mark.parametrize(
    ("conditions", "spec", "word"),
    [
        ([{"type": "Ready", "status": "True"}], {}, "Ready"),
        ([{"type": "Ready", "status": "Unknown"}], {}, "NotReady"),
        ([], {}, "Unknown"),
        (
            [{"type": "Ready", "status": "True"}],
            {"unschedulable": True},
            "Ready,SchedulingDisabled",
        ),
    ],
    ids=["ready", "lost", "new", "cordoned"],
)
def test_the_status_of_a_node(conditions: list[Raw], spec: Raw, word: str) -> None:
    assert show(Node, spec=spec, status={"conditions": conditions})["Status"] == word


def test_a_node_prints_roles_and_addresses() -> None:
    cells = show(
        Node,
        metadata={"labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "boss"}},
        status={"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]},
    )
    assert (cells["Roles"], cells["Internal-IP"], cells["External-IP"]) == (
        "boss,worker",
        "127.0.0.1",
        "<none>",
    )


def test_an_event_prints_what_it_is_about() -> None:
    cells = show(
        Event,
        involvedObject={"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        lastTimestamp="2026-01-01T00:00:55Z",
        firstTimestamp=BORN,
        type="Warning",
        reason="BackOff",
        message="Back-off\n",
        count=4,
        source={"component": "node", "host": "h"},
    )
    assert list(cells.values()) == [
        "5s", "Warning", "BackOff", "pod/p", "Back-off", "spec.containers{c}", "node, h", "60s",
        "4", "x",
    ]  # fmt: skip


def test_an_event_without_last_time_shows_its_event_time() -> None:
    assert show(Event, eventTime="2026-01-01T00:00:58.000000Z")["Last Seen"] == "2s"


def test_a_config_map_counts_both_kinds_of_data() -> None:
    assert show(ConfigMap, data={"a": "1"}, binaryData={"b": "MQ=="})["Data"] == 2


def test_a_secret_shows_its_type() -> None:
    cells = show(Secret, type="Opaque", data={"a": "MQ=="})
    assert (cells["Type"], cells["Data"]) == ("Opaque", 1)


def test_a_namespace_shows_its_phase() -> None:
    assert show(Namespace, status={"phase": "Active"})["Status"] == "Active"


@pytest.mark.parametrize("kind", BUILTIN_KINDS, ids=lambda kind: kind.__name__)
def test_every_builtin_kind_prints_a_bare_object(kind: type[Object]) -> None:
    printer = PRINTERS[(kind.resource.group, kind.resource.plural)]
    cells = printer.cells({"metadata": {"name": "x"}} | _needed(kind), NOW)
    assert len(cells) == len(printer.columns)
    assert "x" in cells


def _needed(kind: type[Object]) -> Raw:
    if kind.resource.kind != "CustomResourceDefinition":
        return {}
    names = {"plural": "boxes", "kind": "Box"}
    return {"spec": {"group": "g", "scope": "Cluster", "versions": [], "names": names}}


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (LabelSelector(), ""),
        (LabelSelector({"b": "2", "a": "1"}), "a=1,b=2"),
        (
            LabelSelector(
                {"b": "1"},
                [
                    LabelSelectorRequirement("a", "In", ["y", "x"]),
                    LabelSelectorRequirement("c", "NotIn", ["z"]),
                    LabelSelectorRequirement("d", "Exists"),
                    LabelSelectorRequirement("e", "DoesNotExist"),
                ],
            ),
            "a in (x,y),b=1,c notin (z),d,!e",
        ),
    ],
    ids=["all", "labels", "expressions"],
)
def test_a_selector_as_text(selector: LabelSelector, text: str) -> None:
    assert selector_text(selector) == text
