"""Admission of Configurations, Revisions, Routes and DomainMappings."""

from copy import deepcopy
from typing import Any

import pytest

from stagezero.api import serving_knative as serving
from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Object, Raw
from stagezero.api.errors import Denied
from stagezero.api.serving_knative_admission import admissions

CREATE = AdmissionRequest("CREATE", None, "ann")
POD: Raw = {"containers": [{"image": "hello"}]}


def named(name: str, spec: Raw, **metadata: Any) -> Raw:
    return {"metadata": {"name": name, "namespace": "default", **metadata}, "spec": spec}


def admit(kind: type[Object], raw: Raw, request: AdmissionRequest = CREATE) -> Raw:
    admission = admissions()[kind]
    assert admission.default and admission.validate
    filled = admission.default(raw, request)
    admission.validate(filled, request)
    return filled


def owned(kind: str, name: str) -> list[Raw]:
    return [{"apiVersion": "serving.knative.dev/v1", "kind": kind, "name": name, "uid": "u"}]


def traffic(*targets: Raw) -> Raw:
    return {"traffic": list(targets)}


DENIALS: dict[str, tuple[type[Object], Raw, str]] = {
    "route with neither": (
        serving.Route,
        named("r", traffic({"percent": 100})),
        "expected exactly one, got neither: "
        "spec.traffic[0].configurationName, spec.traffic[0].revisionName",
    ),
    "route with both": (
        serving.Route,
        named("r", traffic({"percent": 100, "configurationName": "c", "revisionName": "x"})),
        "expected exactly one, got both: "
        "spec.traffic[0].configurationName, spec.traffic[0].revisionName",
    ),
    "route to a bad name": (
        serving.Route,
        named("r", traffic({"percent": 100, "revisionName": "b@d"})),
        'invalid key name "b@d": spec.traffic[0].revisionName\n'
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and "
        "end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex "
        "used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    ),
    "route label without owner": (
        serving.Route,
        named(
            "r",
            traffic({"percent": 100, "configurationName": "c"}),
            labels={"serving.knative.dev/service": "s"},
        ),
        "missing field(s): metadata.labels.serving.knative.dev/service",
    ),
    "configuration without containers": (
        serving.Configuration,
        named("c", {"template": {"spec": {}}}),
        "missing field(s): spec.template.spec.containers",
    ),
    "configuration label without owner": (
        serving.Configuration,
        named("c", {"template": {"spec": POD}}, labels={"serving.knative.dev/service": "s"}),
        "missing field(s): metadata.labels.serving.knative.dev/service",
    ),
    "revision label without owner": (
        serving.Revision,
        named("r", POD, labels={"serving.knative.dev/configuration": "c"}),
        "missing field(s): metadata.labels.serving.knative.dev/configuration",
    ),
    "revision without image": (
        serving.Revision,
        named("r", {"containers": [{"name": "x"}]}),
        "missing field(s): spec.containers[0].image",
    ),
    "revision with a bad annotation": (
        serving.Revision,
        named("r", POD, annotations={"autoscaling.knative.dev/min-scale": "x"}),
        "invalid value: x: metadata.annotations.autoscaling.knative.dev/min-scale",
    ),
}


@pytest.mark.parametrize(("kind", "raw", "text"), DENIALS.values(), ids=DENIALS)
def test_a_bad_object_is_denied(kind: type[Object], raw: Raw, text: str) -> None:
    with pytest.raises(Denied) as denied:
        admit(kind, raw)
    assert denied.value.message.endswith(f"validation failed: {text}")


def test_an_owned_route_is_admitted() -> None:
    raw = named(
        "s",
        traffic({"percent": 100, "configurationName": "s", "latestRevision": True}),
        labels={"serving.knative.dev/service": "s"},
        ownerReferences=owned("Service", "s"),
    )
    assert admit(serving.Route, raw) == raw


def test_a_free_route_gets_its_creator() -> None:
    raw = named("r", traffic({"percent": 100, "configurationName": "c"}))
    filled = admit(serving.Route, raw)
    assert filled["spec"]["traffic"][0]["latestRevision"] is True
    assert filled["metadata"]["annotations"]["serving.knative.dev/creator"] == "ann"


def test_an_owned_configuration_gets_no_creator() -> None:
    raw = named("c", {"template": {"spec": POD}}, ownerReferences=owned("Service", "c"))
    assert "annotations" not in admit(serving.Configuration, raw)["metadata"]


def test_a_revision_never_changes() -> None:
    old = admit(serving.Revision, named("r", POD))
    new = deepcopy(old)
    new["spec"]["containers"][0]["image"] = "other"
    with pytest.raises(Denied) as denied:
        admit(serving.Revision, new, AdmissionRequest("UPDATE", old, "ann"))
    assert denied.value.message.endswith(
        "validation failed: Immutable fields changed (-old +new): spec\n"
        "{v1.RevisionSpec}.PodSpec.Containers[0].Image:\n"
        '\t-: "hello"\n\t+: "other"\n'
    )


def test_a_revision_may_be_labelled() -> None:
    old = admit(serving.Revision, named("r", POD))
    new = deepcopy(old)
    new["metadata"]["labels"] = {"serving.knative.dev/routingState": "active"}
    assert admit(serving.Revision, new, AdmissionRequest("UPDATE", old, "ann")) == new


def mapping(name: str = "www.example.com", **ref: str) -> Raw:
    given = {"name": "svc", "kind": "Service", "apiVersion": "serving.knative.dev/v1", **ref}
    return named(name, {"ref": {key: value for key, value in given.items() if value}})


MAPPINGS: dict[str, tuple[Raw, str]] = {
    "no domain": (mapping("svc"), 'invalid name "svc": should be a domain'),
    "inside the cluster": (
        mapping("a.cluster.local"),
        'must not be a subdomain of cluster local domain "cluster.local"',
    ),
    "no kind": (mapping(kind=""), "missing field(s): spec.ref.kind"),
    "no name": (
        named("www.example.com", {"ref": {"kind": "Service", "apiVersion": "v1"}}),
        "missing field(s): spec.ref.name",
    ),
    "another namespace": (
        mapping(namespace="other"),
        'mismatched namespaces: spec.ref.namespace\nparent namespace: "default" does not match '
        'ref: "other"',
    ),
}


@pytest.mark.parametrize(("raw", "text"), MAPPINGS.values(), ids=MAPPINGS)
def test_a_bad_domain_mapping_is_denied(raw: Raw, text: str) -> None:
    with pytest.raises(Denied) as denied:
        admit(serving.DomainMapping, raw)
    assert text in denied.value.message
    assert "validation.webhook.domainmapping.serving.knative.dev" in denied.value.message


def test_a_domain_mapping_points_into_its_namespace() -> None:
    assert admit(serving.DomainMapping, mapping())["spec"]["ref"]["namespace"] == "default"


@pytest.mark.parametrize("kind", [serving.Service, serving.Route, serving.Revision])
@pytest.mark.parametrize("spec", [None, [], "x", {"template": []}, {"traffic": "x"}])
def test_broken_json_is_no_crash(kind: type[Object], spec: Any) -> None:
    with pytest.raises(Denied):
        admit(kind, {"metadata": {"name": "x", "namespace": "default"}, "spec": spec})


def test_deletion_is_never_refused() -> None:
    request = AdmissionRequest("DELETE", {}, "ann")
    for admission in admissions().values():
        assert admission.validate
        admission.validate({"metadata": {"namespace": "knative-serving"}, "spec": {}}, request)
