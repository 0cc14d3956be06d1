"""CustomResourceDefinitions: each becomes a served resource as it is stored, and leaves with it.

A definition's conditions (NamesAccepted, Established) are settled in the write that stores it.
Deleting one deletes its objects first: the definition waits, terminating, until the last is gone.
"""

import re

from stagezero.api.apiextensions import CustomResourceDefinition
from stagezero.api.base import Raw
from stagezero.apiserver import field_errors, structural
from stagezero.apiserver.catalogue import Catalogue
from stagezero.apiserver.encoding import decode, restamped
from stagezero.apiserver.field_errors import FieldError
from stagezero.apiserver.jsonpath import JsonPath, PathError
from stagezero.store.base import Durability, Store, StoreKey

COLLECTION = CustomResourceDefinition.resource.full_name
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that holds a definition while objects of its kind remain."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_VERSION = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


class Definitions:
    """Keeps the catalogue true to the stored definitions."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue

    def load(self) -> None:
        """Serve what was defined before the start."""
        for stored in self._store.list(COLLECTION)[0]:
            self._catalogue.define(decode(stored.data))

    def written(self, collection: str, raw: Raw) -> None:
        """Note a committed object: a definition is served from now on."""
        if collection == COLLECTION:
            self._catalogue.define(raw)

    async def removed(self, collection: str, raw: Raw) -> None:
        """Note a removed object: a definition is served no longer, or may follow its last one."""
        if collection == COLLECTION:
            self._catalogue.forget(raw["metadata"]["name"])
        else:
            await self.let_go(collection)

    async def let_go(self, name: str) -> None:
        """Remove a terminating definition of whose kind no object is left."""
        key = StoreKey(COLLECTION, "", name)
        stored = self._store.get(key)
        if stored is None or self._store.list(name)[0]:
            return
        raw = decode(stored.data)
        metadata = raw["metadata"]
        if "deletionTimestamp" not in metadata or CLEANUP not in metadata.get("finalizers", []):
            return
        rest = [finalizer for finalizer in metadata["finalizers"] if finalizer != CLEANUP]
        metadata["finalizers"] = rest
        encode = restamped(raw)
        if rest:
            await self._store.put(key, encode, stored.version, Durability.INTENT)
            return
        await self._store.delete(key, encode, stored.version, Durability.INTENT)
        self._catalogue.forget(name)

    def is_terminating(self, collection: str) -> bool:
        """Whether a kind's definition is being deleted, so that nothing new may be made."""
        stored = self._store.get(StoreKey(COLLECTION, "", collection))
        return (
            stored is not None
            and b'"deletionTimestamp"' in stored.data
            and ("deletionTimestamp" in decode(stored.data)["metadata"])
        )

    def settle(self, raw: Raw, old: Raw | None, now: str) -> Raw:
        """Fill in names and the status of a definition that is about to be stored."""
        spec = dict(raw["spec"])
        names = dict(spec["names"])
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")
        spec["names"] = names
        spec.setdefault("conversion", {"strategy": "None"})
        before = (old or {}).get("status") or {}
        taken = self._taken(spec, raw["metadata"].get("name", ""))
        status = {
            "acceptedNames": names,
            "conditions": _conditions(taken, before.get("conditions") or [], now),
            "storedVersions": _stored_versions(spec, before),
        }
        return {**raw, "spec": spec, "status": status}

    def _taken(self, spec: Raw, name: str) -> str:
        taken = self._catalogue.taken_names(spec["group"], but=name)
        names = spec["names"]
        wanted = [
            names["plural"], names["singular"], *(names.get("shortNames") or []),
            names["kind"], names["listKind"],
        ]  # fmt: skip
        return next((one for one in wanted if one in taken), "")


def _stored_versions(spec: Raw, before: Raw) -> list[str]:
    storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
    stored = list(before.get("storedVersions") or [])
    return stored if storage in stored else [*stored, storage]


def _conditions(taken: str, before: list[Raw], now: str) -> list[Raw]:
    if taken:
        conflict = f'"{taken}" is already in use'
        wanted = [
            ("NamesAccepted", "False", "ShortNamesConflict", conflict),
            ("Established", "True", "InitialNamesAccepted", "the kind is served by its plural"),
        ]
    else:
        wanted = [
            ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
            ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
        ]
    old = {condition.get("type"): condition for condition in before}
    return [_condition(old.get(kind), (kind, *rest), now) for kind, *rest in wanted]


def _condition(old: Raw | None, wanted: tuple[str, ...], now: str) -> Raw:
    kind, status, reason, message = wanted
    since = old.get("lastTransitionTime", now) if old and old.get("status") == status else now
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
    }


def mistakes(raw: Raw, old: Raw | None) -> list[FieldError]:
    """What keeps a definition from being served; its shape was checked before."""
    spec = raw.get("spec")
    if not spec:
        return [field_errors.required("spec")]
    found = [*_name_mistakes(raw), *_version_mistakes(spec)]
    if old is not None:
        before = old["spec"]
        names, names_before = spec["names"], before["names"]
        found += [
            *_changed("spec", spec, before, ("group", "scope")),
            *_changed("spec.names", names, names_before, ("plural", "kind")),
        ]
    return found


def _changed(path: str, now: Raw, before: Raw, fixed: tuple[str, ...]) -> list[FieldError]:
    return [
        field_errors.invalid_value(f"{path}.{name}", now[name], "field is immutable")
        for name in fixed
        if now[name] != before[name]
    ]


def _name_mistakes(raw: Raw) -> list[FieldError]:
    spec, names = raw["spec"], raw["spec"]["names"]
    found = []
    if "." not in spec["group"]:
        rule = "should be a domain with at least one dot"
        found.append(field_errors.invalid_value("spec.group", spec["group"], rule))
    if not _NAME.fullmatch(names["plural"]):
        rule = "must be a lower-case DNS label"
        found.append(field_errors.invalid_value("spec.names.plural", names["plural"], rule))
    if not names["kind"]:
        found.append(field_errors.required("spec.names.kind"))
    if spec["scope"] not in ("Namespaced", "Cluster"):
        supported = ("Cluster", "Namespaced")
        found.append(field_errors.unsupported("spec.scope", spec["scope"], supported))
    full_name = f"{names['plural']}.{spec['group']}"
    name = raw["metadata"].get("name", "")
    if name != full_name:
        rule = f'must be spec.names.plural+"."+spec.group, that is {full_name}'
        found.append(field_errors.invalid_value("metadata.name", name, rule))
    return found


def _version_mistakes(spec: Raw) -> list[FieldError]:
    found = []
    versions = spec["versions"]
    storage = [version["name"] for version in versions if version.get("storage")]
    if len(storage) != 1:
        rule = "must have exactly one version marked as storage version"
        found.append(field_errors.invalid_value("spec.versions", storage, rule))
    if len({version["name"] for version in versions}) != len(versions):
        rule = "must contain unique version names"
        found.append(field_errors.invalid_value("spec.versions", "", rule))
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        if not _VERSION.fullmatch(version["name"]):
            rule = "must be a DNS-1035 label"
            found.append(field_errors.invalid_value(f"{path}.name", version["name"], rule))
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            where = f"{path}.schema.openAPIV3Schema"
            found.append(field_errors.required(where, "schemas are required"))
        found += _schema_mistakes(version, path)
        found += _column_mistakes(version, path)
    strategy = (spec.get("conversion") or {}).get("strategy", "None")
    if strategy != "None":
        found.append(field_errors.unsupported("spec.conversion.strategy", strategy, ("None",)))
    return found


def _schema_mistakes(version: Raw, path: str) -> list[FieldError]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if not schema:
        return []
    where = f"{path}.schema.openAPIV3Schema"
    found = list(structural.mistakes(schema, where))
    if schema.get("type") != "object":
        kind = schema.get("type", "")
        found.append(
            field_errors.invalid_value(f"{where}.type", kind, "must be object at the root")
        )
    return found


def _column_mistakes(version: Raw, path: str) -> list[FieldError]:
    found = []
    for index, column in enumerate(version.get("additionalPrinterColumns") or []):
        try:
            JsonPath(column["jsonPath"])
        except PathError as error:
            where = f"{path}.additionalPrinterColumns[{index}].jsonPath"
            found.append(field_errors.invalid_value(where, column["jsonPath"], str(error)))
    return found
