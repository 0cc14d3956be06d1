"""One suite for every store: what the API server relies on, whatever lies below."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from stagezero.store.base import (
    Change,
    ChangeType,
    Compacted,
    Durability,
    Encode,
    Store,
    Stored,
    StoreFailed,
    StoreKey,
    VersionConflict,
    Watching,
)
from stagezero.store.history import HistoryLimits
from stagezero.store.memory import MemoryStore
from stagezero.store.sqlite import SqliteStore

INTENT, DERIVED = Durability.INTENT, Durability.DERIVED
A = StoreKey("pods", "default", "a")
B = StoreKey("pods", "default", "b")
OpenStore = Callable[..., Awaitable[Store]]


@pytest.fixture(params=["memory", "sqlite"])
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenStore]:
    opened: list[Store] = []

    async def open_one(limits: HistoryLimits | None = None) -> Store:
        store: Store
        if request.param == "memory":
            store = MemoryStore(limits=limits)
        else:
            store = await SqliteStore.open(tmp_path / f"{len(opened)}.db", limits)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()


def body(text: str = "") -> Encode:
    return lambda version: json.dumps({"version": version, "text": text}).encode()


async def put(store: Store, key: StoreKey, text: str = "", expected: int | None = None) -> Stored:
    return await store.put(key, body(text), expected, DERIVED)


async def take(watch: Watching, count: int) -> list[Change]:
    async with asyncio.timeout(5):
        return [await anext(watch) for _ in range(count)]


# Reads and writes


async def test_an_empty_store_is_at_version_zero(store: Store) -> None:
    assert store.version == 0
    assert store.list("pods") == ([], 0)
    assert store.get(A) is None


@pytest.mark.parametrize("durability", Durability)
async def test_what_was_put_is_read_back(store: Store, durability: Durability) -> None:
    written = await store.put(A, body("hello"), None, durability)
    assert store.get(A) == written
    assert written.key == A


async def test_bytes_carry_the_version_they_are_stored_at(store: Store) -> None:
    await put(store, B)
    written = await put(store, A, "x")
    assert json.loads(written.data)["version"] == written.version == store.version


async def test_versions_strictly_increase_over_all_collections(store: Store) -> None:
    first = await put(store, A)
    second = await put(store, StoreKey("services", "default", "a"))
    third = await put(store, A, expected=first.version)
    fourth = await store.delete(A, body(), third.version, DERIVED)
    assert 0 < first.version < second.version < third.version < fourth.version


async def test_an_update_replaces_the_bytes(store: Store) -> None:
    first = await put(store, A, "old")
    second = await put(store, A, "new", first.version)
    assert store.get(A) == second
    assert json.loads(second.data)["text"] == "new"


async def test_a_deleted_object_is_gone(store: Store) -> None:
    first = await put(store, A)
    await store.delete(A, body("last words"), first.version, INTENT)
    assert store.get(A) is None
    assert store.list("pods")[0] == []


async def test_a_deletion_returns_the_last_state(store: Store) -> None:
    first = await put(store, A)
    gone = await store.delete(A, body("last words"), first.version, INTENT)
    assert json.loads(gone.data) == {"version": gone.version, "text": "last words"}


async def test_a_deleted_object_can_be_made_again(store: Store) -> None:
    first = await put(store, A)
    await store.delete(A, body(), first.version, DERIVED)
    again = await put(store, A, "again")
    assert store.get(A) == again


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\xff\x00", "åäö ☃".encode(), b"x" * 2_000_000],
    ids=["empty", "binary", "unicode", "two megabytes"],
)
async def test_bytes_come_back_as_they_went(store: Store, data: bytes) -> None:
    await store.put(A, lambda _: data, None, INTENT)
    found = store.get(A)
    assert found is not None
    assert found.data == data


# Preconditions


async def test_creating_what_exists_conflicts(store: Store) -> None:
    first = await put(store, A)
    with pytest.raises(VersionConflict) as refused:
        await put(store, A)
    assert (refused.value.expected, refused.value.actual) == (None, first.version)


async def test_updating_what_is_not_there_conflicts(store: Store) -> None:
    with pytest.raises(VersionConflict) as refused:
        await put(store, A, expected=7)
    assert (refused.value.expected, refused.value.actual) == (7, None)


async def test_updating_an_older_version_conflicts(store: Store) -> None:
    first = await put(store, A)
    await put(store, A, "second", first.version)
    with pytest.raises(VersionConflict):
        await put(store, A, "third", first.version)


async def test_deleting_an_older_version_conflicts(store: Store) -> None:
    first = await put(store, A)
    await put(store, A, "second", first.version)
    with pytest.raises(VersionConflict):
        await store.delete(A, body(), first.version, DERIVED)
    assert store.get(A) is not None


async def test_deleting_what_is_not_there_conflicts(store: Store) -> None:
    with pytest.raises(VersionConflict):
        await store.delete(A, body(), 1, DERIVED)


async def test_a_conflict_leaves_no_trace(store: Store) -> None:
    first = await put(store, A)
    watch = store.watch("pods", first.version)
    with pytest.raises(VersionConflict):
        await put(store, A)
    assert store.version == first.version
    second = await put(store, B)
    assert [change.version for change in await take(watch, 1)] == [second.version]


async def test_an_object_that_cannot_be_encoded_leaves_no_trace(store: Store) -> None:
    def fail(version: int) -> bytes:
        raise ValueError("no JSON")

    with pytest.raises(ValueError, match="no JSON"):
        await store.put(A, fail, None, DERIVED)
    assert store.get(A) is None
    assert (await put(store, A)).version == store.version


# Lists


async def test_a_list_is_ordered_by_namespace_and_name(store: Store) -> None:
    for namespace, name in [("b", "1"), ("a", "2"), ("a-b", "0"), ("b", "0"), ("a", "10")]:
        await put(store, StoreKey("pods", namespace, name))
    items, _ = store.list("pods")
    assert [(i.key.namespace, i.key.name) for i in items] == [
        ("a", "10"), ("a", "2"), ("a-b", "0"), ("b", "0"), ("b", "1"),
    ]  # fmt: skip


async def test_a_list_of_a_namespace_holds_only_its_objects(store: Store) -> None:
    for namespace in ("a", "aa", "a-b", "b"):
        await put(store, StoreKey("pods", namespace, "x"))
    items, _ = store.list("pods", "a")
    assert [item.key.namespace for item in items] == ["a"]


async def test_a_list_holds_only_its_collection(store: Store) -> None:
    await put(store, A)
    await put(store, StoreKey("pods.metrics.k8s.io", "default", "a"))
    assert [item.key for item in store.list("pods")[0]] == [A]


async def test_cluster_objects_have_no_namespace(store: Store) -> None:
    node = await put(store, StoreKey("nodes", "", "n1"))
    assert store.list("nodes")[0] == [node]


async def test_a_list_is_at_the_stores_version(store: Store) -> None:
    await put(store, A)
    last = await put(store, StoreKey("nodes", "", "n1"))
    assert store.list("pods")[1] == last.version


async def test_a_list_does_not_change_afterwards(store: Store) -> None:
    first = await put(store, A, "old")
    items, _ = store.list("pods")
    await put(store, A, "new", first.version)
    await put(store, B)
    assert items == [first]


async def test_updates_and_deletions_show_in_lists(store: Store) -> None:
    first, second = await put(store, A), await put(store, B)
    await store.delete(A, body(), first.version, DERIVED)
    third = await put(store, B, "new", second.version)
    assert store.list("pods")[0] == [third]
    assert store.list("pods", "default")[0] == [third]


# Watches


async def test_a_watch_tells_the_three_types_in_order(store: Store) -> None:
    watch = store.watch("pods", 0)
    first = await put(store, A, "1")
    second = await put(store, A, "2", first.version)
    gone = await store.delete(A, body("3"), second.version, DERIVED)
    changes = await take(watch, 3)
    assert [change.type for change in changes] == list(ChangeType)
    assert [change.data for change in changes] == [first.data, second.data, gone.data]
    assert [change.version for change in changes] == [first.version, second.version, gone.version]


async def test_a_change_carries_the_previous_bytes(store: Store) -> None:
    first = await put(store, A, "1")
    second = await put(store, A, "2", first.version)
    await store.delete(A, body("3"), second.version, DERIVED)
    changes = await take(store.watch("pods", 0), 3)
    assert [change.previous for change in changes] == [None, first.data, second.data]


async def test_an_object_made_again_is_added(store: Store) -> None:
    first = await put(store, A)
    gone = await store.delete(A, body(), first.version, DERIVED)
    await put(store, A)
    (change,) = await take(store.watch("pods", gone.version), 1)
    assert (change.type, change.previous) == (ChangeType.ADDED, None)


async def test_a_watch_resumes_after_the_version_given(store: Store) -> None:
    versions = [(await put(store, StoreKey("pods", "d", str(i)))).version for i in range(10)]
    changes = await take(store.watch("pods", versions[3]), 6)
    assert [change.version for change in changes] == versions[4:]


async def test_a_list_and_a_watch_from_its_version_miss_nothing(store: Store) -> None:
    await put(store, A)
    items, version = store.list("pods")
    await put(store, B)
    (change,) = await take(store.watch("pods", version), 1)
    assert [item.key for item in items] == [A]
    assert change.key == B


async def test_a_watch_sees_only_its_collection(store: Store) -> None:
    watch = store.watch("pods", 0)
    await put(store, StoreKey("services", "default", "a"))
    await put(store, A)
    assert [change.key for change in await take(watch, 1)] == [A]


async def test_a_watch_of_a_namespace_sees_only_its_changes(store: Store) -> None:
    watch = store.watch("pods", 0, "default")
    await put(store, StoreKey("pods", "default-2", "a"))
    await put(store, StoreKey("pods", "other", "a"))
    await put(store, A)
    assert [change.key for change in await take(watch, 1)] == [A]


async def test_a_waiting_watch_is_woken(store: Store) -> None:
    waiting = asyncio.create_task(take(store.watch("pods", 0), 1))
    await asyncio.sleep(0)
    await put(store, A)
    assert (await waiting)[0].key == A


async def test_many_watches_see_the_same(store: Store) -> None:
    watches = [asyncio.create_task(take(store.watch("pods", 0), 5)) for _ in range(50)]
    for number in range(5):
        await put(store, StoreKey("pods", "default", str(number)))
    seen = await asyncio.gather(*watches)
    assert all(changes == seen[0] for changes in seen)


async def test_a_watch_shows_only_what_reads_show(store: Store) -> None:
    async def compare() -> None:
        change = await anext(store.watch("pods", 0))
        found = store.get(A)
        assert found is not None
        assert found.version >= change.version

    comparing = asyncio.create_task(compare())
    await asyncio.sleep(0)
    await put(store, A)
    await comparing


async def test_a_wait_given_up_loses_nothing(store: Store) -> None:
    watch = store.watch("pods", 0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(watch)
    await put(store, A)
    assert [change.key for change in await take(watch, 1)] == [A]


async def test_a_watch_tells_up_to_where_it_has_read(store: Store) -> None:
    watch = store.watch("pods", 0)
    first = await put(store, A)
    second = await put(store, B)
    await put(store, StoreKey("services", "default", "a"))
    assert watch.version == 0
    await take(watch, 1)
    assert watch.version == first.version < second.version
    await take(watch, 1)
    assert watch.version == store.version


async def test_a_closed_watch_ends(store: Store) -> None:
    watch = store.watch("pods", 0)
    waiting = asyncio.create_task(anext(watch, None))
    await asyncio.sleep(0)
    await watch.aclose()
    assert await asyncio.wait_for(waiting, 5) is None


# The bounds of history


async def test_a_version_too_old_is_compacted(open_store: OpenStore) -> None:
    store = await open_store(HistoryLimits(changes=3))
    versions = [(await put(store, StoreKey("pods", "d", str(i)))).version for i in range(6)]
    with pytest.raises(Compacted) as compacted:
        store.watch("pods", versions[1])
    assert compacted.value.oldest == versions[2]
    assert len(await take(store.watch("pods", versions[2]), 3)) == 3


async def test_bytes_bound_the_history_too(open_store: OpenStore) -> None:
    store = await open_store(HistoryLimits(size_bytes=10_000))
    for number in range(20):
        await put(store, StoreKey("pods", "d", str(number)), "x" * 1000)
    with pytest.raises(Compacted):
        store.watch("pods", 0)
    assert len(await take(store.watch("pods", store.version - 9), 9)) == 9


async def test_an_object_larger_than_the_bound_still_reaches_readers(
    open_store: OpenStore,
) -> None:
    store = await open_store(HistoryLimits(size_bytes=100))
    reading = asyncio.create_task(take(store.watch("pods", 0), 1))
    await asyncio.sleep(0)
    await put(store, A, "x" * 1000)
    assert (await reading)[0].key == A


async def test_a_slow_reader_is_told_that_it_missed_changes(open_store: OpenStore) -> None:
    store = await open_store(HistoryLimits(changes=3))
    watch = store.watch("pods", 0)
    for number in range(5):
        await put(store, StoreKey("pods", "d", str(number)))
    with pytest.raises(Compacted):
        await anext(watch)


async def test_a_reader_that_keeps_up_is_never_compacted(open_store: OpenStore) -> None:
    store = await open_store(HistoryLimits(changes=3))
    reading = asyncio.create_task(take(store.watch("pods", 0), 50))
    await asyncio.sleep(0)
    for number in range(50):
        await put(store, StoreKey("pods", "d", str(number)))
    assert len(await reading) == 50


async def test_a_quiet_collection_outlasts_anothers_flood(open_store: OpenStore) -> None:
    store = await open_store(HistoryLimits(changes=3))
    node = await put(store, StoreKey("nodes", "", "n1"))
    watch = store.watch("nodes", node.version)
    for number in range(10):
        await put(store, StoreKey("pods", "d", str(number)))
    second = await put(store, StoreKey("nodes", "", "n2"))
    assert [change.version for change in await take(watch, 1)] == [second.version]


async def test_a_version_never_given_out_is_compacted(store: Store) -> None:
    await put(store, A)
    with pytest.raises(Compacted):
        store.watch("pods", store.version + 1)


# Many at once


async def test_of_many_creators_one_wins(store: Store) -> None:
    outcomes = await asyncio.gather(
        *(put(store, A, str(number)) for number in range(20)), return_exceptions=True
    )
    won = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
    assert len(won) == 1
    assert sum(isinstance(outcome, VersionConflict) for outcome in outcomes) == 19
    assert store.get(A) == won[0]


async def test_of_many_updaters_of_a_version_one_wins(store: Store) -> None:
    first = await put(store, A)
    outcomes = await asyncio.gather(
        *(put(store, A, str(number), first.version) for number in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Stored) for outcome in outcomes) == 1


async def test_read_and_retry_counts_every_increment(store: Store) -> None:
    await store.put(A, lambda _: b"0", None, DERIVED)

    async def increment() -> None:
        while True:
            found = store.get(A)
            assert found is not None
            more = b"%d" % (int(found.data) + 1)
            try:
                await store.put(A, lambda _: more, found.version, DERIVED)  # noqa: B023
            except VersionConflict:
                continue
            return

    await asyncio.gather(*(increment() for _ in range(30)))
    found = store.get(A)
    assert found is not None
    assert found.data == b"30"


async def test_a_conflict_with_a_write_in_flight_shows_what_won(store: Store) -> None:
    winning = asyncio.create_task(put(store, A, "won"))
    await asyncio.sleep(0)
    with pytest.raises(VersionConflict) as refused:
        await put(store, A, "lost")
    assert refused.value.actual == (await winning).version
    found = store.get(A)
    assert found is not None
    assert found.version == refused.value.actual


async def test_create_follows_a_deletion_in_flight(store: Store) -> None:
    first = await put(store, A)
    deleting = asyncio.create_task(store.delete(A, body(), first.version, INTENT))
    await asyncio.sleep(0)
    again = await put(store, A, "again")
    assert (await deleting).version < again.version
    assert store.get(A) == again


async def test_watches_see_concurrent_writes_in_the_order_of_versions(store: Store) -> None:
    watch = store.watch("pods", 0)
    durabilities = [INTENT, DERIVED]
    await asyncio.gather(
        *(
            store.put(StoreKey("pods", "d", str(i)), body(), None, durabilities[i % 2])
            for i in range(200)
        )
    )
    versions = [change.version for change in await take(watch, 200)]
    assert versions == sorted(versions)
    assert len(set(versions)) == 200


async def test_a_caller_that_gives_up_leaves_the_store_whole(store: Store) -> None:
    writing = asyncio.create_task(put(store, A))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    await put(store, B)
    found = store.get(A)
    with pytest.raises(VersionConflict):
        await put(store, A, expected=0)
    assert found is not None


# The end


async def test_closing_ends_watches_after_what_is_there(store: Store) -> None:
    watch = store.watch("pods", 0)
    await put(store, A)
    await store.close()
    assert [change.key async for change in watch] == [A]


async def test_closing_wakes_a_waiting_watch(store: Store) -> None:
    waiting = asyncio.create_task(anext(store.watch("pods", 0), None))
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.wait_for(waiting, 5) is None


async def test_writing_to_a_closed_store_fails(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreFailed, match="pods/default/a: the store is closed"):
        await put(store, A)


async def test_closing_twice_is_harmless(store: Store) -> None:
    await store.close()
    await store.close()


async def test_writes_in_flight_are_finished_by_close(store: Store) -> None:
    writing = [
        asyncio.create_task(put(store, StoreKey("pods", "d", str(number)))) for number in range(20)
    ]
    await asyncio.sleep(0)
    await store.close()
    assert len(await asyncio.gather(*writing)) == 20
