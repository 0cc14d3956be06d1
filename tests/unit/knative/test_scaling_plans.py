"""PodAutoscaler and ServerlessService: the scale, the Services, the copied Endpoints."""

from typing import Any

import pytest
from msgspec.structs import replace

from stagezero.api import autoscaling_knative as autoscaling
from stagezero.api import names_knative as names
from stagezero.api import networking_knative as networking
from stagezero.api.apps import Deployment
from stagezero.api.base import (
    Condition,
    Object,
    OwnerReference,
    controlled_by,
    controller_of,
    to_raw,
)
from stagezero.api.config_knative import KnativeConfig
from stagezero.api.config_knative_autoscaler import AutoscalerConfig
from stagezero.api.core import EndpointAddress, EndpointPort, Endpoints, EndpointSubset, Service
from stagezero.api.service import ServiceSpec
from stagezero.controllers.knative.plans import autoscaler as scaling
from stagezero.controllers.knative.plans import serverless as services
from stagezero.controllers.knative.plans.deployment import make_deployment
from stagezero.controllers.knative.plans.scale import desired_scale, initial_scale
from stagezero.runtime.plan import Plan
from support.knative_objects import FIRST, NOW, autoscaler, meta, ready, revision, serverless, told

CONFIG = AutoscalerConfig()


@pytest.mark.parametrize(
    ("annotations", "options", "wanted"),
    [
        ({}, {}, 1),
        ({}, {"is_initialized": True}, 1),
        ({"min-scale": "3"}, {"is_initialized": True}, 3),
        ({"minScale": "3"}, {"is_initialized": True}, 3),
        ({"initial-scale": "4"}, {}, 4),
        ({"initial-scale": "4"}, {"is_initialized": True}, 1),
        ({"min-scale": "3", "initial-scale": "2"}, {}, 3),
        ({"min-scale": "3"}, {"is_initialized": True, "reachability": "Unreachable"}, 1),
        ({"min-scale": "3", "max-scale": "2"}, {"is_initialized": True}, 2),
        ({"min-scale": "junk"}, {"is_initialized": True}, 1),
    ],
)
def test_the_scale_follows_the_annotations(
    annotations: dict[str, str], options: dict[str, Any], wanted: int
) -> None:
    given = {f"autoscaling.knative.dev/{key}": value for key, value in annotations.items()}
    assert desired_scale(given, CONFIG, **options) == wanted


def test_the_clusters_least_scale_counts_too() -> None:
    assert desired_scale({}, AutoscalerConfig(min_scale=2), is_initialized=True) == 2
    assert initial_scale({}, AutoscalerConfig(initial_scale=3)) == 3


def serving_sks(of: autoscaling.PodAutoscaler, status: str = "True") -> Any:
    told_status = networking.ServerlessServiceStatus(
        conditions=ready(status, "" if status == "True" else "NoHealthyBackends", "not ready"),
        service_name=FIRST,
        private_service_name=f"{FIRST}-private",
    )
    return replace(serverless(of), status=told_status)


def scaled(of: autoscaling.PodAutoscaler | None = None, **observed: Any) -> Plan:
    return scaling.plan(scaling.Observed(of or autoscaler(), **observed), NOW)


def applied(plan: Plan, kind: type[Object]) -> Any:
    return next((one for one in plan.apply if isinstance(one, kind)), None)


def test_a_new_autoscaler_gets_its_service_and_metric() -> None:
    found = scaled()
    sks = applied(found, networking.ServerlessService)
    assert (sks.spec.mode, sks.spec.num_activators) == ("Serve", 3)
    assert sks.spec.object_ref.name == f"{FIRST}-deployment"
    metric = applied(found, autoscaling.Metric)
    assert (metric.spec.stable_window, metric.spec.panic_window) == (60 * 10**9, 6 * 10**9)
    assert metric.spec.scrape_target == f"{FIRST}-private"


def test_a_new_autoscaler_waits_for_its_service() -> None:
    found = scaled()
    assert told(found.status, "SKSReady") == ("Unknown", "NotReady", "No Private Service Name")
    assert told(found.status, "Active")[:2] == ("Unknown", "Queued")
    assert told(found.status)[1] == "Queued"


@pytest.mark.parametrize(
    ("ready_pods", "burst", "concurrency", "activators"),
    [(0, "211", 0, 3), (1, "211", 0, 4), (1, "0", 0, 2), (3, "-1", 0, 3), (10, "211", 10, 4)],
)
def test_the_activators_column_is_knatives(
    ready_pods: int, burst: str, concurrency: int, activators: int
) -> None:
    of = autoscaler(annotations={names.TARGET_BURST_CAPACITY.key: burst})
    of = replace(of, spec=replace(of.spec, container_concurrency=concurrency))
    sks = applied(scaled(of, ready_pods=ready_pods), networking.ServerlessService)
    assert sks.spec.num_activators == activators


def test_ready_pods_behind_the_services_initialize_the_scale() -> None:
    of = autoscaler()
    found = scaled(of, service=serving_sks(of), ready_pods=1)
    assert told(found.status, "ScaleTargetInitialized")[0] == "True"
    assert told(found.status) == ("True", "", "")


@pytest.mark.parametrize(("pods", "status"), [(0, "True"), (1, "Unknown")])
def test_pods_or_services_alone_initialize_nothing(pods: int, status: str) -> None:
    of = autoscaler()
    found = scaled(of, service=serving_sks(of, status), ready_pods=pods)
    assert told(found.status, "ScaleTargetInitialized")[0] == "Unknown"


def test_once_initialized_is_for_ever() -> None:
    of = autoscaler()
    conditions = [Condition("ScaleTargetInitialized", "True")]
    known = replace(of, status=autoscaling.PodAutoscalerStatus(conditions=conditions))
    found = scaled(known, service=serving_sks(of, "Unknown"))
    assert told(found.status, "ScaleTargetInitialized")[0] == "True"
    assert told(found.status, "Active")[1] == "Queued"


@pytest.mark.parametrize(("replicas", "writes"), [(0, True), (1, False), (2, True)])
def test_the_deployment_is_told_the_scale(replicas: int, writes: bool) -> None:
    deployment = make_deployment(revision(), replicas, KnativeConfig())
    found = applied(scaled(deployment=deployment), Deployment)
    assert (found is not None) is writes
    if found is not None:
        assert found.spec.replicas == 1
        assert found.spec.template.spec.containers == []


def test_desired_and_actual_scale_are_shown() -> None:
    found = scaled(autoscaler(annotations={names.MIN_SCALE.key: "3"}), ready_pods=2).status
    assert isinstance(found, autoscaling.PodAutoscaler)
    assert (found.status.desired_scale, found.status.actual_scale) == (3, 2)


def test_the_window_annotation_is_the_metrics() -> None:
    metric = applied(scaled(autoscaler(annotations={names.WINDOW.key: "2m"})), autoscaling.Metric)
    assert (metric.spec.stable_window, metric.spec.panic_window) == (120 * 10**9, 12 * 10**9)


DEPLOYMENT = make_deployment(revision(), 1, KnativeConfig())
SKS = serverless()
ADDRESS = EndpointAddress("10.0.0.1")
WAITING = EndpointAddress("10.0.0.2")
PORTS = [EndpointPort(8080, "http", "TCP")]


def endpoints(*subsets: EndpointSubset) -> Endpoints:
    return Endpoints(metadata=meta(f"{FIRST}-private"), subsets=list(subsets))


def owned(name: str) -> Service:
    return Service(metadata=meta(name, SKS))


def served(sks: networking.ServerlessService = SKS, **observed: Any) -> Plan:
    fields: dict[str, Any] = {
        "deployment": DEPLOYMENT,
        "public": owned(FIRST),
        "private": owned(f"{FIRST}-private"),
        "public_endpoints": Endpoints(metadata=meta(FIRST, SKS)),
        "private_endpoints": endpoints(EndpointSubset([ADDRESS], [], PORTS)),
    } | observed
    return services.plan(services.Observed(sks, **fields), NOW)


def test_the_private_service_selects_the_pods() -> None:
    private = next(one for one in served().apply if one.metadata.name == f"{FIRST}-private")
    assert isinstance(private, Service)
    assert private.spec.selector == {names.REVISION_UID: f"uid-{FIRST}"}
    assert private.metadata.labels[names.SERVICE_TYPE] == "Private"
    (port,) = private.spec.ports
    assert (port.name, port.port, port.target_port) == ("http", 80, 8080)


def test_the_public_service_selects_nothing() -> None:
    public = next(
        one for one in served().apply if isinstance(one, Service) and one.metadata.name == FIRST
    )
    assert public.spec.selector == {}
    assert public.metadata.labels[names.SERVICE_TYPE] == "Public"


def service_of(plan: Plan, name: str) -> Service:
    return next(one for one in plan.apply if isinstance(one, Service) and one.metadata.name == name)


def test_a_selector_of_somebody_else_is_taken_away() -> None:
    """With one the public Service's Endpoints would have two authors, writing for ever."""
    forged = ServiceSpec(selector={"forged": "yes"})
    found = served(
        public=replace(owned(FIRST), spec=forged),
        private=replace(owned(f"{FIRST}-private"), spec=forged),
    )
    assert to_raw(service_of(found, FIRST))["spec"]["selector"] == {"forged": None}
    assert to_raw(service_of(found, f"{FIRST}-private"))["spec"]["selector"] == {
        names.REVISION_UID: f"uid-{FIRST}",
        "forged": None,
    }


def test_endpoints_made_from_the_public_service_are_taken_over() -> None:
    public = owned(FIRST)
    owner = OwnerReference("v1", "Service", FIRST, public.uid)
    made = Endpoints(metadata=replace(meta(FIRST), owner_references=[owner]))
    (claimed,) = served(public=public, public_endpoints=made).claim
    assert controller_of(claimed) == controlled_by(SKS)


def test_endpoints_of_somebody_else_are_not_taken_over() -> None:
    assert served(public_endpoints=Endpoints(metadata=meta(FIRST))).claim == ()


def test_h2c_has_a_port_of_its_own() -> None:
    found = applied(served(serverless(protocol_type="h2c")), Service)
    assert [(port.name, port.port) for port in found.spec.ports] == [("http2", 81)]


def test_ready_addresses_are_copied_and_others_are_not() -> None:
    mixed = EndpointSubset([ADDRESS], [WAITING], PORTS)
    found = applied(served(private_endpoints=endpoints(mixed)), Endpoints)
    assert found.metadata.name == FIRST
    assert found.subsets == [EndpointSubset(addresses=[ADDRESS], ports=PORTS)]


def test_nobody_ready_removes_the_public_endpoints() -> None:
    found = served(private_endpoints=endpoints(EndpointSubset([], [WAITING], PORTS)))
    assert applied(found, Endpoints) is None
    assert [one.metadata.name for one in found.delete] == [FIRST]


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        ({"private": None}, "CreatingPrivateService"),
        ({"public": None}, "CreatingPublicService"),
        ({"private_endpoints": None}, "NoHealthyBackends"),
        ({"private_endpoints": endpoints()}, "NoHealthyBackends"),
        ({"public_endpoints": None}, "CreatingPublicEndpoints"),
    ],
)
def test_what_is_missing_is_told(observed: dict[str, Any], reason: str) -> None:
    found = served(**observed)
    assert told(found.status) == ("Unknown", reason, "K8s Service is not ready")
    assert told(found.status, "ActivatorEndpointsPopulated")[0] == "True"


def test_with_endpoints_it_is_ready() -> None:
    found = served()
    assert told(found.status) == ("True", "", "")
    assert told(found.status, "ActivatorEndpointsPopulated") == (
        "False",
        "ActivatorEndpointsPopulated",
        "Revision is backed by Activator",
    )
    assert isinstance(found.status, networking.ServerlessService)
    assert found.status.status.private_service_name == f"{FIRST}-private"


def test_a_service_of_somebody_else_is_told_and_left_alone() -> None:
    found = served(public=Service(metadata=meta(FIRST)))
    assert told(found.status) == (
        "False",
        "NotOwned",
        f"Resource {FIRST} of type Service is not owned by SKS",
    )
    assert found.apply == ()


def test_without_a_deployment_there_is_no_private_service_yet() -> None:
    found = served(deployment=None, private=None)
    assert [one.metadata.name for one in found.apply if isinstance(one, Service)] == [FIRST]
