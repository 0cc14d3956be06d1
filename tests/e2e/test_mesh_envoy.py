"""The real Envoy, from Gateways and VirtualServices in the API to requests and answers."""

import asyncio
import collections
from collections.abc import AsyncIterator
from typing import NamedTuple

import grpc
import grpc.aio
import pytest

from stagezero.api.base import Key
from stagezero.api.core import Endpoints
from support.envoy_real import Backend, RealEnvoy, backends, fetch, real_envoy
from support.mesh import (
    GATEWAYS,
    INGRESS,
    LOCAL,
    endpoints,
    gateway,
    knative_route,
    kserve_route,
    service,
    to,
    virtual_service,
)
from support.mesh_plane import MeshPlane, api_server, mesh_on

pytestmark = pytest.mark.e2e


class Stage(NamedTuple):
    """All that a test plays on: two backends a and b behind Services of these names."""

    plane: MeshPlane
    envoy: RealEnvoy
    a: Backend
    b: Backend

    async def serve(self, *routes: object, hosts: tuple[str, ...] = ("x.y",)) -> None:
        """Put a VirtualService x with these routes and wait until it is true."""
        await self.plane.put(virtual_service("x", hosts, *routes))  # type: ignore[arg-type]
        await self.plane.told("x", "True")


def behind(backend: Backend, name: str) -> tuple[object, object]:
    return service(name), endpoints(name, ("127.0.0.1", backend.port))


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with (
        real_envoy() as envoy,
        backends(["a", "b"]) as (a, b),
        api_server() as api,
        mesh_on(api, envoy.xds, envoy.gateway) as plane,
    ):
        await plane.put(*GATEWAYS, *behind(a, "a"), *behind(b, "b"))  # type: ignore[arg-type]
        yield Stage(plane, envoy, a, b)


async def test_a_host_reaches_its_backend(stage: Stage) -> None:
    await stage.serve({"route": [to("a")]})
    reply = await stage.envoy.get("x.y", "/v1/models/m:predict?q=1", method="POST", body=b"data")
    assert (reply.status, reply.headers["server"]) == (200, "istio-envoy")
    assert "x-envoy-upstream-service-time" in reply.headers
    assert reply.told["backend"] == "a"
    assert (reply.told["path"], reply.told["body"]) == ("/v1/models/m:predict?q=1", "data")
    assert reply.told["headers"]["host"] == "x.y"


@pytest.mark.parametrize("host", ["x.y", "X.Y", "x.y:80", "x.y:8080"])
async def test_a_host_may_have_any_port_and_case(stage: Stage, host: str) -> None:
    await stage.serve({"route": [to("a")]})
    assert (await stage.envoy.get(host)).status == 200


async def test_an_unknown_host_is_a_404_without_a_body(stage: Stage) -> None:
    await stage.serve({"route": [to("a")]})
    reply = await stage.envoy.get("nobody.y")
    assert (reply.status, reply.body) == (404, b"")


async def test_no_endpoints_is_a_503_that_says_so(stage: Stage) -> None:
    await stage.serve({"route": [to("a")]})
    await stage.plane.client.delete(Endpoints, Key("default", "a"))
    await stage.plane.told("x", "Unknown", "NoEndpoints")
    await stage.plane.mesh.parts[0].loop.idle()
    load = stage.plane.mesh.model.snapshot
    await stage.envoy.xds.settled([one for kind in load.values() for one in kind.values()])
    reply = await stage.envoy.get("x.y")
    assert (reply.status, reply.body) == (503, b"no healthy upstream")


async def test_a_split_is_kept(stage: Stage) -> None:
    await stage.serve({"route": [to("a", weight=80), to("b", weight=20)]})
    told = [(await stage.envoy.get("x.y")).told["backend"] for _ in range(400)]
    share = collections.Counter(told)["b"] / 400
    assert 0.12 < share < 0.28


async def test_paths_and_headers_choose(stage: Stage) -> None:
    await stage.serve(
        {"match": [{"uri": {"prefix": "/b"}}, {"headers": {"who": {"exact": "b"}}}],
         "route": [to("b")]},
        {"route": [to("a")]},
    )  # fmt: skip
    assert (await stage.envoy.get("x.y", "/b/c")).told["backend"] == "b"
    assert (await stage.envoy.get("x.y", headers={"who": "b"})).told["backend"] == "b"
    assert (await stage.envoy.get("x.y", "/c")).told["backend"] == "a"


async def test_requests_and_answers_are_changed(stage: Stage) -> None:
    headers = {
        "request": {"set": {"Host": "in.ner", "sure": "100%"}, "add": {"more": "2"},
                    "remove": ["secret"]},
        "response": {"set": {"seen": "yes"}},
    }  # fmt: skip
    await stage.serve({"rewrite": {"uri": "/new"}, "headers": headers, "route": [to("a")],
                       "match": [{"uri": {"prefix": "/old"}}]})  # fmt: skip
    reply = await stage.envoy.get("x.y", "/old/x", headers={"secret": "1", "more": "1"})
    told = reply.told["headers"]
    assert reply.told["path"] == "/new/x"
    assert (told["host"], told["sure"]) == ("in.ner", "100%")
    assert "secret" not in told
    assert reply.headers["seen"] == "yes"


async def test_a_redirect_is_answered(stage: Stage) -> None:
    await stage.serve({"redirect": {"uri": "/there", "authority": "o.ther", "redirectCode": 308}})
    reply = await stage.envoy.get("x.y")
    assert (reply.status, reply.headers["location"]) == (308, "http://o.ther/there")


async def test_a_time_limit_is_kept(stage: Stage) -> None:
    stage.a.delay_s = 2
    await stage.serve({"timeout": "0.2s", "retries": {}, "route": [to("a")]})
    assert (await stage.envoy.get("x.y")).status == 504


async def test_without_a_limit_slow_answers_arrive(stage: Stage) -> None:
    stage.a.delay_s = 1
    await stage.serve({"route": [to("a")]})
    assert (await stage.envoy.get("x.y")).status == 200


@pytest.mark.parametrize(("retries", "requests"), [({}, 1), ({"attempts": 2}, 3)])
async def test_retries_are_as_written(stage: Stage, retries: object, requests: int) -> None:
    await stage.serve({"retries": retries, "route": [to("a")]})
    reply = await stage.envoy.get("x.y", headers={"x-status": "503"})
    assert (reply.status, stage.a.requests) == (503, requests)


async def test_a_websocket_passes(stage: Stage) -> None:
    await stage.serve({"route": [to("a")]})
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.envoy.http)
    writer.write(
        b"GET / HTTP/1.1\r\nhost: x.y\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    )
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"ping")
    assert await reader.readexactly(4) == b"ping"
    writer.close()


async def test_a_mirror_gets_a_copy(stage: Stage) -> None:
    await stage.serve({"route": [to("a")], "mirror": {"host": "b", "port": {"number": 80}}})
    assert (await stage.envoy.get("x.y")).told["backend"] == "a"
    await asyncio.wait_for(stage.b.asked.wait(), 5)


async def test_an_absolute_address_is_accepted_as_a_proxy_gets_it(stage: Stage) -> None:
    await stage.serve({"route": [to("a")]})
    reply = await fetch(stage.envoy.http, "x.y", "http://x.y/path")
    assert (reply.status, reply.told["path"]) == (200, "/path")


async def test_kserves_route_crosses_envoy_once(stage: Stage) -> None:
    revision = "mnist-predictor-default-00001"
    route = knative_route("mnist-predictor-default")
    await stage.plane.put(*behind(stage.a, revision), route, kserve_route("mnist"))  # type: ignore[arg-type]
    await stage.plane.told("mnist", "True")
    reply = await stage.envoy.get("mnist.default.localhost", "/v1/models/mnist:predict")
    headers = reply.told["headers"]
    assert headers["host"] == "mnist-predictor-default.default.svc.cluster.local"
    assert headers["knative-serving-revision"] == revision
    assert "," not in headers["x-forwarded-for"]


async def test_the_local_gateway_serves_names_of_the_cluster(stage: Stage) -> None:
    await stage.plane.put(*behind(stage.a, "hello-00001"), knative_route("hello"))  # type: ignore[arg-type]
    await stage.plane.told("hello-ingress", "True")
    for host in ("hello.default", "hello.default.svc", "hello.default.svc.cluster.local"):
        assert (await fetch(stage.envoy.local, host)).status == 200
        assert (await stage.envoy.get(host)).status == 404
    assert (await stage.envoy.get("hello.default.localhost")).status == 200


async def test_new_endpoints_are_used_when_they_are_told(stage: Stage) -> None:
    await stage.serve({"route": [to("a")]})
    await stage.plane.put(endpoints("a", ("127.0.0.1", stage.b.port)))
    await stage.plane.mesh.parts[0].loop.idle()
    loads = stage.plane.mesh.model.snapshot
    await stage.envoy.xds.settled([one for kind in loads.values() for one in kind.values()])
    assert (await stage.envoy.get("x.y")).told["backend"] == "b"


async def test_grpc_passes_to_a_port_that_speaks_it(stage: Stage) -> None:
    async def answer(request: bytes, context: object) -> bytes:
        return request.upper()

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(answer)
    service_handler = grpc.method_handlers_generic_handler("test.Echo", {"Shout": handler})
    server.add_generic_rpc_handlers((service_handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await stage.plane.put(service("g", (80, "h2c")))
    await stage.plane.put(endpoints("g", ("127.0.0.1", port), port_name="h2c"))
    await stage.serve({"route": [to("g")]})
    options = (("grpc.default_authority", "x.y"),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{stage.envoy.http}", options) as channel:
        assert await channel.unary_unary("/test.Echo/Shout", bytes, bytes)(b"hello") == b"HELLO"
    await server.stop(None)


async def test_requests_are_logged_where_asked(stage: Stage) -> None:
    await stage.serve({"route": [to("a")]})
    await stage.envoy.get("x.y", "/seen")
    async with asyncio.timeout(15):
        while b"GET /seen HTTP/1.1" not in stage.envoy.access_log.read_bytes():  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # Envoy flushes its log every ten seconds


# Refusals.


async def test_what_envoy_refuses_is_told_and_the_last_good_route_stays(stage: Stage) -> None:
    await stage.serve({"route": [to("a")]})
    broken = {"match": [{"uri": {"regex": "(?<x"}}], "route": [to("b")]}
    await stage.plane.put(virtual_service("x", ["x.y"], broken))
    condition = await stage.plane.told("x", "False", "EnvoyRejected")
    assert "(?<x" in condition.message
    assert (await stage.envoy.get("x.y")).told["backend"] == "a"
    await stage.plane.event("EnvoyRejected")


async def test_one_bad_route_among_many_spoils_only_itself(stage: Stage) -> None:
    broken = {"headers": {"request": {"set": {":path": "/"}}}, "route": [to("a")]}
    good = [virtual_service(f"o{n}", [f"o{n}.y"], {"route": [to("a")]}) for n in range(8)]
    await stage.plane.put(*good[:4], virtual_service("x", ["bad.y"], broken), *good[4:])
    await stage.plane.told("x", "False", "EnvoyRejected")
    for number in range(8):
        await stage.plane.told(f"o{number}", "True")
        assert (await stage.envoy.get(f"o{number}.y")).status == 200
    assert (await stage.envoy.get("bad.y")).status == 404


async def test_two_gateways_share_a_port(stage: Stage) -> None:
    await stage.plane.put(gateway("shop/gw", hosts=["*.shop"]))
    hosts = ["a.shop", "a.other"]
    await stage.plane.put(virtual_service("x", hosts, {"route": [to("a")]}, gateways=("shop/gw",)))
    await stage.plane.told("x", "True")
    assert (await stage.envoy.get("a.shop")).status == 200
    assert (await stage.envoy.get("a.other")).status == 404


async def test_a_port_in_use_is_told_and_opened_when_it_is_free() -> None:
    async with real_envoy() as envoy, backends(["a"]) as (a,), api_server() as api:
        squatter = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", envoy.http)
        async with mesh_on(api, envoy.xds, envoy.gateway) as plane:
            await plane.put(GATEWAYS[0], *behind(a, "a"))  # type: ignore[arg-type]
            await plane.put(virtual_service("x", ["x.y"], {"route": [to("a")]}))
            condition = await plane.gateway_told(GATEWAYS[0].key, "False", "EnvoyRejected")
            assert "Address already in use" in condition.message
            squatter.close()
            await squatter.wait_closed()
            await plane.gateway_told(GATEWAYS[0].key, "True")
            await plane.told("x", "True")
            assert (await envoy.get("x.y")).status == 200


async def test_a_gateway_that_is_deleted_closes_its_port(stage: Stage) -> None:
    await stage.serve({"route": [to("a")]})
    other = virtual_service("z", ["z.y"], {"route": [to("a")]}, gateways=(LOCAL,))
    await stage.plane.client.delete(type(GATEWAYS[0]), GATEWAYS[0].key)
    await stage.plane.put(other)
    await stage.plane.told("z", "True")
    await stage.plane.told("x", "False", "GatewayNotFound")
    assert INGRESS in (stage.plane.condition("x") or pytest.fail()).message
