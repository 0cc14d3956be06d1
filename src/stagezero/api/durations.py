"""Ages as kubectl shows them: two units at most, coarser the older a thing is."""

from datetime import datetime

from stagezero.api.times import parse_time

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


def age(since: str | None, now: datetime) -> str:
    """How long ago `since` was, or <unknown> if it is not set."""
    if not since:
        return "<unknown>"
    return human_duration((now - parse_time(since)).total_seconds())


def human_duration(duration_s: float) -> str:
    """A duration for people: 5s, 2m30s, 3h, 2d4h; clocks may differ by a second."""
    seconds = int(duration_s)
    if seconds < -1:
        return "<invalid>"
    if seconds < 2 * _MINUTE:
        return f"{max(seconds, 0)}s"
    if seconds < 10 * _MINUTE:
        return _two(seconds, _MINUTE, "m", 1, "s")
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 8 * _HOUR:
        return _two(seconds, _HOUR, "h", _MINUTE, "m")
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    if seconds < 8 * _DAY:
        return _two(seconds, _DAY, "d", _HOUR, "h")
    if seconds < 2 * _YEAR:
        return f"{seconds // _DAY}d"
    if seconds < 8 * _YEAR:
        return _two(seconds, _YEAR, "y", _DAY, "d")
    return f"{seconds // _YEAR}y"


def _two(seconds: int, large_s: int, large: str, small_s: int, small: str) -> str:
    whole, rest = seconds // large_s, seconds % large_s // small_s
    return f"{whole}{large}{rest}{small}" if rest else f"{whole}{large}"
