"""Where models run: off the event loop, in a bounded queue, so that nothing else ever waits.

What arrives is taken together: when a thread is free it takes everything that waits and hands jobs
of the same kind to their executor at once, which may answer them with one call of the model.
Nobody waits for company: an idle thread starts with the first job.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from stagezero.modelserver.errors import Overloaded
from stagezero.modelserver.transports.messages import Exchange, Response

log = logging.getLogger("stagezero.modelserver")

MAX_WAITING = 1024
MAX_WAITING_BYTES = 256 * 1024 * 1024
_MAX_TOGETHER = 128
# Finished answers travel to the event loop together, unless the oldest has waited this long.
_DELIVER_AFTER_S = 0.001


@dataclass(frozen=True, slots=True)
class Job:
    """One request's work: the body to decode, and where its answer goes."""

    executor: "Executor"
    body: bytes
    exchange: Exchange


class Executor(Protocol):
    """Decodes, runs the model and encodes, for jobs of one kind. Called on a worker's thread."""

    def execute(self, jobs: Sequence[Job]) -> Iterator[Response]:
        """Yield one response a job, in order, each as soon as it is there."""

    def failure(self, error: BaseException) -> Response:
        """The answer when `execute` itself raised."""


_Answer = tuple[Job, Response | None]


class Worker:
    """Threads that run jobs; `submit` and the answers belong to the event loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread_count: int) -> None:
        self._loop = loop
        self._queue: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._arrived: list[Job] = []
        self._waiting = 0
        self._waiting_bytes = 0
        self._shares = thread_count == 1
        self._threads = [
            threading.Thread(target=self._run, name=f"predict-{index}", daemon=True)
            for index in range(thread_count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that are not answered yet."""
        return self._waiting

    def submit(self, job: Job) -> None:
        """Queue the job; raises Overloaded if too much waits already."""
        full = self._waiting_bytes + len(job.body) > MAX_WAITING_BYTES and self._waiting > 0
        if self._waiting >= MAX_WAITING or full:
            raise Overloaded(self._waiting)
        self._waiting += 1
        self._waiting_bytes += len(job.body)
        if not self._shares:
            self._queue.put([job])
            return
        if not self._arrived:
            self._loop.call_soon(self._hand_over)
        self._arrived.append(job)

    def _hand_over(self) -> None:
        arrived, self._arrived = self._arrived, []
        self._queue.put(arrived)

    def close(self) -> None:
        """Let the threads end when they have answered what they hold."""
        for _ in self._threads:
            self._queue.put(None)

    def _run(self) -> None:
        while (jobs := self._queue.get()) is not None:
            if self._shares:
                jobs = self._take_more(jobs)
            for executor, group in groupby(jobs, key=lambda job: job.executor):
                self._execute(executor, list(group))

    def _take_more(self, jobs: list[Job]) -> list[Job]:
        while len(jobs) < _MAX_TOGETHER:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None:
                self._queue.put(None)
                break
            jobs = jobs + more
        return jobs

    def _execute(self, executor: Executor, jobs: list[Job]) -> None:
        answers: list[_Answer] = []
        live: list[Job] = []
        for job in jobs:
            if job.exchange.is_abandoned:
                answers.append((job, None))
            else:
                live.append(job)
        last_sent = time.monotonic()
        for answer in zip(live, self._guarded(executor, live), strict=True):
            answers.append(answer)
            if time.monotonic() - last_sent > _DELIVER_AFTER_S:
                self._send(answers)
                answers, last_sent = [], time.monotonic()
        self._send(answers)

    def _guarded(self, executor: Executor, jobs: list[Job]) -> Iterator[Response]:
        done = 0
        try:
            for response in executor.execute(jobs) if jobs else ():
                done += 1
                yield response
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            # A model may raise anything, SystemExit too: it is answered and the server lives on.
            rest = jobs[done:]
            if len(rest) == 1:
                log.exception("the model failed on a request")
                yield executor.failure(error)
                return
            # Nobody knows whose fault it was: each is tried alone.
            for job in rest:
                yield from self._guarded(executor, [job])

    def _send(self, answers: list[_Answer]) -> None:
        if not answers:
            return
        try:
            self._loop.call_soon_threadsafe(self._deliver, answers)
        except RuntimeError:
            log.warning("%d answers came after the server had stopped", len(answers))

    def _deliver(self, answers: list[_Answer]) -> None:
        for job, response in answers:
            self._waiting -= 1
            self._waiting_bytes -= len(job.body)
            if response is not None and not job.exchange.is_abandoned:
                job.exchange.respond(response)
