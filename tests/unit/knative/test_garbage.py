"""Which old revisions go: never an active one, never below the minimum, the oldest first."""

from datetime import timedelta

import pytest

from stagezero.api import names_knative as names
from stagezero.api.config_knative_defaults import GCConfig
from stagezero.api.serving_knative import Revision
from stagezero.api.times import write_time
from stagezero.controllers.knative.plans.garbage import stale
from support.knative_objects import FIRST, NAME, NOW, revision

NONE_KEPT = GCConfig(min_non_active_revisions=0)


def aged(number: int, hours: float, state: str = "reserve", **annotations: str) -> Revision:
    moment = write_time(NOW - timedelta(hours=hours))
    return revision(
        f"{NAME}-{number:05d}",
        creation_timestamp=moment,
        labels={names.ROUTING_STATE: state},
        annotations={names.ROUTING_STATE_MODIFIED: moment, **annotations},
    )


def doomed(revisions: list[Revision], config: GCConfig, latest: str = "") -> list[str]:
    return [one.metadata.name[-1] for one in stale(revisions, latest, config, NOW)]


def test_old_unused_revisions_go_oldest_first() -> None:
    assert doomed([aged(1, 100), aged(2, 200), aged(3, 1)], NONE_KEPT) == ["2", "1"]


@pytest.mark.parametrize(
    "kept",
    [
        aged(1, 100, state="active"),
        aged(1, 100, state="pending"),
        aged(1, 100, **{names.NO_GC: "True"}),
        aged(1, 47),
    ],
    ids=["active", "pending", "no-gc", "young"],
)
def test_what_is_used_or_young_stays(kept: Revision) -> None:
    assert doomed([kept, aged(2, 200)], NONE_KEPT) == ["2"]


def test_the_latest_ready_revision_stays() -> None:
    assert doomed([aged(1, 100), aged(2, 200)], NONE_KEPT, FIRST) == ["2"]


def test_a_minimum_is_kept() -> None:
    revisions = [aged(number, 100 + number) for number in range(1, 6)]
    assert doomed(revisions, GCConfig(min_non_active_revisions=3)) == ["5", "4"]


def test_the_default_keeps_twenty() -> None:
    assert doomed([aged(number, 100) for number in range(1, 10)], GCConfig()) == []


def test_above_the_maximum_age_does_not_matter() -> None:
    config = GCConfig(min_non_active_revisions=0, max_non_active_revisions=1)
    assert doomed([aged(1, 1), aged(2, 2), aged(3, 3)], config) == ["3", "2"]


def test_everything_disabled_keeps_everything() -> None:
    config = GCConfig(None, None, 0, None)
    assert doomed([aged(1, 1000), aged(2, 2000)], config) == []


def test_one_window_may_be_disabled() -> None:
    config = GCConfig(None, 3600, 0, None)
    assert doomed([aged(1, 2), aged(2, 0.5)], config) == ["1"]


def test_an_unreadable_time_counts_from_creation() -> None:
    broken = aged(1, 100, **{names.ROUTING_STATE_MODIFIED: "yesterday"})
    assert doomed([broken, aged(2, 1)], NONE_KEPT) == ["1"]
