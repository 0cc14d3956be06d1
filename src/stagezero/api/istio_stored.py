"""Istio's kinds that are stored, shown and not obeyed yet: their specs are kept as they came.

A user's manifests apply without an error; `docs/` says which of them have no effect.
"""

from typing import ClassVar

from stagezero.api.base import Column, Object, Raw, Resource
from stagezero.api.istio import AGE, CATEGORIES, NETWORKING, Gateway, IstioStatus, VirtualService

SECURITY = "security.istio.io"
SECURITY_CATEGORIES = ("istio-io", "security-istio-io")


class _Stored(Object):
    """A kind whose spec travels untouched."""

    spec: Raw = {}
    status: IstioStatus = IstioStatus()


class DestinationRule(_Stored):
    """Policies for the traffic to a service: load balancing, pools, subsets."""

    resource: ClassVar[Resource] = Resource(
        NETWORKING, "v1alpha3", "DestinationRule", "destinationrules",
        short_names=("dr",), categories=CATEGORIES, has_status=True, also_served=("v1beta1",),
        columns=(
            Column("Host", ".spec.host", description="The name of a service"),
            AGE,
        ),
    )  # fmt: skip


class ServiceEntry(_Stored):
    """Adds a service that Kubernetes does not know."""

    resource: ClassVar[Resource] = Resource(
        NETWORKING, "v1alpha3", "ServiceEntry", "serviceentries",
        short_names=("se",), categories=CATEGORIES, has_status=True, also_served=("v1beta1",),
        columns=(
            Column("Hosts", ".spec.hosts", description="The hosts of the service"),
            Column("Location", ".spec.location", description="Inside or outside of the mesh"),
            Column("Resolution", ".spec.resolution", description="How addresses are found"),
            AGE,
        ),
    )  # fmt: skip


class Sidecar(_Stored):
    """What a sidecar proxy takes in and lets out."""

    resource: ClassVar[Resource] = Resource(
        NETWORKING, "v1alpha3", "Sidecar", "sidecars",
        categories=CATEGORIES, has_status=True, also_served=("v1beta1",),
    )  # fmt: skip


class EnvoyFilter(_Stored):
    """Patches of the proxies' own configuration."""

    resource: ClassVar[Resource] = Resource(
        NETWORKING, "v1alpha3", "EnvoyFilter", "envoyfilters",
        categories=CATEGORIES, has_status=True,
    )  # fmt: skip


class WorkloadEntry(_Stored):
    """One workload outside of Kubernetes."""

    resource: ClassVar[Resource] = Resource(
        NETWORKING, "v1alpha3", "WorkloadEntry", "workloadentries",
        short_names=("we",), categories=CATEGORIES, has_status=True, also_served=("v1beta1",),
        columns=(
            AGE,
            Column("Address", ".spec.address", description="The address of the workload"),
        ),
    )  # fmt: skip


class WorkloadGroup(_Stored):
    """What workloads outside of Kubernetes have in common."""

    resource: ClassVar[Resource] = Resource(
        NETWORKING, "v1alpha3", "WorkloadGroup", "workloadgroups",
        short_names=("wg",), categories=CATEGORIES, has_status=True,
        columns=(AGE,),
    )  # fmt: skip


class PeerAuthentication(_Stored):
    """Whether workloads speak mutual TLS with each other."""

    resource: ClassVar[Resource] = Resource(
        SECURITY, "v1beta1", "PeerAuthentication", "peerauthentications",
        short_names=("pa",), categories=SECURITY_CATEGORIES, has_status=True,
        columns=(
            Column("Mode", ".spec.mtls.mode", description="The mutual TLS mode"),
            AGE,
        ),
    )  # fmt: skip


class RequestAuthentication(_Stored):
    """Which tokens of end users are taken."""

    resource: ClassVar[Resource] = Resource(
        SECURITY, "v1beta1", "RequestAuthentication", "requestauthentications",
        short_names=("ra",), categories=SECURITY_CATEGORIES, has_status=True,
    )  # fmt: skip


class AuthorizationPolicy(_Stored):
    """Who may call whom."""

    resource: ClassVar[Resource] = Resource(
        SECURITY, "v1beta1", "AuthorizationPolicy", "authorizationpolicies",
        categories=SECURITY_CATEGORIES, has_status=True,
    )  # fmt: skip


class Telemetry(_Stored):
    """What the proxies report."""

    resource: ClassVar[Resource] = Resource(
        "telemetry.istio.io", "v1alpha1", "Telemetry", "telemetries",
        short_names=("telemetry",), categories=("istio-io", "telemetry-istio-io"),
        has_status=True, columns=(AGE,),
    )  # fmt: skip


class WasmPlugin(_Stored):
    """A WebAssembly filter for the proxies."""

    resource: ClassVar[Resource] = Resource(
        "extensions.istio.io", "v1alpha1", "WasmPlugin", "wasmplugins",
        categories=("istio-io", "extensions-istio-io"), has_status=True, columns=(AGE,),
    )  # fmt: skip


ISTIO_KINDS: tuple[type[Object], ...] = (
    Gateway, VirtualService, DestinationRule, ServiceEntry, Sidecar, EnvoyFilter, WorkloadEntry,
    WorkloadGroup, PeerAuthentication, RequestAuthentication, AuthorizationPolicy, Telemetry,
    WasmPlugin,
)  # fmt: skip
"""Every kind of Istio's that is served."""
