"""Namespaces: each has its default ServiceAccount; one that is deleted is emptied first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from stagezero.api.base import Condition, Object, ObjectMeta
from stagezero.api.config import Namespace, ServiceAccount
from stagezero.controllers.workloads.plans.conditions import with_pod_condition
from stagezero.runtime.plan import NOTHING, Plan

FINALIZER = "kubernetes"
DEFAULT_ACCOUNT = "default"

_REMAINING = "NamespaceContentRemaining"
_WAITING = "NamespaceFinalizersRemaining"


@dataclass(frozen=True)
class NamespaceObserved:
    """A namespace and everything that is in it."""

    namespace: Namespace
    content: tuple[Object, ...] = ()


def plan_namespace(observed: NamespaceObserved, now: datetime) -> Plan:
    """Furnish a namespace that lives, empty one that is being deleted."""
    namespace = observed.namespace
    if not namespace.is_deleting:
        return _furnished(namespace)
    if is_finished(observed):
        return NOTHING
    doomed = tuple(thing for thing in observed.content if not thing.is_deleting)
    conditions = namespace.status.conditions
    for condition in _conditions(observed.content):
        conditions = with_pod_condition(conditions, condition, now)
    status = replace(namespace.status, phase="Terminating", conditions=conditions)
    return Plan(delete=doomed, status=replace(namespace, status=status))


def is_finished(observed: NamespaceObserved) -> bool:
    """Whether a namespace that is being deleted is empty: its finalizer may go."""
    return observed.namespace.is_deleting and not observed.content


def _furnished(namespace: Namespace) -> Plan:
    metadata = ObjectMeta(name=DEFAULT_ACCOUNT, namespace=namespace.metadata.name)
    return Plan(apply=(ServiceAccount(metadata=metadata),))


def _conditions(content: Sequence[Object]) -> list[Condition]:
    remaining, waiting = _remaining(content), _waiting(content)
    return [
        Condition(
            _REMAINING,
            "True" if remaining else "False",
            reason="SomeResourcesRemain" if remaining else "ContentRemoved",
            message=remaining or "All content successfully removed",
        ),
        Condition(
            _WAITING,
            "True" if waiting else "False",
            reason="SomeFinalizersRemain" if waiting else "ContentHasNoFinalizers",
            message=waiting or "All content-preserving finalizers finished",
        ),
    ]


def _remaining(content: Sequence[Object]) -> str:
    counts: dict[str, int] = {}
    for thing in content:
        counts[_plural(thing)] = counts.get(_plural(thing), 0) + 1
    if not counts:
        return ""
    listed = ", ".join(f"{name} has {count} resource instances" for name, count in counts.items())
    return f"Some resources are remaining: {listed}"


def _waiting(content: Sequence[Object]) -> str:
    counts: dict[str, int] = {}
    for thing in content:
        for finalizer in thing.metadata.finalizers:
            counts[finalizer] = counts.get(finalizer, 0) + 1
    if not counts:
        return ""
    listed = ", ".join(f"{name} in {count} resource instances" for name, count in counts.items())
    return f"Some content in the namespace has finalizers remaining: {listed}"


def _plural(thing: Object) -> str:
    return f"{thing.resource.plural}.{thing.resource.group}"
