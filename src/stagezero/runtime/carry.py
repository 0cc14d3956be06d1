"""Carries plans out: compares with the caches, writes only differences, notes what it wrote.

Every write is preconditioned on the version that was seen; a Conflict therefore means "decide
again", never "lost update". A write that the API refuses is told on the primary object, and does
not keep its status from being written.
"""

import asyncio
from dataclasses import replace

import msgspec

from stagezero.api import errors
from stagezero.api.base import Object, Raw, T, controller_of, to_raw
from stagezero.client.cache import Caches
from stagezero.client.client import AS_MERGE_PATCH, Client
from stagezero.runtime.contests import BURST, Contests
from stagezero.runtime.difference import desired_patch, exact
from stagezero.runtime.events import Recorder
from stagezero.runtime.loop import StepFailed
from stagezero.runtime.plan import Happening, Plan, Refusal, warning
from stagezero.runtime.settled import Settled

TRANSIENT = (errors.Unavailable, errors.InternalError, errors.TooManyRequests)
"""Refusals that are nobody's mistake: tried again, and not told on the object."""


class NotOwned(StepFailed):
    """An object of the wanted name exists and belongs to somebody else."""

    def __init__(self, thing: Object, owner: Object) -> None:
        kind, name = thing.resource.kind, thing.metadata.name
        super().__init__(
            f'There is an existing {kind} "{name}" that {owner.resource.kind} '
            f'"{owner.metadata.name}" does not own: delete or rename it.'
        )
        self.event_reason = "NotOwned"
        self.refusal = Refusal(thing, "NotOwned", str(self))


class Refused(StepFailed):
    """The API refuses an object that a plan wants, and will refuse it again."""

    def __init__(self, verb: str, thing: Object, error: errors.ApiError) -> None:
        kind, name = thing.resource.kind, thing.metadata.name
        super().__init__(f'Cannot {verb} {kind} "{name}": {error.message}')
        self.event_reason = "InternalError"
        self.refusal = Refusal(thing, "Refused", str(self))


class Contested(StepFailed):
    """Somebody undoes what a plan wants again and again."""

    def __init__(self, thing: Object) -> None:
        kind, name = thing.resource.kind, thing.metadata.name
        super().__init__(
            f'{kind} "{name}" was changed back {BURST} times: two programs want it to be '
            "different, and it is written less often until one of them gives in"
        )


class Carrier:
    """Makes the API agree with plans."""

    def __init__(self, client: Client, caches: Caches, recorder: Recorder) -> None:
        self._client = client
        self._caches = caches
        self._recorder = recorder
        self._settled = Settled(caches)
        self._contests = Contests()

    async def carry_out(self, primary: Object, plan: Plan) -> None:
        """Apply, delete, tell events, write the status; errors of the API go up.

        Events come before the status: whoever reads the status finds what led to it, and a
        conflict there tells them at worst once more, which the recorder counts.
        """
        failed: StepFailed | None = None
        try:
            await self._write(primary, plan)
        except Contested as error:
            failed = error  # no event: each would be one more write
            plan = replace(plan, events=())
        except (NotOwned, Refused) as error:
            failed = error
            await self._tell(primary, (warning(error.event_reason, str(error)),))
            plan = plan.after(error.refusal)
        await self._tell(primary, plan.events)
        if plan.error is not None:
            await self._tell(primary, (warning("InternalError", plan.error),))
        if plan.status is not None:
            await self.write_status(plan.status)
        if failed is not None:
            raise failed

    async def _write(self, primary: Object, plan: Plan) -> None:
        for claimed in plan.claim:
            await self.claim(claimed)
        for desired in plan.apply:
            await self.apply(desired, primary)
        for doomed in plan.delete:
            await self.delete(doomed)

    async def _tell(self, primary: Object, happenings: tuple[Happening, ...]) -> None:
        for happening in happenings:
            await self._recorder.record(primary, happening)

    async def apply(self, desired: Object, primary: Object) -> None:
        """Create an object, or change the one that is there where it differs."""
        if self._settled.holds(desired):
            return
        before = self._caches.raw(type(desired), desired.key)
        if before is None:
            await self._insist(desired, None)
            return
        self._check_owner(desired, primary)
        patch = desired_patch(before, to_raw(desired), desired.resource.is_builtin)
        if patch and not self._settled.is_as_left(desired, before):
            await self._insist(desired, (patch, before))
        else:
            self._settled.remember(desired, before)

    async def _insist(self, desired: Object, change: tuple[Raw, Raw] | None) -> None:
        """Create or change an object; Contested if that was undone too often."""
        name, now_s = (type(desired), desired.key), asyncio.get_running_loop().time()
        is_again = self._settled.was_wanted(desired)
        if is_again and not self._contests.allows(name, now_s):
            raise Contested(desired)
        answer = await (self._change(desired, *change) if change else self._create(desired))
        self._settled.remember(desired, msgspec.json.decode(answer))
        if is_again:
            self._contests.count(name, now_s)

    async def _create(self, desired: Object) -> bytes:
        path = desired.resource.path(desired.metadata.namespace)
        body = msgspec.json.encode(to_raw(desired))
        try:
            response = await self._client.request("POST", path, body=body)
        except (errors.Conflict, *TRANSIENT):
            raise
        except errors.AlreadyExists as error:
            # The cache does not show it yet, or whoever made it: look again.
            raise errors.Conflict(error.message) from error
        except errors.ApiError as error:
            raise Refused("create", desired, error) from error
        self._caches.of(type(desired)).note(response.body)
        return response.body

    async def _change(self, desired: Object, patch: Raw, before: Raw) -> bytes:
        try:
            return await self._patch(desired, patch, before["metadata"]["resourceVersion"])
        except (errors.Conflict, *TRANSIENT):
            raise
        except errors.NotFound as error:
            raise errors.Conflict(error.message) from error
        except errors.ApiError as error:
            raise Refused("change", desired, error) from error

    def _check_owner(self, desired: Object, primary: Object) -> None:
        wanted = controller_of(desired)
        existing = self._caches.get(type(desired), desired.key)
        if wanted is None or existing is None:
            return
        actual = controller_of(existing)
        if actual is None or actual.uid != wanted.uid:
            raise NotOwned(desired, primary)

    async def claim(self, claimed: Object) -> None:
        """Write the owner references of an object, if it still is what the plan has seen."""
        references = msgspec.to_builtins(claimed.metadata.owner_references)
        patch = {"metadata": {"ownerReferences": references, "uid": claimed.uid}}
        await self._change(claimed, patch, to_raw(claimed))

    async def delete(self, doomed: Object) -> None:
        """Delete an object unless it is another one by now, or gone."""
        try:
            await self._client.delete(type(doomed), doomed.key, uid=doomed.uid)
        except (errors.NotFound, errors.Conflict):
            return
        except TRANSIENT:
            raise
        except errors.ApiError as error:
            raise Refused("delete", doomed, error) from error

    async def write_status(self, wanted: T) -> None:
        """Make the status exactly as wanted, if the object still is what the plan has seen."""
        kind = type(wanted)
        present = self._caches.get(kind, wanted.key)
        before = self._caches.raw(kind, wanted.key)
        if before is None or before["metadata"].get("uid") != wanted.uid:
            return
        if present is not None and _status(present) == _status(wanted):
            return
        difference = exact(before.get("status") or {}, to_raw(wanted).get("status") or {})
        if difference:
            try:
                await self._patch(wanted, {"status": difference}, _seen(wanted, before), "status")
            except errors.NotFound:
                return  # gone meanwhile: nobody is left to read it

    async def _patch(self, thing: Object, patch: Raw, version: str, subresource: str = "") -> bytes:
        metadata = {**patch.get("metadata", {}), "resourceVersion": version}
        path = thing.resource.path(thing.metadata.namespace, thing.metadata.name, subresource)
        body = msgspec.json.encode({**patch, "metadata": metadata})
        response = await self._client.request("PATCH", path, body=body, headers=AS_MERGE_PATCH)
        self._caches.of(type(thing)).note(response.body)
        return response.body


def _status(thing: Object) -> object:
    return getattr(thing, "status", None)


def _seen(wanted: Object, before: Raw) -> str:
    """The version that the plan decided on; a plan may leave it out."""
    return wanted.metadata.resource_version or str(before["metadata"]["resourceVersion"])
