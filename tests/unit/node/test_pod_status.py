"""The status of pods, word for word."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from stagezero.api.base import Condition, Raw
from stagezero.api.container import ContainerStatus
from stagezero.api.pod import Pod, PodStatus
from stagezero.node.plans.observed import Health, ImagePhase, ImageView, Observed, Problem
from stagezero.node.plans.pod_status import OWN_NETWORK, pod_status
from stagezero.node.sandbox.runtime import Isolation, RuntimeInfo, Sandbox
from support.pods_seen import NOW, READY_IMAGE, a_pod, ended, running, runs, seen

WITH_INIT: Raw = {"initContainers": [{"name": "init", "image": "example/init"}]}


def _conditions(status: PodStatus) -> dict[str, str]:
    return {condition.type: condition.status for condition in status.conditions}


def _main(observed: Observed) -> ContainerStatus:
    return pod_status(observed, NOW).container_statuses[0]


def test_a_pod_that_runs_is_ready() -> None:
    status = pod_status(seen(runs=runs(main=running())), NOW)
    assert status.phase == "Running"
    assert _conditions(status) == {
        "PodScheduled": "True",
        "Initialized": "True",
        "ContainersReady": "True",
        "Ready": "True",
    }
    assert (status.pod_ip, status.host_ip) == ("10.244.0.7", "127.0.0.1")


def test_a_container_that_is_not_ready_is_named() -> None:
    health = {"main": Health(is_ready=False)}
    status = pod_status(seen(runs=runs(main=running()), health=health), NOW)
    ready = next(c for c in status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "ContainersNotReady")
    assert ready.message == "containers with unready status: [main]"


def test_a_container_that_has_not_started_is_not_ready() -> None:
    health = {"main": Health(is_started=False, is_ready=True)}
    status = _main(seen(runs=runs(main=running()), health=health))
    assert (status.started, status.ready) == (False, False)


@pytest.mark.parametrize(
    ("observed", "reason", "message"),
    [
        (seen(), "ContainerCreating", ""),
        (seen(a_pod(WITH_INIT)), "PodInitializing", ""),
        (
            seen(images={"example/web": ImageView(ImagePhase.PULLING, message="building")}),
            "ContainerCreating",
            "building",
        ),
        (
            seen(images={"example/web": ImageView(ImagePhase.FAILED, "", "ErrImagePull", "why")}),
            "ErrImagePull",
            "why",
        ),
        (
            seen(config_problems={"main": Problem("CreateContainerConfigError", "no", NOW)}),
            "CreateContainerConfigError",
            "no",
        ),
        (
            seen(mount_problem=Problem("FailedMount", "no volume", NOW), is_mounted=False),
            "ContainerCreating",
            "no volume",
        ),
    ],
    ids=["creating", "initializing", "pulling", "no-image", "no-config", "no-volume"],
)
def test_a_container_that_waits_says_why(observed: Observed, reason: str, message: str) -> None:
    waiting = _main(observed).state.waiting
    assert waiting is not None
    assert (waiting.reason, waiting.message) == (reason, message)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (ended(0), (0, 0, "Completed")),
        (ended(3), (3, 0, "Error")),
        (ended(137, signal=9), (137, 9, "Error")),
        (ended(137, reason="ContainerStatusUnknown"), (137, 0, "ContainerStatusUnknown")),
        (ended(128, reason="StartError"), (128, 0, "StartError")),
    ],
    ids=["completed", "error", "signal", "unknown", "not-started"],
)
def test_an_end_is_told_with_its_reason(run: object, expected: tuple[int, int, str]) -> None:
    pod = a_pod({"restartPolicy": "Never"})
    terminated = _main(seen(pod, runs=runs(main=run))).state.terminated  # type: ignore[arg-type]
    assert terminated is not None
    assert (terminated.exit_code, terminated.signal, terminated.reason) == expected


def test_the_last_words_are_told() -> None:
    pod = a_pod({"restartPolicy": "Never"})
    terminated = _main(seen(pod, runs=runs(main=ended(1, message="out of luck")))).state.terminated
    assert terminated is not None and terminated.message == "out of luck"


@pytest.mark.parametrize(
    ("restarts", "delay"),
    [(1, "10s"), (2, "20s"), (3, "40s"), (4, "1m20s"), (5, "2m40s"), (6, "5m0s"), (60, "5m0s")],
)
def test_a_crash_loop_is_held_back_longer_and_longer(restarts: int, delay: str) -> None:
    status = _main(seen(runs=runs(main=ended(1, restarts))))
    waiting = status.state.waiting
    assert waiting is not None and waiting.reason == "CrashLoopBackOff"
    assert waiting.message == (
        f"back-off {delay} restarting failed container=main pod=web_default(u1)"
    )
    assert status.restart_count == restarts
    assert status.last_state.terminated is not None


def test_a_long_run_forgives_the_crashes_before() -> None:
    status = _main(seen(runs=runs(main=ended(1, 7, ran_s=700))))
    assert status.state.terminated is not None


def test_the_run_before_is_the_last_state() -> None:
    status = _main(seen(runs=runs(main=(ended(3, 0, ago_s=9), running(1, 5)))))
    assert status.restart_count == 1
    assert status.state.running is not None
    assert status.last_state.terminated is not None
    assert status.last_state.terminated.exit_code == 3


def test_identities_are_told() -> None:
    status = _main(seen(runs=runs(main=running(2))))
    assert status.container_id == "stagezero://u1/main/2"
    assert status.image_id == READY_IMAGE.image_id


@pytest.mark.parametrize(
    ("policy", "codes", "phase"),
    [
        ("Never", (0, 0), "Succeeded"),
        ("Never", (0, 1), "Failed"),
        ("OnFailure", (0, 0), "Succeeded"),
        ("OnFailure", (0, 1), "Running"),
        ("Always", (0, 0), "Running"),
    ],
)
def test_the_phase_follows_ends_and_policy(policy: str, codes: tuple[int, int], phase: str) -> None:
    containers = [{"name": name, "image": "x"} for name in ("a", "b")]
    pod = a_pod({"restartPolicy": policy, "containers": containers})
    observed = seen(pod, runs=runs(a=ended(codes[0]), b=ended(codes[1])))
    assert pod_status(observed, NOW).phase == phase


def test_a_pod_is_pending_until_its_init_containers_are_through() -> None:
    pod = a_pod(WITH_INIT)
    status = pod_status(seen(pod, runs=runs(init=running())), NOW)
    assert status.phase == "Pending"
    initialized = next(c for c in status.conditions if c.type == "Initialized")
    assert initialized.message == "containers with incomplete status: [init]"
    through = pod_status(seen(pod, runs=runs(init=ended(0), main=running())), NOW)
    assert through.phase == "Running"
    assert through.init_container_statuses[0].ready


def test_a_crashing_init_container_is_told() -> None:
    pod = a_pod(WITH_INIT)
    status = pod_status(seen(pod, runs=runs(init=ended(1, 2))), NOW)
    waiting = status.init_container_statuses[0].state.waiting
    assert waiting is not None and waiting.reason == "CrashLoopBackOff"
    assert status.phase == "Pending"


def test_a_completed_pod_is_not_ready_any_more() -> None:
    pod = a_pod({"restartPolicy": "Never"})
    status = pod_status(seen(pod, runs=runs(main=ended(0))), NOW)
    ready = next(c for c in status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "PodCompleted")


def _with_status(status: PodStatus, spec: Raw | None = None) -> Pod:
    return replace(a_pod(spec), status=status)


def test_a_readiness_gate_holds_ready_back() -> None:
    spec = {"readinessGates": [{"conditionType": "example/gate"}]}
    lacking = pod_status(seen(a_pod(spec), runs=runs(main=running())), NOW)
    ready = next(c for c in lacking.conditions if c.type == "Ready")
    assert ready.reason == "ReadinessGatesNotReady"
    assert "does not exist" in ready.message
    gate = Condition("example/gate", "True", last_transition_time="2026-01-01T00:00:00Z")
    opened = _with_status(PodStatus(conditions=[gate]), spec)
    status = pod_status(seen(opened, runs=runs(main=running())), NOW)
    assert _conditions(status)["Ready"] == "True"
    assert gate in status.conditions


def test_times_of_transition_stay_while_nothing_changes() -> None:
    first = pod_status(seen(runs=runs(main=running())), NOW)
    again = seen(_with_status(first), runs=runs(main=running()))
    assert pod_status(again, NOW + timedelta(hours=1)) == first


def test_a_shared_network_is_a_condition() -> None:
    shared = RuntimeInfo(Isolation.HOST, True, "no bridge: not root")
    status = pod_status(seen(info=shared, runs=runs(main=running())), NOW)
    own = next(c for c in status.conditions if c.type == OWN_NETWORK)
    assert own.status == "False" and "no bridge: not root" in own.message


@pytest.mark.parametrize("is_ready", [False, True], ids=["unready", "ready"])
def test_a_program_that_ignores_its_port_is_named_until_it_is_ready(is_ready: bool) -> None:
    observed = seen(
        info=RuntimeInfo(Isolation.HOST, True, "no bridge: not root"),
        sandbox=Sandbox("u1", "default", "web", "127.0.0.1", Isolation.HOST, {7777: 40001}),
        runs=runs(main=running()),
        health={"main": Health(is_ready=is_ready)},
        fixed_ports={"main": (7777,)},
    )
    own = next(c for c in pod_status(observed, NOW).conditions if c.type == OWN_NETWORK)
    assert own.reason == ("SharedNetwork" if is_ready else "FixedPort")
    assert ("container main listens on port 7777 instead of 40001" in own.message) != is_ready


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        (
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
            "Burstable",
        ),
    ],
    ids=["none", "requests", "limits", "differing"],
)
def test_the_quality_of_service_follows_the_resources(resources: Raw, qos: str) -> None:
    containers = [{"name": "main", "image": "x", "resources": resources}]
    assert pod_status(seen(a_pod({"containers": containers})), NOW).qos_class == qos
