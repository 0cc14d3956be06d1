"""Carries plans out: compares with the caches, writes only differences, notes what it wrote.

Every write is preconditioned on the version the plan has seen; a Conflict therefore means "decide
again", never "lost update".
"""

import hashlib

import msgspec

from stagezero.api import errors
from stagezero.api.base import Key, Object, Raw, T, controller_of, to_raw
from stagezero.client.cache import Caches
from stagezero.client.client import AS_MERGE_PATCH, Client
from stagezero.runtime.difference import OWNED_METADATA, desired_patch, exact
from stagezero.runtime.events import Recorder
from stagezero.runtime.plan import Plan, warning


class NotOwned(Exception):
    """An object of the wanted name exists and belongs to somebody else."""

    def __init__(self, thing: Object, owner: Object) -> None:
        kind, name = thing.resource.kind, thing.metadata.name
        super().__init__(
            f'There is an existing {kind} "{name}" that {owner.resource.kind} '
            f'"{owner.metadata.name}" does not own: delete or rename it.'
        )


class _Settled:
    """Remembers what the server made of what was applied.

    Admission fills in defaults that a plan does not know; as long as the plan wants the same and
    the object is still as the server left it, nothing differs.
    """

    def __init__(self) -> None:
        self._left: dict[tuple[type[Object], Key], tuple[bytes, bytes]] = {}

    def is_as_left(self, desired: Object, before: Raw) -> bool:
        """Whether the same was wanted before, and the object has not changed since."""
        left = self._left.get((type(desired), desired.key))
        return left == (_digest(to_raw(desired)), _digest(before))

    def remember(self, desired: Object, answer: bytes) -> None:
        """Keep what the server answered to `desired`."""
        after = _digest(msgspec.json.decode(answer))
        self._left[(type(desired), desired.key)] = (_digest(to_raw(desired)), after)

    def forget(self, gone: Object) -> None:
        """Drop what is remembered of a deleted object."""
        self._left.pop((type(gone), gone.key), None)


def _digest(raw: Raw) -> bytes:
    """What a plan can want of an object: everything but its status and most metadata."""
    metadata = raw.get("metadata", {})
    wanted = {
        **{name: value for name, value in raw.items() if name not in ("status", "metadata")},
        "metadata": {name: metadata.get(name) for name in OWNED_METADATA},
    }
    return hashlib.blake2b(msgspec.json.encode(wanted, order="sorted"), digest_size=16).digest()


class Carrier:
    """Makes the API agree with plans."""

    def __init__(self, client: Client, caches: Caches, recorder: Recorder) -> None:
        self._client = client
        self._caches = caches
        self._recorder = recorder
        self._settled = _Settled()

    async def carry_out(self, primary: Object, plan: Plan) -> None:
        """Apply, delete, write the status, tell events; errors of the API go up."""
        for desired in plan.apply:
            await self.apply(desired, primary)
        for doomed in plan.delete:
            await self.delete(doomed)
        if plan.status is not None:
            await self.write_status(plan.status)
        for happening in plan.events:
            await self._recorder.record(primary, happening)
        if plan.error is not None:
            await self._recorder.record(primary, warning("InternalError", plan.error))

    async def apply(self, desired: Object, primary: Object) -> None:
        """Create an object, or change the one that is there where it differs."""
        kind = type(desired)
        before = self._caches.raw(kind, desired.key)
        if before is None:
            await self._create(desired)
            return
        self._check_owner(desired, primary)
        patch = desired_patch(before, to_raw(desired), desired.resource.is_builtin)
        if patch and not self._settled.is_as_left(desired, before):
            answer = await self._patch(desired, patch, before, "")
            self._settled.remember(desired, answer)

    async def _create(self, desired: Object) -> None:
        path = desired.resource.path(desired.metadata.namespace)
        body = msgspec.json.encode(to_raw(desired))
        try:
            response = await self._client.request("POST", path, body=body)
        except errors.AlreadyExists as error:
            raise errors.Conflict(error.message) from error
        self._caches.of(type(desired)).note(response.body)
        self._settled.remember(desired, response.body)

    def _check_owner(self, desired: Object, primary: Object) -> None:
        wanted = controller_of(desired)
        existing = self._caches.get(type(desired), desired.key)
        if wanted is None or existing is None:
            return
        actual = controller_of(existing)
        if actual is None or actual.uid != wanted.uid:
            raise NotOwned(desired, primary)

    async def delete(self, doomed: Object) -> None:
        """Delete an object unless it is another one by now, or gone."""
        self._settled.forget(doomed)
        try:
            await self._client.delete(type(doomed), doomed.key, uid=doomed.uid)
        except (errors.NotFound, errors.Conflict):
            return

    async def write_status(self, wanted: T) -> None:
        """Make the status exactly as wanted."""
        before = self._caches.raw(type(wanted), wanted.key)
        if before is None:
            return
        difference = exact(before.get("status") or {}, to_raw(wanted).get("status") or {})
        if difference:
            await self._patch(wanted, {"status": difference}, before, "status")

    async def _patch(self, thing: Object, patch: Raw, before: Raw, subresource: str) -> bytes:
        metadata = dict(patch.get("metadata", {}))
        metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
        path = thing.resource.path(thing.metadata.namespace, thing.metadata.name, subresource)
        body = msgspec.json.encode({**patch, "metadata": metadata})
        response = await self._client.request("PATCH", path, body=body, headers=AS_MERGE_PATCH)
        self._caches.of(type(thing)).note(response.body)
        return response.body
