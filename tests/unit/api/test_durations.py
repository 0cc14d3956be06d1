"""Ages read as kubectl writes them."""

from datetime import UTC, datetime

import pytest

from stagezero.api.durations import age, human_duration
from stagezero.api.times import parse_time, write_time

DAY = 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (5.9, "5s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 300, "3h5m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (2 * DAY, "2d"),
        (2 * DAY + 4 * 3600, "2d4h"),
        (8 * DAY, "8d"),
        (729 * DAY, "729d"),
        (730 * DAY, "2y"),
        (731 * DAY, "2y1d"),
        (8 * 365 * DAY, "8y"),
    ],
)
def test_a_duration_reads_well(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_age_counts_from_the_timestamp() -> None:
    assert age("2026-01-01T00:00:00Z", datetime(2026, 1, 1, 0, 0, 42, tzinfo=UTC)) == "42s"


def test_age_of_nothing_is_unknown() -> None:
    assert age(None, datetime.now(UTC)) == "<unknown>"


def test_micro_times_are_read() -> None:
    assert parse_time("2026-01-01T00:00:00.250000Z").microsecond == 250000


def test_a_written_time_reads_back() -> None:
    moment = datetime(2026, 1, 1, 12, 30, 5, tzinfo=UTC)
    assert parse_time(write_time(moment)) == moment


def test_a_time_without_zone_is_utc() -> None:
    assert parse_time("2026-01-01T00:00:00").tzinfo is UTC
