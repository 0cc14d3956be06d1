"""Whose is it: objects that carry the labels are adopted, those that lost them are let go."""

from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

from stagezero.api.base import LabelSelector, Object, OwnerReference, controlled_by

K = TypeVar("K", bound=Object)


def claims(
    owner: Object, selector: LabelSelector, owned: Iterable[K], orphans: Iterable[K]
) -> tuple[K, ...]:
    """The objects whose owner references must change, with those that they shall have."""
    let_go = [
        _with_references(thing, [ref for ref in _references(thing) if ref.uid != owner.uid])
        for thing in owned
        if not selector.matches(thing.metadata.labels) and not thing.is_deleting
    ]
    adopted = [
        _with_references(thing, [*_references(thing), controlled_by(owner)])
        for thing in orphans
        if selector.matches(thing.metadata.labels) and not thing.is_deleting
    ]
    return (*let_go, *adopted)


def _references(thing: Object) -> list[OwnerReference]:
    return thing.metadata.owner_references


def _with_references(thing: K, references: list[OwnerReference]) -> K:
    return replace(thing, metadata=replace(thing.metadata, owner_references=references))
