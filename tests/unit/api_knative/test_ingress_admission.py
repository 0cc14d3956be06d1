"""KIngresses that no network layer could serve are refused: they would stop whoever reads them."""

from typing import Any

import pytest

from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.errors import Denied
from stagezero.api.networking_knative import Ingress
from stagezero.api.serving_knative_admission import admissions

CREATE = AdmissionRequest("CREATE", None, "ann")
SPLIT = {"serviceName": "a", "serviceNamespace": "default", "servicePort": 80, "percent": 100}


def ingress(split: Raw | None = None, **rule: Any) -> Raw:
    paths = [{"splits": [{**SPLIT, **(split or {})}]}]
    spec = {"rules": [{"hosts": ["a.b"], "http": {"paths": paths}, **rule}]}
    return {"metadata": {"name": "i", "namespace": "default"}, "spec": spec}


def validate(raw: Raw, request: AdmissionRequest = CREATE) -> None:
    check = admissions()[Ingress].validate
    assert check is not None
    check(raw, request)


@pytest.mark.parametrize(
    "raw",
    [ingress(), ingress({"percent": 0}), ingress(visibility="ClusterLocal"),
     ingress({"servicePort": "80"})],
    ids=["full", "one-split", "local", "port-as-text"],
)  # fmt: skip
def test_what_can_be_served_is_taken(raw: Raw) -> None:
    validate(raw)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (ingress(visibility="{{"), "invalid value: {{: spec.rules[0].visibility"),
        (ingress({"servicePort": "http"}), "http.paths[0].splits[0].servicePort"),
        (ingress({"serviceName": ""}), "missing field(s): spec.rules[0].http.paths[0].splits[0]."),
        (ingress({"percent": 101}), "expected 0 <= 101 <= 100"),
        (ingress({"percent": 50}), "must total to 100, but was 50"),
        (ingress(http=None), "missing field(s): spec.rules[0].http"),
        (ingress(http={}), "missing field(s): spec.rules[0].http.paths"),
        (ingress(http={"paths": [{}]}), "missing field(s): spec.rules[0].http.paths[0].splits"),
    ],
    ids=["visibility", "port", "name", "bounds", "total", "http", "paths", "splits"],
)
def test_nonsense_is_refused_with_its_place(raw: Raw, words: str) -> None:
    with pytest.raises(Denied) as caught:
        validate(raw)
    assert words in caught.value.message


def test_a_status_is_not_judged_by_its_spec() -> None:
    validate(ingress(visibility="{{"), AdmissionRequest("UPDATE", None, "ann", "status"))
