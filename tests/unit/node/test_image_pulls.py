"""Pulls that several pods wait for."""

import asyncio
from pathlib import Path

import pytest

from stagezero.api.base import Key
from stagezero.kit.clock import LoopClock
from stagezero.node.image_pulls import ImagePulls
from stagezero.node.images.catalogue import Catalogue
from stagezero.node.images.environments import Environments
from stagezero.node.images.errors import EnvironmentBuildFailed
from stagezero.node.images.image import Environment, Image
from stagezero.node.images.progress import ProgressCallback, silent
from stagezero.runtime.plan import Happening

pytestmark = [pytest.mark.looptime]

FIRST, SECOND = Key("default", "first"), Key("default", "second")
IMAGE = "example/slow"
ENTRY = f'[[image]]\nnames = ["{IMAGE}"]\nentrypoint = ["{{python}}"]\n'


class SlowEnvironments(Environments):
    """Environments of which each takes a minute to build, and fails if it shall."""

    def __init__(self, root: Path, error: EnvironmentBuildFailed | None = None) -> None:
        super().__init__(root)
        self._error = error

    async def ensure(self, image: Image, progress: ProgressCallback = silent) -> Environment:
        """Build."""
        await asyncio.sleep(60)
        if self._error is not None:
            raise self._error
        return Environment("abc", Path("/envs/abc"), Path("/envs/abc/bin/python"))


class Listener:
    """What pods were told of, by reason."""

    def __init__(self) -> None:
        self.reasons: list[tuple[str, str]] = []

    def tell(self, pod: Key, happening: Happening) -> None:
        """Note it."""
        self.reasons.append((pod.name, happening.reason))


def pulls_of(
    root: Path, listener: Listener, error: EnvironmentBuildFailed | None = None
) -> ImagePulls:
    folder = root / "catalogue"
    folder.mkdir()
    (folder / "slow.toml").write_text(ENTRY)
    environments = SlowEnvironments(root / "envs", error)
    return ImagePulls(Catalogue((folder,)), environments, LoopClock(), listener.tell)


async def test_a_pod_that_comes_while_an_image_is_pulled_hears_of_the_end(tmp_path: Path) -> None:
    listener = Listener()
    pulls = pulls_of(tmp_path, listener)
    pulls.pull(IMAGE, FIRST)
    await asyncio.sleep(30)
    pulls.pull(IMAGE, SECOND)
    await asyncio.sleep(31)
    assert sorted(listener.reasons[2:]) == [("first", "Pulled"), ("second", "Pulled")]
    await pulls.close()


async def test_a_pull_that_is_joined_twice_is_told_once(tmp_path: Path) -> None:
    listener = Listener()
    pulls = pulls_of(tmp_path, listener)
    for _ in range(3):
        pulls.pull(IMAGE, FIRST)
        await asyncio.sleep(1)
    assert listener.reasons == [("first", "Pulling")]
    await pulls.close()


async def test_a_pod_that_joined_hears_of_a_failure(tmp_path: Path) -> None:
    listener = Listener()
    pulls = pulls_of(tmp_path, listener, EnvironmentBuildFailed("slow", "no index"))
    pulls.pull(IMAGE, FIRST)
    await asyncio.sleep(1)
    pulls.pull(IMAGE, SECOND)
    await asyncio.sleep(60)
    assert ("second", "Failed") in listener.reasons
    await pulls.close()
