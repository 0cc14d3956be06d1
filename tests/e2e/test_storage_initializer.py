"""The storage initializer as a program, as a pod's init container runs it."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator
from pathlib import Path

import pytest

from stagezero.node.storage.store import ModelStore
from support.buckets import Ask, Bucket, Reply, serving

pytestmark = pytest.mark.e2e


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "mnist" / "1"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_text("graph")
    return tmp_path / "models"


async def initializer(*args: str | Path, **env: str) -> tuple[int, list[str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "stagezero.node.storage",
        *map(str, args),
        env={**os.environ, **env},
        stdout=PIPE,
        stderr=STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    lines = [line.partition("] ")[2] or line for line in said.decode().splitlines()]
    return process.returncode, lines


async def test_model_lands_in_its_folder(model: Path, tmp_path: Path) -> None:
    target, mirror = tmp_path / "mnt", f"gs://kserve/=file://{tmp_path}/"
    code, lines = await initializer(
        "gs://kserve/models/mnist", target, "--mirror", mirror, "--cache", tmp_path / "cache"
    )
    assert code == 0
    assert (target / "1" / "saved_model.pb").exists()
    assert lines[0] == (
        f"Initializing, args: src_uri [gs://kserve/models/mnist] dest_path[ [{target}]"
    )
    assert lines[1] == (
        f"Copying contents of gs://kserve/models/mnist to local (mirror: file://{model}/mnist)"
    )
    assert lines[-1] == f"Successfully copied gs://kserve/models/mnist to {target}"


async def test_variables_stand_in_for_options(model: Path, tmp_path: Path) -> None:
    code, _ = await initializer(
        "gs://kserve/models/mnist",
        tmp_path / "mnt",
        STAGEZERO_MODEL_MIRRORS=f"s3://x/=file:///x/\ngs://kserve/=file://{tmp_path}/",
        STAGEZERO_MODEL_CACHE=str(tmp_path / "cache"),
    )
    assert code == 0
    assert (tmp_path / "cache" / "trees").exists()


async def test_bucket_is_read_with_the_pods_variables(tmp_path: Path) -> None:
    with serving(Bucket({"kserve/m/model.joblib": b"forest"})) as endpoint:
        code, _ = await initializer(
            "gs://kserve/m", tmp_path / "mnt", "--cache", tmp_path / "c",
            STORAGE_EMULATOR_HOST=endpoint,
        )  # fmt: skip
    assert code == 0
    assert (tmp_path / "mnt" / "model.joblib").exists()


async def test_failure_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    code, lines = await initializer(
        tmp_path / "none", tmp_path / "mnt", "--cache", tmp_path / "cache"
    )
    assert code == 1
    assert lines[-1] == f"Local path {tmp_path}/none does not exist."
    assert len(lines) == 3


async def test_the_reason_alone_is_the_termination_message(tmp_path: Path) -> None:
    last_words = tmp_path / "termination-log"
    await initializer(
        tmp_path / "none",
        tmp_path / "mnt",
        STAGEZERO_MODEL_CACHE=str(tmp_path / "cache"),
        STAGEZERO_TERMINATION_LOG=str(last_words),
    )
    assert last_words.read_text() == f"Local path {tmp_path}/none does not exist."


async def test_failure_that_may_pass_has_its_own_code(tmp_path: Path) -> None:
    code, lines = await initializer(
        "http://127.0.0.1:1/m.joblib", tmp_path / "mnt", "--cache", tmp_path / "cache"
    )
    assert code == 75
    assert lines[-1].startswith("Cannot reach http://127.0.0.1:1/m.joblib: ")


@pytest.fixture
def slow_site() -> Iterator[str]:
    """Has a model that takes a while to arrive."""

    def answer(_ask: Ask) -> Reply:
        headers = {"Content-Type": "application/octet-stream"}
        return Reply(200, b"x" * 50_000_000, headers)

    with serving(answer) as url:
        yield url


async def test_killed_download_leaves_no_tree(slow_site: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stagezero.node.storage", f"{slow_site}/m.joblib",
        str(tmp_path / "mnt"), "--cache", str(cache), stdout=PIPE,
    )  # fmt: skip
    async with asyncio.timeout(20):
        while not any(cache.glob("staging/*/download/*")):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.001)
    process.kill()
    await process.communicate()
    store = ModelStore(cache)
    assert await store.models() == []
    await store.clean()
    assert not (cache / "staging").exists()
