"""What only the store on disk does: lasting, locking, refusing files, failing disks."""
# ruff: noqa: ASYNC240 - tests look at files while nothing else runs

import asyncio
import os
import resource
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stagezero.store.base import (
    Change,
    ChangeType,
    Compacted,
    Durability,
    StoreBusy,
    StoreFailed,
    StoreKey,
    VersionConflict,
)
from stagezero.store.database import REBOOT_JUMP, Database
from stagezero.store.index import Index
from stagezero.store.sqlite import SqliteStore
from stagezero.store.writer import Pace

A = StoreKey("pods", "default", "a")
INTENT, DERIVED = Durability.INTENT, Durability.DERIVED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.db"


async def put(
    store: SqliteStore,
    name: str = "a",
    data: bytes = b"{}",
    durability: Durability = INTENT,
    expected: int | None = None,
) -> int:
    key = StoreKey("pods", "default", name)
    return (await store.put(key, lambda _: data, expected, durability)).version


def names(store: SqliteStore) -> list[str]:
    return [item.key.name for item in store.list("pods")[0]]


# Lasting


@pytest.mark.parametrize("durability", Durability)
async def test_objects_outlive_the_process(path: Path, durability: Durability) -> None:
    store = await SqliteStore.open(path)
    version = await put(store, data=b"kept", durability=durability)
    await store.close()
    store = await SqliteStore.open(path)
    found = store.get(A)
    assert found is not None
    assert (found.version, found.data) == (version, b"kept")
    await store.close()


async def test_versions_go_on_after_a_restart(path: Path) -> None:
    store = await SqliteStore.open(path)
    last = await put(store)
    await store.close()
    store = await SqliteStore.open(path)
    assert store.version == last
    assert await put(store, "b") == last + 1
    await store.close()


async def test_a_deletions_version_is_not_given_twice(path: Path) -> None:
    store = await SqliteStore.open(path)
    first = await put(store)
    gone = await store.delete(A, lambda _: b"", first, DERIVED)
    await store.close()
    for _ in range(2):
        store = await SqliteStore.open(path)
        assert store.version == gone.version
        assert names(store) == []
        await store.close()


async def test_watches_from_before_a_restart_are_compacted(path: Path) -> None:
    store = await SqliteStore.open(path)
    first = await put(store)
    second = await put(store, "b")
    await store.close()
    store = await SqliteStore.open(path)
    with pytest.raises(Compacted):
        store.watch("pods", first)
    assert store.watch("pods", second).version == second
    await store.close()


async def test_a_reboot_makes_versions_jump(path: Path) -> None:
    store = await SqliteStore.open(path, boot_id="first")
    last = await put(store)
    await store.close()
    store = await SqliteStore.open(path, boot_id="second")
    assert store.version == last + REBOOT_JUMP
    with pytest.raises(Compacted):
        store.watch("pods", last)
    await store.close()


async def test_every_reboot_jumps_even_without_writes(path: Path) -> None:
    starts = []
    for boot_id in ("1", "2", "2", "3"):
        store = await SqliteStore.open(path, boot_id=boot_id)
        starts.append(store.version)
        await store.close()
    assert starts == [0, REBOOT_JUMP, REBOOT_JUMP, 2 * REBOOT_JUMP]


async def test_tombstones_do_not_pile_up(path: Path) -> None:
    store = await SqliteStore.open(path)
    for number in range(20):
        version = await put(store, str(number))
        key = StoreKey("pods", "default", str(number))
        await store.delete(key, lambda _: b"", version, DERIVED)
    await store.close()
    await (await SqliteStore.open(path)).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM objects").fetchone() == (0,)
    connection.close()


async def test_the_log_stays_bounded(path: Path) -> None:
    store = await SqliteStore.open(path)
    version = await put(store, data=b"")
    for number in range(60):
        version = await put(store, data=b"%d" % number * 500_000, expected=version)
    wal = path.with_name("store.db-wal")
    assert wal.stat().st_size < 40_000_000
    assert len((store.get(A) or pytest.fail("gone")).data) == 1_000_000
    await store.close()
    assert not wal.exists()


async def test_the_log_is_emptied_when_nothing_happens(path: Path) -> None:
    store = await SqliteStore.open(path)
    await put(store, data=b"x" * 3_000_000)
    async with asyncio.timeout(10):
        while path.stat().st_size < 3_000_000:  # noqa: ASYNC110 - another thread does it
            await asyncio.sleep(0.02)
    await store.close()


def test_the_newest_version_survives_a_checkpoint(path: Path) -> None:
    database = Database.open(path, "boot")
    database.commit([Change(ChangeType.ADDED, A, 1, b"{}")], is_forced=True)
    database.commit([Change(ChangeType.DELETED, A, 2, b"{}")], is_forced=True)
    database.checkpoint()
    database.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version, data FROM objects").fetchall() == [(2, None)]
    connection.close()


class CountedDatabase(Database):
    """Counts how often it is forced to the disk by itself."""

    flushes = 0

    def flush(self) -> None:
        self.flushes += 1
        super().flush()


async def test_a_stream_of_derived_writes_does_not_put_off_their_flush(path: Path) -> None:
    database = CountedDatabase.open(path, "boot")
    store = SqliteStore(database, Index(), Pace(flush_s=0.03))
    version: int | None = None
    async with asyncio.timeout(3):
        while database.flushes < 3:  # never a pause between two writes
            version = await put(store, durability=DERIVED, expected=version)
    await store.close()


async def test_an_intent_flushes_the_derived_writes_before_it(path: Path) -> None:
    database = CountedDatabase.open(path, "boot")
    store = SqliteStore(database, Index(), Pace(flush_s=60))
    await put(store, "derived", durability=DERIVED)
    before = database.has_unflushed
    await put(store, "intent", durability=INTENT)
    assert (before, database.has_unflushed, database.flushes) == (True, False, 0)
    await store.close()


# Files


async def test_only_the_owner_can_read_the_files(path: Path) -> None:
    store = await SqliteStore.open(path)
    await put(store)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db.lock": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await store.close()


async def test_a_file_too_open_is_closed_up(path: Path) -> None:
    await (await SqliteStore.open(path)).close()
    path.chmod(0o644)
    await (await SqliteStore.open(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_closing_leaves_no_descriptor_open(path: Path) -> None:
    await (await SqliteStore.open(path)).close()
    before = set(os.listdir("/proc/self/fd"))
    store = await SqliteStore.open(path)
    await put(store)
    await store.close()
    assert set(os.listdir("/proc/self/fd")) == before


async def test_a_second_opener_is_told_who_has_it(path: Path) -> None:
    store = await SqliteStore.open(path)
    with pytest.raises(StoreBusy, match=rf"in use by process {os.getpid()}; stop") as refused:
        await SqliteStore.open(path)
    assert str(path.parent) in str(refused.value)
    await put(store)
    await store.close()
    await (await SqliteStore.open(path)).close()


async def test_a_refused_opener_leaves_the_lock_with_its_holder(path: Path) -> None:
    store = await SqliteStore.open(path)
    for _ in range(2):
        with pytest.raises(StoreBusy):
            await SqliteStore.open(path)
    await store.close()


@pytest.mark.parametrize(
    "content",
    [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000],
    ids=["text", "damaged header"],
)
async def test_a_file_that_is_no_store_is_refused_by_name(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreFailed, match=r"store\.db: .*move it away"):
        await SqliteStore.open(path)
    assert path.read_bytes() == content


async def test_a_damaged_page_is_found_at_the_start(path: Path) -> None:
    store = await SqliteStore.open(path)
    for number in range(200):
        await put(store, str(number), b"x" * 1000, DERIVED)
    await store.close()
    content = bytearray(path.read_bytes())
    content[5 * 4096 : 6 * 4096] = b"\xaa" * 4096
    path.write_bytes(content)
    with pytest.raises(StoreFailed, match="damaged"):
        await SqliteStore.open(path)


async def test_a_refused_file_is_not_kept_locked(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreFailed):
        await SqliteStore.open(path)
    path.unlink()
    await (await SqliteStore.open(path)).close()


async def test_a_newer_schema_is_refused(path: Path) -> None:
    await (await SqliteStore.open(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '2' WHERE name = 'schema'")
    connection.close()
    with pytest.raises(StoreFailed, match="schema 2 and this program reads schema 1"):
        await SqliteStore.open(path)


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed, match=r"file/store\.db"):
        await SqliteStore.open(tmp_path / "file" / "store.db")


# Failing disks


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """Let the kernel refuse to grow files of this process beyond a size (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("durability", Durability)
async def test_a_write_that_does_not_fit_fails_alone(path: Path, durability: Durability) -> None:
    store = await SqliteStore.open(path)
    first = await put(store, "before")
    with files_no_larger_than(1_000_000):
        with pytest.raises(StoreFailed) as failed:
            await put(store, "large", b"x" * 2_000_000, durability)
        second = await put(store, "small", durability=durability)
    third = await put(store, "large", b"x" * 2_000_000, durability)
    assert str(path) in str(failed.value)
    assert "pods/default/large" in str(failed.value)
    assert first < second < third
    await store.close()
    store = await SqliteStore.open(path)
    assert names(store) == ["before", "large", "small"]
    await store.close()


async def test_a_failed_write_is_never_seen(path: Path) -> None:
    store = await SqliteStore.open(path)
    version = await put(store, data=b"old")
    watch = store.watch("pods", version)
    with files_no_larger_than(1_000_000), pytest.raises(StoreFailed):
        await put(store, data=b"x" * 2_000_000, expected=version)
    found = store.get(A)
    assert found is not None
    assert (found.version, found.data, store.version) == (version, b"old", version)
    again = await put(store, data=b"new", expected=version)
    assert (await anext(watch)).version == again
    await store.close()


async def test_a_failed_deletion_leaves_the_object(path: Path) -> None:
    store = await SqliteStore.open(path)
    version = await put(store)
    with files_no_larger_than(4096):
        with pytest.raises(StoreFailed):
            await store.delete(A, lambda _: b"", version, INTENT)
        assert store.get(A) is not None
    await store.delete(A, lambda _: b"", version, INTENT)
    assert store.get(A) is None
    await store.close()


async def test_who_waits_behind_a_failed_write_is_judged_by_what_is_there(path: Path) -> None:
    store = await SqliteStore.open(path)
    with files_no_larger_than(1_000_000):
        outcomes = await asyncio.gather(
            put(store, data=b"x" * 2_000_000),
            put(store, data=b"small"),
            put(store, data=b"late"),
            return_exceptions=True,
        )
    failed, won, lost = outcomes
    assert isinstance(failed, StoreFailed)
    assert isinstance(won, int)
    assert isinstance(lost, VersionConflict)
    await store.close()


async def test_a_name_that_cannot_be_written_fails_and_nothing_else(path: Path) -> None:
    store = await SqliteStore.open(path)
    with pytest.raises(StoreFailed, match="surrogates not allowed"):
        await put(store, "\ud800")
    await put(store, "a")
    assert names(store) == ["a"]
    await store.close()


async def test_a_failed_checkpoint_is_tried_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pace = Pace(idle_s=0.01, idle_wal_bytes=1, retry_s=0.05)
    store = await SqliteStore.open(path, pace=pace)
    await put(store, data=b"x" * 300_000)
    with files_no_larger_than(100_000):
        async with asyncio.timeout(5):
            while "cannot tidy" not in caplog.text:  # noqa: ASYNC110 - another thread does it
                await asyncio.sleep(0.005)
    async with asyncio.timeout(5):
        while path.stat().st_size < 300_000:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await store.close()


async def test_a_failed_flush_is_made_good_by_moving_the_log(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database.open(path, "boot")
    os.close(database._wal)
    database._wal = os.open("/proc/self/stat", os.O_RDONLY)  # cannot be synced
    database.has_unflushed = True
    database.flush()
    assert not database.has_unflushed
    assert "cannot flush" in caplog.text
    database.close()
