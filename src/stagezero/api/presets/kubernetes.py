"""The objects that every cluster has of itself."""

from stagezero.api.base import Object, ObjectMeta
from stagezero.api.config import Namespace

NAMESPACES = ("default", "kube-node-lease", "kube-system")


def objects() -> tuple[Object, ...]:
    """The namespaces that are always there."""
    return tuple(Namespace(metadata=ObjectMeta(name=name)) for name in NAMESPACES)
