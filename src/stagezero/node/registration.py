"""The node in the API: the Node object, kept true, and a lease that shows that we live."""

from collections.abc import Callable

from msgspec.structs import replace

from stagezero import __version__
from stagezero.api import errors
from stagezero.api.base import Key, ObjectMeta
from stagezero.api.coordination import Lease, LeaseSpec
from stagezero.api.node import Node
from stagezero.client.cache import Caches
from stagezero.client.client import Client
from stagezero.kit.clock import Clock, rfc3339_micro
from stagezero.node.plans.node_object import Machine, node_object
from stagezero.node.sandbox.runtime import RuntimeInfo
from stagezero.runtime.carry import Carrier
from stagezero.runtime.events import Recorder
from stagezero.runtime.loop import Loop

LEASE_NAMESPACE = "kube-node-lease"
HEARTBEAT_S = 10.0
LEASE_S = 40


class Registration:
    """Writes the Node of this machine at once, and again every `HEARTBEAT_S`."""

    def __init__(
        self,
        read: Callable[[], Machine],
        info: RuntimeInfo,
        client: Client,
        caches: Caches,
        clock: Clock,
    ) -> None:
        self._read = read
        self._info = info
        self._client = client
        self._carrier = Carrier(client, caches, Recorder(client, clock, "kubelet"))
        self._caches = caches
        self._clock = clock
        self.loop = Loop("node", self._step, workers=1)
        caches.add(Node)

    def connect(self) -> None:
        """Begin; call when the caches are filled."""
        self.loop.add(Key("", self._read().name))

    async def _step(self, key: Key) -> float | None:
        before = self._caches.get(Node, key)
        now = self._clock.now()
        wanted = node_object(self._read(), self._info, __version__, before, now)
        await self._carrier.apply(_without_status(wanted), wanted)
        present = self._caches.get(Node, key)
        if present is not None:
            await self._carrier.write_status(replace(present, status=wanted.status))
        await self._beat(key.name)
        return HEARTBEAT_S

    async def _beat(self, name: str) -> None:
        spec = LeaseSpec(
            holder_identity=name,
            lease_duration_seconds=LEASE_S,
            renew_time=rfc3339_micro(self._clock.now()),
        )
        lease = Lease(metadata=ObjectMeta(name=name, namespace=LEASE_NAMESPACE), spec=spec)
        path = Lease.resource.path(LEASE_NAMESPACE, name)
        try:
            await self._client.patch_raw(path, {"spec": {"renewTime": spec.renew_time}})
        except errors.NotFound:
            await self._try_create(lease)

    async def _try_create(self, lease: Lease) -> None:
        try:
            await self._client.create(lease)
        except errors.NotFound:
            return  # an API server without that namespace: the Node's own status must do


def _without_status(node: Node) -> Node:
    return replace(node, status=type(node.status)())
