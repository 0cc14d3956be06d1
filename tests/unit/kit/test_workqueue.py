"""The queue of keys: once, never twice at a time, later if asked."""

import asyncio

import pytest

from stagezero.kit.workqueue import WorkQueue

pytestmark = pytest.mark.looptime


async def test_key_is_queued_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    assert await queue.take() == "a"
    assert len(queue) == 0


async def test_key_added_during_work_returns() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    key = await queue.take()
    queue.add("a")
    assert len(queue) == 0
    queue.done(key)
    assert await queue.take() == "a"


async def test_earliest_delay_wins() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 100)
    queue.add_after("a", 5)
    queue.add_after("a", 50)
    loop = asyncio.get_running_loop()
    start = loop.time()
    await queue.take()
    assert loop.time() - start == pytest.approx(5)
    queue.close()


async def test_addition_now_cancels_the_delay() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 5)
    queue.add("a")
    queue.done(await queue.take())
    await asyncio.sleep(10)
    assert len(queue) == 0


async def test_idle_waits_for_the_worker() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    key = await queue.take()
    waiting = asyncio.create_task(queue.idle())
    await asyncio.sleep(1)
    assert not waiting.done()
    queue.done(key)
    await asyncio.wait_for(waiting, 1)


async def test_close_drops_delays() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 1)
    queue.close()
    await asyncio.sleep(2)
    assert len(queue) == 0
