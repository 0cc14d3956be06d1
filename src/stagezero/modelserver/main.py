"""A model server process from its first line to its exit code.

In: argv and the environment. Out: a port that answers, or one clear line and exit code 1. Heavy
modules are imported once the arguments are good; a process that was forked from a preloaded one has
them already.
"""

import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from stagezero.modelserver.arguments import parse
from stagezero.modelserver.errors import CannotStart, ModelBroken

log = logging.getLogger("stagezero.modelserver")

# What Kubernetes keeps of a termination message.
_TERMINATION_BYTES = 4096


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop; 0 after a clean stop, 1 if it could not start."""
    _configure_logging()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_early)
    termination_log = os.environ.get("TERMINATION_LOG")
    try:
        settings = parse(sys.argv[1:] if argv is None else argv, os.environ)
        from stagezero.modelserver.serve import serve

        return serve(settings)
    except (CannotStart, ModelBroken) as error:
        if error.__cause__ is not None:
            log.error("%s", "".join(traceback.format_exception(error.__cause__)).rstrip())
        log.error("%s", error)
        _leave_message(termination_log, str(error))
    except Exception as error:
        # The process's last border: whatever it was, the pod must say it.
        log.exception("the model server failed")
        _leave_message(termination_log, f"the model server failed: {error!r}")
    return 1


def leave(code: int) -> NoReturn:
    """End the process at once: threads that a framework left must not hold it, or crash it."""
    logging.shutdown()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def preload(runtime: str) -> None:
    """Import all that a server of this runtime needs, and start nothing: to be forked from."""
    from stagezero.modelserver import serve
    from stagezero.modelserver.runtimes.base import LoadOptions
    from stagezero.modelserver.runtimes.table import entry_of, import_handler, open_runtime

    assert serve is not None, "imported for its own sake"
    import_handler(entry_of(runtime))
    open_runtime(runtime, LoadOptions()).preload()


def _configure_logging() -> None:
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
        force=True,
    )


def _stop_early(number: int, frame: object) -> NoReturn:
    """Told to stop while the model loads: nothing is under way, so nothing is to be finished.

    Not by an exception: in the midst of a framework's import it might be caught and forgotten.
    """
    leave(0)


def _leave_message(path: str | None, message: str) -> None:
    if not path:
        return
    line = message.encode("utf-8", "replace")[-_TERMINATION_BYTES:] + b"\n"
    try:
        with Path(path).open("ab") as file:
            file.write(line[-_TERMINATION_BYTES:])
    except OSError as error:
        log.warning("cannot write %s: %s", path, error.strerror)
