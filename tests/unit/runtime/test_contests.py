"""How often a write may be done again that somebody undid."""

from stagezero.api.base import Key
from stagezero.runtime.contests import BURST, REST_S, Contests
from support.engine import Gadget

A, B = (Gadget, Key("default", "a")), (Gadget, Key("default", "b"))


def spent(contests: Contests, now_s: float) -> int:
    """Write an object as often as it may be at one moment."""
    writes = 0
    while contests.allows(A, now_s):
        contests.count(A, now_s)
        writes += 1
    return writes


def test_a_burst_is_free() -> None:
    assert spent(Contests(), 0.0) == BURST


def test_rest_allows_one_more() -> None:
    contests = Contests()
    spent(contests, 0.0)
    assert not contests.allows(A, REST_S * 0.9)
    assert spent(contests, REST_S) == 1


def test_a_long_rest_gives_the_burst_back() -> None:
    contests = Contests()
    spent(contests, 0.0)
    assert spent(contests, BURST * REST_S) == BURST


def test_objects_do_not_share() -> None:
    contests = Contests()
    spent(contests, 0.0)
    assert contests.allows(B, 0.0)


def test_a_clock_that_begins_anew_holds_nobody_for_longer() -> None:
    contests = Contests()
    spent(contests, 1_000_000.0)
    assert not contests.allows(A, 0.0)
    assert spent(contests, REST_S) == 1


def test_rested_objects_are_forgotten() -> None:
    contests = Contests()
    for number in range(20_000):
        contests.count((Gadget, Key("default", str(number))), float(number))
    assert len(contests._used) < 2000
