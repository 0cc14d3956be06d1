"""What is known of one process, as it stands in the journal and in lists."""

import os
from typing import Any

from stagezero.node.supervisor.spec import Restart, Spec, parse_spec

RUNNING = "running"
EXITED = "exited"
WAITING = "waiting"

UNKNOWN_EXIT_CODE = 137


class Record:
    """One process that was asked for: running, waiting to be started again, or exited.

    `is_known_exit` is false when nobody could read the exit code: the parent was gone.
    """

    __slots__ = (
        "boot",
        "error",
        "exit_code",
        "exited_at",
        "id",
        "is_known_exit",
        "labels",
        "log",
        "pid",
        "restarts",
        "signal",
        "spec",
        "start_ticks",
        "started_at",
        "state",
    )

    def __init__(self, spec: Spec) -> None:
        self.id = spec.id
        self.labels = dict(spec.labels)
        self.log = spec.log
        # Kept only where it is needed again: an environment may hold secrets.
        self.spec: Spec | None = spec if spec.restart else None
        self.state = WAITING
        self.pid = 0
        self.start_ticks = 0
        self.boot = ""
        self.started_at = 0.0
        self.restarts = 0
        self.exit_code = 0
        self.signal = 0
        self.exited_at = 0.0
        self.is_known_exit = True
        self.error = ""

    @property
    def restart(self) -> Restart | None:
        """The policy to start again, if there is one."""
        return self.spec.restart if self.spec else None

    def ran(self, pid: int, start_ticks: int, boot: str, now: float) -> None:
        """Note that the process runs."""
        self.state, self.pid, self.start_ticks, self.boot = RUNNING, pid, start_ticks, boot
        self.started_at, self.error = now, ""

    def ended(self, status: int | None, now: float) -> None:
        """Note the end by its wait status; None if nobody can know it."""
        self.state, self.exited_at, self.is_known_exit = EXITED, now, status is not None
        code = UNKNOWN_EXIT_CODE if status is None else _exit_code(status)
        self.signal = -code if code < 0 else 0
        self.exit_code = 128 - code if code < 0 else code

    def to_json(self, *, with_spec: bool = False) -> dict[str, Any]:
        """Write the record; the journal also needs the spec of what is started again."""
        raw = {name: getattr(self, name) for name in self.__slots__ if name != "spec"}
        if with_spec and self.spec is not None:
            raw["spec"] = self.spec.to_json()
        return raw

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Record":
        """Read what `to_json` wrote; KeyError or Refused if it is something else."""
        spec = parse_spec(raw["spec"]) if raw.get("spec") else Spec(raw["id"], ("-",), raw["log"])
        record = cls(spec)
        for name in cls.__slots__:
            if name != "spec":
                setattr(record, name, raw[name])
        return record


def _exit_code(status: int) -> int:
    return os.waitstatus_to_exitcode(status)
