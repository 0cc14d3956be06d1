"""A controller as data, and the loop that runs it: gather from caches, plan, carry out."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from stagezero.api.base import Key, Object, controller_of
from stagezero.client.cache import Caches
from stagezero.kit.clock import Clock
from stagezero.runtime.carry import Carrier, Contested, NotOwned
from stagezero.runtime.loop import Keys, Loop, StepFailed
from stagezero.runtime.plan import Plan

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 10.0
"""After how long an object of somebody else that is in the way may have been removed, or a fight
over an object may have ended."""

P = TypeVar("P", bound=Object)
O = TypeVar("O")  # noqa: E741  # what a controller observes


@dataclass(frozen=True)
class Watch:
    """Which primaries an event of another kind concerns."""

    kind: type[Object]
    keys: Keys


def owner_keys(owner: type[Object]) -> Keys:
    """The key of the controller owner, if it is of kind `owner`."""

    wanted = (owner.resource.group, owner.resource.kind)

    def keys(thing: Object, _: Caches) -> Iterable[Key]:
        ref = controller_of(thing)
        if ref is not None and (_group(ref.api_version), ref.kind) == wanted:
            yield Key(thing.metadata.namespace if owner.resource.namespaced else "", ref.name)

    return keys


def _group(api_version: str) -> str:
    group, slash, _ = api_version.rpartition("/")
    return group if slash else ""


def every(kind: type[Object]) -> Keys:
    """All objects of a primary kind: for configuration that concerns each of them."""

    def keys(_: Object, caches: Caches) -> Iterable[Key]:
        return caches.of(kind).keys()

    return keys


@dataclass(frozen=True)
class Controller(Generic[P, O]):
    """What a controller is: its primary kind, how it gathers, how it plans, what wakes it."""

    name: str
    primary: type[P]
    gather: Callable[[P, Caches], O]
    plan: Callable[[O, datetime], Plan]
    watches: tuple[Watch, ...] = ()
    reads: tuple[type[Object], ...] = ()
    workers: int = 4

    @property
    def kinds(self) -> tuple[type[Object], ...]:
        """Every kind whose cache the controller needs."""
        return (self.primary, *(watch.kind for watch in self.watches), *self.reads)


AnyController = Controller[Any, Any]


class ControllerLoop:
    """Runs one controller on the engine."""

    def __init__(
        self, controller: AnyController, caches: Caches, carrier: Carrier, clock: Clock
    ) -> None:
        self._controller = controller
        self._caches = caches
        self._carrier = carrier
        self._clock = clock
        self.loop = Loop(controller.name, self._step, controller.workers)
        for kind in controller.kinds:
            caches.add(kind)

    def connect(self) -> None:
        """Begin to listen to the caches; call when they are filled."""
        self.loop.wake_on(self._caches, self._controller.primary, lambda thing, _: (thing.key,))
        for watch in self._controller.watches:
            self.loop.wake_on(self._caches, watch.kind, watch.keys)

    async def _step(self, key: Key) -> float | None:
        primary = self._caches.get(self._controller.primary, key)
        if primary is None:
            return None
        observed = self._controller.gather(primary, self._caches)
        plan = self._controller.plan(observed, self._clock.now())
        try:
            await self._carrier.carry_out(primary, plan)
        except (NotOwned, Contested) as error:
            # The remedy is the user's, on an object that wakes nobody here.
            log.warning("%s %s: %s", self._controller.name, key, error)
            return LOOK_AGAIN_S
        if plan.error is not None:
            raise PlanFailed(plan.error)
        return plan.recheck_s


class PlanFailed(StepFailed):
    """A plan says that its goal cannot be reached now; the loop tries again with back-off."""
