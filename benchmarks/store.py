"""Latency and throughput of the SQLite store: `python benchmarks/store.py [directory]`.

Writes objects of 2 kB one after another, then from many writers at once; prints a table. The
directory decides which disk is measured.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from stagezero.store.base import Durability, StoreKey
from stagezero.store.sqlite import SqliteStore

OBJECT = b"x" * 2000


async def write_one_by_one(store: SqliteStore, durability: Durability, count: int) -> list[float]:
    """Update one object again and again; milliseconds a write."""
    key = StoreKey("pods", "default", durability.value)
    took: list[float] = []
    version: int | None = None
    for _ in range(count):
        start = time.perf_counter()
        version = (await store.put(key, lambda _: OBJECT, version, durability)).version
        took.append((time.perf_counter() - start) * 1e3)
    return took


async def write_together(
    store: SqliteStore, durability: Durability, writers: int, count: int
) -> tuple[list[float], float]:
    """Create objects from `writers` tasks; milliseconds a write, and writes a second."""
    took: list[float] = []

    async def work(writer: int) -> None:
        for number in range(count // writers):
            key = StoreKey(f"{durability.value}s", f"n{writer}", f"o{number}")
            start = time.perf_counter()
            await store.put(key, lambda _: OBJECT, None, durability)
            took.append((time.perf_counter() - start) * 1e3)

    start = time.perf_counter()
    await asyncio.gather(*(work(writer) for writer in range(writers)))
    return took, len(took) / (time.perf_counter() - start)


def row(name: str, took: list[float], rate: float | None = None) -> None:
    """Print one line of the table."""
    took = sorted(took)
    p99 = took[int(len(took) * 0.99)]
    rate = rate or 1e3 / statistics.fmean(took)
    print(f"{name:34} {statistics.median(took):8.3f} {p99:8.3f} {took[-1]:8.2f} {rate:10,.0f}")


async def main(directory: Path) -> None:
    """Measure on the disk that `directory` is on."""
    path = directory / "store.db"
    store = await SqliteStore.open(path)
    print(f"{'write of 2 kB':34} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'writes/s':>10}")
    for durability in Durability:
        row(
            f"{durability.value}, one after another",
            await write_one_by_one(store, durability, 2000),
        )
    for durability in Durability:
        row(f"{durability.value}, 32 writers", *await write_together(store, durability, 32, 9600))
    start = time.perf_counter()
    listed = sum(len(store.list(f"{durability.value}s")[0]) for durability in Durability)
    print(f"list of {listed:,} objects: {(time.perf_counter() - start) * 1e3:.2f} ms")
    await store.close()
    start = time.perf_counter()
    store = await SqliteStore.open(path)
    print(
        f"open with them: {(time.perf_counter() - start) * 1e3:.0f} ms, "
        f"file {path.stat().st_size / 1e6:.0f} MB"
    )
    await store.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as made:
        asyncio.run(main(Path(made)))
