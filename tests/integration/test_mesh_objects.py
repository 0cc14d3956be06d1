"""From objects to Envoy and back to conditions: real API server and loops, Envoy in thought."""

from collections.abc import AsyncIterator

import pytest

from stagezero.api.base import Key
from stagezero.api.core import Endpoints, Service
from stagezero.api.istio import Gateway, VirtualService
from stagezero.kit.clock import LoopClock
from stagezero.mesh.plans.resources import Kind, Resource
from support.envoy_fake import FakeEnvoy
from support.mesh import (
    GATEWAYS,
    endpoints,
    gateway,
    knative_route,
    kserve_route,
    service,
    to,
    virtual_service,
)
from support.mesh_plane import MeshPlane, api_server, mesh_on

BACKEND = (service("a"), endpoints("a", ("10.0.0.1", 8080)))
ROUTE = virtual_service("x", ["x.y"], {"route": [to("a")]})


@pytest.fixture
async def plane() -> AsyncIterator[MeshPlane]:
    async with (
        api_server(LoopClock()) as api,
        mesh_on(api, FakeEnvoy(), clock=LoopClock()) as plane,
    ):
        yield plane


def envoy(plane: MeshPlane) -> FakeEnvoy:
    assert isinstance(plane.envoy, FakeEnvoy)
    return plane.envoy


def bad(*words: str) -> object:
    """Refuse resources whose body has one of the words in it."""

    def refuses(resource: Resource) -> str:
        return "so bad" if any(word.encode() in resource.body for word in words) else ""

    return refuses


pytestmark = pytest.mark.looptime


async def test_a_route_becomes_true_when_envoy_has_it_all(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS, *BACKEND, ROUTE)
    condition = await plane.told("x", "True")
    assert condition.reason == "Acknowledged"
    assert set(envoy(plane).proxy.has[Kind.TABLE]) == {"http.80", "http.8081"}


async def test_without_endpoints_it_is_not_true(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS, service("a"), ROUTE)
    condition = await plane.told("x", "Unknown", "NoEndpoints")
    assert "outbound|80||a.default.svc.cluster.local" in condition.message


async def test_endpoints_that_come_make_it_true(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS, service("a"), ROUTE)
    await plane.told("x", "Unknown", "NoEndpoints")
    await plane.put(BACKEND[1])
    await plane.told("x", "True")


async def test_endpoints_that_go_are_told(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS, *BACKEND, ROUTE)
    await plane.told("x", "True")
    await plane.client.delete(Endpoints, Key("default", "a"))
    await plane.told("x", "Unknown", "NoEndpoints")


async def test_without_envoys_word_it_is_not_true(plane: MeshPlane) -> None:
    envoy(plane).is_silent = True
    await plane.put(*GATEWAYS, *BACKEND, ROUTE)
    await plane.told("x", "Unknown", "WaitingForEnvoy")
    envoy(plane).speak()
    await plane.told("x", "True")


async def test_an_unknown_service_is_told_until_it_comes(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS, BACKEND[1], ROUTE)
    await plane.told("x", "False", "DestinationNotFound")
    await plane.put(BACKEND[0])
    await plane.told("x", "True")


async def test_a_changed_route_is_looked_at_anew(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS, *BACKEND, ROUTE)
    await plane.told("x", "True")
    await plane.put(virtual_service("x", ["x.y"], {"route": [to("nobody")]}))
    await plane.told("x", "False", "DestinationNotFound")


async def test_the_inference_services_route_needs_the_inner_one(plane: MeshPlane) -> None:
    revision = "mnist-predictor-default-00001"
    await plane.put(*GATEWAYS, service(revision), endpoints(revision, ("10.0.0.9", 1)))
    await plane.put(kserve_route("mnist"))
    condition = await plane.told("mnist", "False", "HostNotFound")
    assert "mnist-predictor-default.default.svc.cluster.local" in condition.message
    await plane.put(knative_route("mnist-predictor-default"))
    await plane.told("mnist", "True")


async def test_what_is_deleted_leaves_envoy(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS, *BACKEND, ROUTE)
    await plane.told("x", "True")
    await plane.client.delete(VirtualService, Key("default", "x"))
    await plane.put(virtual_service("z", ["z.y"], {"redirect": {"uri": "/"}}))
    await plane.told("z", "True")
    assert envoy(plane).proxy.has[Kind.CLUSTER] == {}


async def test_moving_endpoints_touch_nothing_else(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS, *BACKEND, ROUTE)
    await plane.told("x", "True")
    await plane.mesh.parts[0].loop.idle()
    envoy(plane).proxy.batches.clear()
    await plane.put(endpoints("a", ("10.0.0.2", 8080)))
    await plane.put(virtual_service("z", ["z.y"], {"redirect": {"uri": "/"}}))
    await plane.told("z", "True")
    kinds = [batch.kind for batch in envoy(plane).proxy.batches]
    assert kinds.count(Kind.LOAD) == 1
    assert Kind.CLUSTER not in kinds


# Refusals.


async def test_a_refused_route_is_told_and_an_event_says_so(plane: MeshPlane) -> None:
    envoy(plane).proxy.refuses = bad("poison")  # type: ignore[assignment]  # as Refuses
    await plane.put(*GATEWAYS, *BACKEND)
    await plane.put(virtual_service("x", ["poison.y"], {"route": [to("a")]}))
    condition = await plane.told("x", "False", "EnvoyRejected")
    assert condition.message == "Envoy refused its routes: so bad"
    event = await plane.event("EnvoyRejected")
    assert (event.type, event.involved_object.name) == ("Warning", "x")


async def test_a_refused_route_leaves_the_others_alone(plane: MeshPlane) -> None:
    envoy(plane).proxy.refuses = bad("poison")  # type: ignore[assignment]  # as Refuses
    others = [virtual_service(f"o{n}", [f"o{n}.y"], {"route": [to("a")]}) for n in range(5)]
    poison = virtual_service("x", ["poison.y"], {"route": [to("a")]})
    await plane.put(*GATEWAYS, *BACKEND, poison, *others)
    await plane.told("x", "False", "EnvoyRejected")
    for number in range(5):
        await plane.told(f"o{number}", "True")


async def test_a_mended_route_is_true_again(plane: MeshPlane) -> None:
    envoy(plane).proxy.refuses = bad("poison")  # type: ignore[assignment]  # as Refuses
    await plane.put(*GATEWAYS, *BACKEND, virtual_service("x", ["poison.y"], {"route": [to("a")]}))
    await plane.told("x", "False", "EnvoyRejected")
    await plane.put(ROUTE)
    await plane.told("x", "True")


async def test_a_refused_listener_is_told_and_tried_again(plane: MeshPlane) -> None:
    envoy(plane).proxy.refuses = lambda r: "port in use" if r.kind is Kind.LISTENER else ""
    await plane.put(GATEWAYS[0], *BACKEND, ROUTE)
    condition = await plane.gateway_told(GATEWAYS[0].key, "False", "EnvoyRejected")
    assert condition.message == "Envoy refused listener 127.0.0.1_8080: port in use"
    await plane.told("x", "False", "EnvoyRejected")
    envoy(plane).proxy.refuses = lambda r: ""
    await plane.gateway_told(GATEWAYS[0].key, "True")
    await plane.told("x", "True")


async def test_a_gateway_is_told_what_is_not_served(plane: MeshPlane) -> None:
    tls = {"mode": "SIMPLE", "credentialName": "taco-cat-tls"}
    https = gateway("shop/tls", 443, protocol="HTTPS", tls=tls)
    await plane.put(GATEWAYS[0], https)
    condition = await plane.gateway_told(https.key, "False", "NotServed")
    assert "HTTPS on port 443 is not served yet" in condition.message
    await plane.gateway_told(GATEWAYS[0].key, "True")


async def test_a_gateway_that_is_edited_drives_the_listeners(plane: MeshPlane) -> None:
    await plane.put(GATEWAYS[0])
    await plane.gateway_told(GATEWAYS[0].key, "True")
    await plane.put(gateway(port=8081))
    await plane.until(Gateway, GATEWAYS[0].key, lambda g: g.status.observed_generation == 2)
    assert set(envoy(plane).proxy.has[Kind.LISTENER]) == {"127.0.0.1_8081"}


# Coming and going.


async def test_envoy_that_comes_back_is_told_everything(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS, *BACKEND, ROUTE)
    await plane.told("x", "True")
    envoy(plane).disconnect()
    envoy(plane).proxy.batches.clear()
    envoy(plane).connect()
    await plane.put(virtual_service("z", ["z.y"], {"route": [to("a")]}))
    await plane.told("z", "True")
    assert {b.kind for b in envoy(plane).proxy.batches} == set(Kind)


async def test_an_envoy_that_is_away_takes_nothing_back(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS, *BACKEND, ROUTE)
    await plane.told("x", "True")
    envoy(plane).disconnect()
    await plane.put(virtual_service("z", ["z.y"], {"route": [to("a")]}))
    await plane.told("z", "Unknown", "WaitingForEnvoy")
    found = plane.condition("x")
    assert found is not None
    assert found.status == "True"


async def test_a_new_control_plane_writes_nothing_that_is_true_already() -> None:
    fake = FakeEnvoy()
    async with api_server(LoopClock()) as api:
        async with mesh_on(api, fake, clock=LoopClock()) as plane:
            await plane.put(*GATEWAYS, *BACKEND, ROUTE)
            await plane.told("x", "True")
            before = await plane.client.get(VirtualService, "x", "default")
        fake.connect()
        async with mesh_on(api, fake, clock=LoopClock()) as plane:
            await plane.put(virtual_service("z", ["z.y"], {"route": [to("a")]}))
            await plane.told("z", "True")
            after = await plane.client.get(VirtualService, "x", "default")
    assert before.metadata.resource_version == after.metadata.resource_version


async def test_a_new_control_plane_does_not_try_what_was_refused() -> None:
    fake = FakeEnvoy(bad("poison"))  # type: ignore[arg-type]  # as Refuses
    async with api_server(LoopClock()) as api:
        async with mesh_on(api, fake, clock=LoopClock()) as plane:
            poison = virtual_service("x", ["poison.y"], {"route": [to("a")]})
            await plane.put(*GATEWAYS, *BACKEND, poison)
            await plane.told("x", "False", "EnvoyRejected")
        fake.connect()
        fake.proxy.batches.clear()
        async with mesh_on(api, fake, clock=LoopClock()) as plane:
            await plane.put(virtual_service("z", ["z.y"], {"route": [to("a")]}))
            await plane.told("z", "True")
            tables = [r for b in fake.proxy.batches if b.kind is Kind.TABLE for r in b.resources]
    assert tables
    assert not any(b"poison" in table.body for table in tables)


async def test_three_hundred_routes_at_once(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS)
    for number in range(300):
        name = f"m{number}"
        await plane.put(service(name), endpoints(name, ("10.0.0.1", 8080)))
        await plane.put(virtual_service(name, [f"{name}.y"], {"route": [to(name)]}))
    for number in range(300):
        await plane.told(f"m{number}", "True")
    assert len(envoy(plane).proxy.has[Kind.CLUSTER]) == 300


async def test_a_deleted_service_takes_its_cluster_along(plane: MeshPlane) -> None:
    await plane.put(*GATEWAYS, *BACKEND, ROUTE)
    await plane.told("x", "True")
    await plane.client.delete(Service, Key("default", "a"))
    await plane.told("x", "False", "DestinationNotFound")
