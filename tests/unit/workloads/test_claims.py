"""Workloads adopt what carries their labels and let go of what lost them."""

import pytest

from stagezero.api.base import LabelSelector, controller_of
from stagezero.api.core import Pod
from stagezero.controllers.workloads.plans.claims import claims
from stagezero.controllers.workloads.plans.deployments import DeploymentObserved, plan_deployment
from stagezero.controllers.workloads.plans.replicasets import ReplicaSetObserved, plan_replica_set
from support.workloads import LABELS, NOW, deleting, deployment, pod, replica_set

OWNER = replica_set(1)
OTHERS = {"app": "other"}


def claimed(owned: list[Pod], orphans: list[Pod]) -> tuple[Pod, ...]:
    return claims(OWNER, LabelSelector(LABELS), owned, orphans)


def test_an_orphan_with_the_labels_is_adopted() -> None:
    (found,) = claimed([], [pod("stray")])
    ref = controller_of(found)
    assert ref is not None and ref.uid == OWNER.uid


def test_an_adopted_object_keeps_its_other_owners() -> None:
    stray = pod("stray", owner=deployment())
    (found,) = claimed([], [stray])
    assert [ref.kind for ref in found.metadata.owner_references] == ["Deployment", "ReplicaSet"]


def test_an_object_that_lost_the_labels_is_let_go() -> None:
    (found,) = claimed([pod("mine", owner=OWNER, labels=OTHERS)], [])
    assert found.metadata.owner_references == []


@pytest.mark.parametrize(
    ("owned", "orphans"),
    [
        ([pod("mine", owner=OWNER)], []),
        ([], [pod("stray", labels=OTHERS)]),
        ([deleting(pod("mine", owner=OWNER, labels=OTHERS))], []),
        ([], [deleting(pod("stray"))]),
    ],
    ids=["mine", "not mine", "going", "stray and going"],
)
def test_others_are_left_alone(owned: list[Pod], orphans: list[Pod]) -> None:
    assert claimed(owned, orphans) == ()


def test_a_set_adopts_before_it_creates() -> None:
    made = plan_replica_set(ReplicaSetObserved(OWNER, (), (pod("stray"),)), NOW)
    assert len(made.claim) == 1
    assert not made.apply


def test_an_ended_pod_is_not_adopted() -> None:
    made = plan_replica_set(ReplicaSetObserved(OWNER, (), (pod("stray", phase="Failed"),)), NOW)
    assert not made.claim
    assert len(made.apply) == 1


def test_a_deployment_adopts_before_it_creates() -> None:
    stray = replica_set(2, labels=LABELS)
    made = plan_deployment(DeploymentObserved(deployment(2), (), {}, (stray,)), NOW)
    assert [thing.metadata.name for thing in made.claim] == ["web-a"]
    assert not made.apply
