"""When probes are made, and what their results mean."""

import pytest

from stagezero.api.container import Container, Probe, TCPSocketAction
from stagezero.node.plans.probing import (
    ProbeKind,
    ProbeRules,
    ProbeState,
    after_result,
    first_delay_s,
    next_delay_s,
)
from stagezero.node.plans.restarts import delay_s, shall_restart
from stagezero.node.prober import probes_of

RULES = ProbeRules(0, 10, 1, 1, 3)


def _after(rules: ProbeRules, results: str, every_s: float = 10) -> ProbeState:
    """The state after a row of results: `+` or `-`, `every_s` apart."""
    state = ProbeState()
    for number, result in enumerate(results):
        state = after_result(state, rules, result == "+", number * every_s)
    return state


@pytest.mark.parametrize(
    ("results", "passed"),
    [
        ("", None),
        ("+", True),
        ("-", None),
        ("--", None),
        ("---", False),
        ("+--", True),
        ("+---", False),
        ("---+", True),
        ("--+--", True),
    ],
)
def test_thresholds_decide(results: str, passed: bool | None) -> None:
    assert _after(RULES, results).passed is passed


def test_several_successes_may_be_asked_for() -> None:
    rules = ProbeRules(0, 10, 1, 2, 3)
    assert _after(rules, "+").passed is None
    assert _after(rules, "+-+").passed is None
    assert _after(rules, "++").passed is True


def test_early_failures_count_once_a_period() -> None:
    assert _after(RULES, "-" * 100, every_s=0.1).passed is None
    assert _after(RULES, "-" * 220, every_s=0.1).passed is False


def test_the_start_is_probed_quickly_then_more_slowly() -> None:
    delays = [
        next_delay_s(ProbeKind.READINESS, _after(RULES, "-" * n, 0.01), RULES) for n in (1, 5, 90)
    ]
    assert delays[0] == 0.025
    assert delays[0] < delays[1] < delays[2] == 0.2


def test_a_ready_container_is_probed_by_its_period() -> None:
    assert next_delay_s(ProbeKind.READINESS, _after(RULES, "+"), RULES) == 10


def test_a_container_that_failed_for_good_is_probed_by_its_period() -> None:
    assert next_delay_s(ProbeKind.READINESS, _after(RULES, "---"), RULES) == 10


def test_liveness_is_never_hurried() -> None:
    assert next_delay_s(ProbeKind.LIVENESS, ProbeState(), RULES) == 10
    assert first_delay_s(ProbeKind.LIVENESS, RULES) == 10


def test_the_first_probe_comes_at_once_unless_a_delay_is_asked_for() -> None:
    assert first_delay_s(ProbeKind.READINESS, RULES) == 0
    assert first_delay_s(ProbeKind.READINESS, ProbeRules(5, 10, 1, 1, 3)) == 5


def test_numbers_that_are_not_given_are_kubernetes_own() -> None:
    assert ProbeRules.of(Probe()) == ProbeRules(0, 1, 1, 1, 3)
    given = Probe(
        initial_delay_seconds=1,
        period_seconds=2,
        timeout_seconds=3,
        success_threshold=4,
        failure_threshold=5,
    )
    assert ProbeRules.of(given) == ProbeRules(1, 2, 3, 4, 5)


def test_a_container_has_the_probes_it_asks_for() -> None:
    probe = Probe(tcp_socket=TCPSocketAction())
    assert probes_of(Container(readiness_probe=probe)) == {ProbeKind.READINESS: probe}
    assert probes_of(Container()) == {}


@pytest.mark.parametrize(
    ("restarts", "expected"),
    [(0, 0), (1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (1000, 300)],
)
def test_restarts_are_delayed_longer_and_longer(restarts: int, expected: float) -> None:
    assert delay_s(restarts) == expected


@pytest.mark.parametrize(
    ("policy", "code", "expected"),
    [
        ("", 0, True),
        ("Always", 0, True),
        ("OnFailure", 0, False),
        ("OnFailure", 2, True),
        ("Never", 2, False),
    ],
)
def test_a_policy_wants_another_run_or_not(policy: str, code: int, expected: bool) -> None:
    assert shall_restart(policy, code) is expected
