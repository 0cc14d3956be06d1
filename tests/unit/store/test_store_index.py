"""The index by itself: order, loading, sharing."""

import random
import time

from stagezero.store.base import Change, ChangeType, Stored, StoreKey
from stagezero.store.index import Index, Wish


def stored(namespace: str, name: str, version: int = 1) -> Stored:
    return Stored(StoreKey("pods", namespace, name), version, b"{}")


def names(index: Index, namespace: str = "") -> list[tuple[str, str]]:
    return [(item.key.namespace, item.key.name) for item in index.list("pods", namespace)[0]]


def test_loading_orders_what_it_finds() -> None:
    index = Index(start=9)
    index.load([stored("b", "1"), stored("a", "2"), stored("a", "1")])
    assert names(index) == [("a", "1"), ("a", "2"), ("b", "1")]
    assert (index.version, len(index)) == (9, 3)


def test_loaded_objects_can_be_changed() -> None:
    index = Index(start=9)
    index.load([stored("a", "1", version=4)])
    change = index.resolve(Wish(StoreKey("pods", "a", "1"), lambda _: b"new", 4), 10)
    assert (change.type, change.previous) == (ChangeType.MODIFIED, b"{}")
    index.publish([change])
    assert index.list("pods")[0][0].data == b"new"


def test_publishing_returns_what_was_written_in_order() -> None:
    index = Index()
    keys = [StoreKey("pods", "a", "2"), StoreKey("pods", "a", "1")]
    changes = [
        Change(ChangeType.ADDED, key, at, b"%d" % at) for at, key in enumerate(keys, start=1)
    ]
    assert [item.key for item in index.publish(changes)] == keys


def test_random_comings_and_goings_keep_the_order() -> None:
    draw, index = random.Random(1), Index()
    there: dict[StoreKey, int] = {}
    for version in range(1, 2000):
        key = StoreKey("pods", draw.choice("abc"), str(draw.randrange(60)))
        removes = key in there and draw.random() < 0.4
        wish = Wish(key, lambda _: b"", there.get(key), removes)
        index.publish([index.resolve(wish, version)])
        if removes:
            del there[key]
        else:
            there[key] = version
    assert [item.key for item in index.list("pods")[0]] == sorted(there)
    assert [item.key for item in index.list("pods", "b")[0]] == sorted(
        key for key in there if key.namespace == "b"
    )


def test_twenty_thousand_objects_are_listed_in_milliseconds() -> None:
    index = Index()
    index.load(stored(f"n{number % 7}", f"p{number}") for number in range(20_000))
    start = time.perf_counter()
    for _ in range(10):
        items, _version = index.list("pods")
    # Measured 0.3 ms a list; copying with a sort or a filter would take over 5 ms.
    assert (time.perf_counter() - start) / 10 < 0.02
    assert len(items) == 20_000


def test_words_of_keys_are_shared_between_objects() -> None:
    index = Index()
    index.load(stored("".join(["def", "ault"]), str(number)) for number in range(2))
    first, second = index.list("pods")[0]
    assert first.key.namespace is second.key.namespace
