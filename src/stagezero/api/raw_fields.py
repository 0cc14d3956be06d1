"""Reading parts of raw JSON that nobody has checked yet: a wrong type reads as absent.

Admission runs beside the schema check, which reports wrong types; these readers let its other rules
run on whatever is there without a crash.
"""

from typing import Any

from stagezero.api.base import Raw


def part(raw: Raw, *path: str) -> Raw:
    """The object at `path`, empty if it is not there or no object."""
    for name in path:
        raw = _object(raw.get(name))
    return raw


def parts(raw: Raw, name: str) -> list[Raw]:
    """The objects of a list; an element of another type reads as an empty object."""
    value = raw.get(name)
    return [_object(item) for item in value] if isinstance(value, list) else []


def text(raw: Raw, name: str) -> str:
    """A text, empty if it is not there or no text."""
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def integer(raw: Raw, name: str) -> int | None:
    """A whole number, None if it is not there or none."""
    value = raw.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def texts(raw: Raw, name: str) -> dict[str, str]:
    """A map of texts, such as labels."""
    return {key: value for key, value in part(raw, name).items() if isinstance(value, str)}


def is_set(value: Any) -> bool:
    """Whether a field says anything: Go's zero values and empty lists do not, `{}` does."""
    return value not in (None, "", 0, False) and value != []


def _object(value: Any) -> Raw:
    return value if isinstance(value, dict) else {}
