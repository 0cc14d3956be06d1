"""Metadata: what the server sets, what nobody may change, and whether names are valid."""

import random
import re
import uuid
from collections.abc import Iterator
from typing import Any

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.api.name_rules import (
    dns_1035_label,
    dns_1123_label,
    dns_1123_subdomain,
    qualified_name,
)
from stagezero.apiserver import field_errors
from stagezero.apiserver.call import Call
from stagezero.apiserver.field_errors import FieldError

# Without vowels and look-alikes no generated name is a word.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_CHARACTERS = 5
_LONGEST_BASE = 63 - _GENERATED_CHARACTERS
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_NOT_A_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_ANNOTATIONS_LIMIT_BYTES = 256 * 1024
_SERVER_SET = (
    "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
)  # fmt: skip
_NAME_RULES = {
    "services": dns_1035_label,
    "namespaces": dns_1123_label,
}


def generated_name(base: str) -> str:
    """A name from a generateName: the base, cut if need be, and five random characters."""
    suffix = "".join(random.choices(_ALPHABET, k=_GENERATED_CHARACTERS))
    return base[:_LONGEST_BASE] + suffix


def for_new(call: Call, given: Raw, now: str) -> Raw:
    """The metadata of an object that is about to be created."""
    if given.get("resourceVersion"):
        raise errors.BadRequest("resourceVersion should not be set on objects to be created")
    metadata = {
        name: value
        for name, value in given.items()
        if name not in (*_SERVER_SET, "resourceVersion", "selfLink", "managedFields")
    }
    metadata["name"] = call.target.name
    if call.served.resource.namespaced:
        metadata["namespace"] = call.target.namespace
    else:
        metadata.pop("namespace", None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = now
    if call.served.counts_generations:
        metadata["generation"] = 1
    return tidy(metadata)


def for_update(call: Call, given: Raw, old: Raw) -> Raw:
    """The metadata of an object that is about to be replaced; Conflict if it is another one."""
    given_uid = given.get("uid")
    if given_uid and given_uid != old["uid"]:
        why = f"Precondition failed: UID in precondition: {given_uid}, UID in object meta: "
        raise call.conflict(why + old["uid"])
    if given.get("resourceVersion", old["resourceVersion"]) != old["resourceVersion"]:
        raise call.conflict()
    metadata = {**given, **{name: old[name] for name in _SERVER_SET if name in old}}
    for name in _SERVER_SET:
        if name not in old:
            metadata.pop(name, None)
    metadata["name"] = old["name"]
    metadata["resourceVersion"] = old["resourceVersion"]
    if call.served.resource.namespaced:
        metadata["namespace"] = old["namespace"]
    else:
        metadata.pop("namespace", None)
    metadata.pop("selfLink", None)
    # Who owns which field is the server's knowledge; a client can only give all of it up.
    is_given_up = given.get("managedFields") == []
    metadata["managedFields"] = [] if is_given_up else old.get("managedFields", [])
    return tidy(metadata)


def tidy(metadata: Raw) -> Raw:
    """Metadata without empty parts, in a steady order, so that equal objects are equal bytes."""
    kept = {name: value for name, value in metadata.items() if value not in (None, "", {}, [])}
    order = [name for name in _ORDER if name in kept]
    return {name: kept[name] for name in [*order, *(kept.keys() - set(order))]}


_ORDER = (
    "name", "generateName", "namespace", "uid", "resourceVersion", "generation",
    "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "labels",
    "annotations", "ownerReferences", "finalizers", "managedFields",
)  # fmt: skip


def mistakes(call: Call, metadata: Raw, old: Raw | None) -> list[FieldError]:
    """Everything wrong with metadata whose types were checked before."""
    found = list(_label_mistakes(metadata.get("labels") or {}))
    found += _annotation_mistakes(metadata.get("annotations") or {})
    found += _finalizer_mistakes(metadata.get("finalizers") or [], old)
    found += _owner_mistakes(metadata.get("ownerReferences") or [])
    if old is None:
        found += _name_mistakes(call, metadata["name"])
    return found


def _name_mistakes(call: Call, name: str) -> list[FieldError]:
    if call.served.group == "rbac.authorization.k8s.io":
        return []
    rule = _NAME_RULES.get(call.served.collection, dns_1123_subdomain)
    return [field_errors.invalid_value("metadata.name", name, problem) for problem in rule(name)]


def _label_mistakes(labels: dict[str, str]) -> Iterator[FieldError]:
    path = "metadata.labels"
    for key, value in labels.items():
        for problem in qualified_name(key):
            yield field_errors.invalid_value(path, key, problem)
        if len(value) > 63:
            problem = "must be no more than 63 characters"
            yield field_errors.invalid_value(path, value, problem)
        if not _LABEL_VALUE.fullmatch(value):
            yield field_errors.invalid_value(path, value, _NOT_A_LABEL_VALUE)


def _annotation_mistakes(annotations: dict[str, str]) -> Iterator[FieldError]:
    size = 0
    for key, value in annotations.items():
        size += len(key) + len(value)
        for problem in qualified_name(key.lower()):
            yield field_errors.invalid_value("metadata.annotations", key, problem)
    if size > _ANNOTATIONS_LIMIT_BYTES:
        yield field_errors.too_long("metadata.annotations", _ANNOTATIONS_LIMIT_BYTES)


def _finalizer_mistakes(finalizers: list[str], old: Raw | None) -> Iterator[FieldError]:
    for index, finalizer in enumerate(finalizers):
        for problem in qualified_name(finalizer):
            path = f"metadata.finalizers[{index}]"
            yield field_errors.invalid_value(path, finalizer, problem)
    if old is not None and "deletionTimestamp" in old:
        added = [one for one in finalizers if one not in old.get("finalizers", [])]
        if added:
            names = ", ".join(f'"{one}"' for one in added)
            yield field_errors.forbidden(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, found new "
                f"finalizers []string{{{names}}}",
            )


def _owner_mistakes(references: list[Raw]) -> Iterator[FieldError]:
    for index, reference in enumerate(references):
        for name in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(name):
                path = f"metadata.ownerReferences[{index}].{name}"
                yield field_errors.required(path, "must not be empty")
    controllers = [reference for reference in references if reference.get("controller")]
    if len(controllers) > 1:
        names = " and ".join(f"{ref.get('kind')}/{ref.get('name')}" for ref in controllers)
        yield field_errors.invalid_value(
            "metadata.ownerReferences",
            [_shown(reference) for reference in references],
            "Only one reference can have Controller set to true. Found "
            f'"true" in references for {names}',
        )


def _shown(reference: Raw) -> Any:
    return {name: reference.get(name) for name in ("kind", "name")}
