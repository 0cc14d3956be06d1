"""How often a key may run."""

import pytest

from stagezero.runtime.pace import BURST, RUNS_PER_S, Pace


def spent(pace: Pace, key: str, now: float) -> int:
    """Run a key as often as it may at one moment."""
    runs = 0
    while not pace.wait_s(key, now):
        runs += 1
    return runs


def test_a_burst_is_free() -> None:
    assert spent(Pace(), "a", 0.0) == BURST


def test_whoever_waits_as_told_may_run() -> None:
    pace = Pace()
    spent(pace, "a", 0.0)
    wait_s = pace.wait_s("a", 0.0)
    assert wait_s == pytest.approx(1 / RUNS_PER_S)
    assert pace.wait_s("a", wait_s) == 0.0


def test_asking_too_early_costs_nothing() -> None:
    pace = Pace()
    spent(pace, "a", 0.0)
    for _ in range(1000):
        pace.wait_s("a", 0.0)
    assert pace.wait_s("a", 0.0) == pytest.approx(1 / RUNS_PER_S)


def test_rest_gives_the_burst_back() -> None:
    pace = Pace()
    spent(pace, "a", 0.0)
    assert spent(pace, "a", BURST / RUNS_PER_S) == BURST


def test_keys_do_not_share() -> None:
    pace = Pace()
    spent(pace, "a", 0.0)
    assert pace.wait_s("b", 0.0) == 0.0


def test_rested_keys_are_forgotten() -> None:
    pace = Pace()
    for number in range(100_000):
        pace.wait_s(str(number), float(number))
    assert len(pace._used) < 2000
