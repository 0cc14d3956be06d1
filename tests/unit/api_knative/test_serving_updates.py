"""What may change in a Knative Service, and who is noted for it."""

from copy import deepcopy

import pytest

from stagezero.api import serving_knative as serving
from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.errors import Denied
from stagezero.api.serving_knative_admission import admissions
from support.knative_services import admit, named, service


def update(old: Raw, new: Raw, user: str = "ann") -> Raw:
    return admit(new, AdmissionRequest("UPDATE", old, user))


def test_the_creator_cannot_change() -> None:
    old = admit(service())
    new = deepcopy(old)
    new["metadata"]["annotations"]["serving.knative.dev/creator"] = "eve"
    with pytest.raises(Denied, match="annotation value is immutable"):
        update(old, new)


def test_the_last_modifier_changes_with_the_spec_only() -> None:
    old = admit(service())
    same = deepcopy(old)
    same["metadata"]["labels"] = {"a": "b"}
    assert update(old, same, "bob")["metadata"]["annotations"] == old["metadata"]["annotations"]
    new = deepcopy(old)
    new["spec"]["template"]["spec"]["timeoutSeconds"] = 10
    annotations = update(old, new, "bob")["metadata"]["annotations"]
    assert annotations["serving.knative.dev/lastModifier"] == "bob"
    assert annotations["serving.knative.dev/creator"] == "ann"


def test_a_named_revision_needs_a_new_name_for_a_change() -> None:
    old = admit(named("svc-first"))
    new = deepcopy(old)
    new["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    with pytest.raises(Denied) as denied:
        update(old, new)
    assert denied.value.message.endswith(
        "Saw the following changes without a name change (-old +new): "
        "spec.template.metadata.name\n"
        "{*v1.RevisionTemplateSpec}.Spec.PodSpec.Containers[0].Image:\n"
        '\t-: "hello"\n\t+: "other"\n'
    )


def test_a_status_write_is_not_checked() -> None:
    admission = admissions()[serving.Service]
    assert admission.default and admission.validate
    request = AdmissionRequest("UPDATE", {}, "ann", subresource="status")
    assert admission.default({"spec": {"x": 1}}, request) == {"spec": {"x": 1}}
    admission.validate({"spec": {}}, request)
