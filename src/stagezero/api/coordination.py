"""Leases: who leads, and since when."""

from typing import ClassVar

from stagezero.api.base import Noun, Object, Resource


class LeaseSpec(Noun):
    """Who holds a lease."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(Object):
    """A claim that must be renewed to stay valid."""

    resource: ClassVar[Resource] = Resource(
        "coordination.k8s.io", "v1", "Lease", "leases", is_builtin=True
    )
    spec: LeaseSpec = LeaseSpec()
