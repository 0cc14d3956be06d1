"""The model store: from a URI to a folder with the model, downloaded once, kept until pruned.

A fetch asks the source what is there; if that is what the cache has, nothing is moved. What changed
is fetched into a new tree, so that pods which read the old one keep it. A source that cannot be
reached does not stop a model that is already here.
"""

import asyncio
import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from stagezero.kit.singleflight import SingleFlight
from stagezero.node.storage.download import Download
from stagezero.node.storage.errors import (
    SourceChanging,
    SourceUnreachable,
    StorageError,
    StoreFailing,
    StoreFull,
)
from stagezero.node.storage.mirrors import Mirrors
from stagezero.node.storage.progress import FetchProgress, ProgressCallback, silent
from stagezero.node.storage.sink import Limits
from stagezero.node.storage.source import Variables
from stagezero.node.storage.sources import open_source
from stagezero.node.storage.trees import Tree, Trees

log = logging.getLogger(__name__)

_TRIES_WHILE_CHANGING = 3


@dataclass(frozen=True)
class Fetched:
    """A model in the cache: its folder is read-only by agreement and does not change.

    `cached` says that nothing was downloaded, `verified` that the source confirmed it.
    """

    path: Path
    digest: str
    size_bytes: int
    cached: bool
    verified: bool = True


class ModelStore:
    """Fetches models into a cache under `root`, reading mirrors where they are set."""

    def __init__(
        self, root: Path, mirrors: Mapping[str, str] | None = None, limits: Limits | None = None
    ) -> None:
        self._trees = Trees(root)
        self._mirrors = Mirrors(mirrors or {})
        self._limits = limits or Limits()
        self._fetches: SingleFlight[tuple[str, str], FetchProgress, Fetched] = SingleFlight("fetch")

    async def cached(self, uri: str, env: Variables | None = None) -> Fetched | None:
        """Return the model if the cache has what the source has, or if the source is out of reach.

        None means that `fetch` has work to do, or a reason to tell why the model is not to be had.
        """
        target = self._mirrors.target(uri)
        known = await asyncio.to_thread(self._trees.known, target)
        if known is None:
            return None
        fingerprint, tree = known
        try:
            manifest = await open_source(target, _variables(env)).manifest()
        except SourceUnreachable as error:
            return _unverified(tree, error)
        except StorageError:
            return None
        if fingerprint and fingerprint == manifest.fingerprint:
            return _fetched(tree, cached=True)
        return None

    async def fetch(
        self, uri: str, progress: ProgressCallback = silent, env: Variables | None = None
    ) -> Fetched:
        """Return the model of a URI, downloaded if need be; a StorageError says why not.

        `env` is the environment of the pod that wants it: credentials and headers are read there.
        """
        variables = _variables(env)
        key = (self._mirrors.target(uri), _hash(variables))
        try:
            return await self._fetches.run(
                key, lambda tell: self._fetch(uri, variables, tell), progress
            )
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFull(self._trees.root) from error
            raise StoreFailing(self._trees.root, str(error)) from error

    async def prune(self, max_bytes: int, in_use: Collection[str]) -> list[Tree]:
        """Remove the longest unused models, none of the digests `in_use`; return the removed.

        Waits for downloads under way.
        """
        async with self._trees.exclusive_lock():
            return await asyncio.to_thread(self._trees.prune, max_bytes, in_use)

    async def models(self) -> list[Tree]:
        """Return the models in the cache, the longest unused first."""
        return await asyncio.to_thread(self._trees.all)

    async def clean(self) -> None:
        """Remove what a crash has left, unless someone is downloading right now."""
        lock = self._trees.exclusive_lock()
        if lock.try_acquire():
            try:
                await asyncio.to_thread(self._trees.clean)
            finally:
                lock.release()

    async def close(self) -> None:
        """End the downloads under way; what they had is removed."""
        await self._fetches.close()

    async def _fetch(self, uri: str, variables: Variables, tell: ProgressCallback) -> Fetched:
        target = self._mirrors.target(uri)
        mirror = f" (mirror: {target})" if target != uri else ""
        log.info("Copying contents of %s to local%s", uri, mirror)
        try:
            async with self._trees.source_lock(target):
                found = await self.cached(uri, variables)
                return found or await self._download(target, variables, tell)
        except SourceUnreachable as error:
            # A source may tell its version and then fail to hand over the files.
            known = await asyncio.to_thread(self._trees.known, target)
            if known is not None:
                return _unverified(known[1], error)
            error.mirror_of = uri if target != uri else ""
            raise
        except StorageError as error:
            error.mirror_of = uri if target != uri else ""
            raise

    async def _download(self, uri: str, variables: Variables, tell: ProgressCallback) -> Fetched:
        source = open_source(uri, variables)
        manifest = await source.manifest()
        async with self._trees.shared_lock():
            stage = await asyncio.to_thread(self._trees.stage)
            try:
                for _ in range(_TRIES_WHILE_CHANGING):
                    model = await Download(source, manifest, stage, self._limits).run(tell)
                    before, manifest = manifest, await source.manifest()
                    if manifest.fingerprint == before.fingerprint:
                        tree = await asyncio.to_thread(self._trees.publish, stage, model)
                        await asyncio.to_thread(
                            self._trees.remember, uri, manifest.fingerprint, tree
                        )
                        return _fetched(tree, cached=False)
                    log.info("%s changed while it was being read; reading it again", uri)
                raise SourceChanging(uri)
            finally:
                await asyncio.to_thread(shutil.rmtree, stage, ignore_errors=True)


def _fetched(tree: Tree, *, cached: bool, verified: bool = True) -> Fetched:
    return Fetched(tree.path, tree.digest, tree.size_bytes, cached, verified)


def _unverified(tree: Tree, error: SourceUnreachable) -> Fetched:
    log.warning("%s; the model fetched earlier is used", error)
    return _fetched(tree, cached=True, verified=False)


def _variables(env: Variables | None) -> Variables:
    return os.environ if env is None else env


def _hash(variables: Variables) -> str:
    # Two pods with different credentials must not answer for one another.
    return hashlib.sha256("\n".join(sorted(map(repr, variables.items()))).encode()).hexdigest()


def default_root() -> Path:
    """Return where models are kept unless settings say otherwise: the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "stagezero" / "models"
