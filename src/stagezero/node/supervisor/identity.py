"""Which process is meant: a pid alone is reused, with start time and boot id it is not."""

import os
from typing import NamedTuple


class Stat(NamedTuple):
    """What /proc says of a process: `state` is one letter, times are clock ticks."""

    state: str
    session: int
    cpu_ticks: int
    start_ticks: int
    rss_pages: int


def boot_id() -> str:
    """The id of this boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def read_stat(pid: int) -> Stat | None:
    """Read a process's state; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold anything, even a parenthesis.
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(
        fields[0].decode(),
        int(fields[3]),
        int(fields[11]) + int(fields[12]),
        int(fields[19]),
        int(fields[21]),
    )


def open_if_alive(pid: int, start_ticks: int, boot: str) -> int | None:
    """Return a pidfd of the very process that was recorded, or None if it is gone.

    The pidfd is opened first and the start time read afterwards: it then belongs to the pidfd's
    process. A zombie counts as gone, for nobody may be there to reap it.
    """
    if boot != boot_id():
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    stat = read_stat(pid)
    if stat is None or stat.state in "ZX" or stat.start_ticks != start_ticks:
        os.close(descriptor)
        return None
    return descriptor
