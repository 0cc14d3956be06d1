"""Which kinds there are beyond Kubernetes' own, and which rules admission has for each kind."""

from stagezero.api import autoscaling_knative, networking_knative, serving_knative, serving_kserve
from stagezero.api.admission import Admission
from stagezero.api.apps_admission import APPS_ADMISSIONS
from stagezero.api.base import Key, Object
from stagezero.api.config import ConfigMap
from stagezero.api.core_admission import CORE_ADMISSIONS
from stagezero.api.istio import Gateway, VirtualService
from stagezero.api.istio_admission import GATEWAY, VIRTUAL_SERVICE
from stagezero.api.istio_stored import ISTIO_KINDS
from stagezero.api.pod import Pod
from stagezero.api.presets import kserve
from stagezero.api.serving_knative_admission import admissions as knative_admissions
from stagezero.api.serving_kserve_admission import INFERENCE_SERVICE
from stagezero.api.serving_kserve_storage import pod_mutator
from stagezero.client.cache import Caches
from stagezero.controllers.knative.configuration_source import ConfigurationSource


def custom_kinds() -> tuple[type[Object], ...]:
    """Every kind that comes as a CustomResourceDefinition."""
    return (
        serving_knative.Service,
        serving_knative.Configuration,
        serving_knative.Revision,
        serving_knative.Route,
        serving_knative.DomainMapping,
        serving_knative.Image,
        autoscaling_knative.PodAutoscaler,
        autoscaling_knative.Metric,
        networking_knative.Ingress,
        networking_knative.ServerlessService,
        networking_knative.Certificate,
        networking_knative.ClusterDomainClaim,
        *ISTIO_KINDS,
        *serving_kserve.KINDS,
    )


def admissions(caches: Caches) -> tuple[tuple[type[Object], Admission], ...]:
    """Defaulting and validation by kind; several of one kind run in this order."""
    source = ConfigurationSource()
    return (
        (
            Pod,
            pod_mutator(lambda: _kserve_config(caches)),
        ),  # first, so that what it adds gets its defaults
        *CORE_ADMISSIONS,
        *APPS_ADMISSIONS,
        *knative_admissions(lambda: source.read(caches)).items(),
        (Gateway, GATEWAY),
        (VirtualService, VIRTUAL_SERVICE),
        (serving_kserve.InferenceService, INFERENCE_SERVICE),
    )


def _kserve_config(caches: Caches) -> dict[str, str]:
    found = caches.get(ConfigMap, Key(kserve.NAMESPACE, kserve.CONFIG_NAME))
    return dict(found.data) if found else {}
