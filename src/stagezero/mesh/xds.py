"""The xDS server: Envoy connects over a Unix socket and is told, in deltas, what shall be.

A published snapshot goes out in one push per turn of the event loop, whatever was published in it.
Nothing is sent before the first one: an Envoy that outlived the control plane keeps what it has
until we know the world again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc
import grpc.aio
from envoy.service.discovery.v3 import discovery_pb2 as discovery

from stagezero.mesh.delta import NO_VERDICT, Batch, DeltaStream, Rejection, Request, Verdict
from stagezero.mesh.plans.resources import Kind, Resource, Snapshot

log = logging.getLogger(__name__)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Envoy asks every 10 s whether we live. gRPC takes the fourth such ping for an attack and cuts
    # the connection, unless it is told to count none.
    ("grpc.http2.max_ping_strikes", 0),
)
_KINDS = {str(kind): kind for kind in Kind}

Listener = Callable[[Verdict], None]


class Rejected(Exception):
    """Envoy refused a resource that somebody waits for."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(f"Envoy refused {rejection.resource.name}: {rejection.text}")
        self.rejection = rejection


class XdsServer:
    """Serves one Envoy; the stream that was opened last is the one that counts."""

    def __init__(self, address: str) -> None:
        """`address` as gRPC writes it: `unix:/path` or `127.0.0.1:PORT`."""
        self._address = address
        self._snapshot: Snapshot | None = None
        self._server: grpc.aio.Server | None = None
        self._stream: DeltaStream | None = None
        self._wakes: set[asyncio.Event] = set()
        self._listeners: list[Listener] = []

    async def start(self) -> None:
        """Listen; OSError or RuntimeError if the address cannot be had."""
        server = grpc.aio.server(options=_OPTIONS)
        handler = grpc.stream_stream_rpc_method_handler(
            self._serve,
            request_deserializer=discovery.DeltaDiscoveryRequest.FromString,
            response_serializer=discovery.DeltaDiscoveryResponse.SerializeToString,
        )
        service = grpc.method_handlers_generic_handler(
            SERVICE, {"DeltaAggregatedResources": handler}
        )
        server.add_generic_rpc_handlers((service,))
        server.add_insecure_port(self._address)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Close all streams; Envoy keeps what it has and comes back to the next server."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    @property
    def is_connected(self) -> bool:
        """Whether an Envoy has a stream open."""
        return self._stream is not None

    def subscribe(self, listener: Listener) -> None:
        """Call on every verdict, and with an empty one when Envoy comes or goes."""
        self._listeners.append(listener)

    def publish(self, snapshot: Snapshot) -> None:
        """Say what Envoy shall have from now on."""
        self._snapshot = snapshot
        self._wake()

    def acked(self, kind: Kind, name: str) -> Resource | None:
        """What Envoy has acknowledged under this name; None while it is not connected."""
        return None if self._stream is None else self._stream.acked(kind, name)

    def rejected(self, kind: Kind, name: str) -> Rejection | None:
        """The rejection that stands for this name, if any."""
        return None if self._stream is None else self._stream.rejected(kind, name)

    def retry(self, kind: Kind) -> None:
        """Send what was rejected of a kind once more."""
        if self._stream is not None:
            self._stream.retry(kind)
            self._wake()

    async def settled(self, resources: Iterable[Resource]) -> None:
        """Wait until Envoy has acknowledged these very versions; `Rejected` if it refuses one."""
        wanted = list(resources)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def look(_: Verdict) -> None:
            if done.done():
                return
            for resource in wanted:
                rejection = self.rejected(resource.kind, resource.name)
                if rejection is not None and rejection.resource.version == resource.version:
                    done.set_exception(Rejected(rejection))
                    return
            if all(self._has(resource) for resource in wanted):
                done.set_result(None)

        self._listeners.append(look)
        try:
            look(NO_VERDICT)
            await done
        finally:
            self._listeners.remove(look)

    def _has(self, resource: Resource) -> bool:
        acked = self.acked(resource.kind, resource.name)
        return acked is not None and acked.version == resource.version

    def _wake(self) -> None:
        for wake in self._wakes:
            wake.set()

    def _tell(self, verdict: Verdict) -> None:
        for listener in tuple(self._listeners):
            listener(verdict)

    async def _serve(
        self, requests: AsyncIterator[Any], context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> None:
        stream, wake = DeltaStream(), asyncio.Event()
        self._stream = stream
        self._wakes.add(wake)
        log.info("Envoy is connected")
        self._tell(NO_VERDICT)
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(stream, wake, context), name="xds/write")
                async for message in requests:
                    self._read(stream, message)
                    wake.set()
                writer.cancel()
        finally:  # without an await: gRPC may cancel us more than once
            self._wakes.discard(wake)
            if self._stream is stream:
                self._stream = None
                log.info("Envoy is gone")
                self._tell(NO_VERDICT)

    def _read(self, stream: DeltaStream, message: discovery.DeltaDiscoveryRequest) -> None:
        kind = _KINDS.get(message.type_url)
        if kind is None:
            return
        error = ""
        if message.HasField("error_detail"):
            error = message.error_detail.message or "rejected without a word"
        verdict = stream.receive(
            Request(
                kind=kind,
                subscribe=tuple(message.resource_names_subscribe),
                unsubscribe=tuple(message.resource_names_unsubscribe),
                initial=dict(message.initial_resource_versions),
                nonce=message.response_nonce,
                error=error,
            )
        )
        for rejection in verdict.rejected:
            log.warning("Envoy refused %s: %s", rejection.resource.name, rejection.text)
        if stream is self._stream and (verdict.acked or verdict.rejected):
            self._tell(verdict)

    async def _write(
        self,
        stream: DeltaStream,
        wake: asyncio.Event,
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> None:
        while True:
            if self._snapshot is not None:
                for batch in stream.due(self._snapshot):
                    await context.write(_response(batch))
            await wake.wait()
            wake.clear()


def _response(batch: Batch) -> discovery.DeltaDiscoveryResponse:
    message = discovery.DeltaDiscoveryResponse(
        type_url=str(batch.kind), nonce=batch.nonce, removed_resources=batch.removed
    )
    for resource in batch.resources:
        sent = message.resources.add(name=resource.name, version=resource.version)
        sent.resource.type_url = str(resource.kind)
        sent.resource.value = resource.body
    return message
