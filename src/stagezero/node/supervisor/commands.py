"""Short commands inside a running process's namespaces: probes and `exec`, with bounds on all."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from stagezero.node.supervisor import child, linux
from stagezero.node.supervisor.loop import Loop
from stagezero.node.supervisor.processes import Processes

OUTPUT_LIMIT_BYTES = 64 << 10
_JOINABLE = (("user", linux.CLONE_NEWUSER), ("net", linux.CLONE_NEWNET), ("mnt", linux.CLONE_NEWNS))


class Command(NamedTuple):
    """What to execute beside the process `beside`, and for how long at most."""

    beside: int
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    timeout_s: float


class Running:
    """A command under way: collects output, kills at the time limit, answers once."""

    def __init__(
        self, loop: Loop, processes: Processes, command: Command, answer: Callable[[Any], None]
    ) -> None:
        self._loop = loop
        self._answer = answer
        self._output = bytearray()
        self._error = b""
        self._status: int | None = None
        self._timed_out = False
        self._open = 2
        self._start(processes, command)
        self._timer = loop.after(command.timeout_s, self._kill)

    def _start(self, processes: Processes, command: Command) -> None:
        read, write = os.pipe2(os.O_CLOEXEC)
        pipes = child.Pipes()
        self._pid = os.fork()
        if self._pid == 0:
            child.become(pipes, write, lambda: _prepare(command), command.argv, command.env)
        os.close(write)
        pipes.keep_parents()
        processes.expect(self._pid, self._ended)
        pipes.release()
        self._loop.on_readable(read, lambda: self._read(read, is_error=False))
        self._loop.on_readable(
            pipes.error_read, lambda: self._read(pipes.error_read, is_error=True)
        )

    def _read(self, descriptor: int, *, is_error: bool) -> None:
        data = os.read(descriptor, 65536)
        if not data:
            self._loop.drop(descriptor)
            os.close(descriptor)
            self._open -= 1
            self._finish()
        elif is_error:
            self._error += data
        else:
            self._output += data[: OUTPUT_LIMIT_BYTES + 1 - len(self._output)]

    def _ended(self, status: int) -> None:
        self._status = status
        self._timer.cancel()
        self._finish()

    def _kill(self) -> None:
        self._timed_out = True
        os.killpg(self._pid, signal.SIGKILL)

    def _finish(self) -> None:
        # The output's last byte and the exit code come in any order.
        if self._status is None or self._open:
            return
        self._answer(
            {
                "exit_code": os.waitstatus_to_exitcode(self._status),
                "output": self._output[:OUTPUT_LIMIT_BYTES].decode(errors="replace"),
                "is_cut": len(self._output) > OUTPUT_LIMIT_BYTES,
                "error": self._error.decode(errors="replace"),
                "is_timed_out": self._timed_out,
            }
        )


def _prepare(command: Command) -> None:
    is_root = os.geteuid() == 0
    # All are opened before any is entered: the way to /proc may differ inside.
    entered = []
    for name, flag in _JOINABLE:
        path = f"/proc/{command.beside}/ns/{name}"
        if os.stat(path).st_ino != os.stat(f"/proc/self/ns/{name}").st_ino:
            entered.append((os.open(path, os.O_RDONLY | os.O_CLOEXEC), flag))
    for descriptor, flag in entered:
        linux.join_namespace(f"/proc/self/fd/{descriptor}", flag)
    os.chdir(command.cwd)
    child.give_up_powers(is_root=is_root)
