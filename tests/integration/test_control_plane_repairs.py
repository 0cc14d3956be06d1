"""What somebody else deletes or writes over is set right, without a restart or a new wish."""

from collections.abc import AsyncIterator

import pytest

from stagezero.api import serving_knative
from stagezero.api.base import Key
from stagezero.api.service import Endpoints, Service
from stagezero.api.serving_kserve import InferenceService
from support.plane import Plane, running_plane
from support.scenario import hello, is_ready, mnist

pytestmark = pytest.mark.looptime
REVISION = "helloworld-go-00001"
FORGED = {"spec": {"selector": {"forged": "yes"}}}


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    async with running_plane() as plane:
        yield plane


async def deploy_hello(plane: Plane) -> None:
    await plane.apply(hello())
    await plane.until(serving_knative.Service, "helloworld-go", is_ready)
    await plane.quiet()


async def test_deleted_name_of_a_model_comes_back(plane: Plane) -> None:
    await plane.apply(mnist())
    await plane.until(InferenceService, "mnist", is_ready)
    await plane.quiet()
    await plane.client.delete(Service, Key("default", "mnist"))
    await plane.quiet()
    alias = await plane.client.get(Service, "mnist", "default")
    assert alias.spec.type == "ExternalName"


async def test_selector_of_a_public_service_starts_no_fight(plane: Plane) -> None:
    """Two loops would write its Endpoints in turn, for ever."""
    await deploy_hello(plane)
    version = plane.version
    await plane.client.patch(Service, Key("default", REVISION), FORGED)
    await plane.quiet()
    assert not (await plane.client.get(Service, REVISION, "default")).spec.selector
    assert plane.version - version < 20


async def test_endpoints_made_from_a_forged_selector_are_taken_over(plane: Plane) -> None:
    """They are nobody's: the loop that makes them does not control them."""
    await deploy_hello(plane)
    key = Key("default", REVISION)
    await plane.client.patch(Service, key, FORGED)
    await plane.client.delete(Endpoints, key)
    await plane.quiet()
    (subset,) = (await plane.client.get(Endpoints, REVISION, "default")).subsets
    assert len(subset.addresses) == 1
