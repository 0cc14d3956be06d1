"""Reading logs: whole, from the end, and on and on over rotations."""

import asyncio
import os
from pathlib import Path

import pytest

from stagezero.api.container import Container
from stagezero.node.inotify import FolderWatch
from stagezero.node.log_files import CHUNK_BYTES, Follower, read_tail, read_whole
from stagezero.node.supervisor.rotation import rotate_if_large
from stagezero.node.termination import termination_message


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of a rotated and a present file."""
    path = tmp_path / "0.log"
    path.write_bytes(b"one\ntwo\n")
    rotate_if_large(str(path), limit_bytes=1)
    path.write_bytes(b"three\nfour\n")
    return path


def test_a_log_is_read_with_its_copies(log: Path) -> None:
    assert b"".join(read_whole(log)) == b"one\ntwo\nthree\nfour\n"


def test_a_log_is_read_up_to_a_place(log: Path) -> None:
    assert b"".join(read_whole(log, end=6)) == b"one\ntwo\nthree\n"


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list(read_whole(tmp_path / "none.log")) == []
    assert list(read_tail(tmp_path / "none.log", 3)) == []


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (0, b""),
        (1, b"four\n"),
        (2, b"three\nfour\n"),
        (3, b"two\nthree\nfour\n"),
        (4, b"one\ntwo\nthree\nfour\n"),
        (99, b"one\ntwo\nthree\nfour\n"),
    ],
)
def test_the_last_lines_are_found_over_rotations(log: Path, lines: int, text: bytes) -> None:
    assert b"".join(read_tail(log, lines)) == text


@pytest.mark.parametrize(
    ("content", "lines", "text"),
    [
        (b"a\nb", 1, b"b"),
        (b"a\nb", 2, b"a\nb"),
        (b"a\n\n", 1, b"\n"),
        (b"", 3, b""),
        (b"x" * CHUNK_BYTES + b"\nlast\n", 1, b"last\n"),
        (b"ab\n" * CHUNK_BYTES, 2, b"ab\nab\n"),
    ],
    ids=["no-line-feed", "both", "empty-line", "empty", "long-line", "many-lines"],
)
def test_the_last_lines_are_exact(tmp_path: Path, content: bytes, lines: int, text: bytes) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(content)
    assert b"".join(read_tail(path, lines)) == text


def test_a_follower_reads_what_is_new(log: Path) -> None:
    follower = Follower(log)
    assert list(follower.read()) == []
    with log.open("ab") as writer:
        writer.write(b"five\n")
    assert b"".join(follower.read()) == b"five\n"
    assert list(follower.read()) == []


def test_a_follower_misses_nothing_when_the_log_is_rotated(log: Path) -> None:
    follower = Follower(log)
    with log.open("ab") as writer:
        writer.write(b"before\n")
    rotate_if_large(str(log), limit_bytes=1)
    with log.open("ab") as writer:
        writer.write(b"after\n")
    assert b"".join(follower.read()) == b"before\nafter\n"


async def test_a_write_wakes_a_watch(log: Path) -> None:
    watch = FolderWatch()
    try:
        watch.add(log.parent)
        watch.expect()
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, b"x")
        os.close(descriptor)
        await asyncio.wait_for(watch.changed(), 5)
    finally:
        watch.close()


@pytest.mark.parametrize(
    ("policy", "code", "words", "expected"),
    [
        ("File", 1, "said", "said"),
        ("File", 1, "", ""),
        ("FallbackToLogsOnError", 1, "said", "said"),
        ("FallbackToLogsOnError", 1, "", "line 19\n"),
        ("FallbackToLogsOnError", 0, "", ""),
    ],
)
def test_last_words_come_from_file_or_log(
    tmp_path: Path, policy: str, code: int, words: str, expected: str
) -> None:
    (tmp_path / "file").write_text(words)
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(20)))
    container = Container(termination_message_policy=policy)
    found = termination_message(container, tmp_path / "file", tmp_path / "log", code)
    assert found.endswith(expected) and bool(found) is bool(expected)


def test_last_words_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5000)
    found = termination_message(Container(), tmp_path / "file", tmp_path / "log", 1)
    assert len(found) == 4096
