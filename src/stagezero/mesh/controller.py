"""The shell of the mesh: caches announce, the model builds, Envoy answers, statuses are written.

One loop publishes (a single key: many changes of one turn are one snapshot), another writes the
statuses of VirtualServices and Gateways. Objects that wait for Envoy's word are looked at again
whenever it speaks.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from stagezero.api.base import Key, Object
from stagezero.api.core import Endpoints, Service
from stagezero.api.istio import Gateway, VirtualService
from stagezero.client.cache import Caches, Subscriber
from stagezero.kit.clock import Clock
from stagezero.mesh.delta import Verdict
from stagezero.mesh.model import Model
from stagezero.mesh.plans.resources import Kind
from stagezero.mesh.plans.settings import GatewaySettings
from stagezero.mesh.plans.status import gateway_plan, virtual_service_plan
from stagezero.mesh.plans.tables import Table
from stagezero.mesh.witnesses import Envoy, Witnesses
from stagezero.runtime.carry import Carrier
from stagezero.runtime.loop import Loop

KINDS: tuple[type[Object], ...] = (Gateway, VirtualService, Service, Endpoints)
"""Kinds whose caches the mesh reads."""
RETRY_LISTENERS_S = 5.0
"""How often a listener that Envoy could not open is tried again: the port may be free by now."""
_ALL = Key("", "gateway")


@dataclass(frozen=True)
class Part:
    """A loop, and what is to be done before it runs, once the caches are filled."""

    loop: Loop
    connect: Callable[[], None]


def _nothing() -> None:
    """The first part connects all of them."""


class MeshController:
    """Keeps Envoy at what the API says, through its `parts`."""

    def __init__(
        self,
        settings: GatewaySettings,
        caches: Caches,
        carrier: Carrier,
        server: Envoy,
        clock: Clock,
    ) -> None:
        for kind in KINDS:
            caches.add(kind)
        self._caches = caches
        self._carrier = carrier
        self._server = server
        self._clock = clock
        self.model = Model(settings, lambda key: caches.get(Endpoints, key))
        self._witnesses = Witnesses(self.model, server)
        self._publisher = Loop("mesh", self._publish, workers=1)
        self._services = Loop("mesh-virtualservice", self._write_virtual_service)
        self._gateways = Loop("mesh-gateway", self._write_gateway, workers=1)
        self._waiting: set[Key] = set()
        self._retry_at_s: float | None = None

    def _connect(self) -> None:
        self._server.subscribe(self._heard)
        for kind, changed in (
            (Gateway, self._gateway_changed),
            (VirtualService, self._virtual_service_changed),
            (Service, self._service_changed),
            (Endpoints, self._endpoints_changed),
        ):
            self._caches.add(kind).subscribe(cast(Subscriber, changed))
        self._publisher.add(_ALL)

    @property
    def parts(self) -> tuple["Part", ...]:
        """The loops to run: publishing has its own, so that no status write delays a wake-up."""
        return (
            Part(self._publisher, self._connect),
            Part(self._services, _nothing),
            Part(self._gateways, _nothing),
        )

    def _gateway_changed(self, before: Gateway | None, after: Gateway | None) -> None:
        if self.model.gateway_changed(before, after):
            self._publisher.add(_ALL)
        if after is not None:
            self._gateways.add(after.key)

    def _virtual_service_changed(
        self, before: VirtualService | None, after: VirtualService | None
    ) -> None:
        if self.model.virtual_service_changed(before, after):
            self._publisher.add(_ALL)
        if after is not None:
            self._services.add(after.key)

    def _service_changed(self, before: Service | None, after: Service | None) -> None:
        if self.model.service_changed(before, after):
            self._publisher.add(_ALL)

    def _endpoints_changed(self, before: Endpoints | None, after: Endpoints | None) -> None:
        thing = after or before
        if thing is not None and self.model.endpoints_changed(thing.key):
            self._publisher.add(_ALL)

    async def _publish(self, _: Key) -> float | None:
        concerned = self.model.build()
        self._server.publish(self.model.snapshot)
        for key in concerned:
            self._services.add(key)
        for key in self.model.gateways():
            self._gateways.add(key)
        return None

    def _heard(self, verdict: Verdict) -> None:
        for resource in verdict.acked:
            if isinstance(resource.meaning, Table) and self.model.table_acked(resource.meaning):
                self._publisher.add(_ALL)
        for rejection in verdict.rejected:
            table = rejection.resource.meaning
            if isinstance(table, Table) and self.model.table_rejected(table, rejection.text):
                self._publisher.add(_ALL)
        kinds = {r.kind for r in verdict.acked} | {r.resource.kind for r in verdict.rejected}
        for key in self._waiting:
            self._services.add(key)
        if not kinds or Kind.LISTENER in kinds:
            for key in self.model.gateways():
                self._gateways.add(key)

    async def _write_virtual_service(self, key: Key) -> float | None:
        service = self._caches.get(VirtualService, key)
        self._waiting.discard(key)
        if service is None:
            return None
        witness = self._witnesses.of_virtual_service(service)
        if not witness.is_planned or witness.waiting_for or witness.rejection:
            self._waiting.add(key)
        plan = virtual_service_plan(service, witness, self._clock.now())
        await self._carrier.carry_out(service, plan)
        return None

    async def _write_gateway(self, key: Key) -> float | None:
        gateway = self._caches.get(Gateway, key)
        if gateway is None:
            return None
        witness = self._witnesses.of_gateway(gateway)
        await self._carrier.carry_out(gateway, gateway_plan(gateway, witness, self._clock.now()))
        return self._retry_listeners() if witness.rejection else None

    def _retry_listeners(self) -> float:
        now_s = asyncio.get_running_loop().time()
        if self._retry_at_s is None or now_s >= self._retry_at_s + RETRY_LISTENERS_S:
            self._retry_at_s = now_s + RETRY_LISTENERS_S
        elif now_s >= self._retry_at_s:
            self._server.retry(Kind.LISTENER)
            self._retry_at_s = now_s + RETRY_LISTENERS_S
        return self._retry_at_s - now_s
