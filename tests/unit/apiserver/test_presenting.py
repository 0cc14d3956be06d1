"""The Accept header chooses the form."""

import pytest

from stagezero.apiserver.discovery import AGGREGATED, version_rank, wants_aggregated
from stagezero.apiserver.presenting import Form, NotAcceptable, form_of

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Form.OBJECT),
        ("*/*", Form.OBJECT),
        ("application/json", Form.OBJECT),
        ("application/json;stream=watch", Form.OBJECT),
        ("application/vnd.kubernetes.protobuf,application/json", Form.OBJECT),
        (f"{TABLE},application/json", Form.TABLE),
        ("application/json; as=Table; v=v1; g=meta.k8s.io", Form.TABLE),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Form.OBJECT),
        ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", Form.PARTIAL),
    ],
)
def test_the_first_form_that_is_served_is_given(accept: str, expected: Form) -> None:
    assert form_of(accept) is expected


@pytest.mark.parametrize("accept", ["text/html", "application/json;as=Poem;v=v1;g=meta.k8s.io"])
def test_forms_that_are_not_served_are_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="only the following media types are accepted"):
        form_of(accept)


def test_kubectl_gets_aggregated_discovery() -> None:
    assert wants_aggregated(f"{AGGREGATED},application/json")
    assert not wants_aggregated("application/json")
    assert not wants_aggregated(
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
    )


def test_versions_sort_as_kubernetes_sorts_them() -> None:
    versions = ["v1beta1", "v2", "v1", "v10", "v2alpha1", "v1beta2", "foo1", "v2beta1"]
    assert sorted(versions, key=version_rank, reverse=True) == [
        "v10", "v2", "v1", "v2beta1", "v1beta2", "v1beta1", "v2alpha1", "foo1",
    ]  # fmt: skip
