"""A process's own file tree: the machine's directories, with some things shown in other places.

A fresh tmpfs becomes the root and everything of the machine's root is bound into it. A directory
in which something must appear that the machine does not have there is *opened*: made anew on the
tmpfs with its entries bound one by one. So `/mnt/models` or `/etc/config` need not exist outside.
Runs in a forked child that has its own mount namespace; errors are OSErrors that name the path.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from stagezero.node.supervisor import linux
from stagezero.node.supervisor.spec import Mount


class Step(NamedTuple):
    """One thing to make below the new root: `kind` is folder, file, link or bind."""

    kind: str
    path: str
    source: str = ""


def enter(mounts: Sequence[Mount], workplace: str) -> None:
    """Make the tree and go into it; `workplace` is an empty directory, covered in here only."""
    linux.mount("", "/", flags=linux.MS_REC | linux.MS_SLAVE)
    flags = linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("tmpfs", workplace, "tmpfs", flags, "mode=0755,size=64m")
    # Or the recursive binds below would take the half-made tree into itself.
    linux.mount("", workplace, flags=linux.MS_UNBINDABLE)
    placed = sorted((_resolved(mount) for mount in mounts), key=lambda m: m.target.count("/"))
    for step in skeleton("/", [mount.target for mount in placed]):
        _make(step, workplace)
    for mount in placed:
        _place(mount, workplace)
    linux.pivot_root(workplace)


def _resolved(mount: Mount) -> Mount:
    """Follow the machine's symlinks in the way to a target, so that `/var/run/x` meets `/run/x`."""
    folder, name = os.path.split(os.path.normpath(mount.target))
    return mount._replace(target=os.path.join(os.path.realpath(folder), name))


def skeleton(folder: str, targets: Sequence[str]) -> list[Step]:
    """What to make of the machine's `folder` so that every target has a place, parents first."""
    steps: list[Step] = []
    prefix = folder.rstrip("/") + "/"
    ours = set(targets)
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if entry.path in ours:
            continue
        below = [target for target in targets if target.startswith(entry.path + "/")]
        if entry.is_symlink():
            steps.append(Step("link", entry.path, os.readlink(entry.path)))
        elif not entry.is_dir(follow_symlinks=False):
            steps += [Step("file", entry.path), Step("bind", entry.path, entry.path)]
        elif any(_is_missing(target) for target in below):
            steps.append(Step("folder", entry.path))
            steps += skeleton(entry.path, below)
        else:
            steps += [Step("folder", entry.path), Step("bind", entry.path, entry.path)]
    made = {step.path for step in steps}
    for target in sorted(t for t in targets if t.startswith(prefix)):
        for parent in _parents(target, prefix):
            if parent not in made and parent not in ours and not os.path.lexists(parent):
                made.add(parent)
                steps.append(Step("folder", parent))
    return steps


def _is_missing(target: str) -> bool:
    return not os.path.exists(target) or os.path.islink(target)


def _parents(target: str, prefix: str) -> list[str]:
    """The directories between `prefix` and `target`, outermost first."""
    names = target[len(prefix) :].split("/")[:-1]
    return [prefix + "/".join(names[: depth + 1]) for depth in range(len(names))]


def _make(step: Step, root: str) -> None:
    path = root + step.path
    if step.kind == "folder":
        os.mkdir(path, 0o755)
    elif step.kind == "link":
        os.symlink(step.source, path)
    elif step.kind == "file":
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    else:
        _bind_what_is_there(step.source, path)


def _bind_what_is_there(source: str, path: str) -> None:
    try:
        linux.bind(source, path)
    except FileNotFoundError:
        return  # it went away since the directory was read: so it does in the tree


def _place(mount: Mount, root: str) -> None:
    path = root + mount.target
    if mount.kind == "link":
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(mount.source, path)
        return
    if mount.kind == "tmpfs" or os.path.isdir(mount.source):
        os.makedirs(path, exist_ok=True)
    elif not os.path.lexists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    if mount.kind == "tmpfs":
        flags = linux.MS_NOSUID | linux.MS_NODEV | (linux.MS_RDONLY if mount.read_only else 0)
        linux.mount("tmpfs", path, "tmpfs", flags, mount.options)
    else:
        linux.bind(mount.source, path, read_only=mount.read_only)
