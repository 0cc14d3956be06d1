"""A rollout's steps stay within its bounds and always come to an end."""

import pytest

from stagezero.api.fields import IntOrString
from stagezero.controllers.workloads.plans.rollout import (
    Bounds,
    Count,
    bounds,
    new_size,
    old_sizes,
    resolve,
)


@pytest.mark.parametrize(
    ("amount", "whole", "is_up", "size"),
    [
        (3, 10, True, 3),
        ("25%", 10, True, 3),
        ("25%", 10, False, 2),
        (None, 4, True, 1),
        ("0%", 10, True, 0),
        ("100%", 7, False, 7),
    ],
)
def test_amounts_resolve(amount: IntOrString | None, whole: int, is_up: bool, size: int) -> None:
    assert resolve(amount, whole, is_up) == size


@pytest.mark.parametrize(
    ("wanted", "surge", "unavailable", "expected"),
    [
        (1, None, None, Bounds(1, 0)),
        (4, None, None, Bounds(1, 1)),
        (2, 0, 0, Bounds(0, 1)),
        (3, "0%", "10%", Bounds(0, 1)),
        (2, 1, 5, Bounds(1, 2)),
    ],
    ids=["one pod", "defaults", "both zero", "both round to zero", "not more than there are"],
)
def test_bounds(
    wanted: int, surge: IntOrString, unavailable: IntOrString, expected: Bounds
) -> None:
    assert bounds(wanted, surge, unavailable) == expected


@pytest.mark.parametrize(
    ("wanted", "new", "old", "size"),
    [
        pytest.param(3, 0, 0, 3, id="nothing yet"),
        pytest.param(3, 0, 3, 1, id="surge only"),
        pytest.param(3, 1, 3, 1, id="full"),
        pytest.param(3, 1, 2, 2, id="room for one"),
        pytest.param(3, 5, 0, 3, id="too many"),
        pytest.param(0, 2, 0, 0, id="to zero"),
    ],
)
def test_the_new_set_grows_into_the_room(wanted: int, new: int, old: int, size: int) -> None:
    assert new_size(wanted, Count(new, new), {"old": Count(old, old)}, Bounds(1, 0)) == size


@pytest.mark.parametrize(
    ("new", "old", "limit", "sizes"),
    [
        pytest.param(Count(1, 0), [Count(3, 3)], Bounds(1, 0), [3], id="new one not ready yet"),
        pytest.param(Count(1, 1), [Count(3, 3)], Bounds(1, 0), [2], id="one for one"),
        pytest.param(Count(0, 0), [Count(3, 3)], Bounds(0, 1), [2], id="one may be missing"),
        pytest.param(Count(3, 3), [Count(3, 3)], Bounds(1, 0), [0], id="all replaced"),
        pytest.param(Count(1, 0), [Count(3, 0)], Bounds(1, 0), [3], id="broken but no room"),
        pytest.param(
            Count(1, 1), [Count(1, 0), Count(2, 2)], Bounds(1, 0), [0, 2], id="idle ones first"
        ),
        pytest.param(
            Count(2, 2), [Count(1, 1), Count(1, 1)], Bounds(1, 0), [0, 1], id="oldest first"
        ),
    ],
)
def test_old_sets_shrink_as_new_pods_come(
    new: Count, old: list[Count], limit: Bounds, sizes: list[int]
) -> None:
    named = {f"old-{number}": count for number, count in enumerate(old)}
    assert list(old_sizes(3, new, named, limit).values()) == sizes


@pytest.mark.parametrize("limit", [Bounds(1, 0), Bounds(0, 1), Bounds(2, 1), Bounds(3, 3)])
@pytest.mark.parametrize("wanted", [1, 3, 10])
def test_a_rollout_ends_and_keeps_its_bounds(wanted: int, limit: Bounds) -> None:
    new, old = 0, wanted
    for _ in range(3 * wanted):
        before = (new, old)
        new = new_size(wanted, Count(new, new), {"old": Count(old, old)}, limit)
        assert new + old <= wanted + limit.surge
        if new == before[0]:
            old = old_sizes(wanted, Count(new, new), {"old": Count(old, old)}, limit)["old"]
        assert new + old >= wanted - limit.unavailable
    assert (new, old) == (wanted, 0)
