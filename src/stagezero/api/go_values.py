"""Values as Go programs write them in annotations and config maps: durations, floats, booleans.

Upstream parses these texts with Go's library and prints them back in messages, so both directions
follow Go: `1h0m0s`, `1m30s`, `0.5h`; `%v` of a float has no `.0`.
"""

import re

_UNIT_NS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
SECOND_NS = 10**9


def parse_duration(text: str) -> int:
    """Read a Go duration in nanoseconds; ValueError if it is none."""
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0
    parts = list(_PART.finditer(body))
    if not parts or "".join(part.group() for part in parts) != body:
        raise ValueError(f'time: invalid duration "{text}"')
    total = sum(round(float(part[1]) * _UNIT_NS[part[2]]) for part in parts)
    return -total if text.startswith("-") else total


def format_duration(nanoseconds: int) -> str:
    """Write nanoseconds as Go prints a duration: `0s`, `1.5s`, `1h0m0s`."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < SECOND_NS:
        unit = next(name for name in ("ms", "µs", "ns") if rest >= _UNIT_NS[name])
        return f"{sign}{format_float(rest / _UNIT_NS[unit])}{unit}"
    hours, rest = divmod(rest, _UNIT_NS["h"])
    minutes, rest = divmod(rest, _UNIT_NS["m"])
    seconds = f"{format_float(rest / SECOND_NS)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else sign + seconds


def format_float(value: float) -> str:
    """Write a float as Go's %v does for ordinary sizes: no trailing `.0`."""
    return str(int(value)) if value == int(value) and abs(value) < 1e21 else repr(value)


def parse_int32(text: str) -> int:
    """Read a 32-bit integer; ValueError if it is none, OverflowError if it is too large."""
    if not re.fullmatch(r"[+-]?\d+", text):
        raise ValueError(f'parsing "{text}": invalid syntax')
    value = int(text)
    if not -(2**31) <= value < 2**31:
        raise OverflowError(f'parsing "{text}": value out of range')
    return value


def parse_float(text: str) -> float:
    """Read a float as Go's ParseFloat does (no spaces, no underscores); ValueError otherwise."""
    if text != text.strip() or "_" in text:
        raise ValueError(f'parsing "{text}": invalid syntax')
    return float(text)
