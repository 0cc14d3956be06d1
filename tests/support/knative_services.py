"""Knative Services as tests need them: a good one, and ways to change it; admission too."""

from typing import Any

from stagezero.api import serving_knative as serving
from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.config_knative import KnativeConfig
from stagezero.api.serving_knative_admission import admissions

CREATE = AdmissionRequest("CREATE", None, "ann")
AUTOSCALING = "autoscaling.knative.dev"


def service(**container: Any) -> Raw:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "svc", "namespace": "default"},
        "spec": {"template": {"spec": {"containers": [{"image": "hello", **container}]}}},
    }


def pod(**fields: Any) -> Raw:
    raw = service()
    raw["spec"]["template"]["spec"].update(fields)
    return raw


def traffic(*targets: Raw) -> Raw:
    raw = service()
    raw["spec"]["traffic"] = list(targets)
    return raw


def metadata(**fields: Any) -> Raw:
    raw = service()
    raw["metadata"].update(fields)
    return raw


def template(**annotations: str) -> Raw:
    raw = service()
    given = {
        f"{AUTOSCALING}/{name.replace('_', '-')}": value for name, value in annotations.items()
    }
    raw["spec"]["template"]["metadata"] = {"annotations": given}
    return raw


def named(name: str) -> Raw:
    raw = service()
    raw["spec"]["template"]["metadata"] = {"name": name}
    return raw


def two(first: Raw, second: Raw) -> Raw:
    return pod(containers=[{"image": "a", **first}, {"image": "b", **second}])


def mounted(volume: Raw, **mount: Any) -> Raw:
    raw = service(volumeMounts=[{"name": "v", "mountPath": "/data", **mount}])
    raw["spec"]["template"]["spec"]["volumes"] = [{"name": "v", **volume}]
    return raw


def admit(raw: Raw, request: AdmissionRequest = CREATE, config: KnativeConfig | None = None) -> Raw:
    settled = config or KnativeConfig()
    admission = admissions(lambda: settled)[serving.Service]
    assert admission.default and admission.validate
    filled = admission.default(raw, request)
    admission.validate(filled, request)
    return filled
