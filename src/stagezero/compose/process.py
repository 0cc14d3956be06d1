"""Processes told apart: light, for commands that only look."""

from pathlib import Path

ENVOY = "envoy"
"""The id of Envoy among the supervisor's processes."""


def start_ticks(pid: int) -> int:
    """When a process was started, in ticks since boot: tells a reused pid apart.

    ProcessLookupError for one that has ended and that nobody has waited for.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] in ("Z", "X"):
        raise ProcessLookupError(f"process {pid} has ended")
    return int(fields[19])
