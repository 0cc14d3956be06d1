"""Which runtimes there are: name, module and protocol. A new format adds its file and its line.

Modules are imported when they are chosen and not before: each needs its own framework.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from stagezero.modelserver.errors import CannotStart
from stagezero.modelserver.registry import Registry
from stagezero.modelserver.runtimes.base import LoadOptions, Runtime
from stagezero.modelserver.transports.messages import Handler
from stagezero.modelserver.worker import Worker

MakeRuntime = Callable[[LoadOptions], Runtime]
MakeHandler = Callable[[Registry[Any], Worker, float | None], Handler]


@dataclass(frozen=True)
class RuntimeEntry:
    """One line of the table. `waits_for_model`: do not listen before there is a model."""

    module: str
    handler: str
    waits_for_model: bool


RUNTIMES = {
    "sklearn": RuntimeEntry("runtimes.sklearn", "handlers.v1", waits_for_model=False),
    "tensorflow": RuntimeEntry("runtimes.tensorflow", "handlers.tfserving", waits_for_model=True),
}


def entry_of(name: str) -> RuntimeEntry:
    """The line of a runtime; raises CannotStart for one that is not in the table."""
    try:
        return RUNTIMES[name]
    except KeyError:
        known = ", ".join(sorted(RUNTIMES))
        raise CannotStart(f"unknown runtime {name!r}: expected one of {known}") from None


def open_runtime(name: str, options: LoadOptions) -> Runtime:
    """Import the framework; raises CannotStart if this environment does not have it."""
    module_name = f"stagezero.modelserver.{entry_of(name).module}"
    try:
        make = cast(MakeRuntime, importlib.import_module(module_name).open_runtime)
        return make(options)
    except ImportError as error:
        raise CannotStart(f"runtime {name} cannot be used in this environment: {error}") from error


def import_handler(entry: RuntimeEntry) -> MakeHandler:
    """The protocol's handler: a function of the models, the worker and a time-out in seconds."""
    module = importlib.import_module(f"stagezero.modelserver.{entry.handler}")
    return cast(MakeHandler, module.make_handler)
