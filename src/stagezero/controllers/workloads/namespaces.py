"""Furnishes namespaces, and empties those that are being deleted before they go.

A shell of its own because the last step is a write to the namespace's `finalize` subresource.
"""

from collections.abc import Iterable, Sequence

import msgspec

from stagezero.api import errors
from stagezero.api.base import Key, Object
from stagezero.api.config import Namespace, ServiceAccount
from stagezero.client.cache import Caches
from stagezero.client.client import Client
from stagezero.controllers.workloads.plans.namespaces import (
    FINALIZER,
    NamespaceObserved,
    is_finished,
    plan_namespace,
)
from stagezero.kit.clock import Clock
from stagezero.runtime.carry import Carrier
from stagezero.runtime.loop import Loop


class NamespaceLoop:
    """Looks after namespaces; `kinds` are the kinds whose objects it deletes with them."""

    def __init__(
        self,
        client: Client,
        caches: Caches,
        carrier: Carrier,
        clock: Clock,
        kinds: Sequence[type[Object]],
    ) -> None:
        self._client = client
        self._caches = caches
        self._carrier = carrier
        self._clock = clock
        self._kinds = tuple(kind for kind in kinds if kind.resource.namespaced)
        self.loop = Loop("namespaces", self._step)
        needed: tuple[type[Object], ...] = (Namespace, ServiceAccount, *self._kinds)
        for kind in needed:
            caches.add(kind)

    def connect(self) -> None:
        """Begin to listen to the caches; call when they are filled."""
        self.loop.wake_on(self._caches, Namespace, lambda namespace, _: (namespace.key,))
        self.loop.wake_on(self._caches, ServiceAccount, _its_namespace)
        for kind in self._kinds:
            self.loop.wake_on(self._caches, kind, _terminating)

    async def _step(self, key: Key) -> float | None:
        namespace = self._caches.get(Namespace, key)
        if namespace is None:
            return None
        content = tuple(self._content(key.name)) if namespace.is_deleting else ()
        observed = NamespaceObserved(namespace, content)
        await self._carrier.carry_out(namespace, plan_namespace(observed, self._clock.now()))
        if is_finished(observed):
            await self._finalize(namespace)
        return None

    def _content(self, name: str) -> Iterable[Object]:
        for kind in self._kinds:
            yield from self._caches.list(kind, name)

    async def _finalize(self, namespace: Namespace) -> None:
        left = [found for found in namespace.spec.finalizers if found != FINALIZER]
        path = Namespace.resource.path("", namespace.metadata.name, "finalize")
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": namespace.metadata.name,
                "resourceVersion": namespace.metadata.resource_version,
            },
            "spec": {"finalizers": left},
        }
        try:
            await self._client.request("PUT", path, body=msgspec.json.encode(body))
        except errors.NotFound:
            return


def _its_namespace(account: Object, caches: Caches) -> Iterable[Key]:
    """A namespace whose default account was deleted gets a new one."""
    yield Key("", account.metadata.namespace)


def _terminating(thing: Object, caches: Caches) -> Iterable[Key]:
    """A namespace that waits for the object to be gone."""
    namespace = caches.get(Namespace, Key("", thing.metadata.namespace))
    if namespace is not None and namespace.is_deleting:
        yield namespace.key
