import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stagezero.node.storage.errors import (
    ModelDenied,
    ModelInvalid,
    ModelNotFound,
    SourceUnreachable,
)
from stagezero.node.storage.store import Fetched, ModelStore
from support.archives import tar_of
from support.buckets import Bucket, serving

MNIST = {
    "kserve/models/mnist/1/saved_model.pb": b"graph",
    "kserve/models/mnist/1/variables/data": b"weights",
    "kserve/models/mnist2/1/saved_model.pb": b"other",
    "kserve/models/iris.joblib": b"forest",
}
URI = "gs://kserve/models/mnist"


@pytest.fixture
def bucket() -> Bucket:
    return Bucket(dict(MNIST))


@pytest.fixture
def endpoint(bucket: Bucket) -> Iterator[str]:
    with serving(bucket) as url:
        yield url


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ModelStore]:
    store = ModelStore(tmp_path / "cache")
    yield store
    await store.close()


@pytest.fixture
def env(endpoint: str) -> dict[str, str]:
    return {"STORAGE_EMULATOR_HOST": endpoint, "AWS_ENDPOINT_URL": endpoint}


def contents(fetched: Fetched) -> dict[str, bytes]:
    files = (path for path in fetched.path.rglob("*") if path.is_file())
    return {str(path.relative_to(fetched.path)): path.read_bytes() for path in files}


@pytest.mark.parametrize("uri", [URI, f"{URI}/", "s3://kserve/models/mnist"])
async def test_prefix_gives_its_objects(store: ModelStore, env: dict[str, str], uri: str) -> None:
    fetched = await store.fetch(uri, env=env)
    assert contents(fetched) == {"1/saved_model.pb": b"graph", "1/variables/data": b"weights"}


async def test_one_object_keeps_its_name(store: ModelStore, env: dict[str, str]) -> None:
    fetched = await store.fetch("gs://kserve/models/iris.joblib", env=env)
    assert contents(fetched) == {"iris.joblib": b"forest"}


async def test_whole_bucket_is_a_model(
    store: ModelStore, env: dict[str, str], bucket: Bucket
) -> None:
    bucket.objects = {"plain/model.joblib": b"x"}
    assert contents(await store.fetch("gs://plain", env=env)) == {"model.joblib": b"x"}


async def test_folder_marks_of_consoles_are_no_files(
    store: ModelStore, env: dict[str, str], bucket: Bucket
) -> None:
    bucket.objects |= {"kserve/models/mnist/": b"", "kserve/models/mnist/1/": b""}
    assert set(contents(await store.fetch(URI, env=env))) == {
        "1/saved_model.pb",
        "1/variables/data",
    }


async def test_empty_file_is_a_file(store: ModelStore, env: dict[str, str], bucket: Bucket) -> None:
    bucket.objects["kserve/models/mnist/1/empty"] = b""
    assert contents(await store.fetch(URI, env=env))["1/empty"] == b""


async def test_archive_object_is_unpacked(
    store: ModelStore, env: dict[str, str], bucket: Bucket, tmp_path: Path
) -> None:
    archive = tar_of(tmp_path / "m.tar.gz", {"1/saved_model.pb": b"graph"})
    bucket.objects["kserve/m.tar.gz"] = archive.read_bytes()
    fetched = await store.fetch("gs://kserve/m.tar.gz", env=env)
    assert contents(fetched) == {"1/saved_model.pb": b"graph"}


async def test_public_bucket_is_asked_without_credentials(
    store: ModelStore, env: dict[str, str], bucket: Bucket
) -> None:
    await store.fetch(URI, env=env)
    assert [ask for ask in bucket.asked if "authorization" in ask.headers] == []


async def test_s3_credentials_sign_the_requests(
    store: ModelStore, env: dict[str, str], bucket: Bucket
) -> None:
    env |= {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret"}
    await store.fetch("s3://kserve/models/mnist", env=env)
    assert all("Credential=me/" in ask.headers["authorization"] for ask in bucket.asked)


async def test_unchanged_bucket_is_only_listed(
    store: ModelStore, env: dict[str, str], bucket: Bucket
) -> None:
    first = await store.fetch(URI, env=env)
    bucket.asked.clear()
    second = await store.fetch(URI, env=env)
    assert (second.path, second.cached) == (first.path, True)
    assert all("list-type" in ask.query for ask in bucket.asked)


async def test_changed_object_makes_a_new_tree(
    store: ModelStore, env: dict[str, str], bucket: Bucket
) -> None:
    old = await store.fetch(URI, env=env)
    bucket.objects["kserve/models/mnist/1/variables/data"] = b"WEIGHTS"
    new = await store.fetch(URI, env=env)
    assert contents(new)["1/variables/data"] == b"WEIGHTS"
    assert contents(old)["1/variables/data"] == b"weights"


@pytest.mark.parametrize("uri", ["gs://kserve/none", "gs://nobucket/a", "s3://kserve/none"])
async def test_nothing_there_is_told_as_upstream_does(
    store: ModelStore, env: dict[str, str], uri: str
) -> None:
    with pytest.raises(ModelNotFound) as caught:
        await store.fetch(uri, env=env)
    assert str(caught.value) == f"Failed to fetch model. No model found in {uri}."


@pytest.mark.parametrize("status", [401, 403])
async def test_denied_bucket_asks_for_credentials(
    store: ModelStore, env: dict[str, str], bucket: Bucket, status: int
) -> None:
    bucket.status = status
    with pytest.raises(ModelDenied, match="No credentials were given: add a secret") as caught:
        await store.fetch(URI, env=env)
    assert caught.value.permanent


async def test_missing_bucket_is_nothing_there(
    store: ModelStore, env: dict[str, str], bucket: Bucket
) -> None:
    bucket.status = 404
    with pytest.raises(ModelNotFound, match="No model found in gs://kserve/models/mnist"):
        await store.fetch(URI, env=env)


async def test_failing_bucket_is_tried_again_later(
    store: ModelStore, env: dict[str, str], bucket: Bucket
) -> None:
    bucket.status = 400
    with pytest.raises(SourceUnreachable, match="it answered 400 Bad Request; check"):
        await store.fetch(URI, env=env)


async def test_name_that_leads_out_is_refused(
    store: ModelStore, env: dict[str, str], bucket: Bucket, tmp_path: Path
) -> None:
    bucket.objects["kserve/models/mnist/../../evil"] = b"x"
    with pytest.raises(ModelInvalid, match="unsafe name"):
        await store.fetch(URI, env=env)
    assert await asyncio.to_thread(lambda: list(tmp_path.rglob("evil"))) == []


async def test_bucket_out_of_reach_is_tried_again_later(store: ModelStore) -> None:
    with pytest.raises(SourceUnreachable) as caught:
        await store.fetch(URI, env={"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"})
    assert not caught.value.permanent
    assert "Connection refused" in str(caught.value)
    assert "set a mirror, such as gs://kserve/=file:///path/of/a/copy/" in str(caught.value)


async def test_fetched_model_is_used_when_the_bucket_is_out_of_reach(
    store: ModelStore, env: dict[str, str]
) -> None:
    first = await store.fetch(URI, env=env)
    later = await store.fetch(URI, env={"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"})
    assert (later.path, later.cached, later.verified) == (first.path, True, False)


async def test_failure_reaches_all_who_wait(store: ModelStore, env: dict[str, str]) -> None:
    results = await asyncio.gather(
        *(store.fetch("gs://kserve/none", env=env) for _ in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [ModelNotFound] * 3


async def test_bucket_that_changes_under_the_reader_is_read_again(
    store: ModelStore, env: dict[str, str], bucket: Bucket
) -> None:
    bucket.on_read = lambda: bucket.objects.update(
        {"kserve/models/mnist/1/variables/data": b"WEIGHTS"}
    )
    fetched = await store.fetch(URI, env=env)
    assert contents(fetched)["1/variables/data"] == b"WEIGHTS"
