"""Informer caches: versions, indexes, notes of one's own writes."""

import msgspec
import pytest

from stagezero.api.base import Key, Object, ObjectMeta, OwnerReference, to_raw
from stagezero.api.core import ConfigMap, Secret
from stagezero.client.cache import Caches, KindCache

KEY = Key("ns", "a")


def encoded(version: int, name: str = "a", namespace: str = "ns", **metadata: object) -> bytes:
    thing = ConfigMap(metadata=ObjectMeta(name=name, namespace=namespace, uid=f"uid-{name}"))
    raw = to_raw(thing)
    raw["metadata"] |= {"resourceVersion": str(version), **metadata}
    raw["data"] = {"version": str(version)}
    return msgspec.json.encode(raw)


@pytest.fixture
def caches() -> Caches:
    caches = Caches()
    caches.add(ConfigMap)
    return caches


@pytest.fixture
def cache(caches: Caches) -> KindCache[ConfigMap]:
    return caches.of(ConfigMap)


class Heard:
    """What a subscriber was told: versions before and after."""

    def __init__(self, cache: KindCache[ConfigMap]) -> None:
        self.changes: list[tuple[str | None, str | None]] = []
        cache.subscribe(self._hear)

    def _hear(self, before: Object | None, after: Object | None) -> None:
        self.changes.append((_version(before), _version(after)))


def _version(thing: Object | None) -> str | None:
    return None if thing is None else thing.metadata.resource_version


def test_event_is_read_back(cache: KindCache[ConfigMap]) -> None:
    cache.event("ADDED", encoded(5))
    found = cache.get(KEY)
    assert found is not None
    assert found.data == {"version": "5"}


def test_older_event_is_ignored(cache: KindCache[ConfigMap]) -> None:
    cache.event("ADDED", encoded(5))
    cache.event("MODIFIED", encoded(4))
    found = cache.get(KEY)
    assert found is not None
    assert found.data == {"version": "5"}


def test_own_write_is_seen_at_once(cache: KindCache[ConfigMap]) -> None:
    heard = Heard(cache)
    cache.note(encoded(7))
    cache.event("ADDED", encoded(7))
    assert heard.changes == [(None, "7")]


def test_note_does_not_revive_what_was_deleted(cache: KindCache[ConfigMap]) -> None:
    cache.event("ADDED", encoded(7))
    cache.event("DELETED", encoded(9))
    cache.note(encoded(7))
    assert cache.get(KEY) is None


def test_note_of_an_older_version_is_ignored(cache: KindCache[ConfigMap]) -> None:
    cache.event("ADDED", encoded(8))
    cache.note(encoded(7))
    found = cache.get(KEY)
    assert found is not None
    assert found.metadata.resource_version == "8"


def test_deletion_is_announced_with_what_was(cache: KindCache[ConfigMap]) -> None:
    cache.event("ADDED", encoded(5))
    heard = Heard(cache)
    cache.event("DELETED", encoded(6))
    assert heard.changes == [(None, "5"), ("5", None)]


def test_fresh_list_announces_only_differences(cache: KindCache[ConfigMap]) -> None:
    cache.event("ADDED", encoded(1, "a"))
    cache.event("ADDED", encoded(2, "b"))
    cache.event("ADDED", encoded(3, "c"))
    heard = Heard(cache)
    heard.changes.clear()
    cache.replace([encoded(1, "a"), encoded(9, "b")], "10")
    assert sorted(heard.changes, key=str) == sorted([("3", None), ("2", "9")], key=str)


def test_bookmark_moves_the_version(cache: KindCache[ConfigMap]) -> None:
    cache.event("BOOKMARK", encoded(44))
    assert cache.version == "44"
    assert cache.get(KEY) is None


def test_list_is_sorted_and_by_namespace(caches: Caches, cache: KindCache[ConfigMap]) -> None:
    for version, (namespace, name) in enumerate([("b", "x"), ("a", "z"), ("a", "y")], start=1):
        cache.event("ADDED", encoded(version, name, namespace))
    assert [str(thing.key) for thing in caches.list(ConfigMap)] == ["a/y", "a/z", "b/x"]
    assert [str(thing.key) for thing in caches.list(ConfigMap, "a")] == ["a/y", "a/z"]


def test_owned_objects_are_found_by_uid(caches: Caches, cache: KindCache[ConfigMap]) -> None:
    ref = OwnerReference(api_version="v1", kind="Secret", name="s", uid="u1")
    cache.event("ADDED", encoded(1, "a", ownerReferences=[msgspec.to_builtins(ref)]))
    cache.event("ADDED", encoded(2, "b"))
    owner = Secret(metadata=ObjectMeta(name="s", uid="u1"))
    assert [thing.metadata.name for thing in caches.owned(ConfigMap, owner)] == ["a"]


def test_owner_index_forgets_the_deleted(caches: Caches, cache: KindCache[ConfigMap]) -> None:
    refs = [{"apiVersion": "v1", "kind": "Secret", "name": "s", "uid": "u1"}]
    cache.event("ADDED", encoded(1, "a", ownerReferences=refs))
    cache.event("DELETED", encoded(2, "a", ownerReferences=refs))
    assert caches.owned(ConfigMap, Secret(metadata=ObjectMeta(name="s", uid="u1"))) == []


def test_labels_select(caches: Caches, cache: KindCache[ConfigMap]) -> None:
    cache.event("ADDED", encoded(1, "a", labels={"app": "x", "tier": "front"}))
    cache.event("ADDED", encoded(2, "b", labels={"app": "y"}))
    assert [thing.metadata.name for thing in caches.labelled(ConfigMap, "ns", {"app": "x"})] == [
        "a"
    ]


def test_subscriber_hears_what_is_there(cache: KindCache[ConfigMap]) -> None:
    cache.event("ADDED", encoded(3))
    assert Heard(cache).changes == [(None, "3")]


def test_unwatched_kind_is_a_mistake(caches: Caches) -> None:
    with pytest.raises(RuntimeError, match="Secret is read but nobody watches it"):
        caches.get(Secret, KEY)


def test_few_decoded_objects_are_kept() -> None:
    caches = Caches(decoded_limit=2)
    cache = caches.add(ConfigMap)
    for number in range(10):
        cache.event("ADDED", encoded(number + 1, f"m{number}"))
    assert len(cache._decoded._objects) <= 2
    assert len(caches.list(ConfigMap)) == 10
