"""A controller on the engine: what wakes it, what it sees, how it fails."""

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pytest
from msgspec.structs import replace

from stagezero.api.base import Key, Object, ObjectMeta, controlled_by
from stagezero.api.core import ConfigMap
from stagezero.client.cache import Caches
from stagezero.runtime.controller import Controller, Watch, every, owner_keys
from stagezero.runtime.plan import NOTHING, Plan, normal
from support.engine import (
    KEY,
    Gadget,
    Widget,
    WidgetStatus,
    gadget,
    lab,
)

pytestmark = pytest.mark.looptime


@dataclass(frozen=True)
class Seen:
    """A Widget, its Gadgets, and the configuration."""

    widget: Widget
    gadgets: tuple[Gadget, ...]
    config: ConfigMap | None


CONFIG = Key("default", "config")


def gather(widget: Widget, caches: Caches) -> Seen:
    gadgets = tuple(caches.owned(Gadget, widget))
    return Seen(widget, gadgets, caches.get(ConfigMap, CONFIG))


def config_keys(thing: Object, caches: Caches) -> list[Key]:
    return list(every(Widget)(thing, caches)) if thing.key == CONFIG else []


def controller(plan: Callable[[Seen, datetime], Plan]) -> Controller[Widget, Seen]:
    return Controller(
        "widgets",
        Widget,
        gather,
        plan,
        watches=(Watch(Gadget, owner_keys(Widget)), Watch(ConfigMap, config_keys)),
    )


def one_gadget(seen: Seen, now: datetime) -> Plan:
    """Each Widget has a Gadget of its size; its status counts them."""
    widget = seen.widget
    wanted = gadget(widget, widget.metadata.name, size=widget.spec.size)
    url = seen.config.data.get("url", "") if seen.config else ""
    status = WidgetStatus(
        observed_generation=widget.metadata.generation, ready=len(seen.gadgets), url=url
    )
    return Plan(apply=(wanted,), status=replace(widget, status=status))


async def test_child_and_status_follow_the_primary() -> None:
    async with lab(controller(one_gadget)) as world:
        await world.widget(size=3)
        assert (await world.get(Gadget, "w")).spec.size == 3
        assert (await world.get(Widget, "w")).status.ready == 1


async def test_edit_is_followed() -> None:
    async with lab(controller(one_gadget)) as world:
        await world.widget(size=3)
        await world.user.patch(Widget, KEY, {"spec": {"size": 4}})
        await world.calm()
        assert (await world.get(Gadget, "w")).spec.size == 4
        assert (await world.get(Widget, "w")).status.observed_generation == 2


async def test_deleted_child_is_made_again() -> None:
    async with lab(controller(one_gadget)) as world:
        await world.widget()
        old = await world.get(Gadget, "w")
        await world.user.delete(Gadget, KEY)
        await world.calm()
        assert (await world.get(Gadget, "w")).uid != old.uid


async def test_configuration_concerns_every_primary() -> None:
    async with lab(controller(one_gadget)) as world:
        await world.widget("a")
        await world.widget("b")
        meta = ObjectMeta(name="config", namespace="default")
        await world.user.create(ConfigMap(metadata=meta, data={"url": "u"}))
        await world.calm()
        assert [(await world.get(Widget, name)).status.url for name in "ab"] == ["u", "u"]


async def test_quiet_world_is_silent() -> None:
    async with lab(controller(one_gadget)) as world:
        await world.widget()
        version = world.store.version
        world.wire.clear()
        await asyncio.sleep(3600)
        assert world.store.version == version
        assert world.wire.sent == []


async def test_plan_gets_the_date_of_the_clock() -> None:
    dates: list[datetime] = []

    def plan(seen: Seen, now: datetime) -> Plan:
        dates.append(now)
        return Plan(recheck_s=60)

    async with lab(controller(plan)) as world:
        await world.widget()
        await asyncio.sleep(60)
        assert (dates[-1] - dates[-2]).total_seconds() == pytest.approx(60)


async def test_plan_that_raises_harms_no_other_object() -> None:
    def plan(seen: Seen, now: datetime) -> Plan:
        if seen.widget.metadata.name == "bad":
            raise KeyError("a bug")
        return one_gadget(seen, now)

    async with lab(controller(plan)) as world:
        await world.widget("bad")
        await world.widget("good", size=2)
        await world.user.patch(Widget, Key("default", "good"), {"spec": {"size": 5}})
        await world.calm(120)
        assert (await world.get(Gadget, "good")).spec.size == 5


async def test_plan_that_raised_is_tried_again() -> None:
    attempts = 0

    def plan(seen: Seen, now: datetime) -> Plan:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise KeyError("not yet")
        return one_gadget(seen, now)

    async with lab(controller(plan)) as world:
        await world.widget()
        assert (await world.get(Gadget, "w")).spec.size == 1


async def test_plan_error_is_told_and_tried_again() -> None:
    attempts = 0

    def plan(seen: Seen, now: datetime) -> Plan:
        nonlocal attempts
        attempts += 1
        return Plan(error="no such runtime") if attempts < 12 else NOTHING

    async with lab(controller(plan)) as world:
        await world.widget()
        await world.calm(600)
        (event,) = await world.events()
        assert event.message == "no such runtime"
        assert event.count >= 3
        assert attempts == 12


async def test_plan_of_a_gone_primary_is_not_asked() -> None:
    seen_names: list[str] = []

    def plan(seen: Seen, now: datetime) -> Plan:
        seen_names.append(seen.widget.metadata.name)
        return Plan(recheck_s=10)

    async with lab(controller(plan)) as world:
        await world.widget()
        await world.user.delete(Widget, KEY)
        await world.calm()
        count = len(seen_names)
        await world.calm(60)
        assert len(seen_names) == count


async def test_obstacle_of_somebody_else_is_waited_out() -> None:
    async with lab(controller(one_gadget)) as world:
        meta = ObjectMeta(name="w", namespace="default")
        await world.user.create(Gadget(metadata=meta))
        await world.widget()
        assert (await world.get(Widget, "w")).status.observed_generation == 1
        await world.user.delete(Gadget, KEY)
        await world.calm(15)
        assert (await world.get(Gadget, "w")).metadata.owner_references != []


async def test_decision_on_an_old_state_is_made_again() -> None:
    """A primary that changes between the decision and the write is decided on anew."""

    async with lab(controller(one_gadget)) as world:
        await world.widget()
        for size in range(2, 12):
            await world.user.patch(Widget, KEY, {"spec": {"size": size}})
        await world.calm()
        assert (await world.get(Gadget, "w")).spec.size == 11
        assert (await world.get(Widget, "w")).status.observed_generation == 11


async def test_event_of_a_repeated_decision_is_told_once() -> None:
    def plan(seen: Seen, now: datetime) -> Plan:
        told = () if seen.gadgets else (normal("Created", "Created Gadget"),)
        return dataclasses.replace(one_gadget(seen, now), events=told)

    async with lab(controller(plan)) as world:
        await world.widget()
        await world.calm(60)
        assert [event.reason for event in await world.events()] == ["Created"]


@pytest.mark.parametrize(
    ("owner", "woken"),
    [(Widget, [KEY]), (ConfigMap, [])],
    ids=["its-kind", "another-kind"],
)
async def test_owner_keys_name_the_controller(owner: type[Object], woken: list[Key]) -> None:
    widget = Widget(metadata=ObjectMeta(name="w", namespace="default", uid="u"))
    assert list(owner_keys(owner)(gadget(widget), Caches())) == woken


async def test_owner_of_another_group_is_no_owner() -> None:
    widget = Widget(metadata=ObjectMeta(name="w", namespace="default", uid="u"))
    ref = replace(controlled_by(widget), api_version="other.dev/v1")
    child = replace(gadget(widget), metadata=ObjectMeta(name="g", owner_references=[ref]))
    assert list(owner_keys(Widget)(child, Caches())) == []


async def test_restart_writes_nothing() -> None:
    async with lab(controller(one_gadget)) as world:
        await world.widget(size=3)
        version = world.store.version
        again = world.loop_of(controller(one_gadget))
        again.connect()
        world.tasks.start(again.loop.run(), "again")
        await world.calm(60)
        assert world.store.version == version
