"""Watches: what is there (if asked), then every change in order, and bookmarks in quiet times.

An object that no longer fits the selector leaves as DELETED, one that begins to fit comes as ADDED.
A watch ends after its timeout, when its reader goes, when the server stops, or with an ERROR frame
that holds a Status when the client fell behind what is remembered.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.apiserver import selectors
from stagezero.apiserver.call import Call
from stagezero.apiserver.encoding import as_version, decode
from stagezero.apiserver.presenting import Form, Presenter
from stagezero.apiserver.reads import whole_number
from stagezero.apiserver.selectors import Selector
from stagezero.kit.http import WatchFrame
from stagezero.store.base import Change, ChangeType, Compacted, Store, Stored, Watching

BOOKMARK_EVERY_S = 60.0
# Spread, so that clients that came together do not come back together.
_SHORTEST_S, _LONGEST_S = 1800.0, 3600.0


@dataclass(frozen=True)
class WatchOptions:
    """How a watch is to run; `since` None means from the present state on."""

    since: int | None
    sends_initial: bool
    marks_initial_end: bool
    sends_bookmarks: bool
    timeout_s: float


def read_options(call: Call) -> WatchOptions:
    """Read a watch's options; Invalid where they contradict each other."""
    query = call.query
    version = whole_number(query, "resourceVersion")
    bookmarks = _is_true(query.get("allowWatchBookmarks", ""))
    wish = query.get("sendInitialEvents", "")
    if wish and query.get("resourceVersionMatch") != "NotOlderThan":
        raise errors.Invalid(
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: '
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    timeout_s = float(whole_number(query, "timeoutSeconds"))
    initial = _is_true(wish) if wish else version == 0
    return WatchOptions(
        since=version or None,
        sends_initial=initial,
        marks_initial_end=_is_true(wish) and bookmarks,
        sends_bookmarks=bookmarks,
        timeout_s=timeout_s or random.uniform(_SHORTEST_S, _LONGEST_S),
    )


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1")


class Watch:
    """One open watch: an async iterator of frames."""

    def __init__(self, store: Store, call: Call, presenter: Presenter) -> None:
        self._options = read_options(call)
        self._presenter = presenter
        self._selector: Selector = selectors.parse(
            call.query, call.served.collection, call.served.selectable_fields
        )
        self._has_sent_columns = False
        self._initial: list[Stored] = []
        collection, namespace = call.served.collection, call.target.namespace
        since = self._options.since
        if self._options.sends_initial or since is None:
            items, since = store.list(collection, namespace)
            self._initial = items if self._options.sends_initial else []
        self._since = since
        self._changes = self._open(store, collection, namespace)

    def _open(self, store: Store, collection: str, namespace: str) -> Watching:
        try:
            return store.watch(collection, self._since, namespace)
        except Compacted as error:
            raise _gone(error) from error

    async def frames(self) -> AsyncIterator[WatchFrame]:
        """Yield frames until the watch ends."""
        try:
            for stored in self._initial:
                if self._fits(stored.data):
                    yield self._frame("ADDED", stored.data)
            self._initial = []
            if self._options.marks_initial_end:
                yield self._bookmark(self._since, is_initial_end=True)
            async for frame in self._follow():
                yield frame
        except Compacted as error:
            yield WatchFrame("ERROR", msgspec.json.encode(_gone(error).status()))
        finally:
            await self.close()

    async def _follow(self) -> AsyncIterator[WatchFrame]:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._options.timeout_s
        marked = self._since
        while (left_s := end - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(left_s, BOOKMARK_EVERY_S)):
                    change = await anext(self._changes)
            except StopAsyncIteration:
                return
            except TimeoutError:
                version = self._changes.version
                if self._options.sends_bookmarks and version > marked:
                    marked = version
                    yield self._bookmark(version)
                continue
            frame = self._of_change(change)
            if frame is not None:
                yield frame

    def _of_change(self, change: Change) -> WatchFrame | None:
        if self._selector.is_empty:
            return self._frame(change.type.value, change.data)
        was_in = change.previous is not None and self._fits(change.previous)
        is_in = change.type is not ChangeType.DELETED and self._fits(change.data)
        if is_in:
            return self._frame("MODIFIED" if was_in else "ADDED", change.data)
        return self._frame("DELETED", change.data) if was_in else None

    def _fits(self, data: bytes) -> bool:
        return self._selector.is_empty or self._selector.matches(decode(data))

    def _frame(self, kind: str, data: bytes) -> WatchFrame:
        if self._presenter.form is Form.OBJECT:
            return WatchFrame(kind, as_version(data, self._presenter.served))
        if self._presenter.form is Form.PARTIAL:
            return WatchFrame(kind, self._presenter.one(data))
        with_columns, self._has_sent_columns = not self._has_sent_columns, True
        meta = {"resourceVersion": decode(data)["metadata"]["resourceVersion"]}
        return WatchFrame(kind, self._presenter.table([data], meta, with_columns))

    def _bookmark(self, version: int, is_initial_end: bool = False) -> WatchFrame:
        served = self._presenter.served
        meta: Raw = {"resourceVersion": str(version), "creationTimestamp": None}
        if is_initial_end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        if self._presenter.form is Form.TABLE:
            mark = {"metadata": meta, "kind": served.kind, "apiVersion": served.api_version}
            table: Raw = {
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": str(version)},
                "columnDefinitions": [],
                "rows": [{"cells": [], "object": mark}],
            }
            return WatchFrame("BOOKMARK", msgspec.json.encode(table))
        mark = {"kind": served.kind, "apiVersion": served.api_version, "metadata": meta}
        return WatchFrame("BOOKMARK", msgspec.json.encode(mark))

    async def close(self) -> None:
        """End the watch, also while somebody waits for its next frame."""
        await self._changes.aclose()


def _gone(error: Compacted) -> errors.Gone:
    return errors.Gone(f"too old resource version: {error.asked} ({error.oldest})")
