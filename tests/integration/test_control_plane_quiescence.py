"""Once everything is Ready nothing is written: not by time, not by a restart."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from stagezero.api import serving_knative
from stagezero.api.serving_kserve import InferenceService
from support.plane import Plane, running_plane
from support.scenario import hello, is_ready, mnist

pytestmark = pytest.mark.looptime


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    async with running_plane() as plane:
        yield plane


async def deploy(plane: Plane) -> None:
    """The scenario's objects, Ready."""
    await plane.apply(mnist())
    await plane.apply(hello())
    await plane.until(InferenceService, "mnist", is_ready)
    await plane.until(serving_knative.Service, "helloworld-go", is_ready)


async def test_ready_plane_is_silent(plane: Plane) -> None:
    await deploy(plane)
    await asyncio.sleep(60)
    version = plane.version
    plane.requests.clear()
    await asyncio.sleep(600)
    assert plane.store.since(version) == []
    assert plane.requests == []


async def test_plane_comes_to_rest_at_once(plane: Plane) -> None:
    """Ready is the end: what is written after it is settled within seconds."""
    await deploy(plane)
    await asyncio.sleep(5)
    version = plane.version
    await asyncio.sleep(60)
    assert plane.store.since(version) == []


async def test_restart_writes_nothing(plane: Plane) -> None:
    await deploy(plane)
    await asyncio.sleep(60)
    version = plane.version
    await plane.restart()
    await asyncio.sleep(120)
    assert plane.store.since(version) == []


async def test_empty_plane_is_silent(plane: Plane) -> None:
    await asyncio.sleep(60)
    version = plane.version
    await asyncio.sleep(600)
    await plane.restart()
    await asyncio.sleep(60)
    assert plane.store.since(version) == []


async def test_restart_asks_for_little(plane: Plane) -> None:
    """What admission filled in is not known at first; it is asked for once, and changes nothing."""
    await deploy(plane)
    await asyncio.sleep(60)
    plane.requests.clear()
    await plane.restart()
    await asyncio.sleep(60)
    names = ("mnist", "helloworld-go")
    paths = [line.split()[1] for line in plane.requests if any(name in line for name in names)]
    assert len(paths) == len(set(paths)) <= 4
