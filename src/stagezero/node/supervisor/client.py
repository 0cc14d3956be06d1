"""The control plane's end of the supervisor's socket: requests, and a mirror kept by its events.

If the connection breaks, pending requests fail with `SupervisorLost`, the supervisor is started
again if it is gone, and the mirror is compared with what it then reports.
"""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stagezero.kit.tasks import TaskOwner
from stagezero.node.supervisor import protocol
from stagezero.node.supervisor.launch import SupervisorFailed, launch
from stagezero.node.supervisor.protocol import Message, Refused
from stagezero.node.supervisor.record import EXITED, RUNNING
from stagezero.node.supervisor.spec import Spec

log = logging.getLogger(__name__)

ANSWER_LIMIT_S = 60.0
RECONNECT_AFTER_S = 0.2
HELLO_LIMIT_S = 20.0
"""How long a supervisor may be silent that took the connection: a stopped one is for ever."""


class SupervisorLost(SupervisorFailed):
    """The connection broke before the answer came: what was asked may or may not be done."""


@dataclass(frozen=True)
class Process:
    """One process as the supervisor last told."""

    id: str
    state: str
    pid: int
    start_ticks: int
    boot: str
    started_at: float
    restarts: int
    exit_code: int
    signal: int
    exited_at: float
    is_known_exit: bool
    error: str
    labels: Mapping[str, str]
    log: str

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self.state == RUNNING

    @property
    def has_exited(self) -> bool:
        """Whether it has ended for good."""
        return self.state == EXITED


@dataclass(frozen=True)
class CommandResult:
    """How a command ended; `error` is not empty if it could not be executed at all."""

    exit_code: int
    output: str
    is_cut: bool
    error: str
    is_timed_out: bool


class SupervisorClient:
    """One connection, kept alive; all methods are called on one event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tasks = TaskOwner("supervisor")
        self._writer: asyncio.StreamWriter | None = None
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._next_id = 0
        self._processes: dict[str, Process] = {}
        self._connected = asyncio.Event()
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._listeners: list[Callable[[Process], None]] = []
        self.pid = 0

    @property
    def processes(self) -> Mapping[str, Process]:
        """Every process the supervisor knows, by id."""
        return self._processes

    def on_change(self, listener: Callable[[Process], None]) -> Callable[[], None]:
        """Call `listener` with every process that was started, has ended or was forgotten.

        Returns what ends that.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def start(self) -> None:
        """Connect, starting the supervisor if need be; the mirror is complete when this returns."""
        try:
            lines = await self._connect()
        except SupervisorFailed:
            await self._disconnect()
            raise
        self._tasks.start(self._keep(lines), "connection")

    async def stop(self) -> None:
        """Disconnect; the supervisor and all it runs go on."""
        await self._tasks.stop()
        await self._disconnect()

    async def start_process(self, spec: Spec) -> Process:
        """Start a process; Refused (`StartFailed`, `AlreadyExists`) says why not."""
        answer = await self._ask({"op": "start", "spec": spec.to_json()})
        return _process(answer["process"])

    async def send_signal(
        self, process_id: str, number: signal.Signals, *, is_group: bool = False, final: bool = True
    ) -> None:
        """Signal a process; one that ended or is not known is left in peace."""
        await self._ask_unless_gone(
            {
                "op": "signal",
                "process": process_id,
                "signal": int(number),
                "group": is_group,
                "final": final,
            }
        )

    async def ended(self, process_id: str) -> None:
        """Wait until a process has ended for good, or is not known any more."""
        while (process := self._processes.get(process_id)) is not None and not process.has_exited:
            changed = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(process_id, []).append(changed)
            await changed

    async def end_process(self, process_id: str, number: signal.Signals) -> None:
        """Signal a process and its group, wait for the end, forget it."""
        if process_id in self._processes:
            await self.send_signal(process_id, number, is_group=True)
            await self.ended(process_id)
            await self.forget(process_id)

    async def forget(self, process_id: str) -> None:
        """Let the supervisor drop the record of a process that has ended."""
        await self._ask_unless_gone({"op": "forget", "process": process_id})

    async def execute(
        self,
        process_id: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        cwd: str = "/",
        timeout_s: float = 10.0,
    ) -> CommandResult:
        """Run a command in the namespaces of a running process."""
        answer = await self._ask(
            {
                "op": "exec",
                "process": process_id,
                "argv": list(argv),
                "env": dict(env),
                "cwd": cwd,
                "timeout_s": timeout_s,
            },
            timeout_s + ANSWER_LIMIT_S,
        )
        return CommandResult(*(answer[name] for name in CommandResult.__dataclass_fields__))

    async def shut_down(self, grace_s: float = 10.0) -> None:
        """End every process and the supervisor itself; returns when it is gone."""
        await self._tasks.stop()
        await self._disconnect()
        try:
            lines = await self._connect(is_launching=False)
            await self._send({"op": "shutdown", "grace_s": grace_s})
            gone = _open_process(self.pid)
            async for _ in lines:
                pass
        finally:
            await self._disconnect()
        if gone is not None:
            await _process_ended(gone)

    async def _ask_unless_gone(self, request: Message) -> None:
        try:
            await self._ask(request)
        except Refused as error:
            if error.code != protocol.NOT_FOUND:
                raise

    async def _ask(self, request: Message, timeout_s: float = ANSWER_LIMIT_S) -> Message:
        try:
            async with asyncio.timeout(timeout_s):
                await self._connected.wait()
                answer = await (await self._send(request))
        except TimeoutError as error:
            raise SupervisorLost(
                f"no answer to {request['op']} within {timeout_s:.0f} s"
            ) from error
        if not answer.get("ok"):
            raise Refused(str(answer.get("code")), str(answer.get("message")))
        return answer

    async def _send(self, request: Message) -> asyncio.Future[Message]:
        if self._writer is None:
            raise SupervisorLost("not connected to the supervisor")
        self._next_id += 1
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[self._next_id] = future
        self._writer.write(protocol.encode({"id": self._next_id, **request}))
        try:
            await self._writer.drain()
        except OSError as error:
            raise SupervisorLost(f"the supervisor is gone: {error}") from error
        return future

    async def _connect(self, *, is_launching: bool = True) -> AsyncIterator[Message]:
        if is_launching:
            await launch(self._folder)
        try:
            reader, writer = await _open(self._folder)
        except OSError as error:
            raise SupervisorFailed(
                f"cannot reach the supervisor at {self._folder}/socket: {error}"
            ) from error
        self._writer = writer
        lines = _messages(reader)
        try:
            async with asyncio.timeout(HELLO_LIMIT_S):
                await self._greet(lines)
        except TimeoutError as error:
            raise SupervisorFailed(
                f"the supervisor at {self._folder} does not answer: it may be stopped; "
                "`stagezero down` ends it with all that it runs"
            ) from error
        self._connected.set()
        return lines

    async def _greet(self, lines: AsyncIterator[Message]) -> None:
        hello = await self._first_answer({"op": "hello", "version": protocol.VERSION}, lines)
        self.pid = int(hello["pid"])
        listing = await self._first_answer({"op": "list"}, lines)
        self._mirror([_process(raw) for raw in listing["processes"]])
        await self._first_answer({"op": "watch", "since": listing["seq"]}, lines)

    async def _first_answer(self, request: Message, lines: AsyncIterator[Message]) -> Message:
        """Ask and read the answer while nobody else reads."""
        await self._send(request)
        async for message in lines:
            self._answers.pop(int(message.get("id") or 0), None)
            if message.get("ok"):
                return message
            why = f"refuses {request['op']}: {message.get('message')}"
            raise SupervisorFailed(f"the supervisor at {self._folder} {why}")
        raise SupervisorLost(f"the supervisor at {self._folder} closed the connection")

    def _mirror(self, processes: Sequence[Process]) -> None:
        fresh = {process.id: process for process in processes}
        gone = [process for name, process in self._processes.items() if name not in fresh]
        changed = [p for name, p in fresh.items() if self._processes.get(name) != p]
        self._processes = fresh
        for process in (*gone, *changed):
            self._announce(process)

    def _announce(self, process: Process) -> None:
        for waiting in self._waiting.pop(process.id, ()):
            if not waiting.done():
                waiting.set_result(None)
        for listener in tuple(self._listeners):
            listener(process)

    async def _keep(self, lines: AsyncIterator[Message]) -> None:
        while True:
            async for message in lines:
                self._receive(message)
            log.warning("lost the supervisor of %s, connecting again", self._folder)
            await self._disconnect()
            lines = await self._reconnect()

    async def _reconnect(self) -> AsyncIterator[Message]:
        while True:
            try:
                return await self._connect()
            except (SupervisorFailed, OSError) as error:
                log.warning("%s", error)
                await self._disconnect()
                await asyncio.sleep(RECONNECT_AFTER_S)

    def _receive(self, message: Message) -> None:
        event = message.get("event")
        if event is None:
            future = self._answers.pop(int(message.get("id") or 0), None)
            if future is not None and not future.done():
                future.set_result(message)
            return
        process = _process(event["process"])
        if event["type"] == "forgotten":
            self._processes.pop(process.id, None)
        else:
            self._processes[process.id] = process
        self._announce(process)

    async def _disconnect(self) -> None:
        self._connected.clear()
        writer, self._writer = self._writer, None
        for future in self._answers.values():
            if not future.done():
                future.set_exception(SupervisorLost("the connection to the supervisor broke"))
                future.exception()  # whoever waits sees it; if nobody does, it is no news
        self._answers.clear()
        if writer is not None:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                return


async def _open(folder: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    # Through a descriptor, for the path of a socket may have 107 bytes at most.
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        path = f"/proc/self/fd/{directory}/socket"
        return await asyncio.open_unix_connection(path, limit=64 << 20)
    finally:
        os.close(directory)


def _open_process(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


async def _process_ended(descriptor: int) -> None:
    """Wait until the process of a pidfd has ended, and close the pidfd."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    while True:
        try:
            line = await reader.readline()
        except (OSError, ValueError):
            return
        if not line.endswith(b"\n"):
            return
        yield protocol.decode(line)


def _process(raw: Mapping[str, Any]) -> Process:
    return Process(**{name: raw[name] for name in Process.__dataclass_fields__})
