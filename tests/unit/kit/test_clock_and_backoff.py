"""Dates as Kubernetes writes them, and delays that double."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from stagezero.kit.backoff import Backoff
from stagezero.kit.clock import LoopClock, parse_rfc3339, rfc3339, rfc3339_micro

MOMENT = datetime(2026, 11, 23, 20, 5, 6, 789000, tzinfo=UTC)


def test_metadata_dates_have_whole_seconds() -> None:
    assert rfc3339(MOMENT) == "2026-11-23T20:05:06Z"


def test_micro_times_keep_microseconds() -> None:
    assert rfc3339_micro(MOMENT) == "2026-11-23T20:05:06.789000Z"


def test_dates_are_written_in_utc() -> None:
    east = MOMENT.astimezone(timezone(timedelta(hours=9)))
    assert rfc3339(east) == rfc3339(MOMENT)


@pytest.mark.parametrize("text", ["2026-11-23T20:05:06Z", "2026-11-23T21:05:06+01:00"])
def test_any_zone_is_read(text: str) -> None:
    assert parse_rfc3339(text) == MOMENT.replace(microsecond=0)


def test_nonsense_is_not_a_date() -> None:
    with pytest.raises(ValueError, match="Invalid isoformat"):
        parse_rfc3339("yesterday")


@pytest.mark.looptime
async def test_loop_clock_follows_virtual_time() -> None:
    clock = LoopClock()
    before = clock.now()
    await asyncio.sleep(3600)
    assert clock.now() - before == timedelta(hours=1)


def test_delays_double_up_to_the_limit() -> None:
    backoff = Backoff(first_s=1, limit_s=5)
    assert [backoff.failed("a") for _ in range(4)] == [1, 2, 4, 5]


def test_success_resets_the_delay() -> None:
    backoff = Backoff(first_s=1)
    backoff.failed("a")
    backoff.forget("a")
    assert backoff.failed("a") == 1


def test_keys_fail_apart() -> None:
    backoff = Backoff(first_s=1)
    backoff.failed("a")
    assert backoff.failed("b") == 1


def test_many_failures_do_not_overflow() -> None:
    backoff = Backoff(first_s=1, limit_s=60)
    for _ in range(2000):
        delay_s = backoff.failed("a")
    assert delay_s == 60
