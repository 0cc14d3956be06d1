"""The detached control plane: `python -m stagezero.compose SETTINGS`, with settings as JSON.

A process of its own instead of the command line's: it imports nothing for terminals, and says how
it went through the descriptor that `STAGEZERO_READY_FD` names.
"""

import asyncio
import logging
import os
import sys

from stagezero.compose.daemon import run
from stagezero.compose.settings import from_json

READY = "ready"


def _tell_parent(word: str) -> None:
    descriptor = os.environ.pop("STAGEZERO_READY_FD", "")
    if descriptor:
        with os.fdopen(int(descriptor), "w") as parent:
            parent.write(f"{word}\n")


def main() -> int:
    """Run until told to end; the log says why it could not, and the parent, who waits for it."""
    try:
        asyncio.run(run(from_json(sys.argv[1]), lambda _: _tell_parent(READY)))
    except Exception as error:
        logging.getLogger(__name__).debug("the control plane failed", exc_info=error)
        logging.getLogger(__name__).error("%s", error or type(error).__name__)
        _tell_parent(str(error) or type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
