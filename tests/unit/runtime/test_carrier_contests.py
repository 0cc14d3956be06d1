"""Two authors that undo each other's work: neither fills the disk, and the rest goes on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pytest
from msgspec.structs import replace

from stagezero.api.base import Key, Object, ObjectMeta
from stagezero.client.cache import Caches
from stagezero.runtime.carry import Carrier
from stagezero.runtime.contests import BURST
from stagezero.runtime.controller import Controller, ControllerLoop, Watch, every
from stagezero.runtime.plan import Plan
from support.engine import Gadget, Lab, Widget, WidgetSpec, WidgetStatus, lab

pytestmark = pytest.mark.looptime
SHARED = Key("default", "shared")


@dataclass(frozen=True)
class Author:
    """A controller that wants a Gadget, which belongs to nobody, to have a size."""

    size: Callable[[], int]

    def plan(self, widget: Widget, now: datetime) -> Plan:
        meta = ObjectMeta(name=SHARED.name, namespace=SHARED.namespace)
        wanted = Gadget(metadata=meta, spec=WidgetSpec(size=self.size()))
        status = WidgetStatus(observed_generation=widget.metadata.generation)
        return Plan(apply=(wanted,), status=replace(widget, status=status))


def gather(widget: Widget, caches: Caches) -> Widget:
    return widget


def shared_keys(thing: Object, caches: Caches) -> list[Key]:
    return list(every(Widget)(thing, caches)) if thing.key == SHARED else []


def start(world: Lab, *authors: Author) -> None:
    """Run each with a carrier of its own, as the control plane does."""
    for number, author in enumerate(authors):
        watches = (Watch(Gadget, shared_keys),)
        name = f"author-{number}"
        controller = Controller(name, Widget, gather, author.plan, watches)
        carrier = Carrier(world.client, world.caches, world.recorder)
        loop = ControllerLoop(controller, world.caches, carrier, world.clock)
        loop.connect()
        world.tasks.start(loop.loop.run(), name)


def writes(world: Lab) -> int:
    return len(world.wire.writes("gadgets"))


async def test_two_authors_of_one_object_are_held_to_a_pace() -> None:
    async with lab() as world:
        start(world, Author(lambda: 1), Author(lambda: 2))
        await world.widget()
        await asyncio.sleep(5)
        at_once = writes(world)
        assert at_once <= 2 * BURST + 5
        await asyncio.sleep(3600)
        assert writes(world) - at_once <= 2 * 3600 / 5 + 5


async def test_a_fight_is_told_in_the_log_and_not_in_events(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with lab() as world:
        start(world, Author(lambda: 1), Author(lambda: 2))
        await world.widget()
        await asyncio.sleep(5)
        assert await world.events() == []
    assert 'Gadget "shared" was changed back 50 times' in caplog.text


async def test_the_status_is_written_during_a_fight() -> None:
    async with lab() as world:
        start(world, Author(lambda: 1), Author(lambda: 2))
        await world.widget()
        await asyncio.sleep(5)
        await world.user.patch(Widget, Key("default", "w"), {"spec": {"size": 7}})
        await world.calm()
        assert (await world.get(Widget, "w")).status.observed_generation == 2


async def test_when_the_other_gives_in_the_object_is_as_wanted() -> None:
    other = 2
    async with lab() as world:
        start(world, Author(lambda: 1), Author(lambda: other))
        await world.widget()
        await asyncio.sleep(5)
        other = 1
        await asyncio.sleep(30)
        assert (await world.get(Gadget, "shared")).spec.size == 1


async def test_a_controller_that_changes_its_mind_is_not_held() -> None:
    wanted = 0
    async with lab() as world:
        start(world, Author(lambda: wanted))
        await world.widget()
        for turn in range(4 * BURST):
            wanted = turn % 2
            await world.user.patch(Widget, Key("default", "w"), {"spec": {"size": turn + 10}})
            await world.calm(0.1)
            assert (await world.get(Gadget, "shared")).spec.size == wanted


async def test_what_a_user_deletes_now_and_then_comes_back_at_once() -> None:
    async with lab() as world:
        start(world, Author(lambda: 1))
        await world.widget()
        for _ in range(BURST // 2):
            await world.user.delete(Gadget, SHARED)
            await world.calm(0.1)
            assert (await world.get(Gadget, "shared")).spec.size == 1
