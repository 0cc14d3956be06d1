"""Defaulting and validation of the core kinds, as Kubernetes' own server does it."""

from stagezero.api import mistakes
from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.base import Object, Raw
from stagezero.api.config import ConfigMap, Secret
from stagezero.api.config_admission import CONFIG_MAP, SECRET
from stagezero.api.core import Endpoints
from stagezero.api.endpoints_admission import ENDPOINTS
from stagezero.api.pod import Pod
from stagezero.api.pod_checks import pod_spec_mistakes, pod_update_mistakes
from stagezero.api.pod_defaults import changed_items, changed_part, default_pod_spec
from stagezero.api.raw_fields import part, parts
from stagezero.api.service import Service
from stagezero.api.service_admission import SERVICE

_DEFAULT_ACCOUNT = "default"


def default_pod(raw: Raw, request: AdmissionRequest) -> Raw:
    """A pod with everything that Kubernetes fills in; a new one also gets phase and class."""

    def spec(given: Raw) -> Raw:
        full = default_pod_spec({"enableServiceLinks": True, **given})
        account = full.get("serviceAccountName") or full.get("serviceAccount") or _DEFAULT_ACCOUNT
        full |= {"serviceAccountName": account, "serviceAccount": account}
        for name in ("containers", "initContainers"):
            full = changed_items(full, name, _with_requests)
        return full

    full = changed_part(raw, "spec", spec)
    if request.operation == "CREATE":
        full = {**full, "status": {"phase": "Pending", "qosClass": qos_class(part(full, "spec"))}}
    return full


def _with_requests(container: Raw) -> Raw:
    """What is limited and not asked for is asked for up to its limit."""

    def resources(given: Raw) -> Raw:
        limits = part(given, "limits")
        return {**given, "requests": {**limits, **part(given, "requests")}} if limits else given

    return changed_part(container, "resources", resources)


def qos_class(spec: Raw) -> str:
    """Guaranteed, Burstable or BestEffort, by what the containers ask for and are limited to."""
    resources = [
        part(container, "resources")
        for name in ("containers", "initContainers")
        for container in parts(spec, name)
    ]
    if not any(part(found, "limits") or part(found, "requests") for found in resources):
        return "BestEffort"
    is_guaranteed = all(
        {"cpu", "memory"} <= part(found, "limits").keys()
        and part(found, "limits") == part(found, "requests")
        for found in resources
    )
    return "Guaranteed" if is_guaranteed else "Burstable"


def validate_pod(raw: Raw, request: AdmissionRequest) -> None:
    """Refuse a pod that Kubernetes would refuse, and changes that a pod does not survive."""
    if request.operation == "DELETE":
        return
    spec = part(raw, "spec")
    found = list(pod_spec_mistakes(spec, "spec"))
    if request.old is not None:
        found += pod_update_mistakes(spec, part(request.old, "spec"))
    if found:
        raise mistakes.invalid("Pod", "", raw["metadata"]["name"], found)


POD = Admission(default_pod, validate_pod)

CORE_ADMISSIONS: tuple[tuple[type[Object], Admission], ...] = (
    (Pod, POD),
    (Service, SERVICE),
    (Secret, SECRET),
    (ConfigMap, CONFIG_MAP),
    (Endpoints, ENDPOINTS),
)
"""The rules of each core kind; a mutator of pods runs before them."""
