"""Dependents follow their owners, or are set free."""

import pytest
from msgspec.structs import replace

from stagezero.api.base import Object, controlled_by
from stagezero.controllers.workloads.plans.garbage import (
    FOREGROUND,
    ORPHAN,
    Sweep,
    sweep_absent,
    sweep_waiting,
    without_finalizer,
)
from support.workloads import deleting, deployment, pod, replica_set

OWNER = replica_set()
OTHER = deployment()
CHILD = pod("child", owner=OWNER)
SHARED = pod("shared", owner_references=[controlled_by(OWNER), controlled_by(OTHER)])


def waiting(*finalizers: str) -> Object:
    held = replace(OWNER, metadata=replace(OWNER.metadata, finalizers=list(finalizers)))
    found: Object = deleting(held)
    return found


def test_an_object_without_owners_left_goes() -> None:
    assert sweep_absent([CHILD], {OWNER.uid}) == Sweep(delete=(CHILD,))


def test_it_is_deleted_once() -> None:
    assert sweep_absent([deleting(CHILD)], {OWNER.uid}) == Sweep()


def test_an_object_with_another_owner_lets_go_of_the_absent_one() -> None:
    (released,) = sweep_absent([SHARED], {OWNER.uid}).release
    assert released == (SHARED, [controlled_by(OTHER)])


def test_an_object_whose_owners_are_all_gone_goes() -> None:
    assert sweep_absent([SHARED], {OWNER.uid, OTHER.uid}).delete == (SHARED,)


def test_an_owner_that_lives_sweeps_nothing() -> None:
    assert sweep_waiting(OWNER, [CHILD]) == Sweep()


def test_orphans_are_set_free_before_their_owner_goes() -> None:
    sweep = sweep_waiting(waiting(ORPHAN), [CHILD])
    assert sweep.release == ((CHILD, []),)
    assert sweep.finalizer == ORPHAN
    assert not sweep.delete


def test_in_the_foreground_dependents_go_first() -> None:
    assert sweep_waiting(waiting(FOREGROUND), [CHILD]) == Sweep(delete=(CHILD,))


def test_the_owner_waits_while_they_end() -> None:
    assert sweep_waiting(waiting(FOREGROUND), [deleting(CHILD)]) == Sweep()


def test_the_owner_goes_when_they_are_gone() -> None:
    assert sweep_waiting(waiting(FOREGROUND), []).finalizer == FOREGROUND


def test_dependents_that_do_not_block_are_not_waited_for() -> None:
    loose = replace(controlled_by(OWNER), block_owner_deletion=None)
    child = pod("loose", owner_references=[loose])
    sweep = sweep_waiting(waiting(FOREGROUND), [child])
    assert (sweep.delete, sweep.finalizer) == ((child,), FOREGROUND)


@pytest.mark.parametrize("finalizer", [FOREGROUND, ORPHAN])
def test_other_finalizers_stay(finalizer: str) -> None:
    assert without_finalizer(waiting("a", finalizer, "b"), finalizer) == ["a", "b"]
