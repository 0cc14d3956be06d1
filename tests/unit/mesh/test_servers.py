"""Gateways: who is let in, and what is said of what cannot be served."""

import pytest

from stagezero.api.base import Key, Raw
from stagezero.mesh.plans.servers import Entrance, admitted, entrances_of
from stagezero.mesh.plans.settings import GatewaySettings, ListenerAddress
from stagezero.mesh.plans.values import Reason
from support.mesh import INGRESS, SETTINGS, gateway

KEY = Key("knative-serving", "knative-ingress-gateway")


@pytest.mark.parametrize(
    "selector",
    [
        pytest.param({"istio": "ingressgateway"}, id="istioctl's"),
        pytest.param({"istio": "ingress"}, id="the chart's"),
        pytest.param({}, id="any"),
    ],
)
def test_a_gateway_of_this_machine_is_opened(selector: Raw) -> None:
    found = entrances_of([gateway(selector=selector)], SETTINGS)
    assert found.ports == (80,)
    assert found.problems[KEY] == ()
    assert found.selected == {INGRESS}


def test_a_gateway_of_somebody_else_is_said_so() -> None:
    found = entrances_of([gateway(selector={"istio": "egressgateway"})], SETTINGS)
    assert found.ports == ()
    (problem,) = found.problems[KEY]
    assert problem.reason is Reason.NOT_SERVED
    assert "istio: egressgateway" in problem.message


@pytest.mark.parametrize(
    ("port", "protocol", "words"),
    [
        (31400, "HTTP", "port 31400 is not one of this gateway's ports (80, 443, 8081)"),
        (443, "HTTPS", "protocol HTTPS on port 443 is not served yet"),
        (80, "TCP", "protocol TCP on port 80 is not served yet"),
    ],
)
def test_what_is_not_served_is_named(port: int, protocol: str, words: str) -> None:
    found = entrances_of([gateway(port=port, protocol=protocol)], SETTINGS)
    assert found.ports == ()
    (problem,) = found.problems[KEY]
    assert problem.message.startswith("spec.servers[0]: ")
    assert words in problem.message


def test_an_https_server_leaves_the_others_alone() -> None:
    tls = {"mode": "SIMPLE", "credentialName": "x"}
    found = entrances_of([gateway(), gateway("shop/gw", 443, protocol="HTTPS", tls=tls)], SETTINGS)
    assert found.ports == (80,)
    assert found.problems[KEY] == ()


def test_several_gateways_share_a_port() -> None:
    found = entrances_of([gateway(), gateway("shop/gw", hosts=["*.shop"])], SETTINGS)
    assert {entrance.gateway for entrance in found.open} == {INGRESS, "shop/gw"}


def test_the_older_of_two_ports_with_one_address_wins() -> None:
    same = ListenerAddress("127.0.0.1", 8080)
    settings = GatewaySettings({80: same, 8080: same})
    found = entrances_of(
        [gateway("b/young", 8080, created=9), gateway("a/old", created=1)], settings
    )
    assert found.ports == (80,)
    (problem,) = found.problems[Key("b", "young")]
    assert problem.reason is Reason.CONFLICT
    assert "port 80 of Gateway a/old" in problem.message


@pytest.mark.parametrize(
    ("allowed", "namespace", "expected"),
    [
        (("*", "*"), "default", ["a.b"]),
        (("*", "*.b"), "default", ["a.b"]),
        (("shop", "*"), "default", []),
        (("default", "*.b"), "default", ["a.b"]),
        (("*", "c.d"), "default", []),
    ],
)
def test_hosts_are_let_in(allowed: tuple[str, str], namespace: str, expected: list[str]) -> None:
    entrance = Entrance("gw", 80, (allowed,), is_https_only=False)
    assert admitted(entrance, namespace, ["a.b"]) == expected


def test_a_dot_means_the_gateways_own_namespace() -> None:
    found = entrances_of([gateway("shop/gw", hosts=["./*", "other/x.y"])], SETTINGS)
    assert found.open[0].hosts == (("shop", "*"), ("other", "x.y"))
