"""The loop: which keys run, when again, and what one key's failure means for the others."""

import asyncio
import logging
from collections import Counter, defaultdict
from itertools import pairwise

import msgspec
import pytest

from stagezero.api import errors
from stagezero.api.base import Key, Object, ObjectMeta, to_raw
from stagezero.api.core import ConfigMap
from stagezero.client.cache import Caches
from stagezero.kit.tasks import TaskOwner
from stagezero.runtime.loop import Loop, Step, StepFailed

pytestmark = pytest.mark.looptime

A, B = Key("ns", "a"), Key("ns", "b")


class Ran:
    """A step that notes when each key ran; `outcome` decides how it ends."""

    def __init__(self, *outcomes: float | BaseException | None) -> None:
        self.at: dict[Key, list[float]] = defaultdict(list)
        self._outcomes = list(outcomes)

    async def step(self, key: Key) -> float | None:
        self.at[key].append(asyncio.get_running_loop().time())
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def gaps(self, key: Key) -> list[float]:
        times = self.at[key]
        return [round(after - before, 6) for before, after in pairwise(times)]


async def run(step: Step, *keys: Key, for_s: float = 1000.0, workers: int = 4) -> Loop:
    """Run a loop on these keys for a while."""
    loop = Loop("tested", step, workers)
    owner = TaskOwner("test")
    owner.start(loop.run(), "loop")
    for key in keys:
        loop.add(key)
    await asyncio.sleep(for_s)
    await owner.stop()
    return loop


async def test_key_runs_once() -> None:
    ran = Ran()
    await run(ran.step, A)
    assert len(ran.at[A]) == 1


async def test_recheck_runs_again_after_the_wish() -> None:
    ran = Ran(7.0, 11.0)
    await run(ran.step, A)
    assert ran.gaps(A) == [7.0, 11.0]


async def test_failures_back_off_up_to_a_minute() -> None:
    ran = Ran(*[RuntimeError("no")] * 30)
    await run(ran.step, A, for_s=1200)
    gaps = ran.gaps(A)
    assert gaps[:4] == [0.05, 0.1, 0.2, 0.4]
    assert gaps[-1] == 60.0


async def test_success_ends_the_back_off() -> None:
    ran = Ran(*[RuntimeError("no")] * 5, 1.0, RuntimeError("again"), None)
    await run(ran.step, A)
    assert ran.gaps(A)[-1] == 0.05


async def test_conflict_runs_again_soon_but_never_spins() -> None:
    ran = Ran(*[errors.Conflict("changed")] * 1000)
    await run(ran.step, A, for_s=60)
    assert ran.gaps(A)[0] == 0.005
    assert len(ran.at[A]) < 100


async def test_conflict_is_no_failure() -> None:
    ran = Ran(errors.Conflict("changed"), RuntimeError("no"), None)
    await run(ran.step, A)
    assert ran.gaps(A) == [0.005, 0.05]


async def test_key_that_always_fails_does_not_hold_others() -> None:
    done: Counter[Key] = Counter()

    async def step(key: Key) -> float | None:
        if key == A:
            raise RuntimeError("for ever")
        done[key] += 1
        return 1.0

    await run(step, A, B, workers=1, for_s=100)
    assert done[B] >= 99


async def test_one_key_never_runs_twice_at_once() -> None:
    running: Counter[Key] = Counter()
    most = 0

    async def step(key: Key) -> float | None:
        nonlocal most
        running[key] += 1
        most = max(most, running[key])
        loop.add(key)
        await asyncio.sleep(1)
        running[key] -= 1
        return None

    loop = Loop("tested", step, workers=8)
    owner = TaskOwner("test")
    owner.start(loop.run(), "loop")
    for _ in range(20):
        loop.add(A)
        await asyncio.sleep(0.3)
    await owner.stop()
    assert most == 1


async def test_keys_run_side_by_side() -> None:
    ends: dict[Key, float] = {}

    async def step(key: Key) -> float | None:
        await asyncio.sleep(10)
        ends[key] = asyncio.get_running_loop().time()
        return None

    await run(step, A, B, workers=2)
    assert ends[A] == ends[B]


async def test_change_during_the_step_runs_it_again() -> None:
    ran = Ran()

    async def step(key: Key) -> float | None:
        if not ran.at[key]:
            loop.add(key)
        return await ran.step(key)

    loop = Loop("tested", step)
    owner = TaskOwner("test")
    owner.start(loop.run(), "loop")
    loop.add(A)
    await asyncio.sleep(1)
    await owner.stop()
    assert len(ran.at[A]) == 2


async def test_expected_failure_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await run(Ran(StepFailed("the model is missing")).step, A)
    assert [record.message for record in caplog.records] == ["tested ns/a: the model is missing"]
    assert caplog.records[0].exc_info is None


async def test_unexpected_failure_tells_where(caplog: pytest.LogCaptureFixture) -> None:
    await run(Ran(ZeroDivisionError("by zero")).step, A)
    assert "ZeroDivisionError" in caplog.text


async def test_cancelled_loop_leaves_no_timer() -> None:
    ran = Ran(50.0)
    await run(ran.step, A, for_s=1)
    await asyncio.sleep(100)
    assert len(ran.at[A]) == 1


def encoded(name: str, version: int) -> bytes:
    raw = to_raw(ConfigMap(metadata=ObjectMeta(name=name, namespace="ns", uid=name)))
    raw["metadata"]["resourceVersion"] = str(version)
    return msgspec.json.encode(raw)


async def test_both_sides_of_a_change_are_woken() -> None:
    """An object that leaves an owner concerns the old one too."""
    caches = Caches()
    cache = caches.add(ConfigMap)
    ran = Ran()
    loop = Loop("tested", ran.step)
    loop.wake_on(caches, ConfigMap, lambda thing, _: [Key("", thing.metadata.resource_version)])
    cache.event("ADDED", encoded("a", 1))
    cache.event("MODIFIED", encoded("a", 2))
    owner = TaskOwner("test")
    owner.start(loop.run(), "loop")
    await asyncio.sleep(1)
    await owner.stop()
    assert set(ran.at) == {Key("", "1"), Key("", "2")}


async def test_key_function_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caches = Caches()
    cache = caches.add(ConfigMap)
    heard: list[str] = []

    def broken(thing: Object, _: Caches) -> list[Key]:
        raise LookupError(thing.metadata.name)

    loop = Loop("tested", Ran().step)
    loop.wake_on(caches, ConfigMap, broken)
    cache.subscribe(lambda before, after: heard.append("heard"))
    cache.event("ADDED", encoded("a", 1))
    assert heard == ["heard"]
    assert "tested: cannot tell whom ConfigMap ns/a concerns" in caplog.text
