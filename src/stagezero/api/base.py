"""What all nouns share: the identity of a kind, metadata, conditions, references.

A kind is a class: `Pod.resource` says where the API keeps it, its fields say what it holds, and
`api.schema` derives the schema that the server checks from the same fields. Objects are frozen; the
raw JSON (`Raw`) is what travels and is stored, and a field that a class does not name is dropped on
reading, as a structural schema prunes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec

Raw = dict[str, Any]
"""An object or a part of it as JSON gave it; typed apart from parsed objects on purpose."""


@dataclass(frozen=True)
class Column:
    """One printed column of `kubectl get`; JSONPath as CRDs write it, priority 1 needs -o wide."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0
    description: str = ""


@dataclass(frozen=True)
class Resource:
    """Where and how the API serves a kind; `versions` lists every served version, storage first."""

    group: str
    version: str
    kind: str
    plural: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    has_status: bool = False
    has_scale: bool = False
    columns: tuple[Column, ...] = ()
    also_served: tuple[str, ...] = ()
    is_builtin: bool = False

    @property
    def api_version(self) -> str:
        """`group/version`, or the bare version for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The lower-case kind, as kubectl prints it."""
        return self.kind.lower()

    @property
    def full_name(self) -> str:
        """`plural.group`, the name of a CRD; the bare plural for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The REST path of the collection, of one object, or of its subresource."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


class Key(NamedTuple):
    """The name of an object within its kind; `namespace` is empty for cluster-wide kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


_SHAPE = {"frozen": True, "omit_defaults": True, "rename": "camel"}


class Noun(msgspec.Struct, **_SHAPE):
    """Base of every struct of the API: camelCase on the wire, defaults left out."""


class OwnerReference(Noun):
    """Who owns an object: it goes when its owner goes."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Noun):
    """Metadata of every object."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[OwnerReference] = []
    finalizers: list[str] = []
    managed_fields: list[Raw] = []
    self_link: str = ""


class Object(Noun):
    """Base of every kind; `resource` is set by the class that is the kind."""

    resource: ClassVar[Resource]
    metadata: ObjectMeta = ObjectMeta()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.metadata.namespace, self.metadata.name)

    @property
    def uid(self) -> str:
        """The object's unique id, given by the server."""
        return self.metadata.uid

    @property
    def is_deleting(self) -> bool:
        """Whether deletion was asked for and finalizers or a grace period hold it back."""
        return self.metadata.deletion_timestamp is not None


T = TypeVar("T", bound=Object)


class Condition(Noun):
    """One condition of a status: Kubernetes', Knative's and KServe's shape in one.

    `status` is True, False or Unknown; `severity` is empty for conditions that Ready depends on and
    `Info` for the others (Knative).
    """

    type: str
    status: str
    last_transition_time: str | None = None
    reason: str = ""
    message: str = ""
    severity: str = ""
    observed_generation: int | None = None
    last_update_time: str | None = None
    last_probe_time: str | None = None


class LabelSelectorRequirement(Noun):
    """One requirement of a label selector: In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: list[str] = []


class LabelSelector(Noun):
    """Selects objects by labels; empty selects everything."""

    match_labels: dict[str, str] = {}
    match_expressions: list[LabelSelectorRequirement] = []

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        if any(labels.get(key) != value for key, value in self.match_labels.items()):
            return False
        return all(_meets(need, labels) for need in self.match_expressions)


def _meets(need: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    match need.operator:
        case "In":
            return labels.get(need.key) in need.values
        case "NotIn":
            return labels.get(need.key) not in need.values
        case "Exists":
            return need.key in labels
        case "DoesNotExist":
            return need.key not in labels
    return False


def decode(kind: type[T], data: bytes) -> T:
    """Read an object from its JSON; msgspec.ValidationError names the path of a wrong type."""
    return msgspec.json.decode(data, type=kind)


def from_raw(kind: type[T], raw: Raw) -> T:
    """Read an object from parsed JSON; msgspec.ValidationError names the path of a wrong type."""
    return msgspec.convert(raw, type=kind)


def to_raw(thing: Object) -> Raw:
    """Write an object as JSON values, apiVersion and kind first."""
    raw: Raw = {"apiVersion": thing.resource.api_version, "kind": thing.resource.kind}
    raw.update(msgspec.to_builtins(thing))
    return raw


def part_to_raw(part: Noun) -> Raw:
    """Write a part of an object (a spec, a template) as JSON values."""
    raw: Raw = msgspec.to_builtins(part)
    return raw


def controlled_by(owner: Object) -> OwnerReference:
    """The owner reference that makes `owner` the controller of another object."""
    return OwnerReference(
        api_version=owner.resource.api_version,
        kind=owner.resource.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )


def controller_of(thing: Object) -> OwnerReference | None:
    """The reference to the object's controller, if it has one."""
    return next((ref for ref in thing.metadata.owner_references if ref.controller), None)
