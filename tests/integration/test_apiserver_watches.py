"""Watches in virtual time: order, selectors, bookmarks, resuming, endings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from stagezero.kit.clock import LoopClock
from stagezero.kit.http import WatchFrame
from stagezero.store.history import HistoryLimits
from stagezero.store.memory import MemoryStore
from support.api_server import Api

CONFIG = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"

pytestmark = pytest.mark.looptime


@pytest.fixture
async def api() -> Api:
    store = MemoryStore(limits=HistoryLimits(changes=20))
    return await Api(store, LoopClock()).with_namespaces("default")


class Watched:
    """Reads frames of one watch."""

    def __init__(self, frames: AsyncIterator[WatchFrame]) -> None:
        self._frames = frames

    async def next(self) -> tuple[str, Any]:
        async with asyncio.timeout(120):
            frame = await anext(self._frames)
        return frame.type, msgspec.json.decode(frame.object)

    async def names(self, count: int) -> list[tuple[str, str]]:
        frames = [await self.next() for _ in range(count)]
        return [(kind, raw["metadata"].get("name", "")) for kind, raw in frames]

    async def is_over(self) -> bool:
        try:
            async with asyncio.timeout(5000):
                await anext(self._frames)
        except StopAsyncIteration:
            return True
        return False


@asynccontextmanager
async def watching(api: Api, query: str = "", accept: str = "") -> AsyncIterator[Watched]:
    url = f"{CONFIG}?watch=true{'&' if query else ''}{query}"
    response = await api.respond("GET", url, accept=accept or "application/json")
    assert response.events is not None, response.body
    try:
        yield Watched(response.events)
    finally:
        await response.events.aclose()  # type: ignore[attr-defined]


async def create(api: Api, name: str, **labels: str) -> None:
    await api.create(CONFIG, {"metadata": {"name": name, "labels": labels}})


async def label(api: Api, name: str, **labels: str | None) -> None:
    patch = {"metadata": {"labels": labels}}
    await api.send("PATCH", f"{CONFIG}/{name}", patch, content_type=MERGE)


async def test_changes_come_in_order(api: Api) -> None:
    async with watching(api, f"resourceVersion={api.store.version}") as watched:
        await create(api, "a")
        await label(api, "a", x="1")
        await api.send("DELETE", f"{CONFIG}/a")
        assert await watched.names(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_from_nowhere_begins_with_what_is_there(api: Api) -> None:
    await create(api, "a")
    async with watching(api) as watched:
        await create(api, "b")
        assert await watched.names(2) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_watch_resumes_after_a_version(api: Api) -> None:
    await create(api, "a")
    version = api.store.version
    await create(api, "b")
    async with watching(api, f"resourceVersion={version}") as watched:
        assert await watched.names(1) == [("ADDED", "b")]


async def test_other_namespaces_are_not_seen(api: Api) -> None:
    await api.with_namespaces("other")
    async with watching(api, f"resourceVersion={api.store.version}") as watched:
        await api.create("/api/v1/namespaces/other/configmaps", {"metadata": {"name": "o"}})
        await create(api, "a")
        assert await watched.names(1) == [("ADDED", "a")]


async def test_an_object_that_leaves_the_selection_is_deleted(api: Api) -> None:
    query = f"resourceVersion={api.store.version}&labelSelector=tier=front"
    async with watching(api, query) as watched:
        await create(api, "a", tier="back")
        await label(api, "a", tier="front")
        await label(api, "a", note="x")
        await label(api, "a", tier=None)
        await create(api, "b", tier="front")
        assert await watched.names(4) == [
            ("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b"),
        ]  # fmt: skip


async def test_one_object_is_watched_by_its_name(api: Api) -> None:
    query = f"resourceVersion={api.store.version}&fieldSelector=metadata.name=b"
    async with watching(api, query) as watched:
        await create(api, "a")
        await create(api, "b")
        assert await watched.names(1) == [("ADDED", "b")]


async def test_a_streamed_list_ends_with_a_bookmark(api: Api) -> None:
    await create(api, "a")
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watching(api, query) as watched:
        assert await watched.names(1) == [("ADDED", "a")]
        kind, mark = await watched.next()
        assert kind == "BOOKMARK"
        assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert mark["metadata"]["resourceVersion"] == str(api.store.version)


async def test_a_streamed_list_needs_a_match(api: Api) -> None:
    answer = await api.send("GET", f"{CONFIG}?watch=1&sendInitialEvents=true")
    assert answer.status == 422


async def test_a_quiet_watch_is_told_how_far_it_is(api: Api) -> None:
    query = f"resourceVersion={api.store.version}&allowWatchBookmarks=true"
    async with watching(api, query) as watched:
        await api.with_namespaces("more")
        kind, mark = await watched.next()
        assert (kind, mark["kind"]) == ("BOOKMARK", "ConfigMap")
        assert mark["metadata"]["resourceVersion"] == str(api.store.version)


async def test_bookmarks_come_only_if_allowed(api: Api) -> None:
    query = f"resourceVersion={api.store.version}&timeoutSeconds=600"
    async with watching(api, query) as watched:
        await api.with_namespaces("more")
        assert await watched.is_over()


async def test_a_watch_ends_after_its_time(api: Api) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with watching(api, f"resourceVersion={api.store.version}&timeoutSeconds=7") as watched:
        assert await watched.is_over()
    assert 6.9 < loop.time() - begun < 7.5


async def test_without_a_wish_a_watch_ends_within_the_hour(api: Api) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with watching(api, f"resourceVersion={api.store.version}") as watched:
        assert await watched.is_over()
    assert 1800 <= loop.time() - begun <= 3601


async def test_an_old_version_is_gone(api: Api) -> None:
    for number in range(30):
        await create(api, f"c{number}")
    answer = await api.send("GET", f"{CONFIG}?watch=true&resourceVersion=1")
    assert (answer.status, answer.body["reason"]) == (410, "Expired")
    assert answer.message.startswith("too old resource version: 1 (")


async def test_a_reader_that_falls_behind_is_told(api: Api) -> None:
    async with watching(api, f"resourceVersion={api.store.version}") as watched:
        await create(api, "first")
        assert await watched.names(1) == [("ADDED", "first")]
        for number in range(30):
            await create(api, f"c{number}")
        kind, status = await watched.next()
        assert (kind, status["kind"], status["code"]) == ("ERROR", "Status", 410)
        assert await watched.is_over()


async def test_stopping_the_server_ends_watches(api: Api) -> None:
    async with watching(api, f"resourceVersion={api.store.version}") as watched:
        ending = asyncio.create_task(watched.is_over())
        await asyncio.sleep(1)
        await api.server.close()
        assert await ending
    assert (await api.send("GET", CONFIG)).status == 503


async def test_a_table_watch_sends_its_columns_once(api: Api) -> None:
    query = f"resourceVersion={api.store.version}"
    async with watching(api, query, accept=TABLE) as watched:
        await create(api, "a")
        await create(api, "b")
        first, second = (await watched.next())[1], (await watched.next())[1]
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["columnDefinitions"] == []
    assert second["rows"][0]["cells"][0] == "b"


async def test_the_last_state_of_a_deleted_object_has_a_new_version(api: Api) -> None:
    await create(api, "a")
    async with watching(api, f"resourceVersion={api.store.version}") as watched:
        await api.send("DELETE", f"{CONFIG}/a")
        _, last = await watched.next()
    assert last["metadata"]["resourceVersion"] == str(api.store.version)
