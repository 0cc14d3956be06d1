"""Server-side apply: a manager says which fields it wants; the server knows who wants what.

Owners are those who apply. Other writers (edit, patch, scale) own nothing here: what they change in
an applied field stays until the next apply of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.api.schema import metadata_schema
from stagezero.apiserver import field_sets
from stagezero.apiserver.call import Call
from stagezero.apiserver.field_sets import FieldSet, Path
from stagezero.apiserver.shaping import Draft

_OPERATION = "Apply"
# Identity and what the server sets is nobody's wish.
_NOT_OWNED = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
              "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink",
              "generateName")  # fmt: skip


@dataclass(frozen=True)
class Applied:
    """What a manager applies: its name, the object as given, and whether it takes fields over."""

    manager: str
    raw: Raw
    is_forced: bool


def read(call: Call, patch: Raw) -> Applied:
    """Read an apply request; Invalid without a manager."""
    manager = call.query.get("fieldManager", "")
    if not manager:
        what = "Required value: is required for apply patch"
        raise errors.Invalid(
            f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {what}',
            [{"reason": "FieldValueRequired", "message": what, "field": "fieldManager"}],
            {"group": "meta.k8s.io", "kind": "PatchOptions"},
        )
    meta = patch.get("metadata") or {}
    if not isinstance(meta, dict):
        raise errors.BadRequest("metadata is not an object")
    if meta.get("managedFields"):
        raise errors.BadRequest("metadata.managedFields must be nil")
    return Applied(manager, patch, call.query.get("force") == "true")


def apply(call: Call, applied: Applied, live: Raw, now: str) -> Draft:
    """Return the object after the apply; Conflict names other managers' fields."""
    schema = _schema(call)
    wanted = _owned_part(applied.raw)
    fields = field_sets.fields_of(wanted, schema)
    entries = [entry for entry in live["metadata"].get("managedFields", []) if _is_apply(entry)]
    others = [entry for entry in entries if not _is_of(entry, call, applied.manager)]
    before = frozenset[Path]().union(
        *(_fields(entry) for entry in entries if _is_of(entry, call, applied.manager))
    )
    contested = _contested(fields, others, (live, wanted, schema))
    if contested and not applied.is_forced:
        raise _conflict(contested)
    others = [_less(entry, fields & _all_of(contested, entry)) for entry in others]
    merged = field_sets.merge(live, wanted, schema)
    left = before - fields - frozenset[Path]().union(*map(_fields, others))
    merged = field_sets.without(merged, _removable(left, fields, others), schema)
    own = _entry(call, applied.manager, fields, now)
    previous = next((entry for entry in entries if _is_of(entry, call, applied.manager)), None)
    if previous is not None and previous.get("fieldsV1") == own["fieldsV1"]:
        own = previous
    kept = [entry for entry in others if _fields(entry)]
    named = {"apiVersion": call.served.api_version, "kind": call.served.kind}
    return Draft({**merged, **named}, (), applied.raw, [own, *kept])


def as_new(call: Call, applied: Applied, now: str) -> Draft:
    """The object that an apply creates, with its first owner."""
    fields = field_sets.fields_of(_owned_part(applied.raw), _schema(call))
    return Draft(applied.raw, managers=[_entry(call, applied.manager, fields, now)])


def _schema(call: Call) -> Raw:
    schema = call.served.schema
    return {**schema, "properties": {**schema.get("properties", {}), "metadata": metadata_schema()}}


def _owned_part(raw: Raw) -> Raw:
    meta = raw.get("metadata") or {}
    wanted = {name: value for name, value in meta.items() if name not in _NOT_OWNED}
    rest = {
        name: value for name, value in raw.items() if name not in ("apiVersion", "kind", "metadata")
    }
    return {**rest, **({"metadata": wanted} if wanted else {})}


def _is_apply(entry: Raw) -> bool:
    return entry.get("operation") == _OPERATION


def _is_of(entry: Raw, call: Call, manager: str) -> bool:
    return entry.get("manager") == manager and (
        entry.get("subresource", "") == call.target.subresource
    )


def _fields(entry: Raw) -> FieldSet:
    return field_sets.from_v1(entry.get("fieldsV1"))


def _entry(call: Call, manager: str, fields: FieldSet, now: str) -> Raw:
    entry = {
        "manager": manager,
        "operation": _OPERATION,
        "apiVersion": call.served.api_version,
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": field_sets.to_v1(fields),
    }
    if call.target.subresource:
        entry["subresource"] = call.target.subresource
    return entry


_Contested = list[tuple[Raw, Path]]


def _contested(fields: FieldSet, others: Iterable[Raw], sides: tuple[Raw, Raw, Raw]) -> _Contested:
    """Fields of others to which this apply would give another value."""
    live, wanted, schema = sides

    def differs(path: Path) -> bool:
        is_item = path[-1][:2] in ("k:", "v:")
        here, there = field_sets.at(wanted, path, schema), field_sets.at(live, path, schema)
        return not is_item and bool(here != there)

    return [
        (entry, path)
        for entry in others
        for path in sorted(fields & _fields(entry))
        if differs(path)
    ]


def _all_of(contested: _Contested, entry: Raw) -> FieldSet:
    return frozenset(path for one, path in contested if one is entry)


def _less(entry: Raw, lost: FieldSet) -> Raw:
    if not lost:
        return entry
    return {**entry, "fieldsV1": field_sets.to_v1(_fields(entry) - lost)}


def _removable(left: FieldSet, fields: FieldSet, others: Iterable[Raw]) -> list[Path]:
    """Fields that nobody wants any more; what holds another's field stays."""
    wanted: set[Path] = set(fields)
    for entry in others:
        wanted |= _fields(entry)
    held = {path[:length] for path in wanted for length in range(len(path) + 1)}
    return [path for path in left if path not in held]


def _conflict(contested: _Contested) -> errors.Conflict:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{entry["manager"]}" using {entry["apiVersion"]}',
            "field": field_sets.show(path),
        }
        for entry, path in contested
    ]
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    by_manager: dict[str, list[str]] = {}
    for cause in causes:
        by_manager.setdefault(cause["message"], []).append(cause["field"])
    if len(causes) == 1:
        text = f"{causes[0]['message']}: {causes[0]['field']}"
    else:
        text = "\n".join(
            f"{manager}:\n" + "\n".join(f"- {name}" for name in names)
            for manager, names in by_manager.items()
        )
        text = text.replace("conflict with", "conflicts with")
    return errors.Conflict(f"Apply failed with {count}: {text}", {"causes": causes})
