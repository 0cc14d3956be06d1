"""The init step that brings a model: done in process where the model is already here.

An init container whose image is the storage initializer is a program of Stagezero. If the model
store can vouch that it has what the source has, its files are linked into the pod's volume at once;
otherwise the program runs as any other does, and its log shows the download.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stagezero.node.images.image import Image, Interpreter
from stagezero.node.sandbox.command_line import with_paths
from stagezero.node.sandbox.runtime import Bind
from stagezero.node.storage.__main__ import (
    CACHE_VARIABLE,
    MIRRORS_VARIABLE,
    TERMINATION_VARIABLE,
)
from stagezero.node.storage.store import ModelStore
from stagezero.node.storage.trees import copy_tree

log = logging.getLogger(__name__)

_PROGRAM = "stagezero.node.storage"


def is_model_fetch(image: Image) -> bool:
    """Whether an image's entry point is the storage initializer."""
    return image.interpreter is Interpreter.PLATFORM and _PROGRAM in image.entrypoint


@dataclass(frozen=True)
class FetchOrder:
    """One model for one pod: from where, into which folder of the machine, with which log."""

    uri: str
    target: Path
    env: Mapping[str, str]
    log: Path

    @classmethod
    def of(
        cls, args: Sequence[str], binds: Sequence[Bind], env: Mapping[str, str], log_file: Path
    ) -> "FetchOrder | None":
        """Read the arguments; None if they are not a source and a folder of a volume."""
        if len(args) != 2:
            return None
        paths = {bind.path: str(bind.source) for bind in binds}
        target = with_paths(args[1], paths)
        return None if target == args[1] else cls(args[0], Path(target), dict(env), log_file)


class ModelFetch:
    """Serves models from the store into pods' volumes."""

    def __init__(self, models: ModelStore, root: Path, mirrors: Mapping[str, str]) -> None:
        self._models = models
        self._root = root
        self._mirrors = mirrors

    def variables(self, termination_path: str) -> dict[str, str]:
        """What the program must be told: mirrors, cache, and the file for its last words."""
        lines = [f"{prefix}={target}" for prefix, target in self._mirrors.items()]
        return {
            MIRRORS_VARIABLE: "\n".join(lines),
            CACHE_VARIABLE: str(self._root),
            TERMINATION_VARIABLE: termination_path,
        }

    async def serve(self, order: FetchOrder, now: datetime) -> bool:
        """Link the model into its volume if it is here; False: the program must run."""
        fetched = await self._models.cached(order.uri, order.env)
        if fetched is None:
            return False
        try:
            await asyncio.to_thread(copy_tree, fetched.path, order.target)
        except OSError as error:
            log.warning("model %s: %s; the initializer tries", order.uri, error)
            return False
        checked = "as the source has it" if fetched.verified else "the source cannot be reached"
        stamp = now.strftime("%y%m%d %H:%M:%S")
        line = f"[I {stamp} storage-initializer] %s\n"
        words = (
            f"Initializing, args: src_uri [{order.uri}] dest_path [{order.target}]",
            f"Model found in the cache ({fetched.size_bytes} bytes, {checked})",
            f"Successfully copied {order.uri} to {order.target}",
        )
        order.log.parent.mkdir(parents=True, exist_ok=True)
        order.log.write_text("".join(line % word for word in words))
        return True
