"""What a user wrote is safe before the answer; what loops write may follow."""

from pathlib import Path

import pytest

from stagezero.kit.http import User
from stagezero.store.base import Durability, Encode, Stored, StoreFailed, StoreKey
from stagezero.store.memory import MemoryStore
from stagezero.store.sqlite import SqliteStore
from support.api_server import ADMIN, LOOP, Api
from support.things import DEFINITIONS, THINGS, definition, thing

CONFIG = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"


class Witness(MemoryStore):
    """A store that notes how safe each write must be."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Durability] = []
        self.fails = False

    async def put(
        self, key: StoreKey, encode: Encode, expected: int | None, durability: Durability
    ) -> Stored:
        self.seen.append(durability)
        if self.fails:
            raise StoreFailed("disk full")
        return await super().put(key, encode, expected, durability)

    async def delete(
        self, key: StoreKey, encode: Encode, expected: int, durability: Durability
    ) -> Stored:
        self.seen.append(durability)
        return await super().delete(key, encode, expected, durability)


@pytest.mark.parametrize(
    ("user", "expected"),
    [(ADMIN, Durability.INTENT), (LOOP, Durability.DERIVED), (User("x"), Durability.INTENT)],
    ids=["administrator", "loop", "anybody"],
)
async def test_the_writer_decides_how_safe(user: User, expected: Durability) -> None:
    store = Witness()
    api = await Api(store).with_namespaces("default")
    store.seen.clear()
    await api.send("POST", CONFIG, {"metadata": {"name": "c"}}, user=user)
    patch = {"data": {"a": "b"}}
    await api.send("PATCH", f"{CONFIG}/c", patch, content_type=MERGE, user=user)
    await api.send("DELETE", f"{CONFIG}/c", user=user)
    assert store.seen == [expected] * 3


async def test_a_failing_store_is_an_error_and_no_more() -> None:
    store = Witness()
    api = await Api(store).with_namespaces("default")
    store.fails = True
    answer = await api.send("POST", CONFIG, {"metadata": {"name": "c"}})
    assert answer.status == 500
    assert "the store cannot write: disk full" in answer.message
    store.fails = False
    assert (await api.send("GET", CONFIG)).items == []


async def test_everything_outlives_the_server(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = await SqliteStore.open(path)
    api = await Api(store).with_namespaces("default")
    await api.create(DEFINITIONS, definition())
    created = await api.create(THINGS, thing())
    await api.server.close()
    await store.close()
    again = Api(await SqliteStore.open(path))
    await again.server.start()
    assert await again.get(f"{THINGS}/x") == created
    assert (await again.send("GET", "/apis/things.dev/v1")).status == 200
    version = created["metadata"]["resourceVersion"]
    watch = await again.send("GET", f"{THINGS}?watch=1&resourceVersion={int(version) - 1}")
    assert watch.status == 410
    await again.store.close()
