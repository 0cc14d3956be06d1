"""Puts one server together: runtime, registry, worker, handler and port, and runs it to its end."""

import asyncio
import gc
import logging
import platform
import sys
import time
from typing import Any

import uvloop

from stagezero.modelserver.access import AccessLog
from stagezero.modelserver.arguments import Settings
from stagezero.modelserver.errors import ModelMissing
from stagezero.modelserver.registry import Registry
from stagezero.modelserver.runtimes.base import LoadOptions, Runtime
from stagezero.modelserver.runtimes.table import entry_of, import_handler, open_runtime
from stagezero.modelserver.transports.listener import (
    address_text,
    listen,
    serve_until_stopped,
    told_to_stop,
)
from stagezero.modelserver.transports.port import Limits, Port
from stagezero.modelserver.worker import Worker

log = logging.getLogger("stagezero.modelserver")

_LOOK_FOR_MODEL_EVERY_S = 1.0  # --file_system_poll_wait_seconds of tensorflow_model_server
_REPEAT_WARNING_AFTER_S = 60.0
# A prediction holds the interpreter's lock; the event loop must not wait 5 ms for its turn.
_SWITCH_INTERVAL_S = 0.001


def serve(settings: Settings) -> int:
    """Load the model and serve it until told to stop; the process's exit code."""
    entry = entry_of(settings.runtime)
    runtime = open_runtime(
        settings.runtime, LoadOptions(settings.intra_op_threads, settings.inter_op_threads)
    )
    models: Registry[Any] = Registry(runtime.load)
    started = time.monotonic()
    models.register(settings.model_name, settings.model_dir)
    if entry.waits_for_model:
        _wait_for_model(models, settings)
    else:
        _load_or_look_around(models, runtime, settings)
    loaded_s = time.monotonic() - started
    # What is loaded stays: the collector need not walk over it again and again.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, runtime, models, loaded_s))


def _wait_for_model(models: Registry[Any], settings: Settings) -> None:
    """Load the model as soon as it is there: until then the port stays closed."""
    warned_at: float | None = None
    while True:
        try:
            models.load(settings.model_name)
            return
        except ModelMissing as error:
            now = time.monotonic()
            if warned_at is None or now - warned_at > _REPEAT_WARNING_AFTER_S:
                log.warning("%s", error)
                warned_at = now
        time.sleep(_LOOK_FOR_MODEL_EVERY_S)


def _load_or_look_around(models: Registry[Any], runtime: Runtime, settings: Settings) -> None:
    """Load the model; without one, load what lies beside it and serve the model as not ready."""
    try:
        models.load(settings.model_name)
    except ModelMissing as error:
        log.error("%s", error)
        for name, folder in runtime.find_others(settings.model_dir).items():
            models.register(name, folder)
            models.load(name)
            log.info("model %s of the repository is loaded", name)


async def _run(settings: Settings, runtime: Runtime, models: Registry[Any], loaded_s: float) -> int:
    loop = asyncio.get_running_loop()
    worker = Worker(loop, runtime.thread_count)
    make_handler = import_handler(entry_of(settings.runtime))
    handler = make_handler(models, worker, settings.predict_timeout_s)
    access = AccessLog(loop, sys.stdout.fileno())
    port = Port(handler, access, Limits(settings.max_body_bytes), loop)
    stop = told_to_stop(loop)
    server = await listen(settings, port)
    log.info(
        "serving model=%s runtime=%s framework=%r python=%s prefix=%s address=%s loaded_s=%.3f",
        settings.model_name,
        settings.runtime,
        runtime.framework,
        platform.python_version(),
        sys.prefix,
        address_text(settings),
        loaded_s,
    )
    finished = await serve_until_stopped(server, port, stop)
    access.flush()
    worker.close()
    log.info("stopped%s", "" if finished else ", with requests unanswered after the grace period")
    return 0
