"""A container's last words: its termination message, read when it has ended."""

from pathlib import Path

from stagezero.api.container import Container

MESSAGE_LIMIT_BYTES = 4096
LOG_LIMIT_BYTES = 2048
LOG_LIMIT_LINES = 80


def termination_message(container: Container, file: Path, log: Path, exit_code: int) -> str:
    """The message a program left in its file, or the end of its log if it asked for that."""
    message = _tail(file, MESSAGE_LIMIT_BYTES)
    if message or exit_code == 0 or container.termination_message_policy != "FallbackToLogsOnError":
        return message
    lines = _tail(log, LOG_LIMIT_BYTES).splitlines(keepends=True)
    return "".join(lines[-LOG_LIMIT_LINES:])


def _tail(path: Path, limit_bytes: int) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit_bytes))
            return file.read(limit_bytes).decode(errors="replace")
    except OSError:
        return ""
