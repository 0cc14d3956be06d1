"""Deletion: at once, or in steps where finalizers, a pod's grace period or dependents hold it up.

The garbage of owners is collected by a controller; the server only sets the finalizers that a
propagation policy asks for, and removes an object when its last finalizer goes.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.apiserver import decoding, definitions
from stagezero.apiserver.call import SYSTEM_GROUP, Call
from stagezero.apiserver.encoding import decode
from stagezero.apiserver.objects import Objects
from stagezero.apiserver.routing import Target
from stagezero.apiserver.served import Served
from stagezero.apiserver.shaping import Shaper
from stagezero.kit.clock import Clock, rfc3339
from stagezero.kit.http import Request, User
from stagezero.store.base import Stored

_POLICIES = {"": None, "Background": None, "Foreground": "foregroundDeletion", "Orphan": "orphan"}
_POD_GRACE_S = 30
_ENDED = frozenset({"Succeeded", "Failed"})
_TRIES = 5


@dataclass(frozen=True)
class Options:
    """DeleteOptions as far as they are heard."""

    finalizer: str | None = None
    uid: str = ""
    version: str = ""
    grace_s: int | None = None


@dataclass(frozen=True)
class Deleted:
    """What a deletion did: the object's bytes now, and whether it is gone."""

    data: bytes
    is_gone: bool


def read_options(call: Call) -> Options:
    """Read options from the body and the query; the query is older clients' way."""
    body: Any = {}
    if call.request.body:
        content_type = call.request.headers.get("content-type", "")
        body = decoding.decode_body(call.request.body, content_type)
    if not isinstance(body, dict):
        raise errors.BadRequest("the body of a deletion is a DeleteOptions object")
    policy = body.get("propagationPolicy") or call.query.get("propagationPolicy") or ""
    if body.get("orphanDependents") or call.query.get("orphanDependents") == "true":
        policy = policy or "Orphan"
    if policy not in _POLICIES:
        raise errors.Invalid(
            f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: '
            f'"{policy}": supported values: "Foreground", "Background", "Orphan", "nil"'
        )
    conditions = body.get("preconditions") or {}
    if not isinstance(conditions, dict):
        raise errors.BadRequest("preconditions is not an object")
    return Options(
        finalizer=_POLICIES[policy],
        uid=str(conditions.get("uid") or ""),
        version=str(conditions.get("resourceVersion") or ""),
        grace_s=_grace(body, call),
    )


def _grace(body: Raw, call: Call) -> int | None:
    given = body.get("gracePeriodSeconds", call.query.get("gracePeriodSeconds"))
    if given is None:
        return None
    try:
        seconds = int(given)
    except (TypeError, ValueError) as error:
        raise errors.BadRequest(f"gracePeriodSeconds is no number: {given!r}") from error
    if not -1 <= seconds < 2**31:
        raise errors.BadRequest(f"gracePeriodSeconds is out of bounds: {given!r}")
    return max(seconds, 1) if seconds < 0 else seconds


class Deletion:
    """Deletes objects, or marks them for it."""

    def __init__(self, objects: Objects, shaper: Shaper, clock: Clock) -> None:
        self._objects = objects
        self._shaper = shaper
        self._clock = clock

    async def delete(self, call: Call, options: Options) -> Deleted:
        """Delete one object; Conflict if it is not the one that the preconditions name."""
        for _ in range(_TRIES - 1):
            try:
                return await self._delete_once(call, options)
            except errors.Conflict:
                stored = self._objects.find(call)
                self._check(call, decode(stored.data), options)
        return await self._delete_once(call, options)

    async def _delete_once(self, call: Call, options: Options) -> Deleted:
        stored = self._objects.find(call)
        raw = decode(stored.data)
        self._check(call, raw, options)
        self._shaper.deleted(call, raw)
        marked = self._marked(call.served, raw, options)
        if self.is_due(marked):
            return Deleted(await self._objects.remove(call, marked, stored.version), is_gone=True)
        if marked == raw:
            return Deleted(stored.data, is_gone=False)
        data = await self._objects.replace(call, marked, stored.version)
        if call.served.collection == definitions.COLLECTION:
            await self._delete_all_of(call)
        return Deleted(data, is_gone=False)

    def _check(self, call: Call, raw: Raw, options: Options) -> None:
        actual = raw["metadata"]
        if options.uid and options.uid != actual["uid"]:
            raise call.conflict(
                f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: "
                f"{actual['uid']}"
            )
        if options.version and options.version != actual["resourceVersion"]:
            raise call.conflict(
                f"Precondition failed: ResourceVersion in precondition: {options.version}, "
                f"ResourceVersion in object meta: {actual['resourceVersion']}"
            )

    def _marked(self, served: Served, raw: Raw, options: Options) -> Raw:
        """The object with its date of deletion and what holds the deletion up."""
        metadata = dict(raw["metadata"])
        grace_s = _grace_of(served, raw, options)
        is_first = "deletionTimestamp" not in metadata
        if is_first or grace_s < metadata.get("deletionGracePeriodSeconds", 0):
            due = self._clock.now() + timedelta(seconds=grace_s)
            metadata["deletionTimestamp"] = rfc3339(due)
            metadata["deletionGracePeriodSeconds"] = grace_s
            if is_first and served.counts_generations:
                metadata["generation"] = metadata.get("generation", 0) + 1
        finalizers = list(metadata.get("finalizers", []))
        for finalizer in (options.finalizer, self._cleanup(served, raw)):
            if finalizer and is_first and finalizer not in finalizers:
                finalizers.append(finalizer)
        if finalizers:
            metadata["finalizers"] = finalizers
        marked = {**raw, "metadata": metadata}
        if served.collection == "namespaces":
            marked["status"] = {**(raw.get("status") or {}), "phase": "Terminating"}
        return marked

    def _cleanup(self, served: Served, raw: Raw) -> str | None:
        if served.collection != definitions.COLLECTION:
            return None
        has_objects = bool(self._objects.store.list(raw["metadata"]["name"])[0])
        return definitions.CLEANUP if has_objects else None

    def is_due(self, raw: Raw) -> bool:
        """Whether nothing holds up the end of an object that is being deleted."""
        metadata = raw["metadata"]
        if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
            return False
        if metadata.get("deletionGracePeriodSeconds"):
            return False
        is_namespace = raw.get("kind") == "Namespace" and raw.get("apiVersion") == "v1"
        held = (raw.get("spec") or {}).get("finalizers") if is_namespace else None
        return not held

    async def delete_collection(self, call: Call, found: list[Stored], options: Options) -> None:
        """Delete many objects; one that is gone meanwhile is what was asked for."""
        for stored in found:
            try:
                await self.delete(call.on(stored.key.namespace, stored.key.name), options)
            except errors.NotFound:
                continue

    async def resume(self) -> None:
        """Go on deleting the objects of definitions that were being deleted before a crash."""
        served = self._objects.served(definitions.COLLECTION)
        assert served is not None, "CustomResourceDefinition is a built-in kind"
        request = Request("DELETE", "/", user=User("system:apiserver", (SYSTEM_GROUP,)))
        for stored in self._objects.store.list(definitions.COLLECTION)[0]:
            if "deletionTimestamp" in decode(stored.data)["metadata"]:
                target = Target(served.group, served.version, served.resource.plural)
                call = Call(request, target, served).named(stored.key.name)
                await self._delete_all_of(call)
                await self._objects.let_go(stored.key.name)

    async def _delete_all_of(self, call: Call) -> None:
        served = self._objects.served(call.target.name)
        if served is None:
            return
        found = self._objects.store.list(served.collection)[0]
        inner = Call(call.request, call.target, served)
        await self.delete_collection(inner, found, Options())


def _grace_of(served: Served, raw: Raw, options: Options) -> int:
    """Seconds between the wish and the end: none but for a pod that a node may be running."""
    if served.collection != "pods":
        return 0
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in _ENDED:
        return 0
    if options.grace_s is not None:
        return options.grace_s
    own: int = spec.get("terminationGracePeriodSeconds", _POD_GRACE_S)
    return own
