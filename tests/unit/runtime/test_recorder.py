"""Events: counted, bounded, and never in the way of the loop."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from stagezero.api import errors
from stagezero.api.base import Key, ObjectMeta
from stagezero.api.event import Event
from stagezero.runtime.events import BURST, QUIET_S, REFILL_S
from stagezero.runtime.plan import normal, warning
from support.engine import Lab, Widget, lab

pytestmark = pytest.mark.looptime


@pytest.fixture
async def world() -> AsyncIterator[Lab]:
    async with lab() as made:
        yield made


async def test_event_names_its_object(world: Lab) -> None:
    owner = await world.widget()
    await world.recorder.record(owner, normal("Created", "Created it"))
    (event,) = await world.events()
    assert event.involved_object.kind == "Widget"
    assert event.involved_object.uid == owner.uid
    assert (event.type, event.reason, event.message) == ("Normal", "Created", "Created it")
    assert event.source.component == "lab"


async def test_repeated_words_raise_the_count(world: Lab) -> None:
    owner = await world.widget()
    for _ in range(3):
        await world.recorder.record(owner, warning("Failed", "no"))
        await asyncio.sleep(QUIET_S + 1)
    (event,) = await world.events()
    assert event.count == 3
    assert event.first_timestamp is not None
    assert event.last_timestamp is not None
    assert event.last_timestamp > event.first_timestamp


async def test_quick_repetition_is_silent(world: Lab) -> None:
    owner = await world.widget()
    for _ in range(50):
        await world.recorder.record(owner, warning("Failed", "no"))
    assert len(world.wire.sent) == 1


async def test_other_words_are_another_event(world: Lab) -> None:
    owner = await world.widget()
    for number in range(3):
        await world.recorder.record(owner, warning("Failed", f"no {number}"))
    assert len(await world.events()) == 3


async def test_chatter_is_cut_short(world: Lab) -> None:
    owner = await world.widget()
    for number in range(BURST * 3):
        await world.recorder.record(owner, warning("Failed", f"try {number}"))
    assert len(await world.events()) == BURST


async def test_time_gives_a_chatterer_the_word_again(world: Lab) -> None:
    owner = await world.widget()
    for number in range(BURST * 3):
        await world.recorder.record(owner, warning("Failed", f"try {number}"))
    await asyncio.sleep(REFILL_S * 2 + 1)
    for number in range(5):
        await world.recorder.record(owner, warning("Failed", f"later {number}"))
    assert len(await world.events()) == BURST + 2


async def test_objects_do_not_share_their_budget(world: Lab) -> None:
    first, second = await world.widget("a"), await world.widget("b")
    for number in range(BURST * 2):
        await world.recorder.record(first, warning("Failed", f"try {number}"))
    await world.recorder.record(second, warning("Failed", "me too"))
    assert (await world.events())[-1].involved_object.name == "b"


async def test_expired_event_is_told_anew(world: Lab) -> None:
    owner = await world.widget()
    await world.recorder.record(owner, warning("Failed", "no"))
    (old,) = await world.events()
    await world.user.delete(Event, old.key)
    await asyncio.sleep(QUIET_S + 1)
    await world.recorder.record(owner, warning("Failed", "no"))
    (new,) = await world.events()
    assert (new.count, new.message) == (1, "no")


async def test_refused_event_stops_nobody(world: Lab) -> None:
    owner = await world.widget()
    full = errors.Forbidden("quota")
    world.wire.refuse = lambda request: full if "/events" in request.path else None
    await world.recorder.record(owner, warning("Failed", "no"))
    world.wire.refuse = lambda request: None
    await world.recorder.record(owner, warning("Failed", "no"))
    assert len(await world.events()) == 1


async def test_cluster_wide_objects_speak_in_default(world: Lab) -> None:
    about = Widget(metadata=ObjectMeta(name="w", uid="u"))
    await world.recorder.record(about, normal("Seen", "seen"))
    (event,) = await world.events()
    assert event.key.namespace == "default"


@pytest.mark.parametrize("length", [1, 230, 236, 237, 253])
async def test_name_of_any_length_makes_a_valid_event(world: Lab, length: int) -> None:
    about = Widget(metadata=ObjectMeta(name="a." * (length // 2) + "a", namespace="default"))
    await world.recorder.record(about, normal("Seen", "seen"))
    assert len(await world.events()) == 1


async def test_long_message_is_cut(world: Lab) -> None:
    owner = await world.widget()
    await world.recorder.record(owner, normal("Said", "x" * 5000))
    (event,) = await world.events()
    assert len(event.message) == 1024


async def test_memory_is_bounded(world: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stagezero.runtime.events.REMEMBERED", 10)
    for number in range(40):
        about = Widget(metadata=ObjectMeta(name="w", namespace="default", uid=f"u{number}"))
        await world.recorder.record(about, normal("Seen", "seen"))
    assert len(world.recorder._told) <= 10
    assert len(world.recorder._budgets) <= 10


async def test_event_is_found_by_its_object(world: Lab) -> None:
    """As `kubectl describe` looks for it."""
    owner = await world.widget()
    await world.recorder.record(owner, normal("Created", "Created it"))
    fields = f"involvedObject.name=w,involvedObject.uid={owner.uid}"
    found = await world.user.list(Event, "default", fields=fields)
    assert len(found.items) == 1
    assert found.items[0].key == Key("default", found.items[0].metadata.name)
