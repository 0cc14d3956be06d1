"""Create, replace and patch: read the body, shape the object, commit it."""

from typing import Any

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.apiserver import applying, decoding, metadata, namespaces, patching
from stagezero.apiserver.applying import Applied
from stagezero.apiserver.call import Call, FieldValidation
from stagezero.apiserver.deletion import Deletion
from stagezero.apiserver.encoding import decode
from stagezero.apiserver.objects import Objects
from stagezero.apiserver.served import Served
from stagezero.apiserver.shaping import Draft, Shaper, cannot_be_handled
from stagezero.kit.clock import Clock, rfc3339
from stagezero.store.base import Stored

# A patch without a resourceVersion means "on whatever is there": it is tried again on a conflict.
_PATCH_TRIES = 5
_NAME_TRIES = 8


class Writes:
    """The verbs that store objects; each returns the encoded object."""

    def __init__(self, objects: Objects, shaper: Shaper, deletion: Deletion, clock: Clock) -> None:
        self._objects = objects
        self._shaper = shaper
        self._deletion = deletion
        self._clock = clock

    @property
    def _now(self) -> str:
        return rfc3339(self._clock.now())

    async def create(self, call: Call) -> bytes:
        """POST to a collection."""
        draft = self._draft(call)
        given = draft.raw["metadata"]
        name = given.get("name")
        if call.served.resource.namespaced:
            self._check_namespace(call.named(name or ""), given)
        if not name and given.get("generateName"):
            return await self._create_generated(call, draft, given["generateName"])
        if not name:
            raise errors.Invalid(
                f'{call.served.kind} "" is invalid: metadata.name: Required value: '
                "name or generateName is required",
                [
                    {
                        "reason": "FieldValueRequired",
                        "message": "Required value: name or generateName is required",
                        "field": "metadata.name",
                    }
                ],
                {"group": call.served.group, "kind": call.served.kind},
            )
        return await self._create(call.named(name), draft)

    async def _create_generated(self, call: Call, draft: Draft, base: str) -> bytes:
        for _ in range(_NAME_TRIES - 1):
            try:
                return await self._create(call.named(metadata.generated_name(base)), draft)
            except errors.AlreadyExists:
                continue
        return await self._create(call.named(metadata.generated_name(base)), draft)

    async def _create(self, call: Call, draft: Draft) -> bytes:
        if self._objects.store.get(call.key) is not None:
            raise call.already_exists()
        shaped = self._shaper.new(call, draft, self._now)
        self._objects.check_accepts(call)
        return await self._objects.create(call, shaped)

    def _check_namespace(self, call: Call, given: Raw) -> None:
        if given.get("namespace") not in (None, "", call.target.namespace):
            raise errors.BadRequest(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        namespaces.check_open(self._objects.store, call)

    async def replace(self, call: Call) -> bytes:
        """PUT an object, or its status."""
        draft = self._draft(call)
        given = draft.raw["metadata"]
        if given.get("name") not in (None, "", call.target.name):
            raise errors.BadRequest(
                f"the name of the object ({given.get('name')}) does not match the name on the URL "
                f"({call.target.name})"
            )
        if given.get("namespace") not in (None, "", call.target.namespace):
            raise errors.BadRequest(
                f"the namespace of the object ({given.get('namespace')}) does not match the "
                f"namespace on the URL ({call.target.namespace})"
            )
        stored = self._objects.find(call)
        if not given.get("resourceVersion") and not call.served.resource.is_builtin:
            raise errors.Invalid(
                f'{call.served.collection} "{call.target.name}" is invalid: '
                "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update",
                [
                    {
                        "reason": "FieldValueInvalid",
                        "message": "Invalid value: 0x0: must be specified for an update",
                        "field": "metadata.resourceVersion",
                    }
                ],
                call.details(),
            )
        return await self._commit(call, draft, stored)

    async def patch(self, call: Call) -> tuple[bytes, bool]:
        """PATCH an object, or its status; tells whether that made a new object."""
        headers = call.request.headers
        content_type = headers.get("content-type", "")
        kind, patch = patching.decode(call.request.body, content_type, call.served)
        if kind == patching.APPLY_PATCH:
            return await self._apply(call, applying.read(call, patch))
        duplicates = _duplicates(call)
        for _ in range(_PATCH_TRIES - 1):
            try:
                return await self._patch_once(call, kind, patch, duplicates), False
            except errors.Conflict:
                if _names_version(patch):
                    raise
        return await self._patch_once(call, kind, patch, duplicates), False

    async def _apply(self, call: Call, applied: Applied) -> tuple[bytes, bool]:
        check_kind(applied.raw, call.served)
        self._check_identity(call, applied.raw.get("metadata") or {})
        for _ in range(_PATCH_TRIES - 1):
            try:
                return await self._apply_once(call, applied)
            except (errors.Conflict, errors.AlreadyExists) as error:
                if _is_between_managers(error):
                    raise
        return await self._apply_once(call, applied)

    async def _apply_once(self, call: Call, applied: Applied) -> tuple[bytes, bool]:
        stored = self._objects.store.get(call.key)
        if stored is None:
            return await self._apply_new(call, applied), True
        live = decode(stored.data)
        draft = applying.apply(call, applied, live, self._now)
        version = (applied.raw.get("metadata") or {}).get("resourceVersion")
        if version not in (None, "", live["metadata"]["resourceVersion"]):
            raise call.conflict()
        return await self._commit(call, draft, stored), False

    async def _apply_new(self, call: Call, applied: Applied) -> bytes:
        if call.target.subresource:
            raise call.not_found()
        if call.served.resource.namespaced:
            namespaces.check_open(self._objects.store, call)
        return await self._create(call, applying.as_new(call, applied, self._now))

    async def _patch_once(
        self, call: Call, kind: str, patch: Any, duplicates: tuple[str, ...]
    ) -> bytes:
        stored = self._objects.find(call)
        old = decode(stored.data)
        old["apiVersion"] = call.served.api_version
        raw = patching.apply(old, kind, patch, call.served)
        check_kind(raw, call.served)
        meta = raw.get("metadata")
        if isinstance(meta, dict):
            self._check_identity(call, meta)
        return await self._commit(call, Draft(raw, duplicates, patch), stored)

    def _check_identity(self, call: Call, meta: Raw) -> None:
        wanted = {"name": call.target.name, "namespace": call.target.namespace}
        for field, value in wanted.items():
            if meta.get(field, value) != value:
                raise errors.BadRequest(
                    f"the {field} of the object ({meta[field]}) does not match the {field} on the "
                    f"URL ({value})"
                )

    async def _commit(self, call: Call, draft: Draft, stored: Stored) -> bytes:
        old = decode(stored.data)
        shaped = self._shaper.changed(call, draft, old, self._now)
        if _is_same(shaped, old):
            return stored.data
        if self._deletion.is_due(shaped):
            return await self._objects.remove(call, shaped, stored.version)
        return await self._objects.replace(call, shaped, stored.version)

    def _draft(self, call: Call) -> Draft:
        content_type = call.request.headers.get("content-type", "")
        body = decoding.decode_body(call.request.body, content_type)
        if not isinstance(body, dict):
            raise errors.BadRequest(f"the body of the request is no {call.served.kind} object")
        meta = body.get("metadata")
        raw = {**body, "metadata": meta if meta is not None else {}}
        if not isinstance(raw["metadata"], dict):
            raise cannot_be_handled(
                call.served, call.served.kind, "json: metadata is not an object"
            )
        for field in ("name", "namespace", "generateName"):
            if not isinstance(raw["metadata"].get(field) or "", str):
                raise cannot_be_handled(
                    call.served, call.served.kind, f"json: metadata.{field} is not a string"
                )
        check_kind(raw, call.served)
        return Draft(raw, _duplicates(call))


def _is_between_managers(error: errors.ApiError) -> bool:
    causes = (error.details or {}).get("causes") or []
    return any(cause.get("reason") == "FieldManagerConflict" for cause in causes)


def _duplicates(call: Call) -> tuple[str, ...]:
    if call.field_validation is FieldValidation.IGNORE:
        return ()
    content_type = call.request.headers.get("content-type", "")
    return tuple(decoding.duplicate_fields(call.request.body, content_type))


def _names_version(patch: Any) -> bool:
    if isinstance(patch, dict):
        meta = patch.get("metadata")
        return isinstance(meta, dict) and "resourceVersion" in meta
    return any("resourceVersion" in str(step.get("path")) for step in patch)


def _is_same(shaped: Raw, old: Raw) -> bool:
    return {**shaped, "apiVersion": ""} == {**old, "apiVersion": ""}


def check_kind(raw: Raw, served: Served) -> None:
    """Refuse a body of another kind than the path's; fill in what it leaves out."""
    version = raw.setdefault("apiVersion", served.api_version)
    kind = raw.setdefault("kind", served.kind)
    if version != served.api_version:
        raise errors.BadRequest(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({served.api_version})"
        )
    if kind != served.kind:
        raise cannot_be_handled(served, str(kind), "the kinds differ")
