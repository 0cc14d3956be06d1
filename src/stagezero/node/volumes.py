"""Volumes on disk: plain folders, and folders of configuration that change all at once.

Configuration is laid out as Kubernetes does: the files lie in a dated folder, `..data` points to
it, and every name is a link through `..data`; a change swaps that one link, so that a reader sees
the old files or the new ones and never a mixture.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stagezero.api.pod import Pod
from stagezero.node.plans.errors import MountFailed
from stagezero.node.plans.references import Place, References
from stagezero.node.plans.volume_files import Files, volume_files
from stagezero.node.sandbox.folders import NodeFolders

_DATA = "..data"


class Volumes:
    """Writes the volumes of pods below the node's folders."""

    def __init__(self, folders: NodeFolders) -> None:
        self._folders = folders

    def paths(self, pod: Pod) -> dict[str, Path]:
        """Where each volume of a pod lies."""
        found = {}
        for volume in pod.spec.volumes:
            empty = volume.empty_dir
            is_in_memory = empty is not None and empty.medium == "Memory"
            place = self._folders.memory_volume if is_in_memory else self._folders.volume
            found[volume.name] = place(pod.uid, volume.name)
        return found

    def write(self, pod: Pod, references: References, place: Place) -> None:
        """Make every volume as it shall be; MountFailed for the first that cannot be."""
        paths = self.paths(pod)
        for volume in pod.spec.volumes:
            files = volume_files(pod, volume, references, place)
            path = paths[volume.name]
            try:
                _make_folder(path, is_shared=files is None)
                if files is not None:
                    publish(path, files)
            except OSError as error:
                raise MountFailed(volume.name, str(error)) from error


def _make_folder(path: Path, *, is_shared: bool) -> None:
    path.mkdir(parents=True, exist_ok=True)
    # Whoever a container runs as may write into an emptyDir.
    path.chmod(0o777 if is_shared else 0o755)


def publish(folder: Path, files: Files) -> None:
    """Make `files` what a reader of `folder` sees, at one stroke; nothing happens if they are."""
    data = folder / _DATA
    if data.exists() and _read(data) == _contents(files):
        return
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    fresh.chmod(0o755)
    for name, file in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode)
    old = Path(os.readlink(data)) if data.is_symlink() else None
    draft = folder / "..data_tmp"
    draft.unlink(missing_ok=True)
    draft.symlink_to(fresh.name)
    draft.replace(data)
    _link_names(folder, {name.split("/")[0] for name in files})
    if old is not None:
        shutil.rmtree(folder / old, ignore_errors=True)


def _contents(files: Files) -> dict[str, tuple[bytes, int]]:
    return {name: (file.data, file.mode) for name, file in files.items()}


def _read(folder: Path) -> Mapping[str, tuple[bytes, int]]:
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = str(path.relative_to(folder))
            found[name] = (path.read_bytes(), path.stat().st_mode & 0o7777)
    return found


def _link_names(folder: Path, names: set[str]) -> None:
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink(missing_ok=True)
    for name in names:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")
