import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from stagezero.node.storage.errors import (
    ModelInvalid,
    ModelNotFound,
    ModelTooLarge,
    SourceChanging,
    StoreFailing,
)
from stagezero.node.storage.progress import FetchProgress
from stagezero.node.storage.sink import Limits
from stagezero.node.storage.store import ModelStore, default_root
from stagezero.node.storage.trees import copy_tree
from support.archives import tar_of, zip_of


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "1" / "variables").mkdir(parents=True)
    (folder / "1" / "saved_model.pb").write_text("graph")
    (folder / "1" / "variables" / "data").write_text("weights")
    return folder


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ModelStore]:
    store = ModelStore(tmp_path / "cache", {"gs://kserve/models/": f"file://{tmp_path}/"})
    yield store
    await store.close()


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


MNIST = {"1/saved_model.pb": "graph", "1/variables/data": "weights"}


async def test_folder_is_fetched_with_its_names(store: ModelStore, model: Path) -> None:
    fetched = await store.fetch(f"file://{model}")
    assert contents(fetched.path) == MNIST
    assert (fetched.cached, fetched.size_bytes) == (False, 12)


async def test_plain_path_is_a_uri(store: ModelStore, model: Path) -> None:
    assert contents((await store.fetch(str(model))).path) == MNIST


async def test_one_file_keeps_its_name(store: ModelStore, model: Path) -> None:
    fetched = await store.fetch(f"file://{model}/1/saved_model.pb")
    assert contents(fetched.path) == {"saved_model.pb": "graph"}


async def test_mirror_is_read_in_place_of_the_bucket(store: ModelStore, model: Path) -> None:
    assert contents((await store.fetch("gs://kserve/models/model")).path) == MNIST


async def test_mirror_is_named_in_the_log(
    store: ModelStore, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await store.fetch("gs://kserve/models/model")
    assert (
        f"Copying contents of gs://kserve/models/model to local (mirror: file://{model})"
        in caplog.messages
    )


async def test_missing_folder_is_told_as_upstream_does(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        await store.fetch(f"file://{tmp_path}/none")
    assert str(caught.value) == f"Local path file://{tmp_path}/none does not exist."


async def test_error_at_a_mirror_names_what_was_asked_for(store: ModelStore) -> None:
    with pytest.raises(ModelNotFound, match=r"\(read as the mirror of gs://kserve/models/none\)"):
        await store.fetch("gs://kserve/models/none")


async def test_empty_folder_is_told_as_upstream_does(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    uri = f"file://{tmp_path}/empty"
    with pytest.raises(ModelNotFound) as caught:
        await store.fetch(uri)
    assert str(caught.value) == f"Failed to fetch model. No model found in {uri}."


async def test_second_fetch_moves_nothing(store: ModelStore, model: Path) -> None:
    first = await store.fetch(str(model))
    heard: list[FetchProgress] = []
    second = await store.fetch(str(model), heard.append)
    assert (second.path, second.cached, heard) == (first.path, True, [])


async def test_changed_weights_make_a_new_tree_and_keep_the_old(
    store: ModelStore, model: Path
) -> None:
    old = await store.fetch(str(model))
    (model / "1" / "variables" / "data").write_text("better!")
    new = await store.fetch(str(model))
    assert contents(new.path)["1/variables/data"] == "better!"
    assert contents(old.path) == MNIST


async def test_touched_but_equal_files_give_the_same_tree(store: ModelStore, model: Path) -> None:
    old = await store.fetch(str(model))
    os.utime(model / "1" / "saved_model.pb", ns=(1, 1))
    assert (await store.fetch(str(model))).digest == old.digest


async def test_file_swapped_under_the_same_size_and_time_is_seen(
    store: ModelStore, model: Path
) -> None:
    data = model / "1" / "variables" / "data"
    old, times = await store.fetch(str(model)), data.stat()
    other = data.with_name("other")
    other.write_text("WEIGHTS")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(data)
    assert (await store.fetch(str(model))).digest != old.digest


async def test_added_file_is_seen(store: ModelStore, model: Path) -> None:
    await store.fetch(str(model))
    (model / "2").mkdir()
    (model / "2" / "saved_model.pb").write_text("v2")
    assert "2/saved_model.pb" in contents((await store.fetch(str(model))).path)


async def test_edit_of_the_source_does_not_reach_the_tree(store: ModelStore, model: Path) -> None:
    fetched = await store.fetch(str(model))
    with (model / "1" / "saved_model.pb").open("r+") as file:
        file.write("XXXXX")
    assert contents(fetched.path) == MNIST


async def test_cached_knows_only_what_was_fetched(store: ModelStore, model: Path) -> None:
    assert await store.cached(str(model)) is None
    fetched = await store.fetch(str(model))
    cached = await store.cached(str(model))
    assert cached == replace(fetched, cached=True)


async def test_cached_does_not_answer_for_a_changed_source(store: ModelStore, model: Path) -> None:
    await store.fetch(str(model))
    (model / "1" / "saved_model.pb").write_text("changed")
    assert await store.cached(str(model)) is None


async def test_cached_does_not_answer_for_a_deleted_source(store: ModelStore, model: Path) -> None:
    await store.fetch(str(model))
    shutil.rmtree(model)
    assert await store.cached(str(model)) is None


async def test_cache_outlives_its_process(store: ModelStore, model: Path, tmp_path: Path) -> None:
    first = await store.fetch(str(model))
    again = await ModelStore(tmp_path / "cache").fetch(str(model))
    assert (again.path, again.cached) == (first.path, True)


async def test_equal_contents_are_stored_once(
    store: ModelStore, model: Path, tmp_path: Path
) -> None:
    shutil.copytree(model, tmp_path / "copy")
    (tmp_path / "copy" / "1" / "saved_model.pb").write_text("other")
    one, two = await store.fetch(str(model)), await store.fetch(f"{tmp_path}/copy")
    weights = [fetched.path / "1" / "variables" / "data" for fetched in (one, two)]
    assert weights[0].samefile(weights[1])


@pytest.mark.parametrize("name", ["m.tar.gz", "m.tgz", "m.zip"])
async def test_single_archive_is_unpacked(store: ModelStore, tmp_path: Path, name: str) -> None:
    make = zip_of if name.endswith("zip") else tar_of
    make(tmp_path / name, {"1/saved_model.pb": b"graph"})
    fetched = await store.fetch(f"file://{tmp_path}/{name}")
    assert contents(fetched.path) == {"1/saved_model.pb": "graph"}


async def test_archive_alone_in_a_folder_is_unpacked(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    tar_of(tmp_path / "folder" / "m.tgz", {"model.joblib": b"x"})
    assert contents((await store.fetch(f"{tmp_path}/folder")).path) == {"model.joblib": "x"}


async def test_archive_among_other_files_stays(store: ModelStore, model: Path) -> None:
    tar_of(model / "assets.tgz", {"a": b"x"})
    assert (await store.fetch(str(model))).path.joinpath("assets.tgz").is_file()


async def test_links_of_an_archive_work_in_the_tree(store: ModelStore, tmp_path: Path) -> None:
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "blob").write_text("x")
    (folder / "model.joblib").symlink_to("blob")
    shutil.make_archive(f"{tmp_path}/l", "gztar", folder)
    fetched = await store.fetch(f"{tmp_path}/l.tar.gz")
    assert fetched.path.joinpath("model.joblib").readlink() == Path("blob")


async def test_links_of_a_folder_are_followed(store: ModelStore, model: Path) -> None:
    (model / "latest").symlink_to("1")
    files = contents((await store.fetch(str(model))).path)
    assert files["latest/saved_model.pb"] == "graph"


async def test_link_that_runs_in_a_circle_is_refused(store: ModelStore, model: Path) -> None:
    (model / "1" / "self").symlink_to("..")
    with pytest.raises(ModelInvalid, match="is a link to a folder that holds it"):
        await store.fetch(str(model))


async def test_dangling_link_is_refused(store: ModelStore, model: Path) -> None:
    (model / "gone").symlink_to("nothing")
    with pytest.raises(ModelInvalid, match="is a link to nothing"):
        await store.fetch(str(model))


async def test_pipe_is_refused_without_being_opened(store: ModelStore, model: Path) -> None:
    os.mkfifo(model / "pipe")
    with pytest.raises(ModelInvalid, match="is not a regular file"):
        await store.fetch(str(model))


async def test_tree_is_readable_and_not_writable_by_others(store: ModelStore, model: Path) -> None:
    (model / "1" / "saved_model.pb").chmod(0o600)
    (model / "1").chmod(0o700)
    fetched = await store.fetch(str(model))
    modes = {path.stat().st_mode & 0o777 for path in fetched.path.rglob("*") if path.is_file()}
    assert modes == {0o644}
    assert (fetched.path / "1").stat().st_mode & 0o777 == 0o755
    assert fetched.path.stat().st_mode & 0o777 == 0o755


async def test_concurrent_fetches_share_one_download(store: ModelStore, model: Path) -> None:
    fetched = await asyncio.gather(*(store.fetch(str(model)) for _ in range(5)))
    assert len({id(one) for one in fetched}) == 1


async def test_second_process_waits_for_the_first(model: Path, tmp_path: Path) -> None:
    stores = [ModelStore(tmp_path / "cache") for _ in range(2)]
    fetched = await asyncio.gather(*(store.fetch(str(model)) for store in stores))
    assert sorted(one.cached for one in fetched) == [False, True]


async def test_progress_ends_at_the_whole(store: ModelStore, model: Path) -> None:
    heard: list[FetchProgress] = []
    await store.fetch(str(model), heard.append)
    assert heard[-1] == FetchProgress(2, 2, 12, 12)


async def test_large_model_is_refused_before_it_is_moved(model: Path, tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "cache", limits=replace(Limits(), model_bytes=5))
    with pytest.raises(ModelTooLarge, match="check that the URI is that of a model"):
        await store.fetch(str(model))


async def test_too_many_files_are_refused(model: Path, tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "cache", limits=replace(Limits(), files=1))
    with pytest.raises(ModelTooLarge, match="The model has 2 files, more than 1"):
        await store.fetch(str(model))


async def test_failed_fetch_leaves_nothing_behind(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_text("no zip")
    with pytest.raises(ModelInvalid, match="The file format is not valid"):
        await store.fetch(f"{tmp_path}/bad.zip")
    assert await store.models() == []
    assert list((tmp_path / "cache" / "staging").iterdir()) == []


async def test_clean_removes_what_a_crash_left(
    store: ModelStore, model: Path, tmp_path: Path
) -> None:
    fetched = await store.fetch(str(model))
    (tmp_path / "cache" / "staging" / "dead").mkdir()
    (tmp_path / "cache" / "trees" / "half").mkdir()
    await store.clean()
    assert not (tmp_path / "cache" / "staging").exists()
    assert [tree.path for tree in await store.models()] == [fetched.path]
    assert not (tmp_path / "cache" / "trees" / "half").exists()


async def test_clean_spares_a_download_under_way(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "cache" / "staging" / "busy").mkdir(parents=True)
    async with store._trees.shared_lock():
        await store.clean()
    assert (tmp_path / "cache" / "staging" / "busy").exists()


async def three_models(store: ModelStore, tmp_path: Path) -> list[str]:
    digests = []
    for age, letter in enumerate("abc"):
        (tmp_path / letter).write_text(letter * 1000)
        fetched = await store.fetch(f"{tmp_path}/{letter}")
        os.utime(tmp_path / "cache" / "trees" / f"{fetched.digest}.json", (age, age))
        digests.append(fetched.digest)
    return digests


async def test_prune_removes_the_longest_unused_first(store: ModelStore, tmp_path: Path) -> None:
    oldest, *others = await three_models(store, tmp_path)
    removed = await store.prune(2500, in_use=())
    assert [tree.digest for tree in removed] == [oldest]
    assert [tree.digest for tree in await store.models()] == others


async def test_prune_never_removes_what_is_in_use(store: ModelStore, tmp_path: Path) -> None:
    oldest, middle, newest = await three_models(store, tmp_path)
    removed = await store.prune(0, in_use=[oldest, newest])
    assert [tree.digest for tree in removed] == [middle]


async def test_prune_frees_the_disk(store: ModelStore, tmp_path: Path) -> None:
    await three_models(store, tmp_path)
    await store.prune(0, in_use=())
    assert list((tmp_path / "cache" / "objects").glob("*/*")) == []


async def test_pruned_model_is_fetched_again(store: ModelStore, model: Path) -> None:
    await store.fetch(str(model))
    await store.prune(0, in_use=())
    assert not (await store.fetch(str(model))).cached


async def test_use_counts_for_prune(store: ModelStore, tmp_path: Path) -> None:
    oldest, middle, _ = await three_models(store, tmp_path)
    await store.cached(f"{tmp_path}/a")
    removed = await store.prune(2500, in_use=())
    assert [tree.digest for tree in removed] == [middle]
    assert oldest != middle


async def test_copy_links_to_the_cache(store: ModelStore, model: Path, tmp_path: Path) -> None:
    fetched = await store.fetch(str(model))
    copy_tree(fetched.path, tmp_path / "mnt")
    copy_tree(fetched.path, tmp_path / "mnt")
    assert contents(tmp_path / "mnt") == MNIST
    name = "1/saved_model.pb"
    assert (tmp_path / "mnt" / name).samefile(fetched.path / name)


def test_models_live_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert default_root() == Path("/cache/stagezero/models")


async def test_root_that_cannot_be_written_is_told(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailing, match=r"cannot be used: .*Not a directory") as caught:
        await ModelStore(tmp_path / "file" / "cache").fetch(str(model))
    assert not caught.value.permanent


async def test_model_that_never_rests_is_tried_again_later(store: ModelStore, model: Path) -> None:
    def write_on(progress: FetchProgress) -> None:
        (model / "1" / "saved_model.pb").write_text(f"{progress.elapsed_s}{os.urandom(4).hex()}")

    with pytest.raises(SourceChanging, match="changes while it is being read"):
        await store.fetch(str(model), write_on)
    assert await store.models() == []
