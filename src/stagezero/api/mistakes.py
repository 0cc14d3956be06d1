"""What is wrong with one field of an object, in the words of Kubernetes' field errors.

Checks collect `FieldError`s; `invalid` turns them into the one `Invalid` answer whose causes
kubectl prints line by line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from stagezero.api import errors


@dataclass(frozen=True)
class FieldError:
    """One mistake: `reason` as in a StatusCause, `message` without the field's path."""

    path: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def required(path: str, detail: str = "") -> FieldError:
    """A field that must be there is not."""
    return FieldError(path, "FieldValueRequired", _with("Required value", detail))


def forbidden(path: str, detail: str) -> FieldError:
    """A field that may not be set or changed so."""
    return FieldError(path, "FieldValueForbidden", _with("Forbidden", detail))


def invalid_value(path: str, value: Any, detail: str) -> FieldError:
    """A value that breaks a rule."""
    return FieldError(path, "FieldValueInvalid", f"Invalid value: {show(value)}: {detail}")


def wrong_type(path: str, found: str, wanted: str) -> FieldError:
    """A value of another JSON type (or format) than the schema's."""
    return FieldError(
        path,
        "FieldValueTypeInvalid",
        f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"',
    )


def unsupported(path: str, value: Any, supported: Sequence[Any]) -> FieldError:
    """A value that is none of an enumeration."""
    known = ", ".join(show(item) for item in supported)
    return FieldError(
        path,
        "FieldValueNotSupported",
        f"Unsupported value: {show(value)}: supported values: {known}",
    )


def too_long(path: str, limit: int) -> FieldError:
    """A text of too many characters."""
    return FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def too_many(path: str, count: int, limit: int) -> FieldError:
    """A list or map of too many items."""
    message = f"Too many: {count}: must have at most {limit} items"
    return FieldError(path, "FieldValueTooMany", message)


def duplicate(path: str, value: Any) -> FieldError:
    """An item of a set or map that is there already."""
    return FieldError(path, "FieldValueDuplicate", f"Duplicate value: {show(value)}")


def show(value: Any) -> str:
    """A value as the messages quote it."""
    if value is None:
        return '"null"'
    return msgspec.json.encode(value).decode()


def not_found(path: str, value: Any) -> FieldError:
    """A value that names something that is not there."""
    return FieldError(path, "FieldValueNotFound", f"Not found: {show(value)}")


def _with(what: str, detail: str) -> str:
    return f"{what}: {detail}" if detail else what


def invalid(kind: str, group: str, name: str, mistakes: Sequence[FieldError]) -> errors.Invalid:
    """The answer that names every mistake."""
    causes = [
        {"reason": mistake.reason, "message": mistake.message, "field": mistake.path}
        for mistake in mistakes
    ]
    texts = list(dict.fromkeys(str(mistake) for mistake in mistakes))
    summary = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = {"name": name, "group": group, "kind": kind}
    qualified = f"{kind}.{group}" if group else kind
    return errors.Invalid(
        f'{qualified} "{name}" is invalid: {summary}',
        causes,
        {key: value for key, value in details.items() if value},
    )
