"""Knative's autoscaling kinds: PodAutoscaler (how many pods a revision shall have) and Metric."""

from typing import Annotated, ClassVar

from stagezero.api.base import Column, Noun, Object, Resource
from stagezero.api.fields import doc
from stagezero.api.serving_knative import READY, REASON, Status

GROUP = "autoscaling.internal.knative.dev"
_CATEGORIES = ("knative-internal", "autoscaling")


class ScaleTargetRef(Noun):
    """The Deployment whose replicas are set."""

    api_version: str = ""
    kind: str = ""
    name: str = ""


class PodAutoscalerSpec(Noun):
    """What is scaled, and what its requests are like."""

    container_concurrency: int = 0
    scale_target_ref: ScaleTargetRef = ScaleTargetRef()
    reachability: Annotated[
        str, doc("Reachable or Unreachable by a Route; empty while that is not known.")
    ] = ""
    protocol_type: Annotated[str, doc("http1 or h2c.")] = ""


class PodAutoscalerStatus(Status):
    """How many pods are wanted and there; `desiredScale` -1 means not known yet."""

    service_name: str = ""
    metrics_service_name: str = ""
    desired_scale: int | None = None
    actual_scale: int | None = None


class PodAutoscaler(Object):
    """Scales a revision with its load."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1alpha1", "PodAutoscaler", "podautoscalers",
        short_names=("kpa", "pa"), categories=_CATEGORIES, has_status=True,
        columns=(
            Column("DesiredScale", ".status.desiredScale", "integer"),
            Column("ActualScale", ".status.actualScale", "integer"),
            READY,
            REASON,
        ),
    )  # fmt: skip
    spec: PodAutoscalerSpec = PodAutoscalerSpec()
    status: PodAutoscalerStatus = PodAutoscalerStatus()


class MetricSpec(Noun):
    """Over which windows (nanoseconds) load is averaged."""

    stable_window: int = 0
    panic_window: int = 0
    scrape_target: str = ""


class Metric(Object):
    """What the autoscaler measures for a revision."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1alpha1", "Metric", "metrics",
        categories=_CATEGORIES, has_status=True, columns=(READY, REASON),
    )  # fmt: skip
    spec: MetricSpec = MetricSpec()
    status: Status = Status()
