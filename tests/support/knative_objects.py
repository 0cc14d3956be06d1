"""Builders of Knative's objects for tests of plans: short calls, only what a test is about."""

from datetime import UTC, datetime
from typing import Any

from stagezero.api import autoscaling_knative as autoscaling
from stagezero.api import networking_knative as networking
from stagezero.api import serving_knative as serving
from stagezero.api.base import Condition, Object, ObjectMeta, controlled_by
from stagezero.api.container import Container
from stagezero.api.names_knative import (
    CONFIGURATION,
    CONFIGURATION_GENERATION,
    ROUTING_STATE,
    SERVICE,
)

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
NOW_TEXT = "2026-01-01T12:00:00Z"
NAME = "helloworld-go"
FIRST = f"{NAME}-00001"


def meta(name: str, owner: Object | None = None, **more: Any) -> ObjectMeta:
    """Metadata in namespace `default`, at its first generation."""
    fields: dict[str, Any] = {"namespace": "default", "uid": f"uid-{name}", "generation": 1}
    if owner is not None:
        fields["owner_references"] = [controlled_by(owner)]
    return ObjectMeta(name=name, **(fields | more))


def ready(status: str = "True", reason: str = "", message: str = "") -> list[Condition]:
    """Conditions that hold only Ready."""
    return [Condition("Ready", status, reason=reason, message=message)]


def template(**container: Any) -> serving.RevisionTemplateSpec:
    """A revision template with one container."""
    given = {"name": "user-container", "image": "hello"} | container
    return serving.RevisionTemplateSpec(
        spec=serving.RevisionSpec(
            containers=[Container(**given)], container_concurrency=0, timeout_seconds=300
        )
    )


def service(**spec: Any) -> serving.Service:
    """A Service with all requests on its latest revision."""
    fields: dict[str, Any] = {
        "template": template(),
        "traffic": [serving.TrafficTarget(latest_revision=True, percent=100)],
    }
    return serving.Service(metadata=meta(NAME), spec=serving.ServiceSpec(**(fields | spec)))


def configuration(
    owner: Object | None = None, latest_ready: str = "", **more: Any
) -> serving.Configuration:
    """A Configuration that has seen its generation."""
    fields: dict[str, Any] = {
        "latest_created_revision_name": FIRST,
        "latest_ready_revision_name": latest_ready,
        "observed_generation": 1,
    }
    status = serving.ConfigurationStatus(**(fields | more))
    return serving.Configuration(
        metadata=meta(NAME, owner),
        spec=serving.ConfigurationSpec(template=template()),
        status=status,
    )


def revision(
    name: str = FIRST,
    *,
    state: str = "active",
    generation: int = 1,
    conditions: list[Condition] | None = None,
    **more: Any,
) -> serving.Revision:
    """A revision of the Configuration; ready unless `conditions` say otherwise."""
    labels = {
        CONFIGURATION: NAME,
        CONFIGURATION_GENERATION: str(generation),
        SERVICE: NAME,
        ROUTING_STATE: state,
    }
    fields: dict[str, Any] = {"labels": labels}
    return serving.Revision(
        metadata=meta(name, configuration(), **(fields | more)),
        spec=template().spec,
        status=serving.RevisionStatus(
            observed_generation=1, conditions=ready() if conditions is None else conditions
        ),
    )


def route(*targets: serving.TrafficTarget, **more: Any) -> serving.Route:
    """A Route; to the latest revision if no targets are given."""
    latest = serving.TrafficTarget(configuration_name=NAME, latest_revision=True, percent=100)
    return serving.Route(
        metadata=meta(NAME, **more), spec=serving.RouteSpec(list(targets) or [latest])
    )


def pinned(name: str, percent: int | None = None, tag: str = "") -> serving.TrafficTarget:
    """A share of requests for a revision by name."""
    return serving.TrafficTarget(
        revision_name=name, percent=percent, tag=tag, latest_revision=False
    )


def latest(percent: int | None = None, tag: str = "") -> serving.TrafficTarget:
    """A share of requests for the latest revision."""
    return serving.TrafficTarget(
        configuration_name=NAME, percent=percent, tag=tag, latest_revision=True
    )


def autoscaler(owner: Object | None = None, **more: Any) -> autoscaling.PodAutoscaler:
    """A PodAutoscaler of the first revision."""
    target = autoscaling.ScaleTargetRef("apps/v1", "Deployment", f"{FIRST}-deployment")
    return autoscaling.PodAutoscaler(
        metadata=meta(FIRST, owner, **more),
        spec=autoscaling.PodAutoscalerSpec(scale_target_ref=target, protocol_type="http1"),
    )


def serverless(owner: Object | None = None, **spec: Any) -> networking.ServerlessService:
    """A ServerlessService of the first revision."""
    fields: dict[str, Any] = {"mode": "Serve", "protocol_type": "http1", "num_activators": 3}
    return networking.ServerlessService(
        metadata=meta(FIRST, owner), spec=networking.ServerlessServiceSpec(**(fields | spec))
    )


def told(thing: Any, kind: str = "Ready") -> tuple[str, str, str]:
    """Status, reason and message of a condition of an object."""
    found = next(one for one in thing.status.conditions if one.type == kind)
    return found.status, found.reason, found.message
