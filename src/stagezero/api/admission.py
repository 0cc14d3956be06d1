"""Admission: what a schema cannot say about a kind, as pure functions.

`compose` registers an `Admission` by kind; the embedded server calls it in process, a webhook calls
the same functions on a real cluster. A denial is `errors.Denied` and reads the same both ways.
"""

from collections.abc import Callable
from dataclasses import dataclass

from stagezero.api.base import Raw


@dataclass(frozen=True)
class AdmissionRequest:
    """What admission may see: the operation, the object before (None on create), who asks."""

    operation: str
    old: Raw | None
    user: str
    subresource: str = ""


Default = Callable[[Raw, AdmissionRequest], Raw]
"""Return the object with defaults filled in; never changes its argument."""

Validate = Callable[[Raw, AdmissionRequest], None]
"""Raise `errors.Denied` (or `errors.Invalid`) if the object may not be stored."""


@dataclass(frozen=True)
class Admission:
    """Defaulting, then validation, of one kind; on DELETE only `validate` runs."""

    default: Default | None = None
    validate: Validate | None = None
