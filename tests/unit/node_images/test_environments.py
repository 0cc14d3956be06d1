import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from stagezero.node.images.environments import Environments, default_root
from stagezero.node.images.errors import (
    EnvironmentBuildFailed,
    EnvironmentInUse,
    EnvironmentNotFound,
)
from stagezero.node.images.image import Image, Interpreter
from stagezero.node.images.progress import BuildPhase, BuildProgress

BARE = Image(names=("example/bare",), entrypoint=("{python}",), defined_in=Path("x.toml"))


@pytest.fixture
async def environments(tmp_path: Path) -> AsyncIterator[Environments]:
    environments = Environments(tmp_path / "envs")
    yield environments
    await environments.close()


async def test_image_without_requirements_gets_an_empty_interpreter(
    environments: Environments,
) -> None:
    environment = await environments.ensure(BARE)
    process = await asyncio.create_subprocess_exec(
        environment.python, "-c", "import sys; print(sys.prefix)", stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said.decode().strip() == str(environment.prefix)


async def test_platform_image_runs_where_we_run(environments: Environments) -> None:
    environment = await environments.ensure(replace(BARE, interpreter=Interpreter.PLATFORM))
    assert environment.digest == "platform"
    assert environments.infos() == []


async def test_environment_is_not_found_before_it_is_built(environments: Environments) -> None:
    assert environments.find(BARE) is None
    built = await environments.ensure(BARE)
    assert environments.find(BARE) == built


async def test_second_request_builds_nothing(environments: Environments) -> None:
    await environments.ensure(BARE)
    phases: list[BuildProgress] = []
    await environments.ensure(BARE, phases.append)
    assert phases == []


async def test_concurrent_requests_share_one_build(environments: Environments) -> None:
    heard: list[list[BuildProgress]] = [[], []]
    first, second = await asyncio.gather(*(environments.ensure(BARE, one.append) for one in heard))
    assert first == second
    assert heard[0] == heard[1]
    assert [progress.phase for progress in heard[0]] == [BuildPhase.RESOLVING, BuildPhase.READY]


async def test_second_process_waits_for_the_first(tmp_path: Path) -> None:
    ours, theirs = Environments(tmp_path), Environments(tmp_path)
    phases: list[BuildPhase] = []
    await asyncio.gather(
        ours.ensure(BARE), theirs.ensure(BARE, lambda progress: phases.append(progress.phase))
    )
    assert phases == [BuildPhase.WAITING]


async def test_half_built_folder_does_not_count(environments: Environments, tmp_path: Path) -> None:
    built = await environments.ensure(BARE)
    (tmp_path / "envs" / f"{built.digest}.json").unlink()
    (built.prefix / "rest-of-a-crash").touch()
    assert environments.find(BARE) is None
    assert [info.complete for info in environments.infos()] == [False]
    await environments.ensure(BARE)
    assert not (built.prefix / "rest-of-a-crash").exists()


async def test_clean_removes_what_a_crash_left(environments: Environments, tmp_path: Path) -> None:
    await environments.ensure(BARE)
    (tmp_path / "envs" / "0123456789abcdef" / "bin").mkdir(parents=True)
    environments.clean()
    assert [info.images for info in environments.infos()] == [("example/bare",)]


async def test_clean_spares_a_build_under_way(environments: Environments, tmp_path: Path) -> None:
    folder = tmp_path / "envs" / "0123456789abcdef"
    folder.mkdir(parents=True)
    async with environments._lock("0123456789abcdef"):
        environments.clean()
        assert folder.exists()


async def test_environment_with_a_vanished_interpreter_does_not_count(
    environments: Environments,
) -> None:
    built = await environments.ensure(BARE)
    built.python.unlink()
    assert environments.find(BARE) is None


async def test_info_tells_images_size_and_use(environments: Environments) -> None:
    built = await environments.ensure(BARE)
    [info] = environments.infos()
    assert (info.digest, info.complete, info.images) == (built.digest, True, ("example/bare",))
    assert info.size_bytes > 0
    assert info.last_used is not None


async def test_prune_keeps_what_it_is_told(environments: Environments) -> None:
    built = await environments.ensure(BARE)
    assert environments.prune(keep=[built.digest]) == []
    assert [info.digest for info in environments.prune()] == [built.digest]
    assert environments.infos() == []
    assert not built.prefix.exists()


async def test_prune_spares_running_interpreters(environments: Environments) -> None:
    built = await environments.ensure(BARE)
    process = await asyncio.create_subprocess_exec(
        built.python, "-c", "input()", stdin=subprocess.PIPE
    )
    assert environments.prune() == []
    with pytest.raises(EnvironmentInUse, match=f"environment {built.digest} is in use"):
        environments.remove(built.digest)
    await process.communicate(b"\n")
    assert len(environments.prune()) == 1


async def test_remove_of_an_unknown_digest_says_so(environments: Environments) -> None:
    with pytest.raises(EnvironmentNotFound, match='no environment "feed" under'):
        environments.remove("feed")


async def test_removed_environment_is_built_again(environments: Environments) -> None:
    built = await environments.ensure(BARE)
    environments.remove(built.digest)
    assert await environments.ensure(BARE) == built


async def test_lock_without_the_servers_packages_is_told(
    environments: Environments,
) -> None:
    image = replace(BARE, model_server=True)
    with pytest.raises(EnvironmentBuildFailed, match="lack httptools, msgspec, numpy, uvloop"):
        await environments.ensure(image)
    assert environments.infos() == []


async def test_cancelled_caller_leaves_the_build_to_others(environments: Environments) -> None:
    impatient = asyncio.create_task(environments.ensure(BARE))
    patient = asyncio.create_task(environments.ensure(BARE))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).python.exists()


async def test_close_leaves_no_half_built_folder(environments: Environments) -> None:
    building = asyncio.create_task(environments.ensure(BARE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await environments.close()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert [info for info in environments.infos() if not info.complete] == []


def test_environments_live_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert default_root() == Path("/cache/stagezero/envs")


async def test_root_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentBuildFailed, match=r"cannot be used: .*Not a directory"):
        await Environments(tmp_path / "file" / "envs").ensure(BARE)


async def test_vanished_requirements_are_told(environments: Environments, tmp_path: Path) -> None:
    image = replace(BARE, requirements=tmp_path / "gone.lock")
    with pytest.raises(EnvironmentBuildFailed, match="its requirements cannot be read"):
        await environments.ensure(image)
