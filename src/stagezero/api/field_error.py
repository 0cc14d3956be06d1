"""Knative's field errors: what is wrong, at which paths, and details; merged and sorted as text.

Checks return tuples of `FieldError` with paths relative to what they checked; the caller prefixes
them (`via`), so a check does not know where its subject stands. `render` writes the list as
Knative's webhook does: equal messages share one line, lines are sorted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class FieldError:
    """One mistake; the path "" is the checked thing itself, no paths at all means none is shown."""

    message: str
    paths: tuple[str, ...] = ("",)
    details: str = ""

    def via(self, *prefix: str) -> "FieldError":
        """The same mistake seen from further out; `[0]` joins its neighbour without a dot."""
        return replace(self, paths=tuple(_join((*prefix, path)) for path in self.paths))


Errors = tuple[FieldError, ...]


def _join(parts: Iterable[str]) -> str:
    path: list[str] = []
    for part in parts:
        for piece in part.split("."):
            if piece.startswith("[") and piece.endswith("]") and path:
                path[-1] += piece
            elif piece:
                path.append(piece)
    return ".".join(path)


def via(errors: Iterable[FieldError], *prefix: str) -> Errors:
    """Prefix the paths of several errors."""
    return tuple(error.via(*prefix) for error in errors)


def via_index(errors: Iterable[FieldError], field: str, index: int) -> Errors:
    """Prefix with `field[index]`."""
    return via(errors, f"{field}[{index}]")


def render(errors: Iterable[FieldError]) -> str:
    """Write errors as text: merged by message and details, paths and lines sorted."""
    merged: dict[tuple[str, str], set[str]] = {}
    for error in errors:
        merged.setdefault((error.message, error.details), set()).update(error.paths)
    lines = []
    for (message, details), paths in sorted(merged.items()):
        line = f"{message}: {', '.join(sorted(paths))}"
        lines.append(f"{line}\n{details}" if details else line)
    return "\n".join(lines)


def missing_field(*paths: str) -> FieldError:
    """A field that must be there is not."""
    return FieldError("missing field(s)", paths)


def disallowed_fields(*paths: str) -> FieldError:
    """A field is set that may not be."""
    return FieldError("must not set the field(s)", paths)


def invalid_value(value: object, path: str = "", details: str = "") -> FieldError:
    """A value that the field does not take."""
    return FieldError(f"invalid value: {value}", (path,), details)


def out_of_bounds(value: object, low: object, high: object, path: str = "") -> FieldError:
    """A value outside of its bounds."""
    return FieldError(f"expected {low} <= {value} <= {high}", (path,))


def invalid_key_name(key: str, path: str = "", details: str = "") -> FieldError:
    """A name that may not stand there."""
    return FieldError(f'invalid key name "{key}"', (path,), details)


def missing_one_of(*paths: str) -> FieldError:
    """None of several alternatives is set."""
    return FieldError("expected exactly one, got neither", paths)


def multiple_one_of(*paths: str) -> FieldError:
    """More than one of several alternatives is set."""
    return FieldError("expected exactly one, got both", paths)
