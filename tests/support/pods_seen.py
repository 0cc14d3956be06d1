"""What a kubelet sees of pods: builders for tests of its plans."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from stagezero.api.base import Raw, from_raw
from stagezero.api.pod import Pod
from stagezero.node.plans.observed import ImagePhase, ImageView, Observed, Run
from stagezero.node.sandbox.runtime import Isolation, RuntimeInfo, Sandbox

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
READY_IMAGE = ImageView(ImagePhase.READY, "stagezero://abc")
SANDBOX = Sandbox("u1", "default", "web", "10.244.0.7", Isolation.BRIDGE)
BRIDGE = RuntimeInfo(Isolation.BRIDGE, True)


def a_pod(spec: Raw | None = None, **metadata: Any) -> Pod:
    """A pod `web` with one container `main`, unless told otherwise."""
    meta = {"name": "web", "namespace": "default", "uid": "u1", **metadata}
    containers = [{"name": "main", "image": "example/web"}]
    return from_raw(Pod, {"metadata": meta, "spec": {"containers": containers, **(spec or {})}})


def seen(pod: Pod | None = None, **more: Any) -> Observed:
    """A pod whose foundations are laid: image ready, volumes written, sandbox there."""
    thing = pod or a_pod()
    images = {
        container.image: READY_IMAGE
        for container in (*thing.spec.containers, *thing.spec.init_containers)
    }
    facts: dict[str, Any] = {
        "pod": thing,
        "info": BRIDGE,
        "node_name": "node",
        "host_ip": "127.0.0.1",
        "sandbox": SANDBOX,
        "is_mounted": True,
        "images": images,
        "is_fresh": False,
    }
    return Observed(**(facts | more))


def running(restart: int = 0, since_s: float = 60) -> Run:
    """A run that began `since_s` ago and goes on."""
    return Run(restart, NOW - timedelta(seconds=since_s))


def ended(code: int = 0, restart: int = 0, ago_s: float = 0, **more: Any) -> Run:
    """A run of one second that ended `ago_s` ago."""
    exited = NOW - timedelta(seconds=ago_s)
    started = exited - timedelta(seconds=more.pop("ran_s", 1))
    return Run(restart, started, exited, code, **more)


def runs(**by_container: Run | tuple[Run, ...]) -> Mapping[str, tuple[Run, ...]]:
    """The runs of containers; a single run may stand for itself."""
    return {
        name: found if isinstance(found, tuple) else (found,)
        for name, found in by_container.items()
    }
