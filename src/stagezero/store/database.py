"""The SQLite file behind the store: one connection, used by one thread at a time, no event loop.

A batch of changes is one statement and so one transaction: a step that lets go of Python's global
lock once, however many rows it holds. A deletion keeps its row without data, as a tombstone, until
the next checkpoint; so the rows themselves tell the last version. The file is in WAL mode and
opened exclusively; a commit is either forced to the disk by SQLite (`synchronous=FULL`) or left to
the next forced one or to `flush`.
"""

import contextlib
import functools
import logging
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from stagezero.kit.filelock import FileLock
from stagezero.store.base import Change, ChangeType, Stored, StoreFailed, StoreKey
from stagezero.store.lock import take

log = logging.getLogger(__name__)

SCHEMA = 1
# After a reboot derived writes may be missing whose versions were already seen: none comes twice.
REBOOT_JUMP = 1_000_000
_PAGE_BYTES = 4096
_WAL_LIMIT_BYTES = 32 * 1024 * 1024

_TABLES = f"""
BEGIN;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    data BLOB,
    UNIQUE (collection, namespace, name)
);
CREATE INDEX tombstones ON objects (version) WHERE data IS NULL;
INSERT INTO meta VALUES ('schema', '{SCHEMA}'), ('boot_id', ''), ('floor', '0');
COMMIT;
"""


class Database:
    """An open state file, and the lock that keeps everybody else from it."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._wal = -1
        self._is_forcing = True
        self.version = 0
        self.has_unflushed = False
        self.wal_bytes = 0

    @classmethod
    def open(cls, path: Path, boot_id: str) -> Self:
        """Open or make the file; StoreBusy if another process has it, StoreFailed if unusable."""
        try:
            lock = take(path)
        except OSError as error:
            raise StoreFailed(f"cannot open the state file {path}: {error}") from error
        opened: Self | None = None
        try:
            opened = cls(path, _connect(path), lock)
            opened._prepare(boot_id)
        except (sqlite3.Error, OSError, StoreFailed) as error:
            if opened is not None:
                opened._connection.close()
            lock.release()
            raise _unusable(path, error) from error
        return opened

    def _prepare(self, boot_id: str) -> None:
        _configure(self._connection)
        _check_schema(self._connection)
        (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        self._begin_life(boot_id)
        self._wal = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)

    def _begin_life(self, boot_id: str) -> None:
        """Settle the version that this run starts from, before anybody can see one."""
        execute = self._connection.execute
        meta = dict(execute("SELECT name, value FROM meta"))
        (last,) = execute("SELECT coalesce(max(version), 0) FROM objects").fetchone()
        self.version = max(last, int(meta["floor"]))
        if meta["boot_id"] not in ("", boot_id):
            self.version += REBOOT_JUMP
        execute(
            "INSERT OR REPLACE INTO meta VALUES ('boot_id', ?), ('floor', ?)",
            (boot_id, str(self.version)),
        )
        # The floor now remembers the last version, also where a tombstone carried it.
        execute("DELETE FROM objects WHERE data IS NULL")

    def load(self) -> list[Stored]:
        """Read all objects; where that fails, close the file and raise StoreFailed."""
        columns = "collection, namespace, name, version, data"
        try:
            rows = self._connection.execute(
                f"SELECT {columns} FROM objects WHERE data IS NOT NULL"
            ).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise _unusable(self.path, error) from error
        return [Stored(StoreKey(*key), version, data) for *key, version, data in rows]

    def commit(self, changes: Sequence[Change], is_forced: bool) -> None:
        """Write changes (at most one a key) in one transaction, on disk at return if `is_forced`.

        On sqlite3.Error nothing of them is kept.
        """
        if is_forced is not self._is_forcing:
            level = "FULL" if is_forced else "NORMAL"
            self._connection.execute(f"PRAGMA synchronous={level}")
            self._is_forcing = is_forced
        values: list[str | int | bytes | None] = []
        for change in changes:
            data = None if change.type is ChangeType.DELETED else change.data
            values += *change.key, change.version, data
            self.wal_bytes += len(change.data) + 2 * _PAGE_BYTES
        self._connection.execute(_upsert(len(changes)), values)
        self.version = changes[-1].version
        self.has_unflushed = not is_forced

    def flush(self) -> None:
        """Force to the disk what was committed without force."""
        try:
            os.fdatasync(self._wal)
        except OSError as error:
            # After such an error the kernel takes the pages for written: carry them elsewhere.
            log.error("cannot flush %s-wal (%s), moving its content", self.path, error)
            self.checkpoint()
        self.has_unflushed = False

    def checkpoint(self) -> None:
        """Move the log's content into the file, so that the log starts over."""
        execute = self._connection.execute
        # The newest version must stay readable, even if it was a deletion's.
        execute("DELETE FROM objects WHERE data IS NULL AND version < ?", (self.version,))
        is_blocked, *_ = execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if is_blocked:
            raise sqlite3.OperationalError("the checkpoint was blocked")
        self.wal_bytes = 0

    def close(self) -> None:
        """Move everything into the file and let others have it."""
        # On a full disk the content stays in the log, which must then be on the disk itself.
        with contextlib.suppress(OSError, sqlite3.Error):
            os.fdatasync(self._wal)
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()
        os.close(self._wal)
        self._lock.release()


@functools.cache
def _upsert(rows: int) -> str:
    values = ",".join(["(?,?,?,?,?)"] * rows)
    return (
        f"INSERT INTO objects (collection, namespace, name, version, data) VALUES {values} "
        "ON CONFLICT (collection, namespace, name) "
        "DO UPDATE SET version = excluded.version, data = excluded.data"
    )


def _connect(path: Path) -> sqlite3.Connection:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)
    # Opened in one thread and used in another, never in two at once. No time-out: nobody else may
    # hold the file. The cache of statements must hold one for every size of a batch.
    return sqlite3.connect(
        path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=160
    )


def _configure(connection: sqlite3.Connection) -> None:
    # Exclusive comes first: with it SQLite keeps the log's index in memory, not in a shared file.
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise StoreFailed(f"its file system does not carry SQLite's WAL mode (it gave {mode!r})")
    for setting in (
        "synchronous=FULL",
        "wal_autocheckpoint=0",
        f"journal_size_limit={_WAL_LIMIT_BYTES}",
        "cache_size=-4096",
    ):
        connection.execute(f"PRAGMA {setting}")


def _check_schema(connection: sqlite3.Connection) -> None:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:
        connection.executescript(_TABLES)
    (found,) = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    if found != str(SCHEMA):
        raise StoreFailed(
            f"it has schema {found} and this program reads schema {SCHEMA}: "
            "start the version of stagezero that wrote it"
        )


def _unusable(path: Path, error: Exception) -> StoreFailed:
    text = f"cannot open the state file {path}: {error}"
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        text += (
            ". The file is damaged or not a state file of stagezero; move it away to start empty, "
            "or put a copy of it back"
        )
    return StoreFailed(text)
