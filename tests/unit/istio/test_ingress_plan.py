"""A KIngress is Ready when Envoy has acknowledged its VirtualService, not before."""

from typing import Any

import pytest
from msgspec.structs import replace

from stagezero.api import names_knative as names
from stagezero.api.base import Condition
from stagezero.api.istio import IstioStatus, VirtualService
from stagezero.api.networking_knative import (
    HTTPIngressPath,
    HTTPIngressRuleValue,
    Ingress,
    IngressBackendSplit,
    IngressRule,
    IngressSpec,
)
from stagezero.controllers.istio.plans.gateways import Gateways
from stagezero.controllers.istio.plans.ingress import Observed, is_ours, plan
from stagezero.controllers.istio.plans.virtual_service import make_virtual_services
from stagezero.runtime.plan import NOTHING, Plan
from support.knative_objects import NOW, meta, told

NAME = "hello"
WAITING = ("Unknown", "Uninitialized", "Waiting for load balancer to be ready")


def ingress(**metadata: Any) -> Ingress:
    path = HTTPIngressPath(splits=[IngressBackendSplit("default", f"{NAME}-00001", 80, 100)])
    hosts = [f"{NAME}.default", f"{NAME}.default.svc", f"{NAME}.default.svc.cluster.local"]
    rule = IngressRule(hosts, "ClusterLocal", HTTPIngressRuleValue([path]))
    return Ingress(metadata=meta(NAME, **metadata), spec=IngressSpec(rules=[rule]))


def carried(
    of: Ingress, status: str = "", reason: str = "", observed: int = 1
) -> dict[str, VirtualService]:
    conditions = [Condition("Reconciled", status, reason=reason, message="words")] if status else []
    told_status = IstioStatus(observed_generation=observed, conditions=conditions)
    gateways, mesh = (
        replace(one, metadata=replace(one.metadata, generation=1, uid="u"), status=told_status)
        for one in make_virtual_services(of, Gateways())
    )
    return {"for_gateways": gateways, "for_mesh": mesh}


def planned(of: Ingress | None = None, **observed: Any) -> Plan:
    return plan(Observed(of or ingress(), **observed), NOW)


def test_a_new_ingress_gets_its_virtual_services() -> None:
    found = planned()
    assert [one.metadata.name for one in found.apply] == [f"{NAME}-ingress", f"{NAME}-mesh"]
    assert told(found.status) == WAITING
    assert told(found.status, "NetworkConfigured")[0] == "True"
    assert [event.message for event in found.events] == [
        f'Created VirtualService "{NAME}-ingress"',
        f'Created VirtualService "{NAME}-mesh"',
    ]


def test_an_acknowledged_one_is_ready() -> None:
    of = ingress()
    found = planned(of, **carried(of, "True", "Acknowledged"))
    assert found.apply == ()
    for kind in ("Ready", "NetworkConfigured", "LoadBalancerReady"):
        assert told(found.status, kind)[0] == "True"


def test_the_load_balancers_are_the_gateways() -> None:
    of = ingress()
    found = planned(of, **carried(of, "True")).status
    assert isinstance(found, Ingress)
    assert found.status.public_load_balancer and found.status.private_load_balancer
    inner = [
        found.status.public_load_balancer.ingress[0].domain_internal,
        found.status.private_load_balancer.ingress[0].domain_internal,
    ]
    assert inner == [names.PUBLIC_GATEWAY_HOST, names.LOCAL_GATEWAY_HOST]


@pytest.mark.parametrize(
    "given",
    [
        {"status": ""},
        {"status": "Unknown", "reason": "WaitingForEnvoy"},
        {"status": "Unknown", "reason": "NoEndpoints"},
        {"status": "True", "observed": 0},
    ],
    ids=["silent", "not acknowledged", "no endpoints", "about an older generation"],
)
def test_until_then_it_waits(given: dict[str, Any]) -> None:
    of = ingress()
    assert told(planned(of, **carried(of, **given)).status) == WAITING


def test_a_change_waits_for_a_new_acknowledgement() -> None:
    of = ingress()
    before = carried(of, "True")
    changed = replace(of, spec=replace(of.spec, http_option="Enabled", rules=of.spec.rules * 2))
    found = planned(changed, **before)
    assert found.apply
    assert told(found.status) == WAITING


def test_envoys_refusal_is_told_with_its_words() -> None:
    of = ingress()
    found = planned(of, **carried(of, "False", "EnvoyRejected"))
    words = ("False", "ReconcileVirtualServiceFailed", "EnvoyRejected: words")
    assert told(found.status, "NetworkConfigured") == words
    assert told(found.status) == words
    assert [event.type for event in found.events] == ["Warning"]


def test_a_refusal_is_an_event_once() -> None:
    of = ingress()
    service = carried(of, "False", "EnvoyRejected")
    first = planned(of, **service).status
    assert isinstance(first, Ingress)
    assert planned(first, **service).events == ()


def test_a_virtual_service_of_somebody_else_is_told() -> None:
    foreign = VirtualService(metadata=meta(f"{NAME}-ingress"))
    found = planned(for_gateways=foreign)
    assert told(found.status) == (
        "False",
        "NotOwned",
        f'There is an existing VirtualService "{NAME}-ingress" that we do not own.',
    )
    assert found.apply == ()


def test_a_mesh_part_that_is_not_wanted_goes() -> None:
    of = ingress()
    outside = replace(
        of, spec=IngressSpec(rules=[replace(of.spec.rules[0], hosts=["a.com"], visibility="")])
    )
    old = carried(of, "True")
    found = planned(outside, **old)
    assert found.delete == (old["for_mesh"],)


@pytest.mark.parametrize(
    ("annotations", "ours"),
    [
        ({}, True),
        ({"networking.knative.dev/ingress.class": names.INGRESS_CLASS_ISTIO}, True),
        ({"networking.knative.dev/ingress-class": names.INGRESS_CLASS_ISTIO}, True),
        ({"networking.knative.dev/ingress.class": "kourier.ingress.networking.knative.dev"}, False),
    ],
)
def test_other_classes_are_left_to_others(annotations: dict[str, str], ours: bool) -> None:
    of = ingress(annotations=annotations)
    assert is_ours(of) is ours
    assert (planned(of) == NOTHING) is not ours


def test_one_that_goes_is_left_alone() -> None:
    assert planned(ingress(deletion_timestamp="2026-01-01T00:00:00Z")) == NOTHING


def test_planning_twice_says_the_same() -> None:
    of = ingress()
    first = planned(of, **carried(of, "True")).status
    assert isinstance(first, Ingress)
    assert planned(first, **carried(of, "True")).status == first
