"""The environments on this machine: one folder for each, named by the hash of what went into it.

    <root>/<digest>/            a virtual environment
    <root>/<digest>.json        says that it is complete, and what for; its date is the last use
    <root>/.locks/<digest>      held while it is built or removed, also by pip itself
    <root>/.logs/<digest>.log   what pip said

An environment counts when its `.json` is there, which appears in one rename at the very end; a
folder without one is the rest of a crash and is removed at the next build or by `clean`. Processes
that share the root share builds: the second one waits for the first one's lock.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import platform
import shutil
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from stagezero.kit.filelock import FileLock
from stagezero.kit.singleflight import SingleFlight
from stagezero.node.images.build import Build, BuildOrder
from stagezero.node.images.errors import (
    EnvironmentBuildFailed,
    EnvironmentInUse,
    EnvironmentNotFound,
)
from stagezero.node.images.image import Environment, Image, Interpreter
from stagezero.node.images.progress import BuildPhase, BuildProgress, ProgressCallback, silent
from stagezero.node.images.wheel import ModelServerWheel, read_model_server

log = logging.getLogger(__name__)

_DIGEST_LENGTH = 16


@dataclass(frozen=True)
class EnvironmentInfo:
    """What is known of an environment; an incomplete one has no images, size or last use."""

    digest: str
    complete: bool
    images: tuple[str, ...] = ()
    size_bytes: int = 0
    last_used: datetime | None = None


@dataclass(frozen=True)
class _Identity:
    packages: str
    """The hash of interpreter and lock: environments that share it share their packages."""

    digest: str


class Environments:
    """Finds, builds and removes environments under one root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._builds: SingleFlight[str, BuildProgress, None] = SingleFlight("build")

    def find(self, image: Image) -> Environment | None:
        """Return the image's environment if it is complete, without waiting for anything."""
        if image.interpreter is Interpreter.PLATFORM:
            return Environment("platform", Path(sys.prefix), Path(sys.executable))
        digest = self._identity(image).digest
        environment = self._environment(digest)
        marker = self._marker(digest)
        if not marker.exists() or not environment.python.exists():
            return None
        with contextlib.suppress(OSError):  # pruned just now, or a root that others fill
            os.utime(marker)
        return environment

    async def ensure(self, image: Image, progress: ProgressCallback = silent) -> Environment:
        """Return the image's environment, built first if need be; EnvironmentBuildFailed if not.

        Callers that ask for the same environment share one build, and each hears its progress. A
        caller that is cancelled leaves the build running, as a pull goes on when its pod is gone.
        """
        found = self.find(image)
        if found is not None:
            return found
        identity = self._identity(image)
        await self._builds.run(
            identity.digest, lambda tell: self._build(image, identity, tell), progress
        )
        return self._environment(identity.digest)

    async def close(self) -> None:
        """End the builds under way; what they left behind is removed."""
        await self._builds.close()

    def infos(self) -> list[EnvironmentInfo]:
        """Return what there is under the root, most recently used first."""
        found = [self._info(digest) for digest in self._digests()]
        oldest = datetime.fromtimestamp(0, UTC)
        return sorted(found, key=lambda info: info.last_used or oldest, reverse=True)

    def in_use(self) -> set[str]:
        """Return the digests whose interpreters run in a process that we may see."""
        prefix = os.fsencode(self._root) + b"/"
        used = set()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:  # the process has ended
                continue
            for word in words:
                if word.startswith(prefix):
                    used.add(os.fsdecode(word.removeprefix(prefix).split(b"/")[0]))
        return used

    def prune(self, keep: Collection[str] = ()) -> list[EnvironmentInfo]:
        """Remove all environments but those in `keep`, in use or being built; return which."""
        spared = {*keep, *self.in_use()}
        unused = [info for info in self.infos() if info.digest not in spared]
        return [info for info in unused if self._try_remove(info.digest)]

    def remove(self, digest: str) -> None:
        """Remove one environment; EnvironmentNotFound or EnvironmentInUse otherwise."""
        if digest not in self._digests():
            raise EnvironmentNotFound(digest, self._root)
        if digest in self.in_use() or not self._try_remove(digest):
            raise EnvironmentInUse(digest)

    def clean(self) -> None:
        """Remove what builds that crashed have left; those that still run are spared."""
        for info in self.infos():
            if not info.complete:
                self._try_remove(info.digest)

    @cached_property
    def _wheel(self) -> ModelServerWheel:
        return read_model_server()

    def _identity(self, image: Image) -> _Identity:
        try:
            lock = image.requirements.read_bytes() if image.requirements else b""
        except OSError as error:
            reason = f"its requirements cannot be read: {error}"
            raise EnvironmentBuildFailed(image.names[0], reason) from error
        interpreter = [
            platform.python_implementation(),
            platform.python_version(),
            platform.machine(),
            sys.base_prefix,
        ]
        packages = _hash(json.dumps(interpreter).encode(), lock)
        wheel = self._wheel.digest if image.model_server else ""
        return _Identity(packages, _hash(packages.encode(), wheel.encode()))

    def _environment(self, digest: str) -> Environment:
        folder = self._root / digest
        return Environment(digest, folder, folder / "bin" / "python")

    def _marker(self, digest: str) -> Path:
        return self._root / f"{digest}.json"

    def _lock(self, digest: str) -> FileLock:
        return FileLock(self._root / ".locks" / digest)

    async def _build(self, image: Image, identity: _Identity, tell: ProgressCallback) -> None:
        started = time.monotonic()
        lock = self._lock(identity.digest)
        try:
            if not lock.try_acquire():
                tell(BuildProgress(BuildPhase.WAITING))
                await lock.acquire()
            if self.find(image) is not None:
                return  # built by the process that held the lock
            await self._build_locked(image, identity, lock, tell)
        except OSError as error:
            reason = f"{self._root} cannot be used: {error}"
            raise EnvironmentBuildFailed(image.names[0], reason) from error
        finally:
            lock.release()
        elapsed_s = time.monotonic() - started
        log.info("environment of %s built in %.1f s", image.names[0], elapsed_s)
        tell(BuildProgress(BuildPhase.READY, elapsed_s=elapsed_s))

    async def _build_locked(
        self, image: Image, identity: _Identity, lock: FileLock, tell: ProgressCallback
    ) -> None:
        folder = self._environment(identity.digest).prefix
        await asyncio.to_thread(_remove_tree, folder)
        try:
            order = await asyncio.to_thread(self._order, image, identity)
            await Build(order, lock.descriptor, tell).run()
            await asyncio.to_thread(self._complete, image, identity)
        except BaseException:
            await asyncio.to_thread(_remove_tree, folder)
            raise

    def _order(self, image: Image, identity: _Identity) -> BuildOrder:
        logs = self._root / ".logs"
        logs.mkdir(parents=True, exist_ok=True)
        log_file = logs / f"{identity.digest}.log"
        log_file.unlink(missing_ok=True)
        wheel = self._wheel if image.model_server else None
        folder = self._environment(identity.digest).prefix
        return BuildOrder(image, folder, log_file, wheel, self._twin(identity))

    def _twin(self, identity: _Identity) -> Path | None:
        for digest in self._digests():
            if self._facts(digest).get("packages") == identity.packages:
                return self._environment(digest).prefix
        return None

    def _complete(self, image: Image, identity: _Identity) -> None:
        facts = {
            "images": image.names,
            "packages": identity.packages,
            "size_bytes": _size_bytes(self._environment(identity.digest).prefix),
        }
        marker = self._marker(identity.digest)
        draft = marker.with_suffix(".draft")
        draft.write_text(json.dumps(facts), encoding="utf-8")
        os.sync()  # so that a power cut cannot leave the marker and take the files
        draft.rename(marker)

    def _digests(self) -> list[str]:
        if not self._root.is_dir():
            return []
        names = {path.stem for path in self._root.glob("*.json")}
        folders = {path.name for path in self._root.iterdir() if path.is_dir()}
        return sorted(name for name in names | folders if not name.startswith("."))

    def _facts(self, digest: str) -> dict[str, object]:
        try:
            facts = json.loads(self._marker(digest).read_bytes())
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def _info(self, digest: str) -> EnvironmentInfo:
        facts = self._facts(digest)
        if not facts or not self._environment(digest).prefix.is_dir():
            return EnvironmentInfo(digest, complete=False)
        images, size_bytes = facts.get("images"), facts.get("size_bytes")
        return EnvironmentInfo(
            digest,
            complete=True,
            images=tuple(map(str, images)) if isinstance(images, list) else (),
            size_bytes=size_bytes if isinstance(size_bytes, int) else 0,
            last_used=datetime.fromtimestamp(self._marker(digest).stat().st_mtime, UTC),
        )

    def _try_remove(self, digest: str) -> bool:
        lock = self._lock(digest)
        if not lock.try_acquire():
            return False
        try:
            # In this order: from the first step on it no longer counts.
            self._marker(digest).unlink(missing_ok=True)
            _remove_tree(self._environment(digest).prefix)
            (self._root / ".logs" / f"{digest}.log").unlink(missing_ok=True)
        finally:
            lock.release()
        return True


def default_root() -> Path:
    """Return where environments are kept unless settings say otherwise: the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "stagezero" / "envs"


def _hash(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()[:_DIGEST_LENGTH]


def _remove_tree(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                yield entry


def _size_bytes(folder: Path) -> int:
    return sum(entry.stat(follow_symlinks=False).st_blocks * 512 for entry in _files(folder))
