"""A Deployment moves its ReplicaSets step by step."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from stagezero.api.apps import (
    Deployment,
    DeploymentStatus,
    DeploymentStrategy,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
)
from stagezero.api.base import Condition, LabelSelector, controller_of
from stagezero.controllers.workloads.plans.deployments import (
    HASH_LABEL,
    REVISION,
    DeploymentObserved,
    plan_deployment,
)
from stagezero.runtime.plan import NOTHING, Plan
from support.workloads import LABELS, NOW, ago, deleting, deployment, meta, template

RECREATE = DeploymentStrategy("Recreate")


def of(image: str, replicas: int, ready: int, revision: int = 1, **more: Any) -> ReplicaSet:
    """The ReplicaSet of an image, as the plan would have made it."""
    name = f"web-{image}"
    labels = LABELS | {HASH_LABEL: image}
    annotations = {REVISION: str(revision)}
    return ReplicaSet(
        metadata=meta(name, annotations=annotations, labels=labels, **more),
        spec=ReplicaSetSpec(replicas, 0, LabelSelector(labels), template(image, labels)),
        status=ReplicaSetStatus(replicas, replicas, ready, ready, 1),
    )


def plan(thing: Deployment, *sets: ReplicaSet, **pods: int) -> Plan:
    named = {name.replace("_", "-"): count for name, count in pods.items()}
    return plan_deployment(DeploymentObserved(thing, sets, named), NOW)


def sizes(made: Plan) -> dict[str, int | None]:
    return {
        thing.metadata.name: thing.spec.replicas
        for thing in made.apply
        if isinstance(thing, ReplicaSet)
    }


def status(made: Plan) -> DeploymentStatus:
    assert isinstance(made.status, Deployment)
    return made.status.status


def condition(made: Plan, kind: str) -> Condition:
    (found,) = [found for found in status(made).conditions if found.type == kind]
    return found


def created(made: Plan) -> ReplicaSet:
    (found,) = [thing for thing in made.apply if isinstance(thing, ReplicaSet)]
    return found


def with_status(thing: Deployment, **fields: Any) -> Deployment:
    return replace(thing, status=DeploymentStatus(**fields))


def progressing(reason: str, since_s: float = 10, status: str = "True") -> Condition:
    return Condition("Progressing", status, ago(since_s), reason, "", last_update_time=ago(since_s))


class TestFirst:
    """Nothing is there yet."""

    def test_a_set_of_full_size_is_created(self) -> None:
        assert created(plan(deployment(3))).spec.replicas == 3

    def test_it_is_named_after_the_templates_hash(self) -> None:
        made = created(plan(deployment()))
        assert made.metadata.name == f"web-{made.metadata.labels[HASH_LABEL]}"

    def test_the_hash_is_in_selector_and_template(self) -> None:
        made = created(plan(deployment()))
        digest = made.metadata.labels[HASH_LABEL]
        assert made.spec.selector.match_labels == LABELS | {HASH_LABEL: digest}
        assert made.spec.template.metadata.labels == LABELS | {HASH_LABEL: digest}

    def test_the_hash_is_short_and_safe(self) -> None:
        digest = created(plan(deployment())).metadata.labels[HASH_LABEL]
        assert 1 <= len(digest) <= 10
        assert set(digest) <= set("bcdfghjklmnpqrstvwxz2456789")

    def test_equal_templates_have_equal_hashes(self) -> None:
        assert created(plan(deployment(1))).metadata.name == (
            created(plan(deployment(5))).metadata.name
        )

    def test_other_templates_have_other_hashes(self) -> None:
        first, second = plan(deployment(image="v1")), plan(deployment(image="v2"))
        assert created(first).metadata.name != created(second).metadata.name

    def test_the_deployment_controls_it(self) -> None:
        ref = controller_of(created(plan(deployment())))
        assert ref is not None and ref.uid == "uid-web"

    def test_annotations_are_copied_but_not_kubectls_own(self) -> None:
        thing = deployment()
        notes = {"team": "a", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
        made = plan(replace(thing, metadata=replace(thing.metadata, annotations=notes)))
        copied = created(made).metadata.annotations
        assert copied["team"] == "a"
        assert "kubectl.kubernetes.io/last-applied-configuration" not in copied

    def test_revision_one_is_written_on_both(self) -> None:
        made = plan(deployment())
        assert created(made).metadata.annotations[REVISION] == "1"
        (own,) = [thing for thing in made.apply if isinstance(thing, Deployment)]
        assert own.metadata.annotations == {REVISION: "1"}

    def test_the_condition_tells_of_it(self) -> None:
        made = plan(deployment())
        found = condition(made, "Progressing")
        assert (found.status, found.reason) == ("True", "NewReplicaSetCreated")
        assert found.message == f'Created new replica set "{created(made).metadata.name}"'

    def test_an_event_tells_of_it(self) -> None:
        (told,) = plan(deployment(2)).events
        assert told.reason == "ScalingReplicaSet"
        assert told.message.endswith("from 0 to 2")

    def test_it_is_not_available(self) -> None:
        found = condition(plan(deployment()), "Available")
        assert (found.status, found.reason, found.message) == (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )

    def test_a_paused_deployment_creates_none(self) -> None:
        assert not sizes(plan(deployment(paused=True)))

    def test_zero_replicas_make_an_empty_set(self) -> None:
        made = plan(deployment(0))
        assert created(made).spec.replicas == 0
        assert not made.events
        assert condition(made, "Available").status == "True"


class TestScaling:
    """The template stays, the number changes."""

    @pytest.mark.parametrize(("there", "wanted"), [(0, 1), (2, 5), (3, 1), (2, 0)])
    def test_the_set_follows(self, there: int, wanted: int) -> None:
        assert sizes(plan(deployment(wanted), of("v1", there, there)))["web-v1"] == wanted

    def test_events_say_which_way(self) -> None:
        (told,) = plan(deployment(0), of("v1", 1, 1)).events
        assert told.message == "Scaled down replica set web-v1 from 1 to 0"

    def test_a_settled_one_tells_nothing(self) -> None:
        assert not plan(deployment(2), of("v1", 2, 2)).events

    def test_min_ready_seconds_follow(self) -> None:
        made = created(plan(deployment(2, min_ready_seconds=7), of("v1", 2, 2)))
        assert made.spec.min_ready_seconds == 7

    def test_a_paused_one_still_scales(self) -> None:
        made = plan(deployment(5, "v2", paused=True), of("v1", 2, 2))
        assert sizes(made) == {"web-v1": 5}


class TestRollingUpdate:
    """The template changes."""

    def test_one_more_pod_at_first(self) -> None:
        made = plan(deployment(3, "v2"), of("v1", 3, 3))
        assert list(sizes(made).values()) == [1]

    def test_an_old_pod_goes_when_a_new_one_is_available(self) -> None:
        made = plan(deployment(3, "v2"), of("v1", 3, 3), of("v2", 1, 1, 2))
        assert sizes(made) == {"web-v2": 1, "web-v1": 2}

    def test_old_pods_stay_while_the_new_one_is_not_available(self) -> None:
        made = plan(deployment(3, "v2"), of("v1", 3, 3), of("v2", 1, 0, 2))
        assert sizes(made) == {"web-v2": 1}

    def test_the_last_old_pod_goes(self) -> None:
        made = plan(deployment(1, "v2"), of("v1", 1, 1), of("v2", 1, 1, 2))
        assert sizes(made)["web-v1"] == 0

    def test_the_revision_rises(self) -> None:
        made = plan(deployment(1, "v2"), of("v1", 1, 1, 7))
        assert created(made).metadata.annotations[REVISION] == "8"

    def test_rolling_back_gives_the_old_set_a_new_revision(self) -> None:
        made = plan(deployment(1, "v1"), of("v1", 0, 0, 1), of("v2", 1, 1, 2))
        (back,) = [thing for thing in made.apply if thing.metadata.name == "web-v1"]
        assert back.metadata.annotations[REVISION] == "3"

    def test_recreate_lets_the_old_pods_go_first(self) -> None:
        made = plan(deployment(2, "v2", strategy=RECREATE), of("v1", 2, 2))
        assert sizes(made)["web-v1"] == 0
        assert sorted(size for size in sizes(made).values() if size is not None) == [0, 0]

    def test_recreate_waits_until_they_are_gone(self) -> None:
        sets = of("v1", 0, 0), of("v2", 0, 0, 2)
        made = plan(deployment(2, "v2", strategy=RECREATE), *sets, web_v1=1)
        assert sizes(made)["web-v2"] == 0

    def test_recreate_then_starts_all(self) -> None:
        sets = of("v1", 0, 0), of("v2", 0, 0, 2)
        made = plan(deployment(2, "v2", strategy=RECREATE), *sets)
        assert sizes(made)["web-v2"] == 2

    def test_the_server_may_have_put_the_hash_anywhere(self) -> None:
        odd = of("v1", 2, 2)
        assert sizes(plan(deployment(2, "v1"), odd)) == {"web-v1": 2}

    def test_a_name_that_is_taken_counts_a_collision(self) -> None:
        name = created(plan(deployment(1, "v2"))).metadata.name
        taken = replace(of("v1", 1, 1), metadata=meta(name, labels=LABELS))
        made = plan(deployment(1, "v2"), taken)
        assert status(made).collision_count == 1
        assert name not in sizes(made)


class TestHistory:
    """Old ReplicaSets are kept for rolling back, up to a limit."""

    def test_the_oldest_go(self) -> None:
        old = [of(f"o{number}", 0, 0, number) for number in range(1, 4)]
        made = plan(deployment(1, "v9", revision_history_limit=1), *old, of("v9", 1, 1, 9))
        assert [thing.metadata.name for thing in made.delete] == ["web-o1", "web-o2"]

    def test_ten_are_kept_if_nothing_is_said(self) -> None:
        old = [of(f"o{number}", 0, 0, number) for number in range(1, 12)]
        made = plan(deployment(1, "v99"), *old, of("v99", 1, 1, 99))
        assert [thing.metadata.name for thing in made.delete] == ["web-o1"]

    def test_none_go_before_the_rollout_is_complete(self) -> None:
        old = [of("o1", 0, 0, 1)]
        made = plan(deployment(1, "v9", revision_history_limit=0), *old, of("v9", 1, 0, 9))
        assert not made.delete


class TestStatus:
    """Counts and conditions."""

    def test_counts_are_sums(self) -> None:
        counted = status(plan(deployment(3, "v2"), of("v1", 3, 2), of("v2", 1, 1, 2)))
        assert (
            counted.replicas,
            counted.updated_replicas,
            counted.ready_replicas,
            counted.available_replicas,
            counted.unavailable_replicas,
        ) == (4, 1, 3, 3, 1)

    def test_the_generation_is_observed(self) -> None:
        assert status(plan(deployment())).observed_generation == 1

    def test_it_is_available_with_all_pods(self) -> None:
        found = condition(plan(deployment(2), of("v1", 2, 2)), "Available")
        assert (found.status, found.reason, found.message) == (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )

    def test_a_complete_rollout_says_so(self) -> None:
        thing = with_status(deployment(1), conditions=[progressing("ReplicaSetUpdated")])
        found = condition(plan(thing, of("v1", 1, 1)), "Progressing")
        assert (found.status, found.reason) == ("True", "NewReplicaSetAvailable")
        assert found.message == 'ReplicaSet "web-v1" has successfully progressed.'

    def test_progress_moves_the_update_time_only(self) -> None:
        thing = with_status(deployment(2), conditions=[progressing("NewReplicaSetCreated")])
        found = condition(plan(thing, of("v1", 2, 1)), "Progressing")
        assert found.reason == "ReplicaSetUpdated"
        assert found.last_update_time == ago(0)
        assert found.last_transition_time == ago(10)

    def test_a_known_set_is_found(self) -> None:
        found = condition(plan(deployment(2), of("v1", 2, 0)), "Progressing")
        assert found.reason == "FoundNewReplicaSet"

    def test_no_progress_in_time_is_late(self) -> None:
        counts = {"replicas": 1, "updated_replicas": 1}
        thing = with_status(
            deployment(1), conditions=[progressing("ReplicaSetUpdated", 601)], **counts
        )
        found = condition(plan(thing, of("v1", 1, 0)), "Progressing")
        assert (found.status, found.reason) == ("False", "ProgressDeadlineExceeded")
        assert found.message == 'ReplicaSet "web-v1" has timed out progressing.'

    def test_the_plan_looks_again_at_the_deadline(self) -> None:
        counts = {"replicas": 1, "updated_replicas": 1}
        thing = with_status(
            deployment(1, progress_deadline_seconds=60),
            conditions=[progressing("ReplicaSetUpdated", 20)],
            **counts,
        )
        assert plan(thing, of("v1", 1, 0)).recheck_s == 40

    def test_a_late_rollout_may_still_succeed(self) -> None:
        late = progressing("ProgressDeadlineExceeded", 700, "False")
        made = plan(with_status(deployment(1), conditions=[late]), of("v1", 1, 1))
        assert condition(made, "Progressing").reason == "NewReplicaSetAvailable"

    def test_a_late_rollout_does_not_wake_again(self) -> None:
        late = progressing("ProgressDeadlineExceeded", 700, "False")
        thing = with_status(deployment(1), conditions=[late], replicas=1, updated_replicas=1)
        made = plan(thing, of("v1", 1, 0))
        assert made.recheck_s is None
        assert condition(made, "Progressing").reason == "ProgressDeadlineExceeded"

    def test_a_pod_lost_later_is_no_new_rollout(self) -> None:
        done = progressing("NewReplicaSetAvailable", 9999)
        thing = with_status(deployment(2), conditions=[done], replicas=2, updated_replicas=2)
        made = plan(thing, of("v1", 2, 1))
        assert condition(made, "Progressing").reason == "NewReplicaSetAvailable"
        assert made.recheck_s is None

    @pytest.mark.parametrize(
        ("paused", "old", "reason"),
        [
            (True, "ReplicaSetUpdated", "DeploymentPaused"),
            (False, "DeploymentPaused", "DeploymentResumed"),
        ],
        ids=["pause", "resume"],
    )
    def test_pausing_is_told(self, paused: bool, old: str, reason: str) -> None:
        thing = with_status(deployment(1, paused=paused), conditions=[progressing(old)])
        assert condition(plan(thing, of("v1", 1, 1)), "Progressing").reason == reason

    def test_planning_again_changes_nothing(self) -> None:
        thing, sets = deployment(2), of("v1", 2, 2)
        first = plan(thing, sets)
        again = plan(replace(thing, status=status(first)), sets)
        later = plan_deployment(
            DeploymentObserved(replace(thing, status=status(again)), (sets,), {}),
            NOW + timedelta(hours=1),
        )
        assert status(later) == status(again)


def test_a_deployment_being_deleted_does_nothing() -> None:
    assert plan(deleting(deployment())) == NOTHING
