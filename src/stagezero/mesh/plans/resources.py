"""Envoy's resources as they are published: name, encoded body, version by content, meaning.

`meaning` is the value that the body was made from; when Envoy acknowledges a resource, what it
runs is therefore known as a value, not as bytes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_PREFIX = "type.googleapis.com/envoy.config"


class Kind(StrEnum):
    """The kinds of resources, by type URL."""

    CLUSTER = f"{_PREFIX}.cluster.v3.Cluster"
    LOAD = f"{_PREFIX}.endpoint.v3.ClusterLoadAssignment"
    LISTENER = f"{_PREFIX}.listener.v3.Listener"
    TABLE = f"{_PREFIX}.route.v3.RouteConfiguration"


@dataclass(frozen=True, eq=False)
class Resource:
    """One resource of one version; compare versions, not objects."""

    kind: Kind
    name: str
    body: bytes
    version: str
    meaning: object
    needs: frozenset[str] = frozenset()
    """Clusters that Envoy must know before it gets this resource."""


def resource(
    kind: Kind, name: str, body: bytes, meaning: object, needs: frozenset[str] = frozenset()
) -> Resource:
    """Make a resource, its version taken from its content."""
    version = hashlib.blake2b(body, digest_size=12).hexdigest()
    return Resource(kind, name, body, version, meaning, needs)


Snapshot = Mapping[Kind, Mapping[str, Resource]]
"""All that Envoy shall have."""

EMPTY: Snapshot = {kind: {} for kind in Kind}
