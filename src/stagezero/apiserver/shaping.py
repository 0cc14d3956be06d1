"""The road of an object from a request to what is stored: shape, defaults, admission, checks.

The order is Kubernetes': unknown fields go (or are refused), the schema's defaults come, admission
fills in its own, then the schema, the metadata and admission's rules are checked. Pure but for the
ids and dates it is given.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from stagezero.api import errors
from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.base import Object, Raw
from stagezero.api.schema import metadata_schema
from stagezero.apiserver import definitions, field_errors, metadata, namespaces
from stagezero.apiserver.call import Call, FieldValidation
from stagezero.apiserver.definitions import Definitions
from stagezero.apiserver.field_errors import FieldError
from stagezero.apiserver.pruning import prune, with_defaults, without_nulls
from stagezero.apiserver.served import Served
from stagezero.apiserver.validation import validate

_MOST_WARNINGS = 20


@dataclass(frozen=True)
class Draft:
    """An object as a request gives it; `patch` is shown where a patch made it.

    `managers` are the owners of its fields, where an apply has settled them anew.
    """

    raw: Raw
    duplicates: tuple[str, ...] = ()
    patch: Any = None
    managers: list[Raw] | None = None


class Shaper:
    """Shapes objects; `admissions` are the rules that no schema says."""

    def __init__(
        self, admissions: Iterable[tuple[type[Object], Admission]], served_kinds: Definitions
    ) -> None:
        self._admissions: dict[tuple[str, str], list[Admission]] = {}
        for kind, admission in admissions:
            key = (kind.resource.group, kind.resource.kind)
            self._admissions.setdefault(key, []).append(admission)
        self._definitions = served_kinds
        self._metadata_schema = metadata_schema()

    def new(self, call: Call, draft: Draft, now: str) -> Raw:
        """Shape an object that is about to be created."""
        raw = self._conform(call, draft)
        raw["metadata"] = _managed(metadata.for_new(call, raw["metadata"], now), draft)
        if call.served.has_status:
            raw.pop("status", None)
        if call.served.collection == "namespaces":
            raw = namespaces.as_new(raw)
        return self._admit(call, raw, None, now)

    def changed(self, call: Call, draft: Draft, old: Raw, now: str) -> Raw:
        """Shape the next state of an object; the status endpoint changes only the status."""
        raw = self._conform(call, draft)
        kept = metadata.for_update(call, raw["metadata"], old["metadata"])
        raw["metadata"] = _managed(kept, draft)
        if call.target.subresource == "status":
            raw = _with_part(old, raw, "status")
        elif call.served.has_status:
            raw = _with_part(raw, old, "status")
        if call.served.collection == "namespaces":
            # Its finalizers have an endpoint of their own.
            raw = _with_part(raw, old, "spec")
        shaped = self._admit(call, raw, old, now)
        if call.served.counts_generations and _is_new_generation(shaped, old, call.served):
            shaped["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        return shaped

    def deleted(self, call: Call, old: Raw) -> None:
        """Ask admission whether an object may be deleted."""
        request = AdmissionRequest("DELETE", old, call.request.user.name)
        for admission in self._of(call.served):
            if admission.validate is not None:
                admission.validate(old, request)

    def _of(self, served: Served) -> list[Admission]:
        return self._admissions.get((served.group, served.kind), [])

    def _conform(self, call: Call, draft: Draft) -> Raw:
        """Drop what the schema does not know, or refuse it; fill in the schema's defaults."""
        served, raw = call.served, dict(draft.raw)
        if served.resource.is_builtin:
            raw = without_nulls(raw)
        meta = raw.get("metadata")
        raw["metadata"] = without_nulls(meta) if isinstance(meta, dict) else meta or {}
        wrong = validate(raw["metadata"], self._metadata_schema, "metadata")
        if wrong:
            raise self._invalid(call, raw, wrong)
        pruned, unknown = prune(raw, served.schema, self._metadata_schema)
        self._tell(call, draft, unknown)
        if served.defaults is not None:
            pruned = with_defaults(pruned, served.defaults)
        return pruned

    def _tell(self, call: Call, draft: Draft, unknown: list[str]) -> None:
        validation = call.field_validation
        found = [f'unknown field "{path}"' for path in unknown]
        found += [f'duplicate field "{path}"' for path in draft.duplicates]
        if not found or validation is FieldValidation.IGNORE:
            return
        if validation is FieldValidation.WARN:
            call.warnings.extend(found[:_MOST_WARNINGS])
            return
        complaint = f"strict decoding error: {', '.join(found)}"
        if draft.patch is None:
            raise cannot_be_handled(call.served, call.served.kind, complaint)
        shown = msgspec.json.encode(draft.patch).decode()
        mistake = field_errors.invalid_value("patch", shown, complaint)
        raise errors.Invalid(
            f' "" is invalid: {mistake}',
            [{"reason": mistake.reason, "message": mistake.message, "field": mistake.path}],
        )

    def _admit(self, call: Call, raw: Raw, old: Raw | None, now: str) -> Raw:
        served = call.served
        request = AdmissionRequest(
            "CREATE" if old is None else "UPDATE",
            old,
            call.request.user.name,
            call.target.subresource,
        )
        is_main = call.target.subresource != "status"
        admissions = self._of(served) if is_main else []
        for admission in admissions:
            if admission.default is not None:
                raw = admission.default(raw, request)
        self._check(call, raw, old)
        if served.collection == definitions.COLLECTION and is_main:
            wrong = definitions.mistakes(raw, old)
            if wrong:
                raise self._invalid(call, raw, wrong)
            raw = self._definitions.settle(raw, old, now)
        for admission in admissions:
            if admission.validate is not None:
                admission.validate(raw, request)
        raw["metadata"] = metadata.tidy(raw["metadata"])
        return raw

    def _check(self, call: Call, raw: Raw, old: Raw | None) -> None:
        body = {name: value for name, value in raw.items() if name != "metadata"}
        wrong = validate(body, call.served.schema)
        before = old["metadata"] if old else None
        wrong = metadata.mistakes(call, raw["metadata"], before) + wrong
        if wrong:
            raise self._invalid(call, raw, wrong)

    def _invalid(self, call: Call, raw: Raw, wrong: list[FieldError]) -> errors.ApiError:
        served = call.served
        types = [one for one in wrong if one.reason == "FieldValueTypeInvalid"]
        if served.resource.is_builtin and types:
            return cannot_be_handled(served, served.kind, _as_go_says(served.kind, types[0]))
        name = call.target.name
        return field_errors.invalid(served.kind, served.group, name, wrong)


def _managed(meta: Raw, draft: Draft) -> Raw:
    return meta if draft.managers is None else {**meta, "managedFields": draft.managers}


def _as_go_says(kind: str, mistake: FieldError) -> str:
    """A wrong type as the typed decoder of a built-in kind reports it."""
    found = mistake.message.rpartition(': "')[2].rstrip('"')
    wanted = mistake.message.partition("must be of type ")[2].partition(":")[0]
    what = {"boolean": "bool", "integer": "number"}.get(found, found)
    return (
        f"json: cannot unmarshal {what} into Go struct field {kind}.{mistake.path} of type {wanted}"
    )


def cannot_be_handled(served: Served, kind: str, why: str) -> errors.BadRequest:
    """The answer to a body that cannot be decoded as its kind."""
    return errors.BadRequest(
        f'{kind} in version "{served.version}" cannot be handled as a {served.kind}: {why}'
    )


def _with_part(raw: Raw, source: Raw, name: str) -> Raw:
    taken = {key: value for key, value in raw.items() if key != name}
    if name in source:
        taken[name] = source[name]
    return taken


def _is_new_generation(raw: Raw, old: Raw, served: Served) -> bool:
    ignored = {"apiVersion", "kind", "metadata"} | ({"status"} if served.has_status else set())

    def content(thing: Mapping[str, Any]) -> Raw:
        return {name: value for name, value in thing.items() if name not in ignored}

    return content(raw) != content(old)
