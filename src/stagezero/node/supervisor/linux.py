"""System calls that Python 3.11 has no function for: namespaces, mounts, subreaper, capabilities.

Thin on purpose: names and numbers as in the manual pages, errors as OSError with the call's name.
"""

import ctypes
import os
import platform

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_UNBINDABLE = 0x20000
MS_SLAVE = 0x80000
MNT_DETACH = 0x2

_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
# statvfs flags that a read-only remount must repeat, for in a user namespace they are locked.
_LOCKED = ((2, MS_NOSUID), (4, MS_NODEV), (8, 0x8), (1024, 0x400), (2048, 0x800), (4096, 0x200000))

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, call: str, about: str = "") -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}", about or None)


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones."""
    _checked(_libc.unshare(flags), "unshare")


def join_namespace(path: str, flags: int) -> None:
    """Enter the namespace that `path` (an nsfs file) refers to."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.setns(descriptor, flags), "setns", path)
    finally:
        os.close(descriptor)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount `source` on `target`."""
    result = _libc.mount(
        source.encode() or None,
        target.encode(),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    _checked(result, "mount", target)


def bind(source: str, target: str, *, read_only: bool = False) -> None:
    """Show `source` with everything mounted below it at `target`; read-only counts for the top."""
    mount(source, target, flags=MS_BIND | MS_REC)
    if read_only:
        kept = sum(ms for st, ms in _LOCKED if os.statvfs(target).f_flag & st)
        mount("", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY | kept)


def unmount(target: str, flags: int = 0) -> None:
    """Unmount `target`."""
    _checked(_libc.umount2(target.encode(), flags), "umount2", target)


def pivot_root(new_root: str) -> None:
    """Make `new_root` the root of this mount namespace and drop the old one."""
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(38, f"pivot_root: not known for {platform.machine()}")
    os.chdir(new_root)
    # Old root stacked on the new one and detached: no directory is needed to hold it.
    _checked(_libc.syscall(number, b".", b"."), "pivot_root", new_root)
    unmount(".", MNT_DETACH)
    os.chdir("/")


def become_subreaper() -> None:
    """Inherit orphaned descendants, so that their exit codes are ours to read."""
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def forbid_new_privileges() -> None:
    """No set-uid program may raise what this process can do."""
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def drop_capabilities(numbers: tuple[int, ...]) -> None:
    """Take capabilities out of the bounding set: what is executed next never has them."""
    for number in numbers:
        if _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == -1 and ctypes.get_errno() != 22:
            _checked(-1, "prctl")  # EINVAL: the kernel has no such capability
