"""Who has a state file open can be seen without disturbing anybody."""

import os
from pathlib import Path

import pytest

from stagezero.store.base import StoreBusy
from stagezero.store.lock import holder, take


def test_the_holder_is_seen(tmp_path: Path) -> None:
    lock = take(tmp_path / "store")
    assert holder(tmp_path / "store") == os.getpid()
    lock.release()
    assert holder(tmp_path / "store") is None


def test_nobody_holds_what_is_not_there(tmp_path: Path) -> None:
    assert holder(tmp_path / "store") is None
    assert not list(tmp_path.iterdir())


def test_whoever_comes_second_is_told_who_came_first(tmp_path: Path) -> None:
    lock = take(tmp_path / "store")
    with pytest.raises(StoreBusy, match=f"in use by process {os.getpid()};"):
        take(tmp_path / "store")
    lock.release()
