"""Namespaces are furnished, and emptied before they go."""

from msgspec.structs import replace

from stagezero.api.base import Condition, Object
from stagezero.api.core import Namespace, NamespaceSpec, ServiceAccount
from stagezero.controllers.workloads.plans.namespaces import (
    NamespaceObserved,
    is_finished,
    plan_namespace,
)
from stagezero.runtime.plan import NOTHING, Plan
from support.workloads import NOW, deleting, meta, pod

ALIVE = Namespace(metadata=meta("team", namespace=""), spec=NamespaceSpec(["kubernetes"]))
GONE: Namespace = deleting(ALIVE)


def plan(namespace: Namespace, *content: Object) -> Plan:
    return plan_namespace(NamespaceObserved(namespace, content), NOW)


def condition(made: Plan, kind: str) -> Condition:
    assert isinstance(made.status, Namespace)
    (found,) = [found for found in made.status.status.conditions if found.type == kind]
    return found


def test_a_namespace_gets_its_default_account() -> None:
    (made,) = plan(ALIVE).apply
    assert isinstance(made, ServiceAccount)
    assert made.key == ("team", "default")


def test_its_content_goes_first() -> None:
    made = plan(GONE, pod("a"), pod("b"))
    assert [thing.metadata.name for thing in made.delete] == ["a", "b"]


def test_what_is_going_is_not_deleted_again() -> None:
    assert not plan(GONE, deleting(pod())).delete


def test_the_phase_is_terminating() -> None:
    made = plan(GONE, pod())
    assert isinstance(made.status, Namespace)
    assert made.status.status.phase == "Terminating"


def test_the_conditions_say_what_remains() -> None:
    found = condition(plan(GONE, pod("a"), pod("b")), "NamespaceContentRemaining")
    assert (found.status, found.reason) == ("True", "SomeResourcesRemain")
    assert found.message == "Some resources are remaining: pods. has 2 resource instances"


def test_the_conditions_say_which_finalizers_hold_it_up() -> None:
    held = pod("a", finalizers=["x.dev/wait"])
    found = condition(plan(GONE, held), "NamespaceFinalizersRemaining")
    assert found.message == (
        "Some content in the namespace has finalizers remaining: x.dev/wait in 1 resource instances"
    )


def test_without_finalizers_nothing_holds_it_up() -> None:
    found = condition(plan(GONE, pod()), "NamespaceFinalizersRemaining")
    assert (found.status, found.reason) == ("False", "ContentHasNoFinalizers")


def test_planning_again_changes_nothing() -> None:
    first = plan(GONE, pod())
    assert isinstance(first.status, Namespace)
    again = plan(replace(GONE, status=first.status.status), pod())
    assert again.status == first.status


def test_an_empty_one_is_finished() -> None:
    assert is_finished(NamespaceObserved(GONE))
    assert plan(GONE) == NOTHING


def test_one_that_lives_is_never_finished() -> None:
    assert not is_finished(NamespaceObserved(ALIVE))
