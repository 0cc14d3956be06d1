"""The processes: started, watched, started again, adopted, and all of it written to the journal."""

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from stagezero.node.supervisor import child, rotation
from stagezero.node.supervisor.identity import boot_id, open_if_alive, read_stat
from stagezero.node.supervisor.journal import Entry, Journal
from stagezero.node.supervisor.loop import Loop, Timer
from stagezero.node.supervisor.protocol import EXISTS, NOT_FOUND, START_FAILED, TOO_MANY, Refused
from stagezero.node.supervisor.record import EXITED, RUNNING, WAITING, Record
from stagezero.node.supervisor.spec import Spec

RECORDS_LIMIT = 8192
EVENTS_KEPT = 4096
ROTATION_EVERY_S = 10.0
JOURNAL_AGAIN_S = 1.0
"""How soon what a full disk did not take is written again."""

Started = Callable[[Record, str], None]
"""Called when a program was executed, or not: then with the reason."""


class Processes:
    """The table of processes; `on_event` is called with every event, in order."""

    def __init__(self, loop: Loop, journal: Journal, workplace: str) -> None:
        self._loop = loop
        self._journal = journal
        self._workplace = workplace
        self._boot = boot_id()
        self._records: dict[str, Record] = {}
        self._by_pid: dict[int, Record] = {}
        self._restarts: dict[str, Timer] = {}
        self._starting: dict[int, Callable[[], None]] = {}
        self._other_children: dict[int, Callable[[int], None]] = {}
        self.sequence = 0
        self.events: deque[Entry] = deque(maxlen=EVENTS_KEPT)
        self.on_event: Callable[[Entry], None] = lambda _: None
        loop.on_signal(signal.SIGCHLD, self.reap)
        loop.after(ROTATION_EVERY_S, self._rotate)

    # What a client asks for

    def listing(self) -> list[dict[str, Any]]:
        """All records, in the order in which they were asked for."""
        return [record.to_json() for record in self._records.values()]

    def get(self, process_id: str) -> Record:
        """Return a record; Refused if there is none."""
        record = self._records.get(process_id)
        if record is None:
            raise Refused(NOT_FOUND, f'no process "{process_id}"')
        return record

    def start(self, spec: Spec, started: Started) -> None:
        """Start a process; the answer comes when its program was executed or could not be."""
        if spec.id in self._records:
            raise Refused(EXISTS, f'process "{spec.id}" was already started')
        if len(self._records) >= RECORDS_LIMIT:
            raise Refused(TOO_MANY, f"{RECORDS_LIMIT} processes are known; forget some")
        record = Record(spec)
        self._records[spec.id] = record
        try:
            self._launch(record, spec, started)
        except OSError as error:
            del self._records[spec.id]
            raise Refused(START_FAILED, str(error)) from error

    def signal(self, process_id: str, number: int, *, is_group: bool, is_final: bool) -> None:
        """Signal a process (or its whole group); final: it is not started again."""
        record = self.get(process_id)
        if is_final:
            self._end_restarts(record)
        if record.state != RUNNING:
            return
        descriptor = open_if_alive(record.pid, record.start_ticks, record.boot)
        if descriptor is None:
            return
        if is_group:
            _kill_group(record.pid, number)
        else:
            signal.pidfd_send_signal(descriptor, number)
        os.close(descriptor)

    def forget(self, process_id: str) -> None:
        """Drop the record of a process that has exited."""
        record = self.get(process_id)
        if record.state == RUNNING:
            raise Refused(EXISTS, f'process "{process_id}" still runs')
        self._end_restarts(record)
        del self._records[process_id]
        self._tell("forgotten", record)

    def expect(self, pid: int, ended: Callable[[int], None]) -> None:
        """Call `ended` with the wait status of a child that is no process of the table."""
        self._other_children[pid] = ended

    # Life

    def _launch(self, record: Record, spec: Spec, started: Started) -> None:
        os.makedirs(os.path.dirname(spec.log), mode=0o750, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        output = os.open(spec.log, flags, 0o640)
        pipes = child.Pipes()
        try:
            pid = os.fork()
        except OSError:
            pipes.close()
            os.close(output)
            raise
        if pid == 0:
            child.run(spec, pipes, output, self._workplace)
        os.close(output)
        pipes.keep_parents()
        stat = read_stat(pid)
        record.ran(pid, stat.start_ticks if stat else 0, self._boot, time.time())
        self._by_pid[pid] = record
        self._tell("started", record)
        pipes.release()
        executed = lambda: self._executed(record, pipes.error_read, started)  # noqa: E731
        self._starting[pid] = executed
        self._loop.on_readable(pipes.error_read, executed)

    def _executed(self, record: Record, pipe: int, started: Started) -> None:
        self._starting.pop(record.pid, None)
        error = os.read(pipe, child.ERROR_LIMIT_BYTES).decode(errors="replace")
        self._loop.drop(pipe)
        os.close(pipe)
        record.error = error
        started(record, error)

    def reap(self) -> None:
        """Take the exit codes of all children that have ended."""
        while (pid := _next_dead_child()) is not None:
            _kill_group(pid, signal.SIGKILL)  # what a program leaves behind ends with it
            _, status = os.waitpid(pid, 0)
            ended = self._other_children.pop(pid, None)
            if ended is not None:
                ended(status)
            executed = self._starting.get(pid)
            if executed is not None:
                executed()  # news of its end came before what it had to say about its start
            record = self._by_pid.pop(pid, None)
            if record is not None:
                self._exited(record, status)

    def _schedule(self, record: Record) -> None:
        policy = record.restart
        assert policy is not None
        if record.exited_at - record.started_at >= policy.reset_after_s:
            record.restarts = 0
        delay_s = min(policy.limit_s, policy.first_s * 2 ** min(record.restarts, 32))
        record.state = WAITING
        self._restarts[record.id] = self._loop.after(delay_s, lambda: self._restart(record))

    def _restart(self, record: Record) -> None:
        self._restarts.pop(record.id, None)
        spec = record.spec
        assert spec is not None
        record.restarts += 1
        try:
            self._launch(record, spec, lambda _record, _error: None)
        except OSError as error:
            record.error = str(error)
            record.started_at = record.exited_at = time.time()
            self._schedule(record)

    def _end_restarts(self, record: Record) -> None:
        timer = self._restarts.pop(record.id, None)
        if timer is not None:
            timer.cancel()
        if record.spec is not None:
            record.spec = None
            record.state = EXITED if record.state == WAITING else record.state
            self._tell("changed", record)

    # What outlives us

    def recover(self) -> None:
        """Read the journal, adopt what still runs, note as ended what does not."""
        for entry in self._journal.entries():
            self._replay(entry)
        for record in list(self._records.values()):
            if record.state == RUNNING:
                self._adopt(record)
            elif record.restart is not None:
                self._schedule(record)
        self._journal.rewrite(self._snapshot())

    def _replay(self, entry: Entry) -> None:
        raw = entry.get("process")
        if not isinstance(raw, dict):
            return
        try:
            record = Record.from_json(raw)
            self.sequence = max(self.sequence, int(entry["seq"]))
            kind = entry["type"]
        except (KeyError, TypeError, ValueError, Refused):
            return  # written by another version: what it names is unknown to us
        if kind == "forgotten":
            self._records.pop(record.id, None)
        else:
            self._records[record.id] = record

    def _adopt(self, record: Record) -> None:
        descriptor = open_if_alive(record.pid, record.start_ticks, record.boot)
        if descriptor is None:
            self._exited(record, None)
            return
        self._loop.on_readable(descriptor, lambda: self._adopted_ended(record, descriptor))

    def _adopted_ended(self, record: Record, descriptor: int) -> None:
        self._loop.drop(descriptor)
        os.close(descriptor)
        _kill_group(record.pid, signal.SIGKILL)
        self._exited(record, None)

    def _exited(self, record: Record, status: int | None) -> None:
        record.ended(status, time.time())
        if record.error and record.restart is None:
            # It never became its program; whoever asked for it was told why, and may ask again.
            del self._records[record.id]
            self._tell("forgotten", record)
            return
        self._tell("exited", record, is_flushed=True)
        if record.restart is not None:
            self._schedule(record)

    def _tell(self, kind: str, record: Record, *, is_flushed: bool = False) -> None:
        self.sequence += 1
        entry: Entry = {"seq": self.sequence, "type": kind, "process": record.to_json()}
        written = {**entry, "process": record.to_json(with_spec=True)}
        was_behind = self._journal.is_behind
        self._journal.append(written, is_flushed=is_flushed)
        if self._journal.is_behind and not was_behind:
            _say("the disk does not take the journal: its entries wait")
            self._loop.after(JOURNAL_AGAIN_S, self._catch_up)
        if self._journal.is_due_for_rewriting:
            self._journal.rewrite(self._snapshot())
        self.events.append(entry)
        self.on_event(entry)

    def _catch_up(self) -> None:
        self._journal.retry()
        if self._journal.is_behind:
            self._loop.after(JOURNAL_AGAIN_S, self._catch_up)

    def _snapshot(self) -> list[Entry]:
        return [
            {"seq": self.sequence, "type": "known", "process": record.to_json(with_spec=True)}
            for record in self._records.values()
        ]

    def _rotate(self) -> None:
        for path in {record.log for record in self._records.values() if record.state == RUNNING}:
            try:
                rotation.rotate_if_large(path)
            except OSError as error:
                _say(f"cannot rotate {path}: {error}")
        self._loop.after(ROTATION_EVERY_S, self._rotate)


def _next_dead_child() -> int | None:
    """A child that has ended and is not reaped yet: while it is not, nobody else gets its pid."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found else None


def _kill_group(leader: int, number: int) -> None:
    """Signal the group of a process: each is started in a session, so in a group, of its own."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return


def _say(text: str) -> None:
    """Write to our own log file, which a full disk does not take."""
    with contextlib.suppress(OSError):
        print(text, flush=True)  # noqa: T201
