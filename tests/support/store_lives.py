"""Lives of a store that end by `kill -9`: `python store_lives.py FILE SEED KILLS`.

Each life is a forked child in which four writers work on names of their own and say on a pipe what
they try (`?`) and what was acknowledged (`!`). After a seeded number of acknowledgements and a
seeded moment the child is killed; the file is read back and compared with what was said. Prints a
JSON summary whose `faults` must be empty. Every byte stored follows from its name and version.
"""

import asyncio
import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from stagezero.store.base import Durability, StoreKey
from stagezero.store.database import Database
from stagezero.store.sqlite import SqliteStore
from stagezero.store.writer import Pace

WRITERS = 4
NAMES = 12
# Small, so that a life sees checkpoints and kills meet them.
PACE = Pace(flush_s=0.002, idle_s=0.002, idle_wal_bytes=50_000, busy_wal_bytes=300_000)


def content(name: str, version: int) -> bytes:
    """The bytes of an object: a few to some ten thousand, told by its name and version."""
    digest = hashlib.sha256(f"{name} {version}".encode()).digest()
    return f"{name} {version} ".encode() + digest * (1 + digest[0] * digest[1] // 64)


class Victim:
    """The child: writes until it is killed."""

    def __init__(self, path: Path, seed: int, pipe: int) -> None:
        self._path, self._seed, self._pipe = path, seed, pipe

    async def run(self) -> None:
        """Work for ever."""
        store = await SqliteStore.open(self._path, pace=PACE)
        await asyncio.gather(*(self._write(store, writer) for writer in range(WRITERS)))

    def _say(self, *words: object) -> None:
        os.write(self._pipe, (" ".join(map(str, words)) + "\n").encode())

    async def _write(self, store: SqliteStore, writer: int) -> None:
        draw = random.Random(self._seed * WRITERS + writer)
        while True:
            name = f"w{writer}-{draw.randrange(NAMES)}"
            key = StoreKey("configmaps", "default", name)
            durability = draw.choice(list(Durability))
            found = store.get(key)
            if found is not None and draw.random() < 0.3:
                self._say("?", name, "gone")
                gone = await store.delete(key, lambda _: b"", found.version, durability)
                self._say("!", name, gone.version, "gone")
                continue
            self._say("?", name, "put")
            expected = found.version if found else None

            def encode(version: int, name: str = name) -> bytes:
                return content(name, version)

            stored = await store.put(key, encode, expected, durability)
            self._say("!", name, stored.version, "put")


@dataclass
class Ledger:
    """What was acknowledged, and what was found afterwards."""

    known: dict[str, int] = field(default_factory=dict)  # name → version of what is there
    trying: dict[str, str] = field(default_factory=dict)
    highest: int = 0
    start: int = 0  # the version that the present life began at
    acknowledged: int = 0
    kept_unacknowledged: int = 0
    faults: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        """Take note of what a victim said."""
        mark, name, *rest = line.split()
        if mark == "?":
            self.trying[name] = rest[0]
            return
        self.trying.pop(name, None)
        version = int(rest[0])
        if version <= self.start:
            self.faults.append(f"{name}: version {version} again, the life began at {self.start}")
        self.acknowledged += 1
        self.highest = max(self.highest, version)
        if rest[1] == "gone":
            self.known.pop(name, None)
        else:
            self.known[name] = version

    def compare(self, found: Iterable[tuple[str, int, bytes]], version: int) -> None:
        """Compare the file with what was said; what was only tried may be there or not."""
        there = {name: (at, data) for name, at, data in found}
        if version < self.highest:
            self.faults.append(f"the store is at {version}, {self.highest} was acknowledged")
        for name in self.known.keys() | there.keys():
            self._compare_one(name, *there.get(name, (None, b"")))
        self.known = {name: at for name, (at, _) in there.items()}
        self.start = self.highest = version
        self.trying.clear()

    def _compare_one(self, name: str, at: int | None, data: bytes) -> None:
        known, tried = self.known.get(name), self.trying.get(name)
        if at is not None and data != content(name, at):
            self.faults.append(f"{name}: the bytes are not those of version {at}")
        if at == known:
            return
        is_later = at is not None and (known is None or at > known)
        if (tried == "put" and is_later) or (tried == "gone" and at is None):
            self.kept_unacknowledged += 1
            return
        self.faults.append(f"{name}: acknowledged at {known}, found at {at} (tried {tried})")


def live_and_die(path: Path, seed: int, ledger: Ledger) -> None:
    """Fork a victim, listen, kill it, read its last words."""
    draw = random.Random(seed)
    to_hear, delay_s = draw.randrange(1, 60), draw.random() * 0.003
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            asyncio.run(Victim(path, seed, writing).run())
        finally:
            os._exit(1)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        for line in pipe:
            ledger.hear(line)
            to_hear -= line.startswith("!")
            if to_hear == 0:
                break
        time.sleep(delay_s)
        os.kill(child, signal.SIGKILL)
        for line in pipe:
            ledger.hear(line)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        ledger.faults.append(f"life {seed} ended by itself, status {status}")


def main(path: Path, seed: int, kills: int) -> None:
    """Run the lives and print the summary."""
    ledger = Ledger()
    for life in range(kills):
        live_and_die(path, seed + life, ledger)
        database = Database.open(path, Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        found = [(item.key.name, item.version, item.data) for item in database.load()]
        version = database.version
        database.close()
        ledger.compare(found, version)
    summary = {
        "kills": kills,
        "acknowledged": ledger.acknowledged,
        "kept_unacknowledged": ledger.kept_unacknowledged,
        "objects": len(ledger.known),
        "faults": ledger.faults,
    }
    sys.stdout.write(json.dumps(summary) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
