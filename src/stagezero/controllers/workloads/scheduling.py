"""The scheduler: gathers nodes and what their pods ask for; waiting pods hear of new room."""

from collections.abc import Iterable

from stagezero.api.base import Key, Object
from stagezero.api.node import Node
from stagezero.api.pod import Pod
from stagezero.client.cache import Caches
from stagezero.controllers.workloads.plans import placement
from stagezero.controllers.workloads.plans.pods import ENDED
from stagezero.controllers.workloads.plans.scheduling import (
    SchedulingObserved,
    needs_node,
    plan_scheduling,
)
from stagezero.runtime.controller import Controller, Watch


class WaitingPods:
    """The pods that have no node yet: they look again when a node changes or a pod leaves one."""

    def __init__(self) -> None:
        self._keys: set[Key] = set()

    def note(self, pod: Pod) -> None:
        """Remember or forget a pod."""
        if needs_node(pod):
            self._keys.add(pod.key)
        else:
            self._keys.discard(pod.key)

    def when_room_comes(self, thing: Object, caches: Caches) -> Iterable[Key]:
        """All waiting pods, if the change may have made room."""
        if isinstance(thing, Pod) and not self._has_left(thing, caches):
            return
        for key in list(self._keys):
            if caches.get(Pod, key) is None:
                self._keys.discard(key)
            else:
                yield key

    def _has_left(self, pod: Pod, caches: Caches) -> bool:
        if not self._keys or not pod.spec.node_name:
            return False
        return pod.status.phase in ENDED or caches.get(Pod, pod.key) is None


def scheduling_controller() -> Controller[Pod, SchedulingObserved]:
    """Make the controller; it remembers which pods wait."""
    waiting = WaitingPods()

    def gather(pod: Pod, caches: Caches) -> SchedulingObserved:
        waiting.note(pod)
        if not needs_node(pod):
            return SchedulingObserved(pod, ())
        by_node: dict[str, list[Pod]] = {}
        for other in caches.list(Pod):
            if other.spec.node_name:
                by_node.setdefault(other.spec.node_name, []).append(other)
        taken = {name: placement.used(pods) for name, pods in by_node.items()}
        return SchedulingObserved(pod, tuple(caches.list(Node)), taken)

    # One worker: each decision must see the one before it.
    return Controller(
        name="default-scheduler",
        primary=Pod,
        gather=gather,
        plan=plan_scheduling,
        watches=(Watch(Node, waiting.when_room_comes), Watch(Pod, waiting.when_room_comes)),
        workers=1,
    )
