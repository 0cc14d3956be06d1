import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stagezero.node.storage.errors import (
    ModelDenied,
    ModelInvalid,
    ModelNotFound,
    SourceUnreachable,
    StorageError,
)
from stagezero.node.storage.store import Fetched, ModelStore
from support.archives import tar_of, zip_of
from support.buckets import Ask, Reply, serving

FILE = "application/octet-stream"


class Site:
    """Replies by path, and what was asked."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.asked: list[Ask] = []

    def __call__(self, ask: Ask) -> Reply:
        self.asked.append(ask)
        return self.replies.get(ask.path, Reply(404))

    def put(self, path: str, body: bytes, content_type: str = FILE, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.replies[path] = Reply(200, body, {"Content-Type": content_type, **named})


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    with serving(site) as base:
        yield base


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ModelStore]:
    store = ModelStore(tmp_path / "cache")
    yield store
    await store.close()


def contents(fetched: Fetched) -> dict[str, bytes]:
    files = (path for path in fetched.path.rglob("*") if path.is_file())
    return {str(path.relative_to(fetched.path)): path.read_bytes() for path in files}


async def test_file_keeps_the_name_of_its_url(store: ModelStore, site: Site, url: str) -> None:
    site.put("/models/model.joblib", b"forest")
    fetched = await store.fetch(f"{url}/models/model.joblib?version=3", env={})
    assert contents(fetched) == {"model.joblib": b"forest"}


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("m.zip", "application/zip"),
        ("m.zip", "application/x-zip-compressed"),
        ("m.zip", "application/zip-compressed"),
        ("m.tar.gz", "application/gzip"),
        ("m.tgz", "application/x-gzip; charset=binary"),
        ("m.tar.gz", "application/x-tar"),
        ("m.tar", "application/x-gtar"),
    ],
)
async def test_archive_is_unpacked(
    store: ModelStore, site: Site, url: str, tmp_path: Path, name: str, content_type: str
) -> None:
    make = zip_of if name.endswith("zip") else tar_of
    archive = make(tmp_path / name, {"1/saved_model.pb": b"graph"})
    site.put(f"/{name}", archive.read_bytes(), content_type)
    assert contents(await store.fetch(f"{url}/{name}", env={})) == {"1/saved_model.pb": b"graph"}


TAR_TYPES = "application/x-tar, application/x-gtar, application/x-gzip, application/gzip"
ZIP_TYPES = "application/x-zip-compressed, application/zip, application/zip-compressed"


@pytest.mark.parametrize(
    ("name", "content_type", "says"),
    [
        ("m.tgz", FILE, f"any of following 'Content-Type': {TAR_TYPES}"),
        ("m.zip", "text/html", f"any of following 'Content-Type': {ZIP_TYPES}"),
        ("m.joblib", "text/html", f"'Content-Type': '{FILE}'"),
    ],
)
async def test_wrong_content_type_is_told_as_upstream_does(
    store: ModelStore, site: Site, url: str, name: str, content_type: str, says: str
) -> None:
    site.put(f"/{name}", b"x", content_type)
    with pytest.raises(ModelInvalid) as caught:
        await store.fetch(f"{url}/{name}", env={})
    assert str(caught.value) == f"URI: {url}/{name} did not respond with {says}"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ModelInvalid),
        (401, ModelDenied),
        (403, ModelDenied),
        (404, ModelNotFound),
        (410, ModelNotFound),
        (429, SourceUnreachable),
        (500, SourceUnreachable),
        (503, SourceUnreachable),
    ],
)
async def test_status_is_told_as_upstream_does(
    store: ModelStore, site: Site, url: str, status: int, kind: type[StorageError]
) -> None:
    site.replies["/m.joblib"] = Reply(status)
    with pytest.raises(kind) as caught:
        await store.fetch(f"{url}/m.joblib", env={})
    said = f"URI: {url}/m.joblib returned a {status} response code."
    assert str(caught.value).startswith(said)
    assert caught.value.permanent is (kind is not SourceUnreachable)


async def test_unchanged_file_is_not_sent_again(store: ModelStore, site: Site, url: str) -> None:
    site.put("/m.joblib", b"x", ETag='"1"')
    await store.fetch(f"{url}/m.joblib", env={})
    site.asked.clear()
    assert (await store.fetch(f"{url}/m.joblib", env={})).cached
    assert [ask.method for ask in site.asked] == ["HEAD"]


@pytest.mark.parametrize("header", ["ETag", "Last_Modified"])
async def test_new_version_makes_a_new_tree(
    store: ModelStore, site: Site, url: str, header: str
) -> None:
    site.put("/m.joblib", b"old", **{header: "Mon, 01 Jan 2024 00:00:00 GMT"})
    old = await store.fetch(f"{url}/m.joblib", env={})
    site.put("/m.joblib", b"new", **{header: "Tue, 02 Jan 2024 00:00:00 GMT"})
    new = await store.fetch(f"{url}/m.joblib", env={})
    assert (contents(old), contents(new)) == ({"m.joblib": b"old"}, {"m.joblib": b"new"})


async def test_server_that_tells_no_version_is_read_again(
    store: ModelStore, site: Site, url: str
) -> None:
    site.put("/m.joblib", b"same")
    first = await store.fetch(f"{url}/m.joblib", env={})
    second = await store.fetch(f"{url}/m.joblib", env={})
    assert (second.digest, second.cached) == (first.digest, False)


async def test_server_without_head_is_read_all_the_same(
    store: ModelStore, site: Site, url: str
) -> None:
    site.put("/m.joblib", b"x")
    get = site.replies["/m.joblib"]
    site.replies = {}

    class GetOnly(dict[str, Reply]):
        def get(self, path: str, default: Reply) -> Reply:  # type: ignore[override]
            return Reply(405) if site.asked[-1].method == "HEAD" else get

    site.replies = GetOnly()
    assert contents(await store.fetch(f"{url}/m.joblib", env={})) == {"m.joblib": b"x"}


async def test_headers_of_the_host_are_sent(store: ModelStore, site: Site, url: str) -> None:
    site.put("/m.joblib", b"x")
    env = {"127.0.0.1-headers": json.dumps({"Authorization": "Bearer me"})}
    await store.fetch(f"{url}/m.joblib", env=env)
    assert {ask.headers["authorization"] for ask in site.asked} == {"Bearer me"}


async def test_headers_do_not_follow_to_another_host(
    store: ModelStore, site: Site, url: str
) -> None:
    elsewhere = url.replace("127.0.0.1", "localhost")
    site.put("/real/m.joblib", b"x")
    site.replies["/m.joblib"] = Reply(302, headers={"Location": f"{elsewhere}/real/m.joblib"})
    env = {"127.0.0.1-headers": json.dumps({"X-Secret": "me"})}
    fetched = await store.fetch(f"{url}/m.joblib", env=env)
    assert contents(fetched) == {"m.joblib": b"x"}
    told = {ask.path for ask in site.asked if "x-secret" in ask.headers}
    assert told == {"/m.joblib"}


async def test_headers_that_are_no_object_are_told(store: ModelStore, url: str) -> None:
    with pytest.raises(ModelInvalid, match=r"The variable 127\.0\.0\.1-headers is not a JSON obj"):
        await store.fetch(f"{url}/m.joblib", env={"127.0.0.1-headers": "{"})


async def test_circle_of_redirects_ends(store: ModelStore, site: Site, url: str) -> None:
    site.replies["/m.joblib"] = Reply(302, headers={"Location": "/m.joblib"})
    with pytest.raises(ModelInvalid, match="more than 10 other addresses"):
        await store.fetch(f"{url}/m.joblib", env={})


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/x"])
async def test_redirect_to_another_scheme_is_refused(
    store: ModelStore, site: Site, url: str, target: str
) -> None:
    site.replies["/m.joblib"] = Reply(302, headers={"Location": target})
    with pytest.raises(ModelInvalid, match="which is not as secure"):
        await store.fetch(f"{url}/m.joblib", env={})


async def test_connection_that_breaks_off_leaves_no_tree(
    store: ModelStore, site: Site, url: str, tmp_path: Path
) -> None:
    site.put("/m.joblib", b"x" * 100_000)
    site.replies["/m.joblib"].cut = True
    with pytest.raises(SourceUnreachable, match="broke off before the end"):
        await store.fetch(f"{url}/m.joblib", env={})
    assert await store.models() == []
    assert list((tmp_path / "cache" / "staging").iterdir()) == []


async def test_host_out_of_reach_is_tried_again_later(store: ModelStore) -> None:
    with pytest.raises(SourceUnreachable, match=r"Cannot reach http://127\.0\.0\.1:1/m\.joblib"):
        await store.fetch("http://127.0.0.1:1/m.joblib", env={})


async def test_compressed_transfer_gives_the_file_itself(
    store: ModelStore, site: Site, url: str
) -> None:
    import gzip

    site.put("/m.joblib", gzip.compress(b"plain"), Content_Encoding="gzip")
    assert contents(await store.fetch(f"{url}/m.joblib", env={})) == {"m.joblib": b"plain"}


async def test_bucket_may_have_a_mirror_on_the_web(site: Site, url: str, tmp_path: Path) -> None:
    site.put("/copies/models/m.joblib", b"x")
    store = ModelStore(tmp_path / "cache", {"gs://kserve/": f"{url}/copies/"})
    fetched = await store.fetch("gs://kserve/models/m.joblib", env={})
    assert contents(fetched) == {"m.joblib": b"x"}


async def test_fetched_file_is_used_when_its_server_fails(
    store: ModelStore, site: Site, url: str
) -> None:
    site.put("/m.joblib", b"x")
    first = await store.fetch(f"{url}/m.joblib", env={})
    site.replies["/m.joblib"] = Reply(503)
    later = await store.fetch(f"{url}/m.joblib", env={})
    assert (later.path, later.cached, later.verified) == (first.path, True, False)
