"""A program that writes to a store and says when: `python store_syncs.py FILE [--refuse]`.

On standard output: `begin KIND` before a write and `reply KIND` after, for a tracer to set beside
the system calls. With `--refuse` the kernel is told, once the store is open, to answer every fsync
of this process with an I/O error, and each line tells what became of the write.
"""

import asyncio
import ctypes
import errno
import os
import platform
import struct
import sys
from pathlib import Path

from stagezero.store.base import Durability, StoreFailed, StoreKey
from stagezero.store.sqlite import SqliteStore

WRITES = 10
# Numbers of fsync, fdatasync, seccomp(2).
_CALLS = {"x86_64": (74, 75, 317), "aarch64": (82, 83, 277)}
NOT_POSSIBLE = 77


def say(text: str) -> None:
    """Write a line in one system call."""
    os.write(1, f"{text}\n".encode())


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def refuse_syncs() -> None:
    """Let the kernel answer fsync and fdatasync of all threads with EIO, by a seccomp filter."""
    fsync, fdatasync, seccomp = _CALLS[platform.machine()]
    load, equal, give = 0x20, 0x15, 0x06  # BPF: load a word, jump if equal, return
    steps = [
        (load, 0, 0, 0),  # the number of the call
        (equal, 1, 0, fsync),
        (equal, 0, 1, fdatasync),
        (give, 0, 0, 0x00050000 | errno.EIO),
        (give, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = _Program(len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, filter_mode, all_threads = 38, 1, 1
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.syscall(
        seccomp, filter_mode, all_threads, ctypes.byref(program)
    ):
        say(f"no seccomp here: {os.strerror(ctypes.get_errno())}")
        sys.exit(NOT_POSSIBLE)


async def main(path: Path, is_refusing: bool) -> None:
    """Write each kind in turn."""
    store = await SqliteStore.open(path)
    if is_refusing:
        refuse_syncs()
    for number in range(WRITES):
        for durability in (Durability.INTENT, Durability.DERIVED):
            kind = durability.value
            key = StoreKey("configmaps", "default", f"{kind}-{number}")
            say(f"begin {kind}")
            try:
                await store.put(key, lambda _: b"x" * 1000, None, durability)
            except StoreFailed as error:
                say(f"failed {kind}: {error}")
            else:
                say(f"reply {kind}")
            # Past the time within which a derived write is forced.
            await asyncio.sleep(0.03)
    if is_refusing:
        os._exit(0)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), "--refuse" in sys.argv))
