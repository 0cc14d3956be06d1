"""The store against the machine: kill -9, fsync as the kernel sees it, a full file system."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import store_full, store_lives, store_syncs

pytestmark = pytest.mark.e2e


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program and return it with its output, however it ended."""
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)


# kill -9


@pytest.mark.timeout(150)
def test_every_acknowledged_write_survives_two_hundred_kills(tmp_path: Path) -> None:
    ran = run(sys.executable, store_lives.__file__, tmp_path / "store.db", 20_000, 200)
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert summary["faults"] == []
    assert summary["kills"] == 200
    assert summary["acknowledged"] > 1000


def ledger(*lines: str) -> store_lives.Ledger:
    book = store_lives.Ledger()
    for line in lines:
        book.hear(line)
    return book


def found(name: str, version: int) -> tuple[str, int, bytes]:
    return name, version, store_lives.content(name, version)


@pytest.mark.parametrize(
    ("said", "there", "at"),
    [
        (["? a put", "! a 5 put"], [], 5),
        (["? a put", "! a 5 put", "? a put", "! a 6 put"], [found("a", 5)], 6),
        (["? a put", "! a 5 put", "? a gone", "! a 6 gone"], [found("a", 5)], 6),
        (["? a put", "! a 5 put"], [found("a", 5)], 4),
        (["? a put", "! a 5 put"], [("a", 5, b"other bytes")], 5),
        ([], [found("a", 5)], 5),
        (["? a put", "! a 5 put", "? a gone"], [found("a", 6)], 6),
    ],
    ids=[
        "lost object", "lost update", "lost deletion", "lost version", "torn bytes",
        "never written", "update instead of deletion",
    ],
)  # fmt: skip
def test_the_ledger_finds_a_loss(
    said: list[str], there: list[tuple[str, int, bytes]], at: int
) -> None:
    book = ledger(*said)
    book.compare(there, at)
    assert book.faults


def test_the_ledger_finds_a_version_given_twice() -> None:
    book = ledger("? a put", "! a 5 put")
    book.compare([found("a", 5)], 5)
    book.hear("! b 5 put")
    assert "b: version 5 again" in book.faults[0]


@pytest.mark.parametrize("there", [[], [found("a", 7)]], ids=["not kept", "kept"])
def test_what_was_only_tried_may_be_there_or_not(there: list[tuple[str, int, bytes]]) -> None:
    book = ledger("? a put")
    book.compare(there, 7)
    assert book.faults == []


# fsync


@dataclass(frozen=True)
class Seen:
    """One thing the tracer saw: a word of the program, a write to the log, a finished sync."""

    at_s: float
    what: str


def trace(path: Path) -> Iterator[Seen]:
    """Read strace's notes in their order."""
    for line in path.read_text().splitlines():
        found = re.match(r"(?:\d+ +)?(\d+\.\d+) (.*)", line)
        if found is None:
            continue
        at_s, text = float(found[1]), found[2]
        if word := re.search(r'"((?:begin|reply) \w+)\\n"', text):
            yield Seen(at_s, word[1])
        elif re.match(r"pwrite64\(\d+<[^>]*-wal>", text):
            yield Seen(at_s, "log")
        elif re.match(r"fdatasync\(.*-wal>\) += 0|<\.\.\. fdatasync resumed>.* = 0", text):
            yield Seen(at_s, "sync")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    folder = tmp_path_factory.mktemp("traced")
    calls = "trace=write,pwrite64,fsync,fdatasync"
    command = [strace, "-f", "-y", "-ttt", "-e", calls, "-o", folder / "trace"]
    ran = run(*command, sys.executable, store_syncs.__file__, folder / "store.db")
    if ran.returncode and "ptrace" in ran.stderr:
        pytest.skip(f"no tracing here: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stderr
    return list(trace(folder / "trace"))


def between(seen: list[Seen], start: str, end: str) -> list[list[str]]:
    """What was seen from each `start` to the `end` that follows it."""
    spans: list[list[str]] = []
    is_inside = False
    for thing in seen:
        if thing.what == start:
            spans.append([])
            is_inside = True
        elif thing.what == end:
            is_inside = False
        elif is_inside:
            spans[-1].append(thing.what)
    return spans


def test_an_intent_is_synced_between_commit_and_reply(seen: list[Seen]) -> None:
    spans = between(seen, "begin intent", "reply intent")
    assert len(spans) == store_syncs.WRITES
    for span in spans:
        last_log = len(span) - 1 - span[::-1].index("log")
        assert "sync" in span[last_log:], span


def test_a_derived_write_is_answered_before_it_is_synced(seen: list[Seen]) -> None:
    spans = between(seen, "begin derived", "reply derived")
    assert len(spans) == store_syncs.WRITES
    assert all("log" in span and "sync" not in span for span in spans)


def test_a_derived_write_is_synced_soon_after(seen: list[Seen]) -> None:
    waits_s: list[float] = []
    replied_s: float | None = None
    for thing in seen:
        if thing.what == "reply derived":
            replied_s = thing.at_s
        elif thing.what == "sync" and replied_s is not None:
            waits_s.append(thing.at_s - replied_s)
            replied_s = None
    assert len(waits_s) == store_syncs.WRITES
    # Ten milliseconds are the aim; the tracer and a busy machine add theirs.
    assert sorted(waits_s)[len(waits_s) // 2] < 0.025


def test_an_intent_whose_sync_fails_is_not_acknowledged(tmp_path: Path) -> None:
    ran = run(sys.executable, store_syncs.__file__, tmp_path / "store.db", "--refuse")
    if ran.returncode == store_syncs.NOT_POSSIBLE:
        pytest.skip(ran.stdout)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines.count("reply derived") == store_syncs.WRITES
    assert "reply intent" not in lines
    failed = [line for line in lines if line.startswith("failed intent: cannot write")]
    assert len(failed) == store_syncs.WRITES


# A full disk


def test_a_full_file_system_fails_writes_until_there_is_room(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or run(unshare, "-rm", "true").returncode:
        pytest.skip("no mount namespace of one's own here")
    mount = f"mount -t tmpfs -o size=4m none {tmp_path} && exec {sys.executable} "
    ran = run(unshare, "-rm", "sh", "-c", f"{mount} {store_full.__file__} {tmp_path}")
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert "database or disk is full" in summary["failure"]
    assert f"{tmp_path}/store.db" in summary["failure"]
    assert summary["acknowledged_when_full"] > 0
    assert summary["read_back"] == summary["acknowledged"]
