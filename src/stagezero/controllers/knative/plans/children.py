"""What the plans share about child objects: whose they are, and whether they must be written."""

from collections.abc import Iterable, Mapping
from typing import TypeVar, cast

import msgspec

from stagezero.api.base import Object, controller_of
from stagezero.api.service import Service

C = TypeVar("C", bound=Object)

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def is_owned(child: Object, owner: Object) -> bool:
    """Whether `owner` is the controller of `child`."""
    ref = controller_of(child)
    return ref is not None and ref.uid == owner.uid


def not_owned(kind: str, name: str) -> str:
    """Knative's sentence about an object of somebody else that is in the way."""
    return f'There is an existing {kind} "{name}" that we do not own.'


def changed(existing: C | None, desired: C) -> tuple[C, ...]:
    """The desired object if it must be written; compared as objects, so that defaults count."""
    if existing is None:
        return (desired,)
    is_same = (
        getattr(existing, "spec", None) == getattr(desired, "spec", None)
        and says(existing.metadata.labels, desired.metadata.labels)
        and says(existing.metadata.annotations, desired.metadata.annotations)
    )
    return () if is_same else (desired,)


def replaced(existing: C | None, desired: C) -> tuple[C, ...]:
    """Like `changed`, for a child whose labels and annotations are the owner's alone.

    What the owner no longer says is taken away: a null in the patch, which no type here can hold.
    """
    if existing is None:
        return (desired,)
    old, new = existing.metadata, desired.metadata
    exact = msgspec.structs.replace(
        new,
        labels=_with_removals(old.labels, new.labels),
        annotations=_with_removals(old.annotations, new.annotations),
    )
    return changed(existing, msgspec.structs.replace(desired, metadata=exact))


def selector(existing: Service | None, wanted: Mapping[str, str]) -> dict[str, str]:
    """The selector of a Service that selects nothing beside; extra labels are taken away."""
    return _with_removals(existing.spec.selector if existing else {}, wanted)


def _with_removals(existing: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    removed = dict.fromkeys(existing.keys() - wanted.keys())
    return cast(dict[str, str], {**wanted, **removed})


def says(existing: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether labels or annotations say everything that is wanted."""
    return wanted.items() <= existing.items()


def without(entries: Mapping[str, str], *keys: str) -> dict[str, str]:
    """Labels or annotations but these keys, and but kubectl's own note."""
    return {key: value for key, value in entries.items() if key not in keys and key != LAST_APPLIED}


def names(things: Iterable[Object]) -> set[str]:
    """The names of some objects."""
    return {thing.metadata.name for thing in things}
