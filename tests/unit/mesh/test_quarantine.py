"""Who spoils a route table is found and kept out; the others go on."""

import pytest

from stagezero.api.base import Key
from stagezero.mesh.plans.pieces import Piece
from stagezero.mesh.plans.quarantine import Quarantine
from stagezero.mesh.plans.tables import Table

GOOD, BETTER, BAD = (Piece((), (), word.encode(), b"") for word in ("good", "better", "bad"))


def table(**pieces: Piece) -> Table:
    """Each owner has its own host."""
    hosts = {f"{name}.host": ((Key("", name), piece),) for name, piece in pieces.items()}
    return Table(80, hosts, frozenset())


def running(admitted: Table) -> dict[str, bytes]:
    return {o.name: p.first for entries in admitted.hosts.values() for o, p in entries}


def settle(quarantine: Quarantine, wanted: Table, limit: int = 50) -> tuple[Table, int]:
    """Publish until Envoy, which refuses any table with a bad piece, is content."""
    for tries in range(1, limit):
        admitted = quarantine.admit(wanted)
        if b"bad" in running(admitted).values():
            assert quarantine.rejected(admitted, "no")
        elif not quarantine.acked(admitted):
            return admitted, tries
    raise AssertionError("it never ends")


def owner(name: str) -> Key:
    return Key("", name)


def test_a_good_table_passes_untouched() -> None:
    wanted = table(a=GOOD)
    assert Quarantine().admit(wanted) is wanted


def test_the_only_suspect_is_the_culprit() -> None:
    quarantine = Quarantine()
    settle(quarantine, table(a=GOOD))
    admitted, tries = settle(quarantine, table(a=GOOD, b=BAD))
    assert running(admitted) == {"a": b"good"}
    assert tries == 2
    assert quarantine.rejection(owner("b")) == "no"


def test_a_culprit_keeps_what_was_good_of_it() -> None:
    quarantine = Quarantine()
    settle(quarantine, table(a=GOOD))
    admitted, _ = settle(quarantine, table(a=BAD))
    assert running(admitted) == {"a": b"good"}


def test_the_others_go_on_meanwhile() -> None:
    quarantine = Quarantine()
    settle(quarantine, table(a=GOOD, b=GOOD))
    settle(quarantine, table(a=BAD, b=GOOD))
    admitted, _ = settle(quarantine, table(a=BAD, b=BETTER, c=GOOD))
    assert running(admitted) == {"a": b"good", "b": b"better", "c": b"good"}


@pytest.mark.parametrize("bad", [{5}, {0, 31}, {3, 4, 5}, set(range(32))])
def test_culprits_are_found_among_many(bad: set[int]) -> None:
    quarantine = Quarantine()
    wanted = table(**{f"o{n}": BAD if n in bad else GOOD for n in range(32)})
    admitted, tries = settle(quarantine, wanted, limit=200)
    assert {name for name in running(admitted)} == {f"o{n}" for n in range(32) if n not in bad}
    assert all(quarantine.rejection(owner(f"o{n}")) for n in bad)
    assert tries <= 2 + 12 * len(bad)


def test_a_changed_culprit_gets_another_chance() -> None:
    quarantine = Quarantine()
    settle(quarantine, table(a=GOOD))
    settle(quarantine, table(a=BAD))
    admitted, _ = settle(quarantine, table(a=BETTER))
    assert running(admitted) == {"a": b"better"}
    assert quarantine.rejection(owner("a")) == ""


def test_a_culprit_that_goes_is_forgotten() -> None:
    quarantine = Quarantine()
    settle(quarantine, table(a=GOOD, b=BAD))
    settle(quarantine, table(a=GOOD))
    assert quarantine.rejection(owner("b")) == ""


def test_a_rejection_without_suspects_helps_nobody() -> None:
    quarantine = Quarantine()
    settle(quarantine, table(a=GOOD))
    assert not quarantine.rejected(table(a=GOOD), "out of memory")


def test_what_was_refused_before_a_restart_stays_out() -> None:
    quarantine = Quarantine()
    quarantine.seed(owner("b"), "no")
    admitted, tries = settle(quarantine, table(a=GOOD, b=BAD))
    assert running(admitted) == {"a": b"good"}
    assert tries == 1


def test_a_seeded_owner_that_changes_gets_another_chance() -> None:
    quarantine = Quarantine()
    quarantine.seed(owner("b"), "no")
    settle(quarantine, table(a=GOOD, b=BAD))
    admitted, _ = settle(quarantine, table(a=GOOD, b=BETTER))
    assert running(admitted) == {"a": b"good", "b": b"better"}


def test_several_owners_of_one_host_are_told_apart() -> None:
    quarantine = Quarantine()
    shared = {"h": ((owner("a"), GOOD), (owner("b"), BAD))}
    admitted, _ = settle(quarantine, Table(80, shared, frozenset()))
    assert running(admitted) == {"a": b"good"}
