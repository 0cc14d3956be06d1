"""What the kubelet decides about a pod, step by step."""

from datetime import timedelta
from typing import Any

import pytest

from stagezero.api.base import Raw
from stagezero.node.plans.observed import Health, ImagePhase, ImageView, Problem
from stagezero.node.plans.pod import Mount, Prepare, Pull, Release, Start, Stop, decide
from stagezero.node.sandbox.runtime import Isolation, RuntimeInfo
from support.pods_seen import NOW, a_pod, ended, running, runs, seen

INIT = {"name": "init", "image": "example/init"}
WITH_INIT: Raw = {"initContainers": [INIT, {"name": "second", "image": "example/init"}]}
DELETING: dict[str, Any] = {
    "deletionTimestamp": "2026-03-01T12:00:30Z",
    "deletionGracePeriodSeconds": 30,
}


def test_a_new_pod_needs_image_volumes_and_sandbox() -> None:
    found = decide(seen(sandbox=None, is_mounted=False, images={}), NOW)
    assert set(found.actions) == {Pull("example/web", "main"), Mount(), Prepare()}


def test_nothing_is_started_before_the_foundations_are_laid() -> None:
    lackings: tuple[Raw, ...] = ({"sandbox": None}, {"is_mounted": False}, {"images": {}})
    for lacking in lackings:
        actions = decide(seen(**lacking), NOW).actions
        assert not any(isinstance(action, Start) for action in actions)


def test_a_pod_with_foundations_starts_its_containers() -> None:
    assert decide(seen(), NOW).actions == (Start("main", 0, False),)


def test_a_running_pod_needs_nothing() -> None:
    found = decide(seen(runs=runs(main=running())), NOW)
    assert found.actions == ()
    assert found.recheck_s is None


def test_an_image_is_pulled_once_for_several_containers() -> None:
    pod = a_pod({"containers": [{"name": n, "image": "same"} for n in ("a", "b")]})
    assert decide(seen(pod, images={}), NOW).actions == (Pull("same", "a"),)


def test_a_pull_under_way_is_joined_for_its_end_must_be_heard_of() -> None:
    images = {"example/web": ImageView(ImagePhase.PULLING)}
    assert decide(seen(images=images), NOW).actions == (Pull("example/web", "main"),)


def test_a_failed_pull_is_tried_again_when_it_is_due() -> None:
    later = NOW + timedelta(seconds=7)
    failed = ImageView(ImagePhase.FAILED, "", "ErrImagePull", "why", later)
    waiting = decide(seen(images={"example/web": failed}), NOW)
    assert (waiting.actions, waiting.recheck_s) == ((), 7)
    assert decide(seen(images={"example/web": failed}), later).actions == (
        Pull("example/web", "main"),
    )


def test_a_name_that_is_no_image_is_never_tried_again() -> None:
    failed = ImageView(ImagePhase.FAILED, "", "InvalidImageName", "why")
    found = decide(seen(images={"example/web": failed}), NOW)
    assert (found.actions, found.recheck_s) == ((), None)


@pytest.mark.parametrize("what", ["mount_problem", "sandbox_problem"])
def test_a_problem_is_tried_again_when_it_is_due(what: str) -> None:
    problem = Problem("Failed", "why", NOW + timedelta(seconds=2))
    lacking: Raw = {"is_mounted": False} if what == "mount_problem" else {"sandbox": None}
    observed = seen(**lacking, **{what: problem})  # type: ignore[arg-type]  # never `pod`
    assert decide(observed, NOW).recheck_s == 2
    found = decide(observed, NOW + timedelta(seconds=2))
    assert found.actions == (Mount() if what == "mount_problem" else Prepare(),)


def test_init_containers_run_one_after_the_other() -> None:
    pod = a_pod(WITH_INIT)
    assert decide(seen(pod), NOW).actions == (Start("init", 0, True),)
    assert decide(seen(pod, runs=runs(init=running())), NOW).actions == ()
    first = runs(init=ended(0))
    assert decide(seen(pod, runs=first), NOW).actions == (Start("second", 0, True),)
    both = runs(init=ended(0), second=ended(0))
    assert decide(seen(pod, runs=both), NOW).actions == (Start("main", 0, False),)


SIDECAR: Raw = {
    "initContainers": [{"name": "side", "image": "example/init", "restartPolicy": "Always"}]
}


def test_a_sidecar_need_not_end_for_the_others_to_start() -> None:
    pod = a_pod(SIDECAR)
    assert decide(seen(pod), NOW).actions == (Start("side", 0, True),)
    found = decide(seen(pod, runs=runs(side=running())), NOW)
    assert found.actions == (Start("main", 0, False),)


def test_a_sidecar_that_has_not_started_is_awaited() -> None:
    starting = {"side": Health(is_started=False)}
    found = decide(seen(a_pod(SIDECAR), runs=runs(side=running()), health=starting), NOW)
    assert found.actions == ()


def test_a_sidecar_that_ends_is_started_again() -> None:
    observed = seen(a_pod(SIDECAR), runs=runs(side=ended(0), main=running()))
    assert decide(observed, NOW).actions == (Start("side", 1, True),)
    assert decide(observed, NOW).status.phase == "Running"


def test_a_sidecar_is_stopped_when_the_pod_is_through() -> None:
    pod = a_pod({**SIDECAR, "restartPolicy": "Never"})
    found = decide(seen(pod, runs=runs(side=running(), main=ended(0))), NOW)
    assert found.status.phase == "Succeeded"
    assert found.actions == (Stop("side", 30, "Stopping container side"),)


def test_a_failed_init_container_is_run_again() -> None:
    pod = a_pod(WITH_INIT)
    found = decide(seen(pod, runs=runs(init=ended(1))), NOW)
    assert found.actions == (Start("init", 1, True),)


def test_a_failed_init_container_fails_a_pod_that_never_restarts() -> None:
    pod = a_pod({**WITH_INIT, "restartPolicy": "Never"})
    found = decide(seen(pod, runs=runs(init=ended(1))), NOW)
    assert found.status.phase == "Failed"
    assert found.actions == (Release(is_gone=False),)


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 1, False),
    ],
)
def test_the_restart_policy_decides_on_another_run(policy: str, code: int, restarts: bool) -> None:
    pod = a_pod({"restartPolicy": policy})
    actions = decide(seen(pod, runs=runs(main=ended(code))), NOW).actions
    assert (Start("main", 1, False) in actions) is restarts


def test_the_second_failure_waits_ten_seconds() -> None:
    crashed = runs(main=(ended(1, 0, ago_s=5), ended(1, 1, ago_s=4)))
    found = decide(seen(runs=crashed), NOW)
    assert (found.actions, found.recheck_s) == ((), 6)
    assert found.events[0].message == (
        "Back-off restarting failed container main in pod web_default(u1)"
    )
    later = decide(seen(runs=crashed), NOW + timedelta(seconds=6))
    assert later.actions == (Start("main", 2, False),)


def test_a_container_with_a_config_problem_waits() -> None:
    problem = Problem("CreateContainerConfigError", "why", NOW + timedelta(seconds=3))
    found = decide(seen(config_problems={"main": problem}), NOW)
    assert (found.actions, found.recheck_s) == ((), 3)


def test_a_container_that_fails_its_liveness_probe_is_stopped() -> None:
    sick = {"main": Health(is_failing=True)}
    found = decide(seen(runs=runs(main=running()), health=sick), NOW)
    message = "Container main failed liveness probe, will be restarted"
    assert found.actions == (Stop("main", 30, message),)


def test_a_probe_may_have_a_grace_of_its_own() -> None:
    probe = {"exec": {"command": ["false"]}, "terminationGracePeriodSeconds": 3}
    containers = [{"name": "main", "image": "example/web", "livenessProbe": probe}]
    sick = {"main": Health(is_failing=True)}
    pod = a_pod({"containers": containers})
    (stop,) = decide(seen(pod, runs=runs(main=running()), health=sick), NOW).actions
    assert isinstance(stop, Stop) and stop.grace_s == 3


def test_what_is_being_stopped_is_not_stopped_twice() -> None:
    sick = {"main": Health(is_failing=True)}
    stopping = frozenset({"main"})
    found = decide(seen(runs=runs(main=running()), health=sick, stopping=stopping), NOW)
    assert found.actions == ()


def test_a_pod_to_be_deleted_is_stopped_with_its_grace() -> None:
    pod = a_pod({"terminationGracePeriodSeconds": 99}, **DELETING)
    found = decide(seen(pod, runs=runs(main=running())), NOW)
    assert found.actions == (Stop("main", 30, "Stopping container main"),)


def test_a_deleted_pod_goes_when_everything_has_ended() -> None:
    pod = a_pod(**DELETING)
    still = decide(seen(pod, runs=runs(main=running()), stopping=frozenset({"main"})), NOW)
    assert still.actions == ()
    through = decide(seen(pod, runs=runs(main=ended(143))), NOW)
    assert through.actions == (Release(is_gone=True),)


def test_a_deleted_pod_that_never_ran_goes_at_once() -> None:
    found = decide(seen(a_pod(**DELETING), sandbox=None, images={}), NOW)
    assert found.actions == (Release(is_gone=True),)


def test_a_deleted_pod_is_not_restarted() -> None:
    found = decide(seen(a_pod(**DELETING), runs=runs(main=ended(1))), NOW)
    assert not any(isinstance(action, Start) for action in found.actions)


def test_a_pod_that_is_through_gives_its_sandbox_back() -> None:
    pod = a_pod({"restartPolicy": "Never"})
    through = seen(pod, runs=runs(main=ended(0)))
    assert decide(through, NOW).actions == (Release(is_gone=False),)
    assert decide(seen(pod, runs=runs(main=ended(0)), sandbox=None), NOW).actions == ()


def test_a_shared_network_is_told_once() -> None:
    shared = RuntimeInfo(Isolation.HOST, True, "no bridge")
    (event,) = decide(seen(info=shared, is_fresh=True), NOW).events
    assert event.reason == "SharedNetwork" and "no bridge" in event.message
    assert decide(seen(info=shared), NOW).events == ()


def test_a_decision_does_not_depend_on_when_it_is_made_again() -> None:
    observed = seen(runs=runs(main=running()))
    assert decide(observed, NOW) == decide(observed, NOW)
