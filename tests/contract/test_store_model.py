"""Any sequence of writes, against a dictionary: the stores do what a dictionary would."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagezero.store.base import (
    Change,
    ChangeType,
    Compacted,
    Durability,
    Store,
    StoreKey,
    VersionConflict,
)
from stagezero.store.memory import MemoryStore
from stagezero.store.sqlite import SqliteStore

# Few and nasty names, so that writes meet: prefixes of each other, separators, beyond ASCII.
NAMES = st.sampled_from(["a", "aa", "a-b", "a.b", "", "ö", "~", "a/b"])
KEYS = st.builds(StoreKey, st.sampled_from(["pods", "pods.x"]), NAMES, NAMES)


@dataclass(frozen=True)
class Step:
    """One write; `is_stale` expects a version that is not there."""

    key: StoreKey
    removes: bool
    is_stale: bool
    durability: Durability
    data: bytes


STEPS = st.lists(
    st.builds(
        Step,
        KEYS,
        st.booleans(),
        st.integers(0, 4).map(lambda n: n == 0),
        st.sampled_from(Durability),
        st.binary(max_size=20),
    ),
    max_size=40,
)


@dataclass
class Model:
    """What a store must be: a dictionary, and a list of what changed."""

    objects: dict[StoreKey, tuple[int, bytes]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    async def take(self, store: Store, step: Step) -> None:
        """Take one step with both."""
        version, previous = self.objects.get(step.key, (None, None))
        expected = (version or 0) + 1000 if step.is_stale else version
        if step.is_stale or (step.removes and version is None):
            with pytest.raises(VersionConflict):
                await self._write(store, step, expected)
            return
        written = await self._write(store, step, expected)
        if step.removes:
            happened = ChangeType.DELETED
            del self.objects[step.key]
        else:
            happened = ChangeType.ADDED if version is None else ChangeType.MODIFIED
            self.objects[step.key] = (written, step.data)
        self.changes.append(Change(happened, step.key, written, step.data, previous))

    async def _write(self, store: Store, step: Step, expected: int | None) -> int:
        if step.removes:
            return (
                await store.delete(step.key, lambda _: step.data, expected or 0, step.durability)
            ).version
        return (await store.put(step.key, lambda _: step.data, expected, step.durability)).version

    def check_reads(self, store: Store) -> None:
        """Compare all lists and objects."""
        for collection in ("pods", "pods.x"):
            wanted = sorted(key for key in self.objects if key.collection == collection)
            assert [item.key for item in store.list(collection)[0]] == wanted
            for namespace in {key.namespace for key in wanted} - {""}:
                mine = [key for key in wanted if key.namespace == namespace]
                assert [item.key for item in store.list(collection, namespace)[0]] == mine
        for key, (version, data) in self.objects.items():
            found = store.get(key)
            assert found is not None
            assert (found.version, found.data) == (version, data)

    async def check_watch(self, store: Store, since: int, namespace: str) -> None:
        """Compare what a watch from `since` tells."""
        wanted = [
            change
            for change in self.changes
            if change.version > since
            and change.key.collection == "pods"
            and namespace in ("", change.key.namespace)
        ]
        watch = store.watch("pods", since, namespace)
        assert [await anext(watch) for _ in wanted] == wanted
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(watch)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(0, 40), NAMES)
def test_memory_does_what_a_dictionary_does(steps: list[Step], since: int, namespace: str) -> None:
    async def run() -> None:
        store, model = MemoryStore(), Model()
        for step in steps:
            await model.take(store, step)
        model.check_reads(store)
        await model.check_watch(store, min(since, store.version), namespace)
        await store.close()

    asyncio.run(run())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, STEPS, st.integers(0, 40), NAMES)
def test_sqlite_does_what_a_dictionary_does_over_restarts(
    before: list[Step], after: list[Step], since: int, namespace: str
) -> None:
    async def run(path: Path) -> None:
        model = Model()
        store = await SqliteStore.open(path)
        for step in before:
            await model.take(store, step)
        model.check_reads(store)
        await model.check_watch(store, min(since, store.version), namespace)
        await store.close()
        store = await SqliteStore.open(path)
        start = store.version
        assert start == (model.changes[-1].version if model.changes else 0)
        model.check_reads(store)
        for step in after:
            await model.take(store, step)
        model.check_reads(store)
        await model.check_watch(store, start, namespace)
        if start:
            with pytest.raises(Compacted):
                store.watch("pods", start - 1)
        await store.close()

    with tempfile.TemporaryDirectory() as made:
        asyncio.run(run(Path(made) / "store.db"))
