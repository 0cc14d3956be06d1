"""A ReplicaSet keeps as many pods as wanted."""

import re
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from stagezero.api.apps import ReplicaSet, ReplicaSetStatus
from stagezero.api.base import controller_of
from stagezero.api.core import Container, ContainerStatus, Pod, PodSpec
from stagezero.controllers.workloads.plans.replicasets import (
    BURST,
    ReplicaSetObserved,
    plan_replica_set,
)
from stagezero.runtime.plan import NOTHING, Plan
from support.workloads import LABELS, NOW, ago, deleting, pod, replica_set, template

UNBOUND = PodSpec(containers=[Container(name="main")])


def plan(wanted: int, *pods: Pod, **spec: Any) -> Plan:
    found = replica_set(wanted)
    found = replace(found, spec=replace(found.spec, **spec))
    return plan_replica_set(ReplicaSetObserved(found, pods), NOW)


def status(made: Plan) -> ReplicaSetStatus:
    assert isinstance(made.status, ReplicaSet)
    return made.status.status


def doomed(made: Plan) -> list[str]:
    return [thing.metadata.name for thing in made.delete]


@pytest.mark.parametrize(
    ("wanted", "there", "created", "deleted"),
    [(0, 0, 0, 0), (3, 0, 3, 0), (3, 2, 1, 0), (2, 2, 0, 0), (1, 3, 0, 2), (0, 2, 0, 2)],
)
def test_the_difference_is_created_or_deleted(
    wanted: int, there: int, created: int, deleted: int
) -> None:
    made = plan(wanted, *(pod(f"p{number}") for number in range(there)))
    assert (len(made.apply), len(made.delete)) == (created, deleted)


def test_without_replicas_there_is_one() -> None:
    assert len(plan(1, replicas=None).apply) == 1


def test_names_are_the_sets_name_and_five_letters() -> None:
    for thing in plan(20).apply:
        assert re.fullmatch(r"web-a-[bcdfghjklmnpqrstvwxz2456789]{5}", thing.metadata.name)


def test_names_differ() -> None:
    assert len({thing.metadata.name for thing in plan(50).apply}) == 50


def test_a_later_pod_never_takes_the_name_of_one_that_is_gone() -> None:
    observed = ReplicaSetObserved(replica_set(5), ())
    first = {thing.metadata.name for thing in plan_replica_set(observed, NOW).apply}
    later = plan_replica_set(observed, NOW + timedelta(seconds=1)).apply
    assert not first & {thing.metadata.name for thing in later}


def test_the_same_state_at_the_same_time_gives_the_same_plan() -> None:
    assert plan(3) == plan(3)


def test_a_long_name_is_cut() -> None:
    observed = ReplicaSetObserved(replica_set(1, name="x" * 62), ())
    (made,) = plan_replica_set(observed, NOW).apply
    assert len(made.metadata.name) == 63


def test_pods_follow_the_template() -> None:
    (made,) = plan(1).apply
    assert isinstance(made, Pod)
    assert made.metadata.labels == LABELS
    assert made.spec.containers[0].image == "v1"
    assert made.metadata.generate_name == "web-a-"


def test_pods_are_controlled_by_the_set() -> None:
    (made,) = plan(1).apply
    ref = controller_of(made)
    assert ref is not None and (ref.kind, ref.uid) == ("ReplicaSet", "uid-web-a")


@pytest.mark.parametrize(
    ("victim", "other"),
    [
        pytest.param(pod("z", True, spec=UNBOUND), pod("a", True), id="without node"),
        pytest.param(pod("z", phase="Pending"), pod("a"), id="pending"),
        pytest.param(pod("z", False), pod("a", True), id="not ready"),
        pytest.param(
            pod("z", annotations={"controller.kubernetes.io/pod-deletion-cost": "-5"}),
            pod("a"),
            id="cheap to delete",
        ),
        pytest.param(
            pod("z", creation_timestamp=ago(10)), pod("a", creation_timestamp=ago(99)), id="young"
        ),
        pytest.param(
            pod(
                "z",
                status={"container_statuses": [ContainerStatus("main", False, 7, "", "")]},
            ),
            pod("a"),
            id="often restarted",
        ),
    ],
)
def test_the_least_useful_pod_goes_first(victim: Pod, other: Pod) -> None:
    assert doomed(plan(1, victim, other)) == ["z"]
    assert doomed(plan(1, other, victim)) == ["z"]


def test_a_deletion_cost_that_is_no_number_counts_nothing() -> None:
    odd = pod("b", annotations={"controller.kubernetes.io/pod-deletion-cost": "cheap"})
    assert doomed(plan(1, pod("a"), odd)) == ["a"]


def test_pods_being_deleted_do_not_count() -> None:
    assert len(plan(1, deleting(pod())).apply) == 1


@pytest.mark.parametrize("phase", ["Succeeded"])
def test_ended_pods_are_replaced_at_once(phase: str) -> None:
    assert len(plan(1, pod(phase=phase)).apply) == 1


def test_a_failed_pod_is_replaced_after_a_while() -> None:
    made = plan(1, pod(phase="Failed", creation_timestamp=ago(4)))
    assert not made.apply
    assert made.recheck_s == 6


def test_the_wait_doubles_with_every_failure() -> None:
    failures = [pod(f"f{number}", phase="Failed", creation_timestamp=ago(0)) for number in (1, 2)]
    assert plan(1, *failures).recheck_s == 20


def test_an_old_failure_delays_nothing() -> None:
    assert len(plan(1, pod(phase="Failed", creation_timestamp=ago(11))).apply) == 1


def test_old_failed_pods_are_cleared_away() -> None:
    failures = [
        pod(f"f{age}", phase="Failed", creation_timestamp=ago(1000 + age)) for age in range(7)
    ]
    assert sorted(doomed(plan(0, *failures))) == ["f5", "f6"]


def test_no_more_than_a_burst_at_once() -> None:
    assert len(plan(BURST + 10).apply) == BURST


def test_status_counts_ready_and_available() -> None:
    counted = status(plan(2, pod("a", True), pod("b")))
    assert (counted.replicas, counted.ready_replicas, counted.available_replicas) == (2, 1, 1)


def test_status_counts_pods_with_all_labels() -> None:
    labels = LABELS | {"tier": "front"}
    made = plan(2, pod("a", labels=labels), pod("b"), template=template(labels=labels))
    assert status(made).fully_labeled_replicas == 1


def test_status_tells_the_generation_it_has_seen() -> None:
    assert status(plan(0)).observed_generation == 1


def test_a_pod_must_be_ready_for_long_enough() -> None:
    made = plan(1, pod("a", True), min_ready_seconds=45)
    assert status(made).available_replicas == 0
    assert made.recheck_s == 15


def test_events_tell_what_was_done() -> None:
    (told,) = plan(0, pod("gone")).events
    assert (told.reason, told.message) == ("SuccessfulDelete", "Deleted pod: gone")
    (told,) = plan(1).events
    assert told.reason == "SuccessfulCreate"


def test_a_set_being_deleted_does_nothing() -> None:
    observed = ReplicaSetObserved(deleting(replica_set(3)), ())
    assert plan_replica_set(observed, NOW) == NOTHING


def test_a_settled_set_plans_no_writes() -> None:
    made = plan(2, pod("a", True), pod("b", True))
    assert not made.apply and not made.delete and made.recheck_s is None
