"""The cache on disk: each content once, and models as folders of hard links to contents.

    objects/<2>/<hash>      a content, named by its SHA-256
    trees/<digest>/         a model's files; never changed, so that a pod may read it for ever
    trees/<digest>.json     its size; its date is the last use
    sources/<hash>.json     which tree a URI had at which fingerprint
    staging/                downloads under way

Whoever adds holds the shared lock, whoever removes the exclusive one: with the latter in hand, what
is in staging is the rest of a crash, and a content with a single link belongs to no tree.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stagezero.kit.filelock import FileLock
from stagezero.node.storage.archive import Unpacked
from stagezero.node.storage.sink import StoredFile

# Beyond so many files one flush of everything is cheaper than one for each.
_FLUSHED_ONE_BY_ONE = 100


@dataclass(frozen=True)
class Tree:
    """A model in the cache: its digest names the contents and names of all its files."""

    digest: str
    path: Path
    size_bytes: int
    last_used: datetime


class Trees:
    """The trees under one root. Methods may wait for the disk: call them in a thread."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def shared_lock(self) -> FileLock:
        """The lock to hold from the first staged byte to the end of `publish`."""
        return FileLock(self.root / ".lock", shared=True)

    def exclusive_lock(self) -> FileLock:
        """The lock to hold for `prune` and `clean`."""
        return FileLock(self.root / ".lock")

    def source_lock(self, uri: str) -> FileLock:
        """The lock to hold while one URI is fetched."""
        return FileLock(self.root / ".locks" / _hash(uri))

    def stage(self) -> Path:
        """Make a folder for a download."""
        staging = self.root / "staging"
        staging.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=staging))

    def known(self, uri: str) -> tuple[str, Tree] | None:
        """Return the last fingerprint and tree of a URI, and count that as a use."""
        facts = _read_json(self._source(uri))
        tree = self.tree(str(facts.get("tree", "")))
        if tree is None:
            return None
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._facts(tree.digest))
        return str(facts.get("fingerprint", "")), tree

    def remember(self, uri: str, fingerprint: str, tree: Tree) -> None:
        """Note which tree a URI has."""
        self._write_json(
            self._source(uri), {"uri": uri, "fingerprint": fingerprint, "tree": tree.digest}
        )

    def tree(self, digest: str) -> Tree | None:
        """Return the tree of a digest if it is there."""
        path = self.root / "trees" / digest
        if not digest or not path.is_dir():
            return None
        facts = self._facts(digest)
        try:
            used_s = facts.stat().st_mtime
        except FileNotFoundError:
            return None
        size_bytes = int(_read_json(facts).get("size_bytes", 0))
        return Tree(digest, path, size_bytes, datetime.fromtimestamp(used_s, UTC))

    def all(self) -> list[Tree]:
        """Return all trees, the longest unused first."""
        digests = [path.stem for path in (self.root / "trees").glob("*.json")]
        found = [tree for digest in digests if (tree := self.tree(digest))]
        return sorted(found, key=lambda tree: tree.last_used)

    def publish(self, stage: Path, model: Unpacked) -> Tree:
        """Move staged files into the cache as a tree; complete or not at all."""
        lines = [f"{file.name}\0{file.digest}" for file in model.files]
        lines += [f"{name}\0-> {target}" for name, target in model.links]
        digest = _hash("\n".join(sorted(lines)))[:32]
        size_bytes = sum(file.size_bytes for file in model.files)
        if (there := self.tree(digest)) is not None:
            os.utime(self._facts(digest))
            return there
        _flush(model.files)
        draft = stage / "tree"
        draft.mkdir()
        for file in model.files:
            _link(self._object(file), _parented(draft / file.name))
        for name, target in model.links:
            _parented(draft / name).symlink_to(target)
        _open_to_readers(draft)
        self._write_json(self._facts(digest), {"size_bytes": size_bytes})
        path = _parented(self.root / "trees" / digest)
        with contextlib.suppress(FileExistsError):
            _rename(draft, path)
        return Tree(digest, path, size_bytes, datetime.now(UTC))

    def prune(self, max_bytes: int, in_use: Collection[str]) -> list[Tree]:
        """Remove the longest unused trees until the cache fits; those in use stay in any case."""
        removed = []
        for tree in self.all():
            if self.size_bytes() <= max_bytes:
                break
            if tree.digest not in in_use:
                self._facts(tree.digest).unlink(missing_ok=True)
                shutil.rmtree(tree.path)
                self._drop_loose_objects()
                removed.append(tree)
        return removed

    def clean(self) -> None:
        """Remove what crashes have left: staged downloads, trees without facts, loose contents."""
        shutil.rmtree(self.root / "staging", ignore_errors=True)
        for path in (self.root / "trees").glob("*"):
            if path.is_dir() and not self._facts(path.name).exists():
                shutil.rmtree(path)
        self._drop_loose_objects()

    def size_bytes(self) -> int:
        """Return what all contents take; one that several models share counts once."""
        return sum(path.stat().st_size for path in self._objects())

    def _objects(self) -> Iterator[Path]:
        return (self.root / "objects").glob("*/*")

    def _drop_loose_objects(self) -> None:
        for path in self._objects():
            if path.stat().st_nlink == 1:
                path.unlink()

    def _object(self, file: StoredFile) -> Path:
        path = self.root / "objects" / file.digest[:2] / file.digest
        if not path.exists():
            file.path.chmod(0o644)
            with contextlib.suppress(FileExistsError):
                os.link(file.path, _parented(path))
        return path

    def _source(self, uri: str) -> Path:
        return self.root / "sources" / f"{_hash(uri)}.json"

    def _facts(self, digest: str) -> Path:
        return self.root / "trees" / f"{digest}.json"

    def _write_json(self, path: Path, facts: dict[str, Any]) -> None:
        _parented(path)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as draft:
            json.dump(facts, draft)
            draft.flush()
            os.fdatasync(draft.fileno())
        os.rename(draft.name, path)


def copy_tree(tree: Path, target: Path) -> None:
    """Put a tree's files into a pod's folder: as hard links if one disk holds both, else copies."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(tree, target, symlinks=True, copy_function=_link_anew, dirs_exist_ok=True)


def _link_anew(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    _link(Path(source), Path(target))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        # Another disk, a file system without links, or one that has enough of them to this file.
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(source, target)
        target.chmod(0o644)


def _rename(draft: Path, path: Path) -> None:
    try:
        draft.rename(path)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        raise FileExistsError(path) from error


def _parented(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _flush(files: Collection[StoredFile]) -> None:
    if len(files) > _FLUSHED_ONE_BY_ONE:
        os.sync()
        return
    for file in files:
        descriptor = os.open(file.path, os.O_RDONLY)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def _open_to_readers(folder: Path) -> None:
    for path in _folders(folder):
        path.chmod(0o755)


def _folders(folder: Path) -> Iterable[Path]:
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            yield path


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
