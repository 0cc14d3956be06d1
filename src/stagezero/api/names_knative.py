"""Knative's names: labels and annotations, with their old spellings, and names of child objects.

Users and other tools read these keys, so they stand once, here. An annotation may be written in the
spelling of 1.5 (`min-scale`) or in the older one (`minScale`); `read` takes whichever is there.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

SERVING = "serving.knative.dev"
SERVICE = f"{SERVING}/service"
SERVICE_UID = f"{SERVING}/serviceUID"
CONFIGURATION = f"{SERVING}/configuration"
CONFIGURATION_UID = f"{SERVING}/configurationUID"
CONFIGURATION_GENERATION = f"{SERVING}/configurationGeneration"
REVISION = f"{SERVING}/revision"
REVISION_UID = f"{SERVING}/revisionUID"
ROUTE = f"{SERVING}/route"
ROUTE_NAMESPACE = f"{SERVING}/routeNamespace"
ROUTES = f"{SERVING}/routes"
ROUTING_STATE = f"{SERVING}/routingState"
ROUTING_STATE_MODIFIED = f"{SERVING}/routingStateModified"
NO_GC = f"{SERVING}/no-gc"
CREATOR = f"{SERVING}/creator"
LAST_MODIFIER = f"{SERVING}/lastModifier"
FORCE_UPGRADE = f"{SERVING}/forceUpgrade"

NETWORKING = "networking.knative.dev"
NETWORKING_INTERNAL = "networking.internal.knative.dev"
VISIBILITY = f"{NETWORKING}/visibility"
VISIBILITY_OLD = f"{SERVING}/visibility"
CLUSTER_LOCAL = "cluster-local"
INGRESS_LABEL = f"{NETWORKING_INTERNAL}/ingress"
ROLLOUT_STATE = f"{NETWORKING_INTERNAL}/rollout"
SKS_LABEL = f"{NETWORKING_INTERNAL}/serverlessservice"
SERVICE_TYPE = f"{NETWORKING_INTERNAL}/serviceType"

AUTOSCALING = "autoscaling.knative.dev"
KPA = f"kpa.{AUTOSCALING}"
HPA = f"hpa.{AUTOSCALING}"

EXAMPLE_KEY = "_example"
EXAMPLE_CHECKSUM = "knative.dev/example-checksum"

USER_PORT = "user-port"
DEFAULT_PORT = 8080
INGRESS_CLASS_ISTIO = "istio.ingress.networking.knative.dev"
CLUSTER_DOMAIN = "svc.cluster.local"
LOCAL_GATEWAY_HOST = "knative-local-gateway.istio-system.svc.cluster.local"
PUBLIC_GATEWAY_HOST = "istio-ingressgateway.istio-system.svc.cluster.local"

_LONGEST_NAME = 63
_NAME_HEAD = _LONGEST_NAME - 32


class Annotation(NamedTuple):
    """An annotation and its spellings, the current one first."""

    key: str
    old: tuple[str, ...] = ()

    def found(self, annotations: Mapping[str, str]) -> tuple[str, str] | None:
        """The spelling that is used and its value, or None."""
        for key in (self.key, *self.old):
            if key in annotations:
                return key, annotations[key]
        return None

    def read(self, annotations: Mapping[str, str], default: str = "") -> str:
        """The value in whichever spelling is used."""
        found = self.found(annotations)
        return found[1] if found else default


def _autoscaling(name: str, old: str = "") -> Annotation:
    return Annotation(f"{AUTOSCALING}/{name}", (f"{AUTOSCALING}/{old}",) if old else ())


CLASS = _autoscaling("class")
METRIC = _autoscaling("metric")
TARGET = _autoscaling("target")
WINDOW = _autoscaling("window")
ALGORITHM = _autoscaling("metric-aggregation-algorithm")
MIN_SCALE = _autoscaling("min-scale", "minScale")
MAX_SCALE = _autoscaling("max-scale", "maxScale")
INITIAL_SCALE = _autoscaling("initial-scale", "initialScale")
SCALE_DOWN_DELAY = _autoscaling("scale-down-delay", "scaleDownDelay")
TARGET_UTILIZATION = _autoscaling("target-utilization-percentage", "targetUtilizationPercentage")
TARGET_BURST_CAPACITY = _autoscaling("target-burst-capacity", "targetBurstCapacity")
POD_RETENTION = _autoscaling("scale-to-zero-pod-retention-period", "scaleToZeroPodRetentionPeriod")
PANIC_WINDOW = _autoscaling("panic-window-percentage", "panicWindowPercentage")
PANIC_THRESHOLD = _autoscaling("panic-threshold-percentage", "panicThresholdPercentage")

ROLLOUT_DURATION = Annotation(f"{SERVING}/rollout-duration", (f"{SERVING}/rolloutDuration",))
PROGRESS_DEADLINE = Annotation(f"{SERVING}/progress-deadline")
QUEUE_RESOURCES = Annotation(
    "queue.sidecar.serving.knative.dev/resource-percentage",
    ("queue.sidecar.serving.knative.dev/resourcePercentage",),
)
INGRESS_CLASS = Annotation(f"{NETWORKING}/ingress-class", (f"{NETWORKING}/ingress.class",))
HTTP_OPTION = Annotation(
    f"{NETWORKING}/http-option", (f"{NETWORKING}/http-protocol", f"{NETWORKING}/httpOption")
)


def child_name(parent: str, suffix: str) -> str:
    """`parent + suffix`, or within 63 characters a head of it with the parent's MD5 digest."""
    if len(parent) + len(suffix) <= _LONGEST_NAME:
        return parent + suffix
    if len(suffix) < _NAME_HEAD:
        return parent[: _NAME_HEAD - len(suffix)] + _digest(parent) + suffix
    name = parent[:_NAME_HEAD] + _digest(parent + suffix)
    return name + suffix[: _LONGEST_NAME - len(name)]


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def deployment(revision: str) -> str:
    """The name of a revision's Deployment."""
    return child_name(revision, "-deployment")


def private_service(revision: str) -> str:
    """The name of the Service that selects a revision's pods."""
    return child_name(revision, "-private")


def image(revision: str, container: str) -> str:
    """The name of the Image object of one container of a revision."""
    return child_name(f"{revision}-cache", f"-{container}")


def revision(configuration: str, generation: int) -> str:
    """The name of the revision that a configuration's generation makes."""
    return child_name(configuration, f"-{generation:05d}")


def is_cluster_local(labels: Mapping[str, str]) -> bool:
    """Whether visibility labels (in either spelling) keep an object inside the cluster."""
    return CLUSTER_LOCAL in (labels.get(VISIBILITY), labels.get(VISIBILITY_OLD))
