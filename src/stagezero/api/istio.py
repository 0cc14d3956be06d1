"""Istio's Gateway and VirtualService: which hosts enter where, and where their requests go.

Typed is what the mesh obeys; what it does not obey yet is kept as it came (`Raw`), so that nothing
a user wrote is lost. Istio's other kinds, which are stored only, are in `istio_stored`.
"""

from typing import Annotated, ClassVar

from msgspec import field

from stagezero.api.base import Column, Condition, Noun, Object, Raw, Resource
from stagezero.api.fields import doc

AGE = Column("Age", ".metadata.creationTimestamp", "date", description="When it was created.")
NETWORKING = "networking.istio.io"
CATEGORIES = ("istio-io", "networking-istio-io")


class Port(Noun):
    """A port that a gateway opens."""

    number: int = 0
    protocol: Annotated[str, doc("HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP or TLS.")] = ""
    name: str = ""
    target_port: int = 0


class ServerTLSSettings(Noun):
    """How a gateway's server speaks TLS."""

    https_redirect: Annotated[bool, doc("Answer 301 to https instead of serving http.")] = False
    mode: Annotated[str, doc("PASSTHROUGH, SIMPLE, MUTUAL, AUTO_PASSTHROUGH or ISTIO_MUTUAL.")] = ""
    credential_name: Annotated[str, doc("Secret that holds tls.key and tls.crt.")] = ""
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    subject_alt_names: list[str] = []
    verify_certificate_spki: list[str] = []
    verify_certificate_hash: list[str] = []
    min_protocol_version: str = ""
    max_protocol_version: str = ""
    cipher_suites: list[str] = []


class Server(Noun):
    """A port, the hosts it serves, and its TLS settings."""

    port: Port = Port()
    hosts: Annotated[list[str], doc("Hosts served; `namespace/host`, `*` for all.")] = []
    tls: ServerTLSSettings | None = None
    bind: str = ""
    default_endpoint: str = ""
    name: str = ""


class GatewaySpec(Noun):
    """The servers of a gateway and the workload that carries them."""

    servers: list[Server] = []
    selector: Annotated[dict[str, str], doc("Labels of the gateway's pods.")] = {}


class IstioStatus(Noun):
    """What the mesh made of an object."""

    observed_generation: int = 0
    conditions: list[Condition] = []
    validation_messages: list[Raw] = []


class Gateway(Object):
    """Opens ports at the edge: which hosts are let in, by which protocol."""

    resource: ClassVar[Resource] = Resource(
        NETWORKING, "v1alpha3", "Gateway", "gateways",
        short_names=("gw",), categories=CATEGORIES, has_status=True, also_served=("v1beta1",),
    )  # fmt: skip
    spec: GatewaySpec = GatewaySpec()
    status: IstioStatus = IstioStatus()


class StringMatch(Noun):
    """How a string must look: exactly, by its beginning, or by an RE2 regular expression."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class HTTPMatchRequest(Noun):
    """Conditions that a request must all meet."""

    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, StringMatch] = {}
    port: int = 0
    source_labels: dict[str, str] = {}
    gateways: list[str] = []
    query_params: dict[str, StringMatch] = {}
    ignore_uri_case: bool = False
    without_headers: dict[str, StringMatch] = {}
    source_namespace: str = ""
    stat_prefix: str = ""


class PortSelector(Noun):
    """A port of the destination's service."""

    number: int = 0


class Destination(Noun):
    """Where a request goes: a service, one of its ports, a subset of its pods."""

    host: str = ""
    subset: str = ""
    port: PortSelector | None = None


class HeaderOperations(Noun):
    """What to do to headers."""

    set: dict[str, str] = {}
    add: dict[str, str] = {}
    remove: list[str] = []


class Headers(Noun):
    """What to do to the headers of requests and of responses."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPRouteDestination(Noun):
    """One destination and its share of the requests."""

    destination: Destination = Destination()
    weight: int = 0
    headers: Headers | None = None


class HTTPRedirect(Noun):
    """Answer with a redirect."""

    uri: str = ""
    authority: str = ""
    port: int = 0
    derive_port: str = ""
    scheme: str = ""
    redirect_code: int = 0


class HTTPDirectResponse(Noun):
    """Answer with a fixed status and body."""

    status: int = 0
    body: Raw | None = None


class HTTPRewrite(Noun):
    """Change path or authority before the request goes on."""

    uri: str = ""
    authority: str = ""


class HTTPRetry(Noun):
    """When and how often to try again; empty: never."""

    attempts: int = 0
    per_try_timeout: str = ""
    retry_on: str = ""
    retry_remote_localities: bool | None = None


class Percent(Noun):
    """A share in percent."""

    value: float = 0.0


class HTTPRoute(Noun):
    """One rule: what matches it, and what is done."""

    name: str = ""
    match: list[HTTPMatchRequest] = []
    route: list[HTTPRouteDestination] = []
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Raw | None = None
    rewrite: HTTPRewrite | None = None
    timeout: str = ""
    retries: HTTPRetry | None = None
    fault: Raw | None = None
    mirror: Destination | None = None
    mirror_percent: int | None = None
    mirror_percentage: Percent | None = None
    cors_policy: Raw | None = None
    headers: Headers | None = None


class VirtualServiceSpec(Noun):
    """Hosts, the gateways they are bound to, and the rules for their requests."""

    hosts: list[str] = []
    gateways: Annotated[list[str], doc("Gateways by `namespace/name`; none: the mesh.")] = []
    http: list[HTTPRoute] = []
    tls: list[Raw] = []
    tcp: list[Raw] = []
    export_to: list[str] = field(default_factory=list)


class VirtualService(Object):
    """Says where requests for some hosts go."""

    resource: ClassVar[Resource] = Resource(
        NETWORKING, "v1alpha3", "VirtualService", "virtualservices",
        short_names=("vs",), categories=CATEGORIES, has_status=True, also_served=("v1beta1",),
        columns=(
            Column("Gateways", ".spec.gateways",
                   description="The names of gateways and sidecars that apply these routes"),
            Column("Hosts", ".spec.hosts",
                   description="The destination hosts to which traffic is being sent"),
            AGE,
        ),
    )  # fmt: skip
    spec: VirtualServiceSpec = VirtualServiceSpec()
    status: IstioStatus = IstioStatus()
