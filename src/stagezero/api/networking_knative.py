"""Knative's networking kinds: Ingress, ServerlessService, Certificate, ClusterDomainClaim.

An Ingress (KIngress) is what a Route asks of the network layer, in terms that know no Istio; a
ServerlessService is a revision's pair of Services.
"""

from typing import Annotated, ClassVar

from msgspec import field

from stagezero.api.base import Column, Noun, Object, Raw, Resource
from stagezero.api.fields import IntOrString, doc
from stagezero.api.pod import ObjectReference
from stagezero.api.serving_knative import READY, REASON, Status

GROUP = "networking.internal.knative.dev"
_CATEGORIES = ("knative-internal", "networking")

EXTERNAL_IP = "ExternalIP"
CLUSTER_LOCAL = "ClusterLocal"
HTTP1 = "http1"
H2C = "h2c"


class HeaderMatch(Noun):
    """A header's wanted value."""

    exact: str = ""


class IngressBackendSplit(Noun):
    """A Service and its share of requests."""

    service_namespace: str = ""
    service_name: str = ""
    service_port: IntOrString = 0
    percent: int = 0
    append_headers: dict[str, str] = {}


class HTTPIngressPath(Noun):
    """Requests that match path and headers, and where they go."""

    path: str = ""
    rewrite_host: str = ""
    headers: dict[str, HeaderMatch] = {}
    splits: list[IngressBackendSplit] = []
    append_headers: dict[str, str] = {}


class HTTPIngressRuleValue(Noun):
    """The paths of a rule."""

    paths: list[HTTPIngressPath] = []


class IngressRule(Noun):
    """Hosts, seen from outside or only inside the cluster, and their paths."""

    hosts: list[str] = []
    visibility: Annotated[str, doc("ExternalIP or ClusterLocal.")] = ""
    http: HTTPIngressRuleValue = HTTPIngressRuleValue()


class IngressTLS(Noun):
    """The certificate of some hosts."""

    hosts: list[str] = []
    secret_name: str = ""
    secret_namespace: str = ""


class IngressSpec(Noun):
    """Rules, certificates, and what becomes of plain HTTP (Enabled or Redirected)."""

    tls: list[IngressTLS] = []
    rules: list[IngressRule] = []
    http_option: str = ""


class LoadBalancerIngressStatus(Noun):
    """Where a load balancer answers."""

    ip: str = ""
    domain: str = ""
    domain_internal: str = ""
    mesh_only: bool = False


class LoadBalancerStatus(Noun):
    """The addresses of a load balancer."""

    ingress: list[LoadBalancerIngressStatus] = []


class IngressStatus(Status):
    """Whether the network layer carries an Ingress, and where."""

    public_load_balancer: LoadBalancerStatus | None = None
    private_load_balancer: LoadBalancerStatus | None = None


class Ingress(Object):
    """Hosts and the Services that answer for them."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1alpha1", "Ingress", "ingresses",
        short_names=("kingress", "king"), categories=_CATEGORIES, has_status=True,
        columns=(READY, REASON),
    )  # fmt: skip
    spec: IngressSpec = IngressSpec()
    status: IngressStatus = IngressStatus()


class ServerlessServiceSpec(Noun):
    """Whose pods, and whether they (Serve) or the wake-up path (Proxy) answer."""

    mode: str = ""
    object_ref: ObjectReference = ObjectReference()
    protocol_type: str = ""
    num_activators: int = 0


class ServerlessServiceStatus(Status):
    """The names of the two Services."""

    service_name: str = ""
    private_service_name: str = ""


class ServerlessService(Object):
    """A revision's Services: the public one, which requests go to, and the private one."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1alpha1", "ServerlessService", "serverlessservices",
        short_names=("sks",), categories=_CATEGORIES, has_status=True,
        columns=(
            Column("Mode", ".spec.mode"),
            Column("Activators", ".spec.numActivators", "integer"),
            Column("ServiceName", ".status.serviceName"),
            Column("PrivateServiceName", ".status.privateServiceName"),
            READY,
            REASON,
        ),
    )  # fmt: skip
    spec: ServerlessServiceSpec = ServerlessServiceSpec()
    status: ServerlessServiceStatus = ServerlessServiceStatus()


class CertificateSpec(Noun):
    """Names that a certificate shall cover, and the Secret it is put in."""

    dns_names: list[str] = field(name="dnsNames", default_factory=list)
    secret_name: str = ""


class CertificateStatus(Status):
    """Until when a certificate is good."""

    not_after: str | None = None
    http01_challenges: list[Raw] = field(name="http01Challenges", default_factory=list)


class Certificate(Object):
    """A certificate to be issued."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1alpha1", "Certificate", "certificates",
        short_names=("kcert",), categories=_CATEGORIES, has_status=True,
        columns=(READY, REASON),
    )  # fmt: skip
    spec: CertificateSpec = CertificateSpec()
    status: CertificateStatus = CertificateStatus()


class ClusterDomainClaimSpec(Noun):
    """The namespace that may use the domain."""

    namespace: str = ""


class ClusterDomainClaim(Object):
    """A domain, claimed for a namespace."""

    resource: ClassVar[Resource] = Resource(
        GROUP, "v1alpha1", "ClusterDomainClaim", "clusterdomainclaims",
        short_names=("cdc",), categories=_CATEGORIES, namespaced=False, has_status=True,
    )  # fmt: skip
    spec: ClusterDomainClaimSpec = ClusterDomainClaimSpec()
    status: Status = Status()
