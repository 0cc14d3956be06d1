"""One download into a staging folder: a few files at a time, and an archive unpacked at the end."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

from stagezero.node.storage.archive import Unpacked, is_archive, unpack
from stagezero.node.storage.errors import ModelTooLarge, StoreFull
from stagezero.node.storage.progress import FetchProgress, ProgressCallback
from stagezero.node.storage.sink import Budget, Limits, Sink, StoredFile
from stagezero.node.storage.source import Manifest, RemoteFile, Source

_AT_ONCE = 4
_TELL_EVERY_S = 0.2


class Download:
    """Fetches the files of one manifest; `run` once."""

    def __init__(self, source: Source, manifest: Manifest, stage: Path, limits: Limits) -> None:
        self._source = source
        self._manifest = manifest
        self._folder = stage / "download"
        self._unpacked = stage / "unpacked"
        self._limits = limits
        self._budget = Budget(limits.model_bytes)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._progress = FetchProgress(
            files_total=len(manifest.files), bytes_total=manifest.size_bytes
        )

    async def run(self, tell: ProgressCallback) -> Unpacked:
        """Download all files and return what is in the staging folder now."""
        await asyncio.to_thread(self._prepare)
        telling = asyncio.create_task(self._tell(tell), name="download progress")
        try:
            files = await self._all_files()
        finally:
            telling.cancel()
            await asyncio.wait([telling])
        tell(self._now())
        if len(files) == 1 and is_archive(files[0].name):
            return await asyncio.to_thread(unpack, files[0].path, self._unpacked, self._limits)
        return Unpacked(files)

    def _prepare(self) -> None:
        files, needed = len(self._manifest.files), self._manifest.size_bytes
        if files > self._limits.files:
            raise ModelTooLarge(f"The model has {files} files, more than {self._limits.files}")
        if needed > self._limits.model_bytes:
            raise ModelTooLarge(f"The model has {needed / 1e9:.0f} GB")
        if needed > shutil.disk_usage(self._folder.parent).free:
            raise StoreFull(self._folder.parent.parent.parent, needed)
        for folder in (self._folder, self._unpacked):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    async def _all_files(self) -> tuple[StoredFile, ...]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._one_file(file, self._folder / str(number)))
                    for number, file in enumerate(self._manifest.files)
                ]
        except ExceptionGroup as failures:
            # One reason is enough for the user, and the first one stopped the others.
            raise failures.exceptions[0] from failures
        return tuple(task.result() for task in tasks)

    async def _one_file(self, file: RemoteFile, path: Path) -> StoredFile:
        async with self._slots:
            with await asyncio.to_thread(Sink, path, file.name, self._budget.spend) as sink:
                await self._source.download(file, sink)
                self._progress = replace(self._progress, files_done=self._progress.files_done + 1)
                return sink.stored()

    async def _tell(self, tell: ProgressCallback) -> None:
        while True:
            tell(self._now())
            await asyncio.sleep(_TELL_EVERY_S)

    def _now(self) -> FetchProgress:
        return replace(self._progress, bytes_done=self._budget.used_bytes)
