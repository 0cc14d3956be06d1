"""The storage initializer as a program: what a pod's init container runs.

    python -m stagezero.node.storage SRC DEST [--mirror PREFIX=TARGET]... [--cache DIR]

Logs as KServe's does, with progress in between, and ends with a reason in one line if it fails. The
variables STAGEZERO_MODEL_MIRRORS (one mirror a line) and STAGEZERO_MODEL_CACHE stand in for the
options, because a pod's manifest gives the two arguments only. STAGEZERO_TERMINATION_LOG is the
file for the reason alone: it becomes the container's termination message.
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stagezero.node.storage.errors import StorageError
from stagezero.node.storage.mirrors import parse_mirror
from stagezero.node.storage.progress import FetchProgress
from stagezero.node.storage.store import ModelStore, default_root
from stagezero.node.storage.trees import copy_tree

MIRRORS_VARIABLE = "STAGEZERO_MODEL_MIRRORS"
CACHE_VARIABLE = "STAGEZERO_MODEL_CACHE"
TERMINATION_VARIABLE = "STAGEZERO_TERMINATION_LOG"
FAILED = 1
FAILED_FOR_NOW = 75
"""As in sysexits: the same command may succeed later."""

_PROGRESS_EVERY_S = 2.0

log = logging.getLogger("storage-initializer")


class _ProgressLines:
    """Writes a line now and then, not one for each chunk."""

    def __init__(self) -> None:
        self._due_s = 0.0

    def __call__(self, progress: FetchProgress) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._due_s and progress.bytes_done:
            self._due_s = now + _PROGRESS_EVERY_S
            log.info("Downloading: %s", progress)


def _parse(argv: Sequence[str], env: Mapping[str, str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("storage-initializer", description="Fetch a model.")
    parser.add_argument("source", metavar="SRC", help="the model's URI")
    parser.add_argument("target", metavar="DEST", type=Path, help="the folder to put it into")
    parser.add_argument("--mirror", action="append", default=[], metavar="PREFIX=TARGET")
    parser.add_argument("--cache", type=Path, default=env.get(CACHE_VARIABLE) or default_root())
    options = parser.parse_args(argv)
    options.mirror += [line for line in env.get(MIRRORS_VARIABLE, "").splitlines() if line]
    return options


async def initialize(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Fetch the model and put it into its folder; StorageError if that cannot be done."""
    options = _parse(argv, env)
    log.info("Initializing, args: src_uri [%s] dest_path[ [%s]", options.source, options.target)
    store = ModelStore(Path(options.cache), dict(map(parse_mirror, options.mirror)))
    fetched = await store.fetch(options.source, _ProgressLines(), env)
    await asyncio.to_thread(copy_tree, fetched.path, options.target)
    log.info("Successfully copied %s to %s", options.source, options.target)


def leave_word(said: str, env: Mapping[str, str]) -> None:
    """Leave the reason of a failure where the node looks for it, if the node said where."""
    file = env.get(TERMINATION_VARIABLE)
    if not file:
        return
    try:
        Path(file).write_text(said)
    except OSError as error:
        log.warning("Cannot write %s: %s", file, error)  # the log is read instead


def main() -> int:
    """Run the program and return its exit code."""
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO,
        format="[%(levelname).1s %(asctime)s storage-initializer] %(message)s",
        datefmt="%y%m%d %H:%M:%S",
    )
    try:
        asyncio.run(initialize(sys.argv[1:], os.environ))
    except StorageError as error:
        log.error("%s", error)
        leave_word(str(error), os.environ)
        return FAILED if error.permanent else FAILED_FOR_NOW
    return 0


if __name__ == "__main__":
    sys.exit(main())
