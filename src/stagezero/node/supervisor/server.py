"""The supervisor's socket: clients of our own user ask, are answered, and may follow the events.

Everything a client can make us hold is bounded: the length of a line, the number of clients, and
what it leaves unread (then it is disconnected; it connects again and asks what it missed).
"""

import os
import signal
import socket
import struct
from collections.abc import Callable
from typing import Any

from stagezero.node.supervisor import protocol, spec
from stagezero.node.supervisor.commands import Command, Running
from stagezero.node.supervisor.journal import Entry
from stagezero.node.supervisor.loop import Loop
from stagezero.node.supervisor.processes import Processes
from stagezero.node.supervisor.protocol import Message, Refused
from stagezero.node.supervisor.record import RUNNING, Record

CLIENTS_LIMIT = 64
COMMANDS_LIMIT = 64
COMMAND_TIMEOUT_LIMIT_S = 3600.0

Answer = Callable[[Message], None]


class Server:
    """Accepts clients and carries out what they ask."""

    def __init__(self, loop: Loop, processes: Processes, listener: socket.socket) -> None:
        self._loop = loop
        self._processes = processes
        self._listener = listener
        self._clients: set[_Client] = set()
        self._commands = 0
        self._operations: dict[str, Callable[[Message, Answer], None]] = {
            "list": self._list,
            "start": self._start,
            "signal": self._signal,
            "forget": self._forget,
            "exec": self._exec,
            "shutdown": self._shutdown,
        }
        processes.on_event = self._publish
        loop.on_readable(listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # the client went away again, or we are out of descriptors
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        uid = struct.unpack("3i", credentials)[1]
        if uid not in (0, os.geteuid()) or len(self._clients) >= CLIENTS_LIMIT:
            connection.close()
            return
        self._clients.add(_Client(self, self._loop, connection))

    def dropped(self, client: "_Client") -> None:
        """A client is gone."""
        self._clients.discard(client)

    def greeting(self) -> Message:
        """What a client learns first."""
        return {
            "version": protocol.VERSION,
            "pid": os.getpid(),
            "seq": self._processes.sequence,
        }

    def missed(self, since: int) -> list[Entry]:
        """The events after `since`; Refused if not all of them are remembered."""
        events = self._processes.events
        oldest = events[0]["seq"] if events else self._processes.sequence + 1
        if not oldest - 1 <= since <= self._processes.sequence:
            raise Refused("Gone", f"events after {since} are not remembered: list, then watch")
        return [event for event in events if event["seq"] > since]

    def _publish(self, event: Entry) -> None:
        for client in tuple(self._clients):
            if client.is_watching:
                client.send({"event": event}, protocol.UNSENT_EVENTS_LIMIT_BYTES)

    def handle(self, request: Message, answer: Answer) -> None:
        """Carry out one request; Refused says why not."""
        operation = self._operations.get(str(request.get("op")))
        if operation is None:
            raise Refused(protocol.BAD_REQUEST, f"no operation {request.get('op')!r}")
        operation(request, answer)

    def _list(self, _: Message, answer: Answer) -> None:
        answer({"processes": self._processes.listing(), "seq": self._processes.sequence})

    def _start(self, request: Message, answer: Answer) -> None:
        def started(record: Record, error: str) -> None:
            if error:
                answer(_refusal(protocol.START_FAILED, error))
            else:
                answer({"process": record.to_json()})

        self._processes.start(spec.parse_spec(request.get("spec")), started)

    def _signal(self, request: Message, answer: Answer) -> None:
        number = request.get("signal")
        if not isinstance(number, int) or number not in signal.valid_signals():
            raise Refused(protocol.BAD_REQUEST, f"signal {number!r} is none")
        self._processes.signal(
            str(request.get("process")),
            number,
            is_group=request.get("group") is True,
            is_final=request.get("final") is True,
        )
        answer({})

    def _forget(self, request: Message, answer: Answer) -> None:
        self._processes.forget(str(request.get("process")))
        answer({})

    def _exec(self, request: Message, answer: Answer) -> None:
        command = self._command(request)
        if self._commands >= COMMANDS_LIMIT:
            raise Refused(protocol.TOO_MANY, f"{COMMANDS_LIMIT} commands are running")

        def ended(result: Any) -> None:
            self._commands -= 1
            answer(result)

        self._commands += 1
        try:
            Running(self._loop, self._processes, command, ended)
        except OSError as error:
            self._commands -= 1
            raise Refused(protocol.START_FAILED, str(error)) from error

    def _command(self, request: Message) -> Command:
        record = self._processes.get(str(request.get("process")))
        if record.state != RUNNING:
            raise Refused(protocol.NOT_FOUND, f'process "{record.id}" does not run')
        # The same checks as for a process that is started.
        checked = spec.parse_spec(
            {
                "id": record.id,
                "log": record.log,
                "argv": request.get("argv"),
                "env": request.get("env", {}),
                "cwd": request.get("cwd", "/"),
            }
        )
        timeout_s = request.get("timeout_s", 10.0)
        if not isinstance(timeout_s, int | float) or not 0 < timeout_s <= COMMAND_TIMEOUT_LIMIT_S:
            raise Refused(protocol.BAD_REQUEST, "timeout_s must be a positive number of seconds")
        return Command(record.pid, checked.argv, checked.env, checked.cwd, float(timeout_s))

    def _shutdown(self, request: Message, answer: Answer) -> None:
        grace_s = request.get("grace_s", 10.0)
        if not isinstance(grace_s, int | float) or not 0 <= grace_s <= COMMAND_TIMEOUT_LIMIT_S:
            raise Refused(protocol.BAD_REQUEST, "grace_s must be a number of seconds")
        answer({})
        self.shut_down(float(grace_s))

    def shut_down(self, grace_s: float) -> None:
        """End every process, by force after `grace_s`, then the loop."""
        for name in self._running():
            self._processes.signal(name, signal.SIGTERM, is_group=False, is_final=True)
        for record in self._processes.listing():
            # What waits to be started again must not be.
            self._processes.signal(record["id"], signal.SIGTERM, is_group=False, is_final=True)
        self._loop.after(grace_s, self._kill_all)
        self._await_ends()

    def _kill_all(self) -> None:
        for name in self._running():
            self._processes.signal(name, signal.SIGKILL, is_group=True, is_final=True)

    def _await_ends(self) -> None:
        if self._running():
            self._loop.after(0.02, self._await_ends)
        else:
            self._loop.stop()

    def _running(self) -> list[str]:
        return [raw["id"] for raw in self._processes.listing() if raw["state"] == RUNNING]


class _Client:
    """One connection: lines in, lines out, never waiting for the other side."""

    def __init__(self, server: Server, loop: Loop, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._server = server
        self._loop = loop
        self._connection = connection
        self._lines = protocol.LineBuffer()
        self._unsent = bytearray()
        self._is_greeted = False
        self._is_open = True
        self.is_watching = False
        loop.on_readable(connection.fileno(), self._receive)

    def _receive(self) -> None:
        try:
            data = self._connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        try:
            lines = self._lines.feed(data)
        except Refused as error:
            self.send(_refusal(error.code, error.message))
            self._close()
            return
        for line in lines:
            if self._is_open:
                self._handle(line)

    def _handle(self, line: bytes) -> None:
        request_id: object = None

        def answer(message: Message) -> None:
            self.send({"id": request_id, "ok": "code" not in message, **message})

        try:
            request = protocol.decode(line)
            request_id = request.get("id")
            if not self._is_greeted:
                self._greet(request)
                answer(self._server.greeting())
            elif request.get("op") == "watch":
                self._watch(request, answer)
            else:
                self._server.handle(request, answer)
        except Refused as error:
            answer(_refusal(error.code, error.message))
            if not self._is_greeted:
                self._close()

    def _greet(self, request: Message) -> None:
        if request.get("op") != "hello":
            raise Refused(protocol.BAD_REQUEST, "say hello first")
        if request.get("version") != protocol.VERSION:
            raise Refused(
                protocol.VERSION_MISMATCH,
                f"the supervisor speaks version {protocol.VERSION}, not {request.get('version')!r}",
            )
        self._is_greeted = True

    def _watch(self, request: Message, answer: Answer) -> None:
        since = request.get("since", 0)
        if not isinstance(since, int):
            raise Refused(protocol.BAD_REQUEST, "since must be a sequence number")
        missed = self._server.missed(since)
        answer({})
        for event in missed:
            self.send({"event": event})
        self.is_watching = True

    def send(self, message: Message, limit_bytes: int = protocol.UNSENT_LIMIT_BYTES) -> None:
        """Send what the socket takes now and keep the rest; too much kept ends the connection."""
        if not self._is_open:
            return
        self._unsent += protocol.encode(message)
        self._flush()
        if len(self._unsent) > limit_bytes:
            self._close()

    def _flush(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close()
            return
        del self._unsent[:sent]
        self._loop.on_writable(self._connection.fileno(), self._flush if self._unsent else None)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = self.is_watching = False
            self._loop.drop(self._connection.fileno())
            self._connection.close()
            self._server.dropped(self)


def _refusal(code: str, message: str) -> Message:
    return {"ok": False, "code": code, "message": message}
