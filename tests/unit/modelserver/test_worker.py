"""The worker: off the loop, together where possible, bounded, and unharmed by what models do."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from stagezero.modelserver import worker as worker_module
from stagezero.modelserver.errors import Overloaded
from stagezero.modelserver.transports.messages import Response
from stagezero.modelserver.worker import Job, Worker
from support.modelserver import KeptExchange


class Recorder:
    """Answers each job with its body; remembers which came together, and may be held or raise."""

    def __init__(self, raises: BaseException | None = None) -> None:
        self.groups: list[list[bytes]] = []
        self.threads: set[str] = set()
        self.may_go = threading.Event()
        self.may_go.set()
        self.has_begun = threading.Event()
        self._raises = raises

    def execute(self, jobs: Sequence[Job]) -> Iterator[Response]:
        self.groups.append([job.body for job in jobs])
        self.threads.add(threading.current_thread().name)
        self.has_begun.set()
        assert self.may_go.wait(5)
        for job in jobs:
            if self._raises is not None and job.body == b"bad":
                raise self._raises
            yield Response(200, job.body)

    def failure(self, error: BaseException) -> Response:
        return Response(500, type(error).__name__.encode())


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker(asyncio.get_running_loop(), thread_count=1)
    yield worker
    await end(worker)


async def end(worker: Worker) -> None:
    worker.close()
    for thread in worker._threads:
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()


def submit(worker: Worker, executor: Recorder, *bodies: bytes) -> list[KeptExchange]:
    exchanges = []
    for body in bodies:
        exchanges.append(KeptExchange())
        worker.submit(Job(executor, body, exchanges[-1]))
    return exchanges


async def bodies_of(exchanges: list[KeptExchange]) -> list[bytes]:
    return [(await exchange.answer()).body for exchange in exchanges]


async def test_jobs_of_one_turn_come_together(worker: Worker) -> None:
    recorder = Recorder()
    exchanges = submit(worker, recorder, b"a", b"b", b"c")
    assert await bodies_of(exchanges) == [b"a", b"b", b"c"]
    assert recorder.groups == [[b"a", b"b", b"c"]]


async def test_models_run_off_the_loops_thread(worker: Worker) -> None:
    recorder = Recorder()
    await bodies_of(submit(worker, recorder, b"a"))
    assert recorder.threads == {"predict-0"}


async def test_what_arrives_meanwhile_is_taken_together_next(worker: Worker) -> None:
    recorder = Recorder()
    recorder.may_go.clear()
    first = submit(worker, recorder, b"a")
    await asyncio.to_thread(recorder.has_begun.wait, 5)
    second = submit(worker, recorder, b"b")
    await asyncio.sleep(0)
    third = submit(worker, recorder, b"c")
    await asyncio.sleep(0)
    recorder.may_go.set()
    assert await bodies_of(first + second + third) == [b"a", b"b", b"c"]
    assert recorder.groups == [[b"a"], [b"b", b"c"]]


async def test_jobs_of_two_kinds_are_executed_apart(worker: Worker) -> None:
    one, other = Recorder(), Recorder()
    exchanges = submit(worker, one, b"a") + submit(worker, other, b"b") + submit(worker, one, b"c")
    await bodies_of(exchanges)
    assert one.groups == [[b"a"], [b"c"]]
    assert other.groups == [[b"b"]]


@pytest.mark.parametrize("error", [ValueError(), SystemExit(), KeyboardInterrupt(), MemoryError()])
async def test_whatever_is_raised_is_answered_to_its_cause_alone(
    worker: Worker, error: BaseException
) -> None:
    recorder = Recorder(raises=error)
    exchanges = submit(worker, recorder, b"good", b"bad", b"after")
    assert await bodies_of(exchanges) == [b"good", type(error).__name__.encode(), b"after"]
    assert await bodies_of(submit(worker, recorder, b"next")) == [b"next"]


async def test_a_job_whose_client_left_is_not_run(worker: Worker) -> None:
    recorder = Recorder()
    recorder.may_go.clear()
    first = submit(worker, recorder, b"a")
    await asyncio.to_thread(recorder.has_begun.wait, 5)
    gone, here = submit(worker, recorder, b"gone", b"here")
    gone.is_abandoned = True
    await asyncio.sleep(0)
    recorder.may_go.set()
    assert await bodies_of([*first, here]) == [b"a", b"here"]
    assert recorder.groups == [[b"a"], [b"here"]]
    assert not gone.responses


async def test_too_many_jobs_are_refused(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "MAX_WAITING", 2)
    recorder = Recorder()
    exchanges = submit(worker, recorder, b"a", b"b")
    with pytest.raises(Overloaded, match="2 requests wait"):
        submit(worker, recorder, b"c")
    await bodies_of(exchanges)
    assert await bodies_of(submit(worker, recorder, b"d")) == [b"d"]


async def test_too_many_bytes_are_refused_but_never_the_first(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MAX_WAITING_BYTES", 10)
    recorder = Recorder()
    exchanges = submit(worker, recorder, b"x" * 100)
    with pytest.raises(Overloaded):
        submit(worker, recorder, b"y")
    await bodies_of(exchanges)
    assert worker.waiting == 0


async def test_several_threads_work_side_by_side() -> None:
    worker = Worker(asyncio.get_running_loop(), thread_count=2)
    held, free = Recorder(), Recorder()
    held.may_go.clear()
    slow = submit(worker, held, b"slow")
    assert await bodies_of(submit(worker, free, b"quick")) == [b"quick"]
    held.may_go.set()
    assert await bodies_of(slow) == [b"slow"]
    await end(worker)
