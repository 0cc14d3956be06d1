"""EndpointSlices: the addresses behind a Service in the form that newer clients read."""

from typing import Annotated, ClassVar

from stagezero.api.base import Noun, Object, Resource
from stagezero.api.fields import doc
from stagezero.api.pod import ObjectReference


class EndpointConditions(Noun):
    """Whether an endpoint takes requests; what is not said reads as ready."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Noun):
    """One backend of a Service."""

    addresses: list[str]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    target_ref: ObjectReference | None = None
    node_name: str | None = None
    zone: str | None = None


class EndpointSlicePort(Noun):
    """One port of the endpoints."""

    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    app_protocol: str | None = None


class EndpointSlice(Object):
    """Some of the addresses behind a Service, all with the same ports."""

    resource: ClassVar[Resource] = Resource(
        "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", is_builtin=True
    )
    address_type: Annotated[str, doc("IPv4, IPv6 or FQDN.")] = ""
    endpoints: list[Endpoint] = []
    ports: list[EndpointSlicePort] = []
