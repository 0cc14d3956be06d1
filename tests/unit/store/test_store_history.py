"""The bounded history by itself: places, floors, filters."""

import asyncio

import pytest

from stagezero.store.base import Change, ChangeType, Compacted, StoreKey
from stagezero.store.history import History, HistoryLimits


def change(version: int, collection: str = "pods", namespace: str = "d") -> Change:
    key = StoreKey(collection, namespace, str(version))
    return Change(ChangeType.ADDED, key, version, b"x" * 10)


async def read(history: History, since: int, count: int, namespace: str = "") -> list[int]:
    watch = history.watch("pods", since, namespace)
    return [(await anext(watch)).version for _ in range(count)]


async def test_a_history_begins_at_its_start() -> None:
    history = History(start=100)
    history.append([change(101)])
    assert await read(history, 100, 1) == [101]
    with pytest.raises(Compacted) as compacted:
        history.watch("pods", 99)
    assert (compacted.value.asked, compacted.value.oldest) == (99, 100)


async def test_versions_may_have_gaps() -> None:
    history = History()
    history.append([change(3), change(7), change(20)])
    assert await read(history, 5, 2) == [7, 20]
    assert await read(history, 7, 1) == [20]


def test_versions_out_of_order_are_a_mistake() -> None:
    history = History()
    history.append([change(3)])
    with pytest.raises(AssertionError, match="order of versions"):
        history.append([change(3)])


@pytest.mark.parametrize(
    "limits",
    [HistoryLimits(changes=4), HistoryLimits(size_bytes=45)],
    ids=["count", "bytes"],
)
async def test_bounds_keep_the_newest(limits: HistoryLimits) -> None:
    history = History(limits=limits)
    for version in range(1, 11):
        history.append([change(version)])
    assert await read(history, 6, 4) == [7, 8, 9, 10]
    with pytest.raises(Compacted):
        history.watch("pods", 5)


async def test_bounds_count_over_all_collections() -> None:
    history = History(limits=HistoryLimits(changes=2))
    history.append([change(1), change(2, "services"), change(3, "services")])
    with pytest.raises(Compacted):
        history.watch("pods", 0)
    assert history.watch("pods", 1).version == 3


async def test_a_reader_skips_other_namespaces_and_moves_on() -> None:
    history = History(limits=HistoryLimits(changes=3))
    watch = history.watch("pods", 0, "mine")
    for version in range(1, 10):
        history.append([change(version, namespace="other")])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(watch)
    history.append([change(10, namespace="mine")])
    assert (await anext(watch)).version == 10


async def test_a_reader_of_an_unknown_collection_waits_for_it() -> None:
    history = History()
    watch = history.watch("pods", 0)
    history.append([change(1)])
    assert (await anext(watch)).version == 1


async def test_one_batch_wakes_a_reader_once_for_all() -> None:
    history = History()
    watch = history.watch("pods", 0)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    history.append([change(1), change(2)])
    assert (await waiting).version == 1
    assert (await anext(watch)).version == 2


async def test_readers_have_places_of_their_own() -> None:
    history = History()
    history.append([change(1), change(2)])
    ahead, behind = history.watch("pods", 0), history.watch("pods", 0)
    await anext(ahead)
    assert (ahead.version, behind.version) == (1, 0)


async def test_an_idle_reader_is_as_far_as_the_store() -> None:
    history = History()
    watch = history.watch("pods", 0)
    history.append([change(1, "services")])
    assert watch.version == 1


async def test_a_reader_stays_compacted() -> None:
    history = History(limits=HistoryLimits(changes=1))
    watch = history.watch("pods", 0)
    history.append([change(1), change(2)])
    for _ in range(2):
        with pytest.raises(Compacted):
            await anext(watch)
