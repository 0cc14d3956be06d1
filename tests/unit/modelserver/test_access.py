"""The access log: written in bulk, and never in the way."""

import asyncio
import os
from pathlib import Path

from stagezero.modelserver.access import AccessLog


async def test_lines_are_written_together(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    log = AccessLog(asyncio.get_running_loop(), descriptor)
    log.write("one")
    log.write("two")
    assert (tmp_path / "log").read_text() == ""
    log.flush()
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["one", "two"]
    os.close(descriptor)


async def test_many_lines_do_not_wait(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    log = AccessLog(asyncio.get_running_loop(), descriptor)
    for _ in range(400):
        log.write("x" * 100)
    assert (tmp_path / "log").stat().st_size > 30_000
    log.flush()
    os.close(descriptor)


async def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "log", os.O_RDONLY | os.O_CREAT)
    log = AccessLog(asyncio.get_running_loop(), descriptor)
    log.write("lost")
    log.flush()
    os.close(descriptor)
