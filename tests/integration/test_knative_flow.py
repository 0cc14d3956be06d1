"""From `kubectl apply` of a Knative Service to Ready, in virtual time."""

import asyncio
from copy import deepcopy
from typing import Any

import msgspec
import pytest

from stagezero.api import autoscaling_knative as autoscaling
from stagezero.api import networking_knative as networking
from stagezero.api import serving_knative as serving
from stagezero.api.apps import Deployment
from stagezero.api.base import Condition, Key, Object, Raw
from stagezero.api.conditions import find
from stagezero.api.core import ConfigMap, Endpoints, Event, Pod, Service
from stagezero.api.errors import Denied
from stagezero.api.istio import VirtualService
from stagezero.kit.http import Request, User
from support.knative_plane import FakeMesh, FakeNode, Plane, ready_status, running

pytestmark = pytest.mark.looptime

NAME = "helloworld-go"
FIRST, SECOND = f"{NAME}-00001", f"{NAME}-00002"
HELLO: Raw = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {"name": NAME, "namespace": "default"},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "image": "gcr.io/knative-samples/helloworld-go",
                        "env": [{"name": "TARGET", "value": "Go Sample v1"}],
                    }
                ]
            }
        }
    },
}


def changed(**container: Any) -> Raw:
    raw = deepcopy(HELLO)
    raw["spec"]["template"]["spec"]["containers"][0].update(container)
    return raw


def ready(thing: Any) -> Condition:
    found = find(thing.status.conditions, "Ready")
    return found or Condition("Ready", "none")


def is_ready(thing: Any) -> bool:
    is_current = thing.status.observed_generation == thing.metadata.generation
    return ready(thing).status == "True" and bool(is_current)


def says(message: str) -> Any:
    return lambda thing: ready(thing).message == message


def fails(thing: Any) -> bool:
    return ready(thing).status == "False"


async def table(plane: Plane, path: str) -> tuple[list[str], list[list[Any]]]:
    """The columns and cells that kubectl would print."""
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    request = Request("GET", path, {}, {"accept": accept}, b"", User("ann"))
    response = await plane.handle(request)
    printed = msgspec.json.decode(response.body)
    columns = [column["name"] for column in printed["columnDefinitions"]]
    return columns, [row["cells"] for row in printed["rows"]]


async def test_a_service_becomes_ready_and_stays_so() -> None:
    async with running() as plane:
        await plane.apply(HELLO)
        service = await plane.until(serving.Service, NAME, is_ready)
        assert service.status.url == f"http://{NAME}.default.localhost"
        assert service.status.address == serving.Addressable(
            f"http://{NAME}.default.svc.cluster.local"
        )
        assert service.status.traffic == [
            serving.TrafficTarget(revision_name=FIRST, latest_revision=True, percent=100)
        ]
        assert [one.type for one in service.status.conditions] == [
            "ConfigurationsReady",
            "Ready",
            "RoutesReady",
        ]
        assert service.metadata.generation == 1


async def test_a_ready_service_is_written_no_more() -> None:
    async with running() as plane:
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        await asyncio.sleep(10)
        version = plane.version
        await asyncio.sleep(600)
        assert plane.version == version


async def test_the_messages_on_the_way_are_knatives() -> None:
    mesh = FakeMesh(lambda _: None)
    node = FakeNode(lambda _: None)
    async with running(node, mesh) as plane:
        await plane.apply(HELLO)
        waiting = f'Configuration "{NAME}" is waiting for a Revision to become ready.'
        await plane.until(serving.Service, NAME, says(waiting))
        node.outcome = ready_status
        plane.poke()
        lb = "Waiting for load balancer to be ready"
        await plane.until(serving.Service, NAME, says(lb))
        mesh.answer = lambda _: ("True", "", "")
        plane.poke()
        await plane.until(serving.Service, NAME, is_ready)


@pytest.mark.parametrize("kind", [serving.Route, serving.Service])
async def test_ready_waits_for_the_probe(kind: type[Object]) -> None:
    async with running(FakeNode(lambda _: None)) as plane:
        await plane.apply(HELLO)
        await asyncio.sleep(30)
        assert ready(await plane.get(kind, NAME)).status == "Unknown"


@pytest.mark.parametrize("kind", [serving.Route, serving.Service])
async def test_ready_waits_for_envoys_acknowledgement(kind: type[Object]) -> None:
    async with running(mesh=FakeMesh(lambda _: None)) as plane:
        await plane.apply(HELLO)
        await asyncio.sleep(30)
        found = await plane.get(kind, NAME)
        assert ready(found).status == "Unknown"
        assert ready(found).reason == "Uninitialized"


@pytest.mark.parametrize("kind", [serving.Route, serving.Service])
async def test_ready_waits_for_the_endpoints(kind: type[Object]) -> None:
    async with running(has_endpoints=False) as plane:
        await plane.apply(HELLO)
        await asyncio.sleep(30)
        assert ready(await plane.get(kind, NAME)).status == "Unknown"
        sks = await plane.get(networking.ServerlessService, FIRST)
        assert ready(sks).reason == "NoHealthyBackends"


async def test_envoys_refusal_reaches_the_service() -> None:
    refusal = ("False", "EnvoyRejected", "no such cluster")
    async with running(mesh=FakeMesh(lambda _: refusal)) as plane:
        await plane.apply(HELLO)
        service = await plane.until(serving.Service, NAME, fails)
        assert ready(service).message == "EnvoyRejected: no such cluster"


async def test_the_columns_are_knatives() -> None:
    async with running() as plane:
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        await plane.until(
            autoscaling.PodAutoscaler, FIRST, lambda one: one.status.actual_scale == 1
        )
        await plane.until(serving.Revision, FIRST, lambda one: one.status.actual_replicas == 1)
        url = f"http://{NAME}.default.localhost"
        base = "/apis/serving.knative.dev/v1/namespaces/default"
        assert await table(plane, f"{base}/services") == (
            ["Name", "URL", "LatestCreated", "LatestReady", "Ready", "Reason"],
            [[NAME, url, FIRST, FIRST, "True", None]],
        )
        assert await table(plane, f"{base}/routes") == (
            ["Name", "URL", "Ready", "Reason"],
            [[NAME, url, "True", None]],
        )
        columns, rows = await table(plane, f"{base}/revisions")
        assert columns[1:4] == ["Config Name", "K8s Service Name", "Generation"]
        assert rows == [[FIRST, NAME, None, "1", "True", None, 1, 1]]
        pa = "/apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/default/podautoscalers"
        assert (await table(plane, pa))[1] == [[FIRST, 1, 1, "True", None]]


async def test_the_objects_of_an_installation_are_there() -> None:
    async with running() as plane:
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        deployment = await plane.get(Deployment, f"{FIRST}-deployment")
        assert deployment.spec.replicas == 1
        private = await plane.get(Service, f"{FIRST}-private")
        assert set(private.spec.selector) == {"serving.knative.dev/revisionUID"}
        public = await plane.get(Service, FIRST)
        assert public.spec.selector == {}
        assert await plane.get(serving.Image, f"{FIRST}-cache-user-container")
        assert await plane.get(autoscaling.Metric, FIRST)
        endpoints = await plane.get(Endpoints, FIRST)
        of_private = await plane.get(Endpoints, f"{FIRST}-private")
        assert endpoints.subsets == of_private.subsets
        placeholder = await plane.get(Service, NAME)
        assert placeholder.spec.type == "ExternalName"
        assert placeholder.spec.external_name == (
            "knative-local-gateway.istio-system.svc.cluster.local"
        )
        for name in (f"{NAME}-ingress", f"{NAME}-mesh"):
            assert await plane.get(VirtualService, name)


async def test_events_tell_what_was_made() -> None:
    async with running() as plane:
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        await asyncio.sleep(5)
        events = (await plane.client.list(Event, "default")).items
        told = {(event.involved_object.kind, event.reason, event.message) for event in events}
        assert {
            ("Service", "Created", f'Created Configuration "{NAME}"'),
            ("Service", "Created", f'Created Route "{NAME}"'),
            ("Configuration", "Created", f'Created Revision "{FIRST}"'),
            ("Configuration", "ConfigurationReady", "Configuration becomes ready"),
            ("Configuration", "LatestReadyUpdate", f'LatestReadyRevisionName updated to "{FIRST}"'),
            ("Route", "Created", f'Created placeholder service "{NAME}"'),
            ("Route", "Created", f'Created Ingress "{NAME}"'),
        } <= told


async def test_the_domain_of_every_route_follows_its_config_map() -> None:
    async with running() as plane:
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        await plane.edit("config-domain", {"taco-cat.xyz": ""})
        url = f"http://{NAME}.default.taco-cat.xyz"
        await plane.until(
            serving.Service, NAME, lambda one: is_ready(one) and one.status.url == url
        )
        service = await plane.get(VirtualService, f"{NAME}-ingress")
        assert f"{NAME}.default.taco-cat.xyz" in service.spec.hosts


@pytest.mark.parametrize("key", ["domain-template", "domainTemplate"])
async def test_the_template_of_every_url_follows_its_config_map(key: str) -> None:
    async with running() as plane:
        await plane.edit("config-domain", {"taco-cat.xyz": ""})
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        await plane.edit("config-network", {key: "{{.Name}}-{{.Namespace}}.{{.Domain}}"})
        url = f"http://{NAME}-default.taco-cat.xyz"
        await plane.until(serving.Route, NAME, lambda one: one.status.url == url)


async def test_a_broken_edit_of_a_config_map_is_denied() -> None:
    async with running() as plane:
        with pytest.raises(Exception, match="denied the request: validation failed") as denied:
            await plane.edit("config-network", {"domain-template": "{{.Nmae}}"})
        assert "config.webhook.serving.knative.dev" in str(denied.value)
        assert not isinstance(denied.value, Denied)  # what crossed the API is its Status


async def test_the_gateways_port_is_part_of_the_url() -> None:
    async with running() as plane:
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        ports = [{"name": "http2", "port": 8080, "targetPort": 8080}]
        key = Key("istio-system", "istio-ingressgateway")
        await plane.client.patch(Service, key, {"spec": {"ports": ports}})
        url = f"http://{NAME}.default.localhost:8080"
        service = await plane.until(serving.Service, NAME, lambda one: one.status.url == url)
        assert service.status.address is not None
        assert service.status.address.url == f"http://{NAME}.default.svc.cluster.local"


def crashed(pod: Pod) -> Raw:
    status = ready_status(pod)
    ended = {"exitCode": 5, "reason": "Error", "message": "no model at /mnt/models"}
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s"}
    container = status["containerStatuses"][0]
    container |= {
        "ready": False,
        "state": {"waiting": waiting},
        "lastState": {"terminated": ended},
        "restartCount": 1,
    }
    status["conditions"] = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "False"},
    ]
    return status


async def test_a_crash_tells_its_cause_on_the_service_and_heals() -> None:
    node = FakeNode(crashed)
    async with running(node) as plane:
        await plane.apply(HELLO)
        service = await plane.until(serving.Service, NAME, fails)
        assert ready(service).reason == "RevisionFailed"
        assert ready(service).message == (
            f'Revision "{FIRST}" failed with message: Container failed with: '
            "no model at /mnt/models."
        )
        revision = await plane.get(serving.Revision, FIRST)
        assert ready(revision).reason == "ExitCode5"
        node.outcome = ready_status
        plane.poke()
        await plane.until(serving.Service, NAME, is_ready)


async def test_an_unschedulable_pod_tells_its_cause() -> None:
    def unschedulable(pod: Pod) -> Raw:
        message = "0/1 nodes are available: 1 Insufficient cpu."
        scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        return {"phase": "Pending", "conditions": [{**scheduled, "message": message}]}

    async with running(FakeNode(unschedulable)) as plane:
        await plane.apply(HELLO)
        revision = await plane.until(serving.Revision, FIRST, fails)
        assert ready(revision).reason == "Unschedulable"
        assert "Insufficient cpu" in ready(revision).message


async def test_an_image_that_cannot_be_pulled_tells_its_cause() -> None:
    def pulling(pod: Pod) -> Raw:
        status = crashed(pod)
        waiting = {"reason": "ImagePullBackOff", "message": "not in the catalogue"}
        container = status["containerStatuses"][0]
        container |= {"state": {"waiting": waiting}, "lastState": {}, "restartCount": 0}
        return status

    async with running(FakeNode(pulling)) as plane:
        await plane.apply(changed(image="nobody/nothing"))
        revision = await plane.until(serving.Revision, FIRST, fails)
        assert ready(revision).reason == "ContainerMissing"
        assert ready(revision).message == (
            'Unable to fetch image "nobody/nothing": not in the catalogue'
        )


async def test_a_change_makes_a_revision_and_moves_the_requests() -> None:
    async with running() as plane:
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        await plane.apply(changed(env=[{"name": "TARGET", "value": "v2"}]))
        service = await plane.until(
            serving.Service,
            NAME,
            lambda one: is_ready(one) and one.status.latest_ready_revision_name == SECOND,
        )
        assert [one.revision_name for one in service.status.traffic] == [SECOND]
        await plane.until(
            serving.Revision,
            FIRST,
            lambda one: one.metadata.labels["serving.knative.dev/routingState"] == "reserve",
        )
        second = await plane.get(serving.Revision, SECOND)
        assert second.metadata.labels["serving.knative.dev/routingState"] == "active"
        assert second.metadata.annotations["serving.knative.dev/routes"] == NAME


async def test_a_failing_revision_leaves_requests_where_they_are() -> None:
    def by_revision(pod: Pod) -> Raw:
        is_second = pod.metadata.labels["serving.knative.dev/revision"] == SECOND
        return crashed(pod) if is_second else ready_status(pod)

    async with running(FakeNode(by_revision)) as plane:
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        await plane.apply(changed(env=[{"name": "TARGET", "value": "v2"}]))
        service = await plane.until(serving.Service, NAME, fails)
        assert service.status.latest_created_revision_name == SECOND
        assert service.status.latest_ready_revision_name == FIRST
        assert [one.revision_name for one in service.status.traffic] == [FIRST]
        assert is_ready(await plane.get(serving.Route, NAME))


async def test_a_split_with_a_tag_has_a_host_of_its_own() -> None:
    async with running() as plane:
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        second = changed(env=[{"name": "TARGET", "value": "v2"}])
        second["spec"]["traffic"] = [
            {"revisionName": FIRST, "percent": 90, "tag": "stable"},
            {"latestRevision": True, "percent": 10},
        ]
        await plane.apply(second)
        service = await plane.until(
            serving.Service, NAME, lambda one: is_ready(one) and len(one.status.traffic) == 2
        )
        assert service.status.traffic[0].url == f"http://stable-{NAME}.default.localhost"
        routes = (await plane.get(VirtualService, f"{NAME}-ingress")).spec.http
        assert [[one.weight for one in route.route] for route in routes] == [
            [90, 10], [90, 10], [100], [100],
        ]  # fmt: skip
        assert (await plane.get(Service, f"stable-{NAME}")).spec.type == "ExternalName"


async def test_a_cluster_local_service_is_not_seen_from_outside() -> None:
    raw = deepcopy(HELLO)
    raw["metadata"]["labels"] = {"networking.knative.dev/visibility": "cluster-local"}
    async with running() as plane:
        await plane.apply(raw)
        service = await plane.until(serving.Service, NAME, is_ready)
        assert service.status.url == f"http://{NAME}.default.svc.cluster.local"
        ingress = await plane.get(networking.Ingress, NAME)
        assert {rule.visibility for rule in ingress.spec.rules} == {"ClusterLocal"}


async def test_a_service_can_come_out_again() -> None:
    raw = deepcopy(HELLO)
    label = "networking.knative.dev/visibility"
    raw["metadata"]["labels"] = {label: "cluster-local"}
    async with running() as plane:
        await plane.apply(raw)
        await plane.until(serving.Service, NAME, is_ready)
        raw["metadata"]["labels"] = {label: None}
        await plane.apply(raw)
        url = f"http://{NAME}.default.localhost"
        await plane.until(
            serving.Service, NAME, lambda one: is_ready(one) and one.status.url == url
        )


async def test_a_revision_named_by_its_author_is_used() -> None:
    raw = deepcopy(HELLO)
    raw["spec"]["template"]["metadata"] = {"name": f"{NAME}-first"}
    async with running() as plane:
        await plane.apply(raw)
        service = await plane.until(serving.Service, NAME, is_ready)
        assert service.status.latest_ready_revision_name == f"{NAME}-first"


async def test_min_scale_is_the_number_of_pods() -> None:
    raw = deepcopy(HELLO)
    raw["spec"]["template"]["metadata"] = {"annotations": {"autoscaling.knative.dev/minScale": "3"}}
    async with running() as plane:
        await plane.apply(raw)
        await plane.until(serving.Service, NAME, is_ready)
        pa = await plane.get(autoscaling.PodAutoscaler, FIRST)
        assert (pa.status.desired_scale, pa.status.actual_scale) == (3, 3)


async def test_a_lost_pod_empties_the_public_endpoints() -> None:
    node = FakeNode()
    async with running(node) as plane:
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        node.outcome = crashed
        plane.poke()
        await plane.until(
            networking.ServerlessService,
            FIRST,
            lambda one: ready(one).reason == "NoHealthyBackends",
        )
        endpoints = (await plane.client.list(Endpoints, "default")).items
        by_name = {one.metadata.name: one for one in endpoints}
        public = by_name.get(FIRST)
        assert public is None or not any(subset.addresses for subset in public.subsets)
        node.outcome = ready_status
        plane.poke()
        await plane.until(Endpoints, FIRST, lambda one: bool(one.subsets))


async def test_a_broken_config_map_leaves_the_last_good_values() -> None:
    async with running(admits_config_maps=False) as plane:
        await plane.edit("config-domain", {"taco-cat.xyz": ""})
        await plane.apply(HELLO)
        await plane.until(serving.Service, NAME, is_ready)
        await plane.edit("config-domain", {"taco-cat.xyz": "selector: ["})
        await asyncio.sleep(10)
        service = await plane.get(serving.Service, NAME)
        assert service.status.url == f"http://{NAME}.default.taco-cat.xyz"
        found = await plane.get(ConfigMap, "config-domain", "knative-serving")
        assert found.data["taco-cat.xyz"] == "selector: ["
