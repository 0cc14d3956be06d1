"""What becomes of an object whose owners go: it goes too, or it lets go of them.

Kubernetes' rules: an object goes when none of its owners is left; if some are, it only drops the
references to those that are gone. An owner deleted with its dependents in the foreground waits for
them; one deleted with orphans sets them free first.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from msgspec.structs import replace

from stagezero.api.base import Object, OwnerReference

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass(frozen=True)
class Sweep:
    """What to do with the dependents of one owner.

    `release`: objects with the owner references they shall have from now on.
    `finalizer`: the owner's finalizer that is done with, once the rest is done.
    """

    delete: tuple[Object, ...] = ()
    release: tuple[tuple[Object, list[OwnerReference]], ...] = ()
    finalizer: str = ""


def sweep_absent(dependents: Sequence[Object], gone: Set[str]) -> Sweep:
    """An owner is gone; `gone` are the uids of all owners that are known to be gone."""
    delete: list[Object] = []
    release: list[tuple[Object, list[OwnerReference]]] = []
    for dependent in dependents:
        left = [ref for ref in dependent.metadata.owner_references if ref.uid not in gone]
        if left and len(left) < len(dependent.metadata.owner_references):
            release.append((dependent, left))
        elif not left and not dependent.is_deleting:
            delete.append(dependent)
    return Sweep(tuple(delete), tuple(release))


def sweep_waiting(owner: Object, dependents: Sequence[Object]) -> Sweep:
    """An owner is being deleted and waits for its dependents, or to set them free."""
    finalizers = owner.metadata.finalizers
    if ORPHAN in finalizers:
        freed = tuple((dependent, _without(dependent, owner.uid)) for dependent in dependents)
        return Sweep(release=freed, finalizer=ORPHAN)
    if FOREGROUND not in finalizers:
        return Sweep()
    doomed = tuple(found for found in dependents if not found.is_deleting)
    holding = [found for found in dependents if _blocks(found, owner.uid)]
    return Sweep(delete=doomed, finalizer="" if holding else FOREGROUND)


def without_finalizer(owner: Object, finalizer: str) -> list[str]:
    """The owner's finalizers but one."""
    return [found for found in owner.metadata.finalizers if found != finalizer]


def released(dependent: Object, left: list[OwnerReference]) -> Object:
    """The dependent as it shall be."""
    return replace(dependent, metadata=replace(dependent.metadata, owner_references=left))


def _without(dependent: Object, uid: str) -> list[OwnerReference]:
    return [ref for ref in dependent.metadata.owner_references if ref.uid != uid]


def _blocks(dependent: Object, uid: str) -> bool:
    return any(
        ref.uid == uid and ref.block_owner_deletion for ref in dependent.metadata.owner_references
    )
