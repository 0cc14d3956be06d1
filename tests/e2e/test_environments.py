"""Environments built by the real pip, and the programs that run in them."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import urllib.request
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stagezero.node.images.catalogue import Catalogue
from stagezero.node.images.environments import Environments
from stagezero.node.images.errors import EnvironmentBuildFailed
from stagezero.node.images.image import Environment, Image
from stagezero.node.images.progress import BuildPhase, BuildProgress
from stagezero.node.images.wheel import DEPENDENCIES, read_model_server
from support.packages import write_lock, write_wheel

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip takes in place of an index, by the user's own settings."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


@pytest.fixture
def image(tmp_path: Path, wheels: Path) -> Image:
    lock = write_lock(tmp_path / "tiny.lock", write_wheel(wheels, "tiny"))
    return Image(("example/tiny",), ("{python}",), tmp_path / "x.toml", requirements=lock)


@pytest.fixture
async def environments(tmp_path: Path) -> AsyncIterator[Environments]:
    environments = Environments(tmp_path / "envs")
    yield environments
    await environments.close()


async def output(*command: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode().strip()


async def until(happened: Callable[[], bool], timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 - other processes do not wake this loop
            await asyncio.sleep(0.01)


async def test_locked_package_works_in_its_environment(
    environments: Environments, image: Image
) -> None:
    built = await environments.ensure(image)
    said = await output(built.prefix / "bin" / "tiny")
    assert said.startswith(f"hello from {built.prefix}/lib/")


async def test_packages_are_compiled_once_and_for_all(
    environments: Environments, image: Image
) -> None:
    built = await environments.ensure(image)
    compiled = await asyncio.to_thread(lambda: list(built.prefix.rglob("tiny.*.pyc")))
    assert len(compiled) == 1


async def test_platforms_packages_are_not_there(environments: Environments, image: Image) -> None:
    built = await environments.ensure(image)
    code = "import importlib.util as u; print(u.find_spec('aiohttp'), u.find_spec('stagezero'))"
    assert await output(built.python, "-c", code) == "None None"


async def test_build_tells_its_progress(environments: Environments, image: Image) -> None:
    heard: list[BuildProgress] = []
    await environments.ensure(image, heard.append)
    phases = list(dict.fromkeys(progress.phase for progress in heard))
    assert phases == [
        BuildPhase.RESOLVING,
        BuildPhase.DOWNLOADING,
        BuildPhase.INSTALLING,
        BuildPhase.COMPILING,
        BuildPhase.READY,
    ]
    assert any(progress.package == "tiny" for progress in heard)


async def test_changed_lock_makes_another_environment(
    environments: Environments, image: Image, wheels: Path, tmp_path: Path
) -> None:
    first = await environments.ensure(image)
    write_lock(tmp_path / "tiny.lock", write_wheel(wheels, "tiny", "2.0"))
    second = await environments.ensure(image)
    assert first.prefix != second.prefix
    assert first.python.exists()


async def test_wrong_hash_is_told(environments: Environments, image: Image, wheels: Path) -> None:
    write_wheel(wheels, "tiny", source="evil = True\n")
    with pytest.raises(EnvironmentBuildFailed) as caught:
        await environments.ensure(image)
    assert "tiny==1.0 does not have the hash that the lock asks for" in caught.value.reason
    assert "\n" not in str(caught.value)
    assert environments.infos() == []


async def test_package_that_is_nowhere_is_told(
    environments: Environments, image: Image, wheels: Path
) -> None:
    await asyncio.to_thread((wheels / "tiny-1.0-py3-none-any.whl").unlink)
    with pytest.raises(EnvironmentBuildFailed, match=r"no package index has tiny==1\.0, or"):
        await environments.ensure(image)


async def test_index_out_of_reach_is_told(
    environments: Environments, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(EnvironmentBuildFailed, match="the package index cannot be reached"):
        await environments.ensure(image)


async def test_lock_without_hashes_is_told(environments: Environments, image: Image) -> None:
    assert image.requirements is not None
    await asyncio.to_thread(image.requirements.write_text, "tiny==1.0\n")
    with pytest.raises(EnvironmentBuildFailed, match="pip-compile --generate-hashes"):
        await environments.ensure(image)


async def test_failed_build_succeeds_once_mended(
    environments: Environments, image: Image, wheels: Path
) -> None:
    wheel = wheels / "tiny-1.0-py3-none-any.whl"
    good = await asyncio.to_thread(wheel.read_bytes)
    await asyncio.to_thread(wheel.write_bytes, b"broken")
    with pytest.raises(EnvironmentBuildFailed):
        await environments.ensure(image)
    await asyncio.to_thread(wheel.write_bytes, good)
    assert (await environments.ensure(image)).python.exists()


async def test_new_model_server_reuses_the_packages(
    environments: Environments, image: Image, wheels: Path, tmp_path: Path
) -> None:
    fakes = [write_wheel(wheels, name) for name in (*DEPENDENCIES, "tiny")]
    lock = write_lock(tmp_path / "server.lock", *fakes)
    plain = await environments.ensure(replace(image, requirements=lock))
    for wheel in fakes:
        wheel.unlink()
    served = await environments.ensure(replace(image, requirements=lock, model_server=True))
    said = await output(served.prefix / "bin" / "tiny")
    assert said.startswith(f"hello from {served.prefix}/lib/")
    assert plain.prefix != served.prefix
    version = "import importlib.metadata as m; print(m.version('stagezero-modelserver'))"
    assert await output(served.python, "-c", version) == read_model_server().version


async def test_wheel_is_one_that_pip_accepts(
    environments: Environments, image: Image, tmp_path: Path
) -> None:
    built = await environments.ensure(image)
    wheel = read_model_server().write(tmp_path)
    pip = (sys.executable, "-m", "pip", "--python", str(built.python))
    await output(*pip, "install", "-q", "--no-deps", wheel)
    code = "import stagezero.modelserver; print(stagezero.__file__)"
    assert (await output(built.python, "-c", code)).startswith(str(built.prefix))


BUILD = """
import asyncio, sys
from pathlib import Path
from stagezero.node.images.catalogue import Catalogue
from stagezero.node.images.environments import Environments

async def main():
    folder, root = map(Path, sys.argv[1:])
    environments = Environments(root)
    built = await environments.ensure(Catalogue([folder]).resolve("example/tiny"))
    print(built.prefix)

asyncio.run(main())
"""


@pytest.fixture
def user_folder(tmp_path: Path, image: Image) -> Path:
    folder = tmp_path / "catalogue"
    folder.mkdir()
    (folder / "tiny.toml").write_text(
        '[[image]]\nnames = ["example/tiny"]\nentrypoint = ["{prefix}/bin/tiny"]\n'
        f"requirements = {json.dumps(str(image.requirements))}\n"
    )
    return folder


async def builder(user_folder: Path, root: Path) -> Process:
    command = (sys.executable, "-c", BUILD, str(user_folder), str(root))
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE)


async def test_processes_share_one_build(user_folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "envs"
    processes = [await builder(user_folder, root) for _ in range(3)]
    prefixes = {(await process.communicate())[0] for process in processes}
    assert len(prefixes) == 1
    logs = await asyncio.to_thread(lambda: list((root / ".logs").iterdir()))
    assert len(logs) == 1


async def test_killed_build_does_not_count_and_is_made_good(
    user_folder: Path, tmp_path: Path
) -> None:
    root = tmp_path / "envs"
    process = await builder(user_folder, root)
    await until(lambda: any(root.glob("*/pyvenv.cfg")))
    process.kill()
    await process.communicate()
    after = Environments(root)
    image = Catalogue([user_folder]).resolve("example/tiny")
    assert after.find(image) is None
    built = await after.ensure(image)
    assert (await output(built.prefix / "bin" / "tiny")).startswith("hello from")


async def test_users_own_image_runs(
    user_folder: Path, environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Catalogue([user_folder]).resolve("docker.io/example/tiny:latest")
    built = await environments.ensure(image)
    assert (await output(*image.argv(built))).startswith("hello from")


@pytest.fixture
async def hello(environments: Environments) -> AsyncIterator[tuple[Process, int]]:
    image = Catalogue().resolve("gcr.io/knative-samples/helloworld-go")
    built = await environments.ensure(image)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await start(image, built, {"PORT": str(port), "TARGET": "Go Sample v1"})
    yield process, port
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.communicate()


async def start(image: Image, built: Environment, env: dict[str, str]) -> Process:
    process = await asyncio.create_subprocess_exec(
        *image.argv(built), env=image.environ(built) | env, stderr=PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(20):
        while b"listening on port" not in await process.stderr.readline():
            pass
    return process


def get(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/any", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


async def test_helloworld_greets_its_target(hello: tuple[Process, int]) -> None:
    assert await asyncio.to_thread(get, hello[1]) == "Hello Go Sample v1!\n"


async def test_helloworld_ends_on_sigterm(hello: tuple[Process, int]) -> None:
    process, port = hello
    await asyncio.to_thread(get, port)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await process.wait() == 0


async def test_helloworld_logs_as_the_go_sample_does(hello: tuple[Process, int]) -> None:
    process, port = hello
    await asyncio.to_thread(get, port)
    assert process.stderr is not None
    line = (await process.stderr.readline()).decode()
    assert line[4] == line[7] == "/"
    assert line.endswith(" helloworld: received a request\n")


async def test_sklearn_server_lives_apart_from_the_platform(environments: Environments) -> None:
    """Needs a package index; the lock is the one that is shipped."""
    image = Catalogue().resolve("kserve/sklearnserver:v0.8.0")
    built = await environments.ensure(image)
    code = "import sys, sklearn, stagezero.modelserver as m; print(sys.prefix, m.__file__)"
    prefix, module = (await output(built.python, "-c", code)).split()
    assert prefix == str(built.prefix)
    assert module.startswith(prefix)
    await output(sys.executable, "-m", "pip", "--python", str(built.python), "check")
