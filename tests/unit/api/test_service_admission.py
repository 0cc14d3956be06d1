"""Services are defaulted and refused as Kubernetes does it."""

from typing import Any

import pytest

from stagezero.api import errors
from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.service_admission import default_service, validate_service

CREATE = AdmissionRequest("CREATE", None, "me")


def service(**spec: Any) -> Raw:
    return {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], **spec}}


def full(old: Raw | None = None, **spec: Any) -> Raw:
    made: Raw = default_service(service(**spec), AdmissionRequest("UPDATE", old, "me"))["spec"]
    return made


def refusal(old: Raw | None = None, **spec: Any) -> str:
    raw = {"metadata": {"name": "s"}, "spec": full(old, **spec)}
    with pytest.raises(errors.Invalid) as caught:
        validate_service(raw, AdmissionRequest("UPDATE" if old else "CREATE", old, "me"))
    return caught.value.message.removeprefix('Service "s" is invalid: ')


@pytest.mark.parametrize(
    ("field", "value"),
    [("type", "ClusterIP"), ("sessionAffinity", "None"), ("internalTrafficPolicy", "Cluster")],
)
def test_a_service_gets(field: str, value: str) -> None:
    assert full()[field] == value


def test_a_port_leads_to_the_same_port() -> None:
    assert full()["ports"] == [{"protocol": "TCP", "port": 80, "targetPort": 80}]


def test_a_named_target_stays() -> None:
    assert full(ports=[{"port": 80, "targetPort": "http"}])["ports"][0]["targetPort"] == "http"


def test_a_balancer_spreads_over_the_cluster() -> None:
    assert full(type="LoadBalancer")["externalTrafficPolicy"] == "Cluster"
    assert "externalTrafficPolicy" not in full()


def test_a_headless_one_lists_none() -> None:
    assert full(clusterIP="None")["clusterIPs"] == ["None"]


def test_the_address_survives_an_update_without_it() -> None:
    old = service(clusterIP="10.96.0.1", clusterIPs=["10.96.0.1"], type="ClusterIP")
    assert full(old)["clusterIP"] == "10.96.0.1"


def test_an_external_name_drops_the_address() -> None:
    old = service(clusterIP="10.96.0.1", clusterIPs=["10.96.0.1"], type="ClusterIP")
    assert "clusterIP" not in full(old, type="ExternalName", externalName="a.b")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        pytest.param({"ports": []}, "spec.ports: Required value", id="no port"),
        pytest.param(
            {"ports": [{"port": 0, "targetPort": 1}]},
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            id="port range",
        ),
        pytest.param(
            {"ports": [{"port": 1, "name": "a"}, {"port": 2}]},
            "spec.ports[1].name: Required value",
            id="one without name",
        ),
        pytest.param(
            {"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]},
            'spec.ports[1].name: Duplicate value: "a"',
            id="same name",
        ),
        pytest.param(
            {"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]},
            'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":1}',
            id="same port",
        ),
        pytest.param(
            {"type": "Magic"},
            'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", '
            '"ExternalName", "LoadBalancer", "NodePort"',
            id="type",
        ),
        pytest.param(
            {"type": "ExternalName"}, "spec.externalName: Required value", id="no external name"
        ),
        pytest.param(
            {"clusterIP": "ten"},
            'spec.clusterIPs[0]: Invalid value: "ten": must be a valid IP address, (e.g. 10.9.8.7 '
            "or 2001:db8::ffff)",
            id="no address",
        ),
        pytest.param(
            {"ports": [{"port": 80, "targetPort": 0x10000}]},
            "spec.ports[0].targetPort: Invalid value: 65536: must be between 1 and 65535, "
            "inclusive",
            id="target range",
        ),
    ],
)
def test_a_bad_service_is_refused(spec: Raw, text: str) -> None:
    assert refusal(**spec) == text


def test_the_address_may_not_change() -> None:
    old = service(clusterIP="10.96.0.1", type="ClusterIP")
    assert refusal(old, clusterIP="10.96.0.2").endswith("may not change once set")


@pytest.mark.parametrize("spec", [{"clusterIP": "None"}, {"type": "ExternalName"}])
def test_these_need_no_port(spec: Raw) -> None:
    raw = default_service(service(ports=[], externalName="a.b", **spec), CREATE)
    validate_service(raw, CREATE)
