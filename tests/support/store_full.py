"""A store on a file system that fills up: `python store_full.py DIRECTORY` (small, and its own).

Another file takes all the room but some; the store writes until that is used up too; then the file
goes, the store writes on, and the state is read back by a second store. Prints a JSON summary.
"""

import asyncio
import json
import sys
from pathlib import Path

from stagezero.store.base import Durability, StoreFailed, StoreKey
from stagezero.store.sqlite import SqliteStore


async def fill(store: SqliteStore, prefix: str, count: int) -> tuple[list[str], str]:
    """Write objects until one fails; the names acknowledged, and the failure."""
    names: list[str] = []
    for number in range(count):
        name = f"{prefix}-{number}"
        key = StoreKey("configmaps", "default", name)
        try:
            await store.put(key, lambda _: b"x" * 20_000, None, list(Durability)[number % 2])
        except StoreFailed as error:
            return names, str(error)
        names.append(name)
    return names, ""


async def main(directory: Path) -> None:
    """Fill, fail, make room, go on, read back."""
    store = await SqliteStore.open(directory / "store.db")
    hog = directory / "hog"
    hog.write_bytes(bytes(3_000_000))
    before, failure = await fill(store, "before", 1000)
    _, again = await fill(store, "still-full", 1)
    hog.unlink()
    after, unexpected = await fill(store, "after", 20)
    await store.close()
    store = await SqliteStore.open(directory / "store.db")
    read_back = [item.key.name for item in store.list("configmaps")[0]]
    await store.close()
    summary = {
        "failure": failure and again,
        "unexpected": unexpected,
        "acknowledged_when_full": len(before),
        "acknowledged": sorted(before + after),
        "read_back": read_back,
    }
    sys.stdout.write(json.dumps(summary) + "\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
