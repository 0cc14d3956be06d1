"""The garbage collector: when an owner goes, its dependents follow, over all kinds it is given.

A shell of its own because what it does is decided for an owner of any kind, not for objects of one.
Its queue holds owners' uids. Before anything is deleted the API itself is asked whether the owner
is gone: caches of different kinds do not keep step.
"""

from collections.abc import Iterable, Sequence

import msgspec

from stagezero.api import errors
from stagezero.api.base import Key, Object, OwnerReference, Raw
from stagezero.client.cache import Caches
from stagezero.client.client import Client
from stagezero.controllers.workloads.plans.garbage import (
    FOREGROUND,
    ORPHAN,
    Sweep,
    released,
    sweep_absent,
    sweep_waiting,
    without_finalizer,
)
from stagezero.runtime.loop import Loop

_GroupKind = tuple[str, str]


class GarbageCollector:
    """Deletes what no owner needs any more; owners of kinds it is not given are let be."""

    def __init__(self, client: Client, caches: Caches, kinds: Sequence[type[Object]]) -> None:
        self._client = client
        self._caches = caches
        self._kinds: dict[_GroupKind, type[Object]] = {
            (kind.resource.group, kind.resource.kind): kind for kind in kinds
        }
        self._owners: dict[str, tuple[type[Object], Key]] = {}
        self.loop = Loop("garbage", self._step)
        for kind in kinds:
            caches.add(kind)

    def connect(self) -> None:
        """Begin to listen to the caches; call when they are filled."""
        for kind in self._kinds.values():
            self._caches.of(kind).subscribe(self._changed)

    def _changed(self, before: Object | None, after: Object | None) -> None:
        if before is not None and (after is None or after.uid != before.uid):
            self._vanished(before)
        if after is None:
            return
        if _waits_for_dependents(after):
            self._add(after.uid, type(after), after.key)
        for ref, kind, key in self._owner_keys(after):
            owner = self._caches.get(kind, key)
            if owner is None or owner.uid != ref.uid:
                self._add(ref.uid, kind, key)

    def _vanished(self, thing: Object) -> None:
        # Dependents that come to light later find their owner absent by themselves.
        if any(self._caches.of(kind).owned_keys(thing.uid) for kind in self._kinds.values()):
            self._add(thing.uid, type(thing), thing.key)
        for ref, kind, key in self._owner_keys(thing):
            owner = self._caches.get(kind, key)
            if owner is not None and owner.uid == ref.uid and _waits_for_dependents(owner):
                self._add(ref.uid, kind, key)

    def _owner_keys(self, dependent: Object) -> Iterable[tuple[OwnerReference, type[Object], Key]]:
        """The owners of kinds that are looked after: the reference, the kind and the key."""
        for ref in dependent.metadata.owner_references:
            kind = self._kinds.get(_group_kind(ref))
            if kind is not None:
                in_namespace = dependent.metadata.namespace if kind.resource.namespaced else ""
                yield ref, kind, Key(in_namespace, ref.name)

    def _add(self, uid: str, kind: type[Object], key: Key) -> None:
        self._owners[uid] = (kind, key)
        self.loop.add(Key("", uid))

    async def _step(self, item: Key) -> float | None:
        uid = item.name
        # Taken out first: whoever is added meanwhile is looked at by a run of its own.
        found = self._owners.pop(uid, None)
        if found is None:
            return None
        is_done = False
        try:
            await self._collect(uid, *found)
            is_done = True
        finally:
            if not is_done:
                self._owners.setdefault(uid, found)
        return None

    async def _collect(self, uid: str, kind: type[Object], key: Key) -> None:
        dependents = list(self._dependents(uid))
        owner = await self._owner(kind, key, uid)
        if owner is not None:
            await self._carry_out(owner, sweep_waiting(owner, dependents))
        elif dependents:
            gone = await self._gone(dependents)
            await self._carry_out(None, sweep_absent(dependents, gone | {uid}))

    def _dependents(self, uid: str) -> Iterable[Object]:
        for kind in self._kinds.values():
            cache = self._caches.of(kind)
            for key in cache.owned_keys(uid):
                found = cache.get(key)
                if found is not None:
                    yield found

    async def _owner(self, kind: type[Object], key: Key, uid: str) -> Object | None:
        """The owner as the API has it now; None if it is gone or another one has its name."""
        try:
            found = await self._client.get(kind, key.name, key.namespace)
        except errors.NotFound:
            return None
        return found if found.uid == uid else None

    async def _gone(self, dependents: Sequence[Object]) -> set[str]:
        """The uids of all owners of these objects that are gone."""
        gone: set[str] = set()
        asked: set[str] = set()
        for dependent in dependents:
            for ref, kind, key in self._owner_keys(dependent):
                if ref.uid in asked:
                    continue
                asked.add(ref.uid)
                if await self._owner(kind, key, ref.uid) is None:
                    gone.add(ref.uid)
        return gone

    async def _carry_out(self, owner: Object | None, sweep: Sweep) -> None:
        for doomed in sweep.delete:
            await self._delete(doomed)
        for dependent, left in sweep.release:
            references = released(dependent, left).metadata.owner_references
            await self._patch(dependent, {"ownerReferences": _raw(references)})
        if owner is not None and sweep.finalizer:
            await self._patch(owner, {"finalizers": without_finalizer(owner, sweep.finalizer)})

    async def _delete(self, doomed: Object) -> None:
        try:
            await self._client.delete(type(doomed), doomed.key, uid=doomed.uid)
        except (errors.NotFound, errors.Conflict):
            return  # gone already, or another object bears its name

    async def _patch(self, thing: Object, metadata: Raw) -> None:
        metadata["resourceVersion"] = thing.metadata.resource_version
        try:
            await self._client.patch(type(thing), thing.key, {"metadata": metadata})
        except errors.NotFound:
            return


def _group_kind(ref: OwnerReference) -> _GroupKind:
    group, slash, _ = ref.api_version.rpartition("/")
    return (group if slash else "", ref.kind)


def _waits_for_dependents(owner: Object) -> bool:
    return owner.is_deleting and not {FOREGROUND, ORPHAN}.isdisjoint(owner.metadata.finalizers)


def _raw(references: Sequence[OwnerReference]) -> list[Raw]:
    raw: list[Raw] = msgspec.to_builtins(list(references))
    return raw
