"""The model: what makes it plan anew, what touches loads alone, what it remembers."""

import msgspec
import pytest

from stagezero.api.base import Condition, Key
from stagezero.api.core import Endpoints
from stagezero.api.istio import IstioStatus, VirtualService
from stagezero.mesh.model import Model, load_in
from stagezero.mesh.plans.resources import Kind
from stagezero.mesh.plans.status import REFUSED_ROUTES
from support.mesh import GATEWAYS, SETTINGS, endpoints, service, to, virtual_service

CLUSTER = "outbound|80||a.default.svc.cluster.local"
ROUTE = virtual_service("x", ["x.y"], {"route": [to("a")]})


class World:
    """A model, and the Endpoints that it reads."""

    def __init__(self) -> None:
        self.endpoints: dict[Key, Endpoints] = {}
        self.model = Model(SETTINGS, self.endpoints.get)
        for gateway in GATEWAYS:
            self.model.gateway_changed(None, gateway)
        self.model.service_changed(None, service("a"))
        self.move("10.0.0.1")

    def move(self, *addresses: str) -> bool:
        found = endpoints("a", *((address, 8080) for address in addresses))
        self.endpoints[found.key] = found
        return self.model.endpoints_changed(found.key)

    def addresses(self) -> list[str]:
        load = load_in(self.model.snapshot[Kind.LOAD].get(CLUSTER))
        return [endpoint.address for endpoint in load.endpoints] if load else []


@pytest.fixture
def world() -> World:
    found = World()
    found.model.virtual_service_changed(None, ROUTE)
    found.model.build()
    return found


def test_only_clusters_that_somebody_uses_are_there(world: World) -> None:
    world.model.service_changed(None, service("unused"))
    world.model.build()
    assert set(world.model.snapshot[Kind.CLUSTER]) == {CLUSTER}


def test_a_status_alone_changes_nothing(world: World) -> None:
    told = msgspec.structs.replace(ROUTE, status=IstioStatus(1, [Condition("Reconciled", "True")]))
    assert not world.model.virtual_service_changed(ROUTE, told)


def test_an_unchanged_service_changes_nothing(world: World) -> None:
    assert not world.model.service_changed(service("a"), service("a"))


def test_endpoints_that_nobody_uses_change_nothing(world: World) -> None:
    assert not world.model.endpoints_changed(Key("default", "unused"))


def test_moving_endpoints_leave_everything_else_as_it_is(world: World) -> None:
    before = world.model.snapshot
    assert world.move("10.0.0.2", "10.0.0.3")
    concerned = world.model.build()
    assert world.addresses() == ["10.0.0.2", "10.0.0.3"]
    assert concerned == {ROUTE.key}
    assert all(world.model.snapshot[kind] is before[kind] for kind in Kind if kind != Kind.LOAD)


def test_the_same_endpoints_are_the_same_resource(world: World) -> None:
    before = world.model.snapshot[Kind.LOAD][CLUSTER]
    world.move("10.0.0.1")
    world.model.build()
    assert world.model.snapshot[Kind.LOAD][CLUSTER] is before


def test_building_says_whom_it_concerns(world: World) -> None:
    other = virtual_service("z", ["z.y"], {"route": [to("a")]})
    world.model.virtual_service_changed(None, other)
    assert world.model.build() == {other.key}


def test_a_cluster_knows_its_users(world: World) -> None:
    assert list(world.model.users(CLUSTER)) == [ROUTE.key]


def refused(name: str) -> VirtualService:
    condition = Condition(
        "Reconciled", "False", reason="EnvoyRejected", message=REFUSED_ROUTES + "no"
    )
    route = virtual_service(name, [f"{name}.y"], {"route": [to("a")]})
    return msgspec.structs.replace(route, status=IstioStatus(1, [condition]))


def test_what_was_refused_before_a_start_is_kept_out() -> None:
    world = World()
    world.model.virtual_service_changed(None, refused("bad"))
    world.model.build()
    assert world.model.rejection(Key("default", "bad")) == "no"
    assert b"bad.y" not in world.model.snapshot[Kind.TABLE]["http.80"].body


def test_what_was_refused_and_then_edited_is_tried() -> None:
    world = World()
    world.model.virtual_service_changed(None, refused("bad"))
    world.model.build()
    edited = virtual_service("bad", ["better.y"], {"route": [to("a")]}, generation=2)
    world.model.virtual_service_changed(refused("bad"), edited)
    world.model.build()
    assert world.model.rejection(edited.key) == ""
    assert b"better.y" in world.model.snapshot[Kind.TABLE]["http.80"].body
