"""The supervisor's parts that need no process: words, checks, journal, records, rotation."""

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagezero.node.supervisor.identity import boot_id, open_if_alive, read_stat
from stagezero.node.supervisor.journal import Journal
from stagezero.node.supervisor.protocol import LineBuffer, Refused, decode, encode
from stagezero.node.supervisor.record import EXITED, RUNNING, Record
from stagezero.node.supervisor.rotation import rotate_if_large, rotated_paths
from stagezero.node.supervisor.spec import Mount, Restart, Spec, parse_spec

SPEC = Spec(
    "a",
    ("sh", "-c", "x"),
    "/log",
    {"A": "1"},
    mounts=(Mount("/mnt", "/src", read_only=True), Mount("/t", kind="tmpfs")),
    restart=Restart(0.5, 4.0, 60.0),
    labels={"k": "v"},
    net="/run/netns/x",
    uid=5,
    limits={"nofile": 100},
)


def test_a_message_survives_the_way() -> None:
    message = {"id": 3, "op": "x", "text": "ä\n"}
    assert decode(encode(message).rstrip(b"\n")) == message
    assert encode(message).count(b"\n") == 1


@pytest.mark.parametrize("line", [b"", b"x", b"[]", b"3", b"\xff", b"[" * 100_000])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(Refused):
        decode(line)


@given(st.lists(st.binary(min_size=1, max_size=9).map(lambda b: b.replace(b"\n", b"_"))), st.data())
def test_lines_come_out_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    buffer, found = LineBuffer(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += buffer.feed(stream[:size])
        stream = stream[size:]
    assert found == lines


@pytest.mark.parametrize("data", [b"x" * 11, b"x" * 11 + b"\n", b"ok\n" + b"x" * 11])
def test_a_line_has_a_limit(data: bytes) -> None:
    with pytest.raises(Refused, match="longer than 10"):
        LineBuffer(10).feed(data)


def test_a_spec_survives_the_way() -> None:
    assert parse_spec(json.loads(json.dumps(SPEC.to_json()))) == SPEC


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": ""}, "spec.id"),
        ({"id": 3}, "spec.id"),
        ({"id": "x" * 513}, "spec.id"),
        ({"argv": []}, "spec.argv"),
        ({"argv": "sh"}, "spec.argv"),
        ({"argv": [""]}, "spec.argv"),
        ({"argv": ["a\0b"]}, "spec.argv"),
        ({"argv": ["\ud800"]}, "spec.argv"),
        ({"log": None}, "spec.log"),
        ({"env": {"A": 1}}, "spec.env.A"),
        ({"env": []}, "spec.env"),
        ({"umask": 0o1000}, "spec.umask"),
        ({"umask": True}, "spec.umask"),
        ({"limits": {"nofile": -1}}, "spec.limits.nofile"),
        ({"mounts": [{"target": "relative"}]}, "spec.mounts[].target"),
        ({"mounts": [{"target": "/a/../b"}]}, "spec.mounts[].target"),
        ({"mounts": [{"target": "/a", "kind": "loop"}]}, "spec.mounts[].kind"),
        ({"mounts": [3]}, "spec.mounts[]"),
        ({"restart": {"first_s": 0}}, "spec.restart.first_s"),
        ({"restart": {"limit_s": float("nan")}}, "spec.restart.limit_s"),
        ({"restart": []}, "spec.restart"),
        ({"uid": -1}, "spec.uid"),
        ({"labels": {"k": "x" * 40_000}}, "spec.labels"),
        ({"surprise": 1}, "spec.surprise"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else None,
)
def test_a_wrong_spec_names_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_spec({**SPEC.to_json(), **change})
    assert refused.value.message.startswith(f"{field} ")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(Spec._fields), inner, max_size=5)
        ),
        max_leaves=12,
    )
)
def test_any_spec_is_read_or_refused(raw: object) -> None:
    try:
        parse_spec(raw)
    except Refused as error:
        assert error.message


@pytest.mark.parametrize(
    ("status", "code", "number", "is_known"),
    [(0, 0, 0, True), (3 << 8, 3, 0, True), (9, 137, 9, True), (None, 137, 0, False)],
    ids=["success", "failure", "signal", "unknown"],
)
def test_an_end_is_read_from_its_status(
    status: int | None, code: int, number: int, is_known: bool
) -> None:
    record = Record(SPEC)
    record.ended(status, 5.0)
    assert record.state == EXITED
    assert (record.exit_code, record.signal, record.is_known_exit) == (code, number, is_known)


def test_a_record_survives_the_journal() -> None:
    record = Record(SPEC)
    record.ran(7, 99, "boot", 1.5)
    again = Record.from_json(json.loads(json.dumps(record.to_json(with_spec=True))))
    assert again.to_json() == record.to_json()
    assert (again.state, again.spec) == (RUNNING, SPEC)


def test_the_spec_is_kept_only_to_start_again() -> None:
    once = Record(SPEC._replace(restart=None, env={"TOKEN": "secret"}))
    assert "secret" not in json.dumps(once.to_json(with_spec=True))


def test_a_journal_gives_back_what_was_appended(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    journal = Journal(path)
    journal.append({"n": 1})
    journal.append({"n": 2}, is_flushed=True)
    journal.close()
    again = Journal(path)
    assert again.entries() == [{"n": 1}, {"n": 2}]
    again.close()


def test_a_torn_line_is_skipped_and_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'{"n": 1}\n{"n": ')
    journal = Journal(str(path))
    journal.append({"n": 3})
    assert journal.entries() == [{"n": 1}, {"n": 3}]
    journal.close()


def test_a_rewritten_journal_holds_only_what_is_kept(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal"))
    for number in range(9):
        journal.append({"n": number})
    journal.rewrite([{"n": 8}])
    journal.append({"n": 9})
    assert journal.entries() == [{"n": 8}, {"n": 9}]
    journal.close()


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_a_full_disk_does_not_take_is_written_later(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal"))
    journal.append({"n": 1})
    with full_disk(14):  # a part of the second entry fits
        journal.append({"n": 2}, is_flushed=True)
        journal.append({"n": 3})
        assert journal.is_behind
        assert journal.entries() == [{"n": 1}]
    journal.retry()
    assert journal.entries() == [{"n": 1}, {"n": 2}, {"n": 3}]
    journal.close()


def test_a_full_disk_keeps_the_old_journal(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal"))
    journal.append({"n": 1})
    with full_disk(4):
        journal.rewrite([{"n": 8}])
    journal.append({"n": 9})
    assert journal.entries() == [{"n": 1}, {"n": 9}]
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]
    journal.close()


def test_a_full_disk_keeps_a_log_and_its_copies(tmp_path: Path) -> None:
    log, copy = tmp_path / "0.log", tmp_path / "0.log.1"
    log.write_bytes(b"x" * 100)
    copy.write_bytes(b"old")
    with full_disk(50), pytest.raises(OSError, match="File too large"):
        rotate_if_large(str(log), limit_bytes=5)
    assert log.stat().st_size == 100
    assert rotated_paths(str(log)) == [str(copy)] and copy.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_flood_is_kept_by_its_end(tmp_path: Path) -> None:
    log, limit = tmp_path / "0.log", 100_000
    line = b"y" * 99 + b"\n"
    log.write_bytes(line * 20_000)
    assert rotate_if_large(str(log), limit_bytes=limit)
    kept = (tmp_path / "0.log.1").read_bytes()
    assert limit - 100 <= len(kept) <= limit
    assert kept.startswith(b"yyy") and kept.endswith(line)


def test_a_small_log_is_not_rotated(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"12345")
    assert not rotate_if_large(str(log), limit_bytes=5)
    assert not rotate_if_large(str(tmp_path / "none.log"))


def test_a_large_log_is_copied_and_emptied(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    writer = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(writer, b"123456")
    assert rotate_if_large(str(log), limit_bytes=5)
    os.write(writer, b"new")
    os.close(writer)
    assert log.read_bytes() == b"new"
    assert (tmp_path / "x.log.1").read_bytes() == b"123456"


def test_only_so_many_copies_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    for number in range(6):
        log.write_bytes(str(number).encode() * 9)
        rotate_if_large(str(log), limit_bytes=5, copies=3)
    kept = [Path(path).read_bytes()[:1] for path in rotated_paths(str(log), 3)]
    assert kept == [b"3", b"4", b"5"]
    assert not (tmp_path / "x.log.4").exists()


def test_a_living_process_is_recognized_by_its_start() -> None:
    stat = read_stat(os.getpid())
    assert stat is not None and stat.state in "RS"
    descriptor = open_if_alive(os.getpid(), stat.start_ticks, boot_id())
    assert descriptor is not None
    os.close(descriptor)


@pytest.mark.parametrize("what", ["start", "boot", "pid"])
def test_another_process_is_not_taken_for_it(what: str) -> None:
    stat = read_stat(os.getpid())
    assert stat is not None
    pid = 2**22 - 1 if what == "pid" else os.getpid()
    start = stat.start_ticks + (what == "start")
    assert open_if_alive(pid, start, "other" if what == "boot" else boot_id()) is None


def test_a_zombie_counts_as_gone() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    stat = read_stat(pid)
    assert stat is not None and stat.state == "Z"
    assert open_if_alive(pid, stat.start_ticks, boot_id()) is None
    os.waitpid(pid, 0)
