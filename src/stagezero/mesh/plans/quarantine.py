"""Finds the VirtualService that spoils a route table, and keeps it out of the way of the others.

A route table is one resource: Envoy takes all of it or nothing, and seldom says whose part is
wrong. So after a rejection the suspects (who changed since the last good table) are tried in
halves, until the culprit stands alone; it keeps what was good of it before, everybody else goes on.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from stagezero.api.base import Key
from stagezero.mesh.plans.pieces import HostRules, Piece
from stagezero.mesh.plans.tables import Table

_Shape = dict[str, tuple[bytes, bytes]]


@dataclass(frozen=True)
class _Rejected:
    """What was refused of an owner; `shape` is None until the owner was seen (after a restart)."""

    shape: _Shape | None
    text: str


class Quarantine:
    """Stands between the plan and Envoy for the table of one port."""

    def __init__(self) -> None:
        self._good: Table | None = None
        self._rejected: dict[Key, _Rejected] = {}
        self._later: deque[frozenset[Key]] = deque()

    def seed(self, owner: Key, text: str) -> None:
        """Keep an owner out as it is now: it was refused before this process began."""
        self._rejected[owner] = _Rejected(None, text)

    def rejection(self, owner: Key) -> str:
        """Envoy's words about an owner; empty if it was not refused."""
        found = self._rejected.get(owner)
        return found.text if found is not None else ""

    def admit(self, table: Table) -> Table:
        """The table with held owners as they were when all was good."""
        if not self._rejected and not self._later:
            return table
        present = _by_owner(table, {*self._rejected, *self._waiting()})
        self._look_again(present)
        held = {*self._rejected, *self._waiting()} & present.keys()
        good = _by_owner(self._good, held) if self._good is not None else {}
        hosts = {
            host: _held_back(host, entries, held, good) for host, entries in table.hosts.items()
        }
        return replace(table, hosts={host: entries for host, entries in hosts.items() if entries})

    def _waiting(self) -> set[Key]:
        return {owner for group in self._later for owner in group}

    def _look_again(self, present: dict[Key, dict[str, Piece]]) -> None:
        """Forget rejections of what is gone or was changed since."""
        for owner, rejected in list(self._rejected.items()):
            shape = _shape(present.get(owner, {}))
            if rejected.shape is None and shape:
                self._rejected[owner] = _Rejected(shape, rejected.text)
            elif rejected.shape != shape:
                del self._rejected[owner]

    def acked(self, table: Table) -> bool:
        """Envoy took a table; says whether more owners are to be tried now."""
        self._good = table
        if not self._later:
            return False
        self._later.popleft()
        return True

    def rejected(self, table: Table, text: str) -> bool:
        """Envoy refused a table; says whether that can be helped."""
        suspects = self._changed(table)
        if not suspects:
            return False
        if len(suspects) == 1:
            owner, pieces = next(iter(suspects.items()))
            self._rejected[owner] = _Rejected(_shape(pieces), text)
            return True
        owners = sorted(suspects)
        self._later.appendleft(frozenset(owners[len(owners) // 2 :]))
        return True

    def _changed(self, table: Table) -> dict[Key, dict[str, Piece]]:
        before = _by_owner(self._good) if self._good is not None else {}
        return {
            owner: pieces
            for owner, pieces in _by_owner(table).items()
            if _shape(pieces) != _shape(before.get(owner, {}))
        }


def _by_owner(table: Table, owners: Iterable[Key] | None = None) -> dict[Key, dict[str, Piece]]:
    wanted = None if owners is None else set(owners)
    found: dict[Key, dict[str, Piece]] = {}
    for host, entries in table.hosts.items():
        for owner, piece in entries:
            if wanted is None or owner in wanted:
                found.setdefault(owner, {})[host] = piece
    return found


def _shape(pieces: dict[str, Piece]) -> _Shape:
    return {host: (piece.first, piece.last) for host, piece in pieces.items()}


def _held_back(
    host: str, entries: HostRules, held: set[Key], good: dict[Key, dict[str, Piece]]
) -> HostRules:
    if not any(owner in held for owner, _ in entries):
        return entries
    kept: list[tuple[Key, Piece]] = []
    for owner, piece in entries:
        former = good.get(owner, {}).get(host) if owner in held else piece
        if former is not None:
            kept.append((owner, former))
    return tuple(kept)
