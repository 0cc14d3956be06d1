"""A request that was understood: which resource, which object, under which options.

Also the API's sentences about an object that is not there, is there already, or has changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.apiserver.routing import Target
from stagezero.apiserver.served import Served
from stagezero.kit.http import Request
from stagezero.store.base import Durability, StoreKey

SYSTEM_GROUP = "system:stagezero"
"""Users of this group are our own loops: what they write is derived and can be rebuilt."""


class FieldValidation(Enum):
    """What becomes of unknown and duplicate fields."""

    STRICT = "Strict"
    WARN = "Warn"
    IGNORE = "Ignore"


@dataclass(frozen=True)
class Call:
    """One request on a served resource; `warnings` collects what the answer's header will say."""

    request: Request
    target: Target
    served: Served
    warnings: list[str] = field(default_factory=list)

    @property
    def query(self) -> Mapping[str, str]:
        """The query's options."""
        return self.request.query

    @property
    def key(self) -> StoreKey:
        """Where the object lies in the store."""
        return StoreKey(self.served.collection, self.target.namespace, self.target.name)

    @property
    def is_system(self) -> bool:
        """Whether one of our own loops asks."""
        return SYSTEM_GROUP in self.request.user.groups

    @property
    def durability(self) -> Durability:
        """What users write is on disk before the answer, what loops write soon after."""
        return Durability.DERIVED if self.is_system else Durability.INTENT

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing may be stored; BadRequest for a value other than All."""
        value = self.query.get("dryRun", "")
        if value not in ("", "All"):
            raise errors.Invalid(
                f'dryRun: Unsupported value: "{value}": supported values: "All"',
            )
        return value == "All"

    @property
    def field_validation(self) -> FieldValidation:
        """The wish for unknown fields; our loops, which write typed objects, need no check."""
        text = self.query.get("fieldValidation", "")
        if not text:
            return FieldValidation.IGNORE if self.is_system else FieldValidation.WARN
        try:
            return FieldValidation(text)
        except ValueError as error:
            raise errors.BadRequest(
                f'fieldValidation: Unsupported value: "{text}": '
                'supported values: "Ignore", "Strict", "Warn"'
            ) from error

    def named(self, name: str) -> "Call":
        """The same call on the object of this name."""
        return self.on(self.target.namespace, name)

    def on(self, namespace: str, name: str) -> "Call":
        """The same call on another object of the kind."""
        return replace(self, target=replace(self.target, namespace=namespace, name=name))

    def details(self) -> Raw:
        """The object's identity as a Status names it."""
        found = {
            "name": self.target.name,
            "group": self.served.group,
            "kind": self.served.resource.plural,
        }
        return {key: value for key, value in found.items() if value}

    def not_found(self) -> errors.NotFound:
        """No such object."""
        message = f'{self.served.collection} "{self.target.name}" not found'
        return errors.NotFound(message, self.details())

    def already_exists(self) -> errors.AlreadyExists:
        """There is one of this name."""
        message = f'{self.served.collection} "{self.target.name}" already exists'
        return errors.AlreadyExists(message, self.details())

    def conflict(self, why: str = "") -> errors.Conflict:
        """The object is not at the version (or not the one) that the writer saw."""
        why = why or (
            "the object has been modified; please apply your changes to the latest version and "
            "try again"
        )
        message = (
            f'Operation cannot be fulfilled on {self.served.collection} "{self.target.name}": {why}'
        )
        return errors.Conflict(message, self.details())

    def forbidden(self, why: str) -> errors.Forbidden:
        """Understood and refused."""
        message = f'{self.served.collection} "{self.target.name}" is forbidden: {why}'
        return errors.Forbidden(message, self.details())
