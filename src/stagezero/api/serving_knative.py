"""Knative Serving's kinds: Service, Configuration, Revision, Route, DomainMapping.

A Service is what a user writes; a Configuration stamps out Revisions, a Route splits requests among
them. The struct names are Knative's: import the module, not the names (`serving.Service`).
"""

from typing import Annotated, ClassVar

from msgspec import field

from stagezero.api.base import Column, Condition, Noun, Object, ObjectMeta, Resource
from stagezero.api.fields import doc
from stagezero.api.pod import PodSpec

GROUP = "serving.knative.dev"
_CATEGORIES = ("all", "knative", "serving")
READY = Column("Ready", ".status.conditions[?(@.type=='Ready')].status")
REASON = Column("Reason", ".status.conditions[?(@.type=='Ready')].reason")
URL = Column("URL", ".status.url")
_LATEST = (
    Column("LatestCreated", ".status.latestCreatedRevisionName"),
    Column("LatestReady", ".status.latestReadyRevisionName"),
)


class Status(Noun):
    """What every Knative status has: the generation it speaks of, and conditions."""

    observed_generation: int = 0
    conditions: list[Condition] = []
    annotations: dict[str, str] = {}


class Addressable(Noun):
    """Where an object can be called from inside the cluster."""

    url: str = ""


class RevisionSpec(PodSpec):
    """A pod spec and how Knative serves it; `kubectl explain` shows the fields Knative allows."""

    container_concurrency: Annotated[
        int | None, doc("Requests that one pod works on at a time; 0 is no limit.")
    ] = None
    timeout_seconds: Annotated[
        int | None, doc("Seconds a request may wait for its first byte; 300 if not given.")
    ] = None
    response_start_timeout_seconds: int | None = None
    idle_timeout_seconds: int | None = None


class RevisionTemplateSpec(Noun):
    """The revision that a Configuration makes."""

    metadata: ObjectMeta = ObjectMeta()
    spec: RevisionSpec = RevisionSpec()


class TrafficTarget(Noun):
    """One target of a Route: a revision or the latest ready one, with its share of requests."""

    tag: Annotated[str, doc("Gives the target a host of its own.")] = ""
    revision_name: str = ""
    configuration_name: str = ""
    latest_revision: bool | None = None
    percent: int | None = None
    url: Annotated[str, doc("Where a tagged target answers; in status only.")] = ""


class ConfigurationSpec(Noun):
    """The latest wanted revision."""

    template: RevisionTemplateSpec = RevisionTemplateSpec()


class ConfigurationStatus(Status):
    """Which revisions came of a Configuration."""

    latest_ready_revision_name: str = ""
    latest_created_revision_name: str = ""


class RouteSpec(Noun):
    """How requests are split."""

    traffic: list[TrafficTarget] = []


class RouteStatus(Status):
    """Where a Route answers, and how requests are split now."""

    url: str = ""
    address: Addressable | None = None
    traffic: list[TrafficTarget] = []


class ServiceSpec(Noun):
    """A Configuration's template and a Route's traffic in one."""

    template: RevisionTemplateSpec = RevisionTemplateSpec()
    traffic: list[TrafficTarget] = []


class ServiceStatus(Status):
    """What became of a Service: its Configuration's and its Route's status in one."""

    latest_ready_revision_name: str = ""
    latest_created_revision_name: str = ""
    url: str = ""
    address: Addressable | None = None
    traffic: list[TrafficTarget] = []


class ContainerImageStatus(Noun):
    """The exact image of a container."""

    name: str = ""
    image_digest: str = ""


class RevisionStatus(Status):
    """What became of a Revision."""

    service_name: str = ""
    log_url: str = ""
    container_statuses: list[ContainerImageStatus] = []
    init_container_statuses: list[ContainerImageStatus] = []
    actual_replicas: int | None = None
    desired_replicas: int | None = None


class Service(Object):
    """A program that answers requests: every change makes a revision and moves requests to it."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1", "Service", "services",
        short_names=("kservice", "ksvc"), categories=_CATEGORIES, has_status=True,
        columns=(URL, *_LATEST, READY, REASON),
    )  # fmt: skip
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class Configuration(Object):
    """The floating head of a line of revisions."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1", "Configuration", "configurations",
        short_names=("config", "cfg"), categories=_CATEGORIES, has_status=True,
        columns=(*_LATEST, READY, REASON),
    )  # fmt: skip
    spec: ConfigurationSpec = ConfigurationSpec()
    status: ConfigurationStatus = ConfigurationStatus()


class Revision(Object):
    """One version of a program, which never changes."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1", "Revision", "revisions",
        short_names=("rev",), categories=_CATEGORIES, has_status=True,
        columns=(
            Column("Config Name", r".metadata.labels['serving\.knative\.dev/configuration']"),
            Column("K8s Service Name", ".status.serviceName"),
            Column(
                "Generation", r".metadata.labels['serving\.knative\.dev/configurationGeneration']"
            ),
            READY,
            REASON,
            Column("Actual Replicas", ".status.actualReplicas", "integer"),
            Column("Desired Replicas", ".status.desiredReplicas", "integer"),
        ),
    )  # fmt: skip
    spec: RevisionSpec = RevisionSpec()
    status: RevisionStatus = RevisionStatus()


class Route(Object):
    """A host name and the revisions that answer for it."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1", "Route", "routes",
        short_names=("rt",), categories=_CATEGORIES, has_status=True,
        columns=(URL, READY, REASON),
    )  # fmt: skip
    spec: RouteSpec = RouteSpec()
    status: RouteStatus = RouteStatus()


class KReference(Noun):
    """An object of the same namespace that answers requests."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    api_version: str = ""


class SecretTLS(Noun):
    """The certificate of a mapped domain."""

    secret_name: str = ""


class DomainMappingSpec(Noun):
    """What a domain stands for."""

    ref: KReference = KReference()
    tls: SecretTLS | None = None


class DomainMappingStatus(Status):
    """Where a mapped domain answers."""

    url: str = ""
    address: Addressable | None = None


class DomainMapping(Object):
    """A domain of one's own for a Service."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1alpha1", "DomainMapping", "domainmappings",
        short_names=("dm",), categories=("knative", "serving"), has_status=True,
        columns=(URL, READY, REASON), also_served=("v1beta1",),
    )  # fmt: skip
    spec: DomainMappingSpec = DomainMappingSpec()
    status: DomainMappingStatus = DomainMappingStatus()


class ImageSpec(Noun):
    """An image worth keeping near."""

    image: str = ""
    service_account_name: str = ""
    image_pull_secrets: list[KReference] = field(default_factory=list)


class Image(Object):
    """An image that a revision uses: a hint for caches."""

    resource: ClassVar[Resource] = Resource(
        "caching.internal.knative.dev", "v1alpha1", "Image", "images",
        categories=("knative-internal", "caching"), has_status=True,
        columns=(Column("Image", ".spec.image"),),
    )  # fmt: skip
    spec: ImageSpec = ImageSpec()
    status: Status = Status()
