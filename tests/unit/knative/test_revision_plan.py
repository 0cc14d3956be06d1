"""A Revision's plan: children, and the true cause when it is not ready."""

from typing import Any

import pytest
from msgspec.structs import replace

from stagezero.api import autoscaling_knative as autoscaling
from stagezero.api import serving_knative as serving
from stagezero.api.apps import Deployment, DeploymentStatus
from stagezero.api.base import Condition
from stagezero.api.config_knative import KnativeConfig
from stagezero.api.container import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
)
from stagezero.api.pod import Pod, PodStatus
from stagezero.controllers.knative.plans.deployment import make_deployment
from stagezero.controllers.knative.plans.revision import Observed, plan, reachability
from stagezero.runtime.plan import Plan
from support.knative_objects import FIRST, NOW, autoscaler, meta, ready, revision, told

NEW = revision(state="pending", conditions=[])


def deployment(available: int = 0, *conditions: Condition, replicas: int = 1) -> Deployment:
    made = make_deployment(NEW, replicas, KnativeConfig())
    status = DeploymentStatus(available_replicas=available, conditions=list(conditions))
    return replace(made, metadata=replace(made.metadata, uid="uid-deployment"), status=status)


def scaler(initialized: str = "True", status: str = "True", reason: str = "") -> Any:
    conditions = [Condition("ScaleTargetInitialized", initialized), *ready(status, reason)]
    told_scale = autoscaling.PodAutoscalerStatus(
        service_name=FIRST, desired_scale=1, actual_scale=1, conditions=conditions
    )
    return replace(autoscaler(NEW), status=told_scale)


def planned(**observed: Any) -> Plan:
    return plan(Observed(**({"revision": NEW} | observed)), NOW)


def pod(state: ContainerState, last: ContainerState | None = None, **status: Any) -> Pod:
    container = ContainerStatus(
        "user-container", False, 1, "hello", "", state=state, last_state=last or ContainerState()
    )
    return Pod(metadata=meta("pod"), status=PodStatus(container_statuses=[container], **status))


def ended(code: int, message: str = "", reason: str = "Error") -> ContainerState:
    return ContainerState(terminated=ContainerStateTerminated(code, reason=reason, message=message))


def waiting(reason: str, message: str = "") -> ContainerState:
    return ContainerState(waiting=ContainerStateWaiting(reason, message))


def test_a_new_revision_gets_its_children() -> None:
    kinds = [type(one).__name__ for one in planned().apply]
    assert kinds == ["Deployment", "PodAutoscaler", "Image"]


def test_a_new_revision_is_deploying() -> None:
    found = planned().status
    for kind in ("ContainerHealthy", "ResourcesAvailable", "Ready", "Active"):
        assert told(found, kind) == ("Unknown", "Deploying", "")


def test_an_initialized_scale_makes_it_ready() -> None:
    found = planned(deployment=deployment(1), autoscaler=scaler())
    assert told(found.status) == ("True", "", "")
    assert told(found.status, "Active")[0] == "True"
    assert [event.reason for event in found.events] == ["RevisionReady"]


def test_a_revision_at_zero_stays_ready() -> None:
    found = planned(
        deployment=deployment(0, replicas=0), autoscaler=scaler(status="False", reason="NoTraffic")
    )
    assert told(found.status)[0] == "True"
    assert told(found.status, "Active")[:2] == ("False", "NoTraffic")


def test_being_ready_is_told_once() -> None:
    first = planned(deployment=deployment(1), autoscaler=scaler()).status
    assert planned(revision=first, deployment=deployment(1), autoscaler=scaler()).events == ()


def test_the_scale_is_shown() -> None:
    found = planned(deployment=deployment(1), autoscaler=scaler()).status
    assert isinstance(found, serving.Revision)
    assert (found.status.actual_replicas, found.status.desired_replicas) == (1, 1)


def test_an_unknown_scale_is_not_shown() -> None:
    unknown = replace(autoscaler(NEW), status=autoscaling.PodAutoscalerStatus(desired_scale=-1))
    found = planned(autoscaler=unknown).status
    assert isinstance(found, serving.Revision)
    assert found.status.desired_replicas is None


TROUBLES: dict[str, tuple[Pod, str, tuple[str, str, str]]] = {
    "crash": (
        pod(waiting("CrashLoopBackOff"), ended(5, "boom")),
        "ContainerHealthy",
        ("False", "ExitCode5", "Container failed with: boom"),
    ),
    "crash, not restarted yet": (
        pod(ended(1, "boom")),
        "ContainerHealthy",
        ("False", "ExitCode1", "Container failed with: boom"),
    ),
    "crash without a word": (
        pod(waiting("CrashLoopBackOff"), ended(137, reason="OOMKilled")),
        "ContainerHealthy",
        ("False", "ExitCode137", "Container failed with: OOMKilled"),
    ),
    "end without error": (
        pod(waiting("CrashLoopBackOff"), ended(0, reason="Completed")),
        "ContainerHealthy",
        ("False", "ExitCode0", "Container failed with: container exited with no error"),
    ),
    "pull back-off": (
        pod(waiting("ImagePullBackOff", "not in the catalogue")),
        "ContainerHealthy",
        ("False", "ContainerMissing", 'Unable to fetch image "hello": not in the catalogue'),
    ),
    "pull error without a word": (
        pod(waiting("ErrImagePull")),
        "ContainerHealthy",
        ("False", "ContainerMissing", 'Unable to fetch image "hello": ErrImagePull'),
    ),
    "configuration error": (
        pod(waiting("CreateContainerConfigError", 'secret "s" not found')),
        "ResourcesAvailable",
        ("False", "CreateContainerConfigError", 'secret "s" not found'),
    ),
    "unschedulable": (
        pod(
            ContainerState(),
            conditions=[
                Condition("PodScheduled", "False", reason="Unschedulable", message="0/1 nodes")
            ],
        ),
        "ResourcesAvailable",
        ("False", "Unschedulable", "0/1 nodes"),
    ),
    "a port of its own choice": (
        pod(
            ContainerState(),
            conditions=[
                Condition(
                    "node.stagezero.dev/OwnNetwork", "False", reason="FixedPort", message="on 7777"
                )
            ],
        ),
        "ContainerHealthy",
        ("False", "FixedPort", "on 7777"),
    ),
    "evicted": (
        pod(ContainerState(), phase="Failed", reason="Evicted", message="disk is full"),
        "ResourcesAvailable",
        ("False", "Evicted", "disk is full"),
    ),
}


@pytest.mark.parametrize(("one", "kind", "words"), TROUBLES.values(), ids=TROUBLES)
def test_a_pods_trouble_is_the_revisions(one: Pod, kind: str, words: tuple[str, str, str]) -> None:
    found = planned(deployment=deployment(), pods=[one])
    assert told(found.status, kind) == words
    assert told(found.status) == words


@pytest.mark.parametrize(
    "one",
    [
        pod(waiting("ContainerCreating")),
        pod(waiting("PodInitializing")),
        pod(ContainerState()),
        replace(
            pod(ended(1, "boom")),
            metadata=meta("pod", deletion_timestamp="2026-01-01T00:00:00Z"),
        ),
    ],
    ids=["creating", "initializing", "nothing yet", "going away"],
)
def test_a_pod_on_its_way_is_no_trouble(one: Pod) -> None:
    found = planned(deployment=deployment(), pods=[one])
    assert told(found.status) == ("Unknown", "Deploying", "")


def test_an_init_container_that_fails_is_told() -> None:
    failed = ContainerStatus(
        "storage-initializer", False, 1, "x", "", state=ended(1, "no such bucket")
    )
    one = Pod(metadata=meta("pod"), status=PodStatus(init_container_statuses=[failed]))
    found = planned(deployment=deployment(), pods=[one])
    assert told(found.status)[2] == "Container failed with: no such bucket"


def test_an_init_container_that_is_done_is_no_trouble() -> None:
    done = ContainerStatus("storage-initializer", True, 0, "x", "", state=ended(0))
    one = Pod(metadata=meta("pod"), status=PodStatus(init_container_statuses=[done]))
    found = planned(deployment=deployment(), pods=[one])
    assert told(found.status)[0] == "Unknown"


def test_a_pod_in_trouble_beside_a_good_one_is_not_told() -> None:
    found = planned(deployment=deployment(1), autoscaler=scaler(), pods=[pod(ended(1, "boom"))])
    assert told(found.status)[0] == "True"


def test_the_newest_pod_is_asked() -> None:
    old = replace(
        pod(ended(1, "old")), metadata=meta("a", creation_timestamp="2026-01-01T00:00:00Z")
    )
    new = replace(
        pod(ended(2, "new")), metadata=meta("b", creation_timestamp="2026-01-01T00:00:01Z")
    )
    found = planned(deployment=deployment(), pods=[new, old])
    assert told(found.status)[1] == "ExitCode2"


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (
            Condition("Progressing", "False", reason="ProgressDeadlineExceeded", message="late"),
            ("False", "ProgressDeadlineExceeded", "late"),
        ),
        (
            Condition("ReplicaFailure", "True", reason="FailedCreate", message="quota"),
            ("False", "FailedCreate", "quota"),
        ),
    ],
)
def test_a_stuck_deployment_is_told(condition: Condition, words: tuple[str, str, str]) -> None:
    found = planned(deployment=deployment(0, condition))
    assert told(found.status, "ResourcesAvailable") == words


def test_the_crash_is_told_rather_than_the_deadline() -> None:
    late = Condition("Progressing", "False", reason="ProgressDeadlineExceeded", message="late")
    found = planned(deployment=deployment(0, late), pods=[pod(ended(1, "boom"))])
    assert told(found.status)[1] == "ExitCode1"


def test_a_scale_that_was_never_reached_is_told() -> None:
    given_up = scaler(initialized="Unknown", status="False", reason="TimedOut")
    found = planned(deployment=deployment(0, replicas=0), autoscaler=given_up)
    assert told(found.status, "ResourcesAvailable") == (
        "False",
        "ProgressDeadlineExceeded",
        "Initial scale was never achieved",
    )


def test_a_deployment_of_somebody_else_is_told_and_left_alone() -> None:
    foreign = Deployment(metadata=meta(f"{FIRST}-deployment"))
    found = planned(deployment=foreign)
    message = f'There is an existing Deployment "{FIRST}-deployment" that we do not own.'
    assert told(found.status, "ResourcesAvailable") == ("False", "NotOwned", message)
    assert "Deployment" not in [type(one).__name__ for one in found.apply]


@pytest.mark.parametrize(
    ("state", "conditions", "reach"),
    [
        ("active", [*ready(), Condition("Active", "True")], "Reachable"),
        ("reserve", [*ready(), Condition("Active", "True")], "Unreachable"),
        ("active", [*ready("Unknown"), Condition("Active", "Unknown")], ""),
        ("pending", [], ""),
        ("pending", [*ready("False"), Condition("Active", "Unknown")], "Unreachable"),
        ("active", [*ready("False"), Condition("Active", "True")], "Reachable"),
    ],
)
def test_reachability_follows_routing(state: str, conditions: list[Condition], reach: str) -> None:
    assert reachability(revision(state=state, conditions=conditions)) == reach


def test_planning_twice_says_the_same() -> None:
    first = planned(deployment=deployment(1), autoscaler=scaler()).status
    again = planned(revision=first, deployment=deployment(1), autoscaler=scaler()).status
    assert again == first
