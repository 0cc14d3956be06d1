"""The arithmetic of a rollout: how many pods each ReplicaSet of a Deployment shall have now.

Numbers only. A rollout moves by steps; a step is taken from what is available now, so that it may
stop and go on at any time.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from stagezero.api.fields import IntOrString


@dataclass(frozen=True)
class Bounds:
    """How far a rolling update may go above and below the wanted number."""

    surge: int
    unavailable: int


@dataclass(frozen=True)
class Count:
    """One ReplicaSet: pods wanted by its spec, pods available by its status."""

    wanted: int
    available: int


def bounds(
    wanted: int, max_surge: IntOrString | None, max_unavailable: IntOrString | None
) -> Bounds:
    """Resolve amounts and percentages; both zero would never move, so one may be unavailable."""
    surge = resolve(max_surge, wanted, is_up=True)
    unavailable = resolve(max_unavailable, wanted, is_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(surge, min(unavailable, wanted))


def resolve(amount: IntOrString | None, whole: int, is_up: bool) -> int:
    """An amount, or a percentage of `whole` rounded up or down; nothing reads as 25%."""
    amount = "25%" if amount is None else amount
    if isinstance(amount, int):
        return amount
    share = float(amount.rstrip("%")) / 100 * whole
    return math.ceil(share) if is_up else math.floor(share)


def new_size(wanted: int, new: Count, old: Mapping[str, Count], limit: Bounds) -> int:
    """How many pods the new ReplicaSet shall have in this step of a rolling update."""
    if new.wanted >= wanted:
        return wanted
    room = wanted + limit.surge - new.wanted - sum(count.wanted for count in old.values())
    return new.wanted + max(0, min(room, wanted - new.wanted))


def old_sizes(wanted: int, new: Count, old: Mapping[str, Count], limit: Bounds) -> dict[str, int]:
    """How many pods each old ReplicaSet shall have in this step; `old` is in order of age.

    Pods that are not available go first, because nobody misses them; then as many of the available
    ones as may be missing.
    """
    least = wanted - limit.unavailable
    total = new.wanted + sum(count.wanted for count in old.values())
    removable = total - least - max(0, new.wanted - new.available)
    sizes = {name: count.wanted for name, count in old.items()}
    if removable <= 0:
        return sizes
    for name, count in old.items():
        idle = min(removable, max(0, count.wanted - count.available))
        sizes[name] -= idle
        removable -= idle
    spare = new.available + sum(count.available for count in old.values()) - least
    for name in old:
        gone = max(0, min(spare, sizes[name]))
        sizes[name] -= gone
        spare -= gone
    return sizes
