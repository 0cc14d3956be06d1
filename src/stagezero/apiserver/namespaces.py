"""Namespaces: new ones are Active, and nothing is made in one that is absent or terminating."""

import msgspec

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.apiserver.call import Call
from stagezero.store.base import Store, StoreKey

_COLLECTION = "namespaces"
FINALIZER = "kubernetes"
"""The finalizer in a namespace's spec: whoever empties the namespace removes it."""


def as_new(raw: Raw) -> Raw:
    """A namespace that is about to be created."""
    metadata = dict(raw["metadata"])
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        "kubernetes.io/metadata.name": metadata["name"],
    }
    return {
        **raw,
        "metadata": metadata,
        "spec": {"finalizers": [FINALIZER]},
        "status": {"phase": "Active"},
    }


def check_open(store: Store, call: Call) -> None:
    """Refuse a new object whose namespace is absent (NotFound) or terminating (Forbidden)."""
    name = call.target.namespace
    stored = store.get(StoreKey(_COLLECTION, "", name))
    if stored is None:
        raise errors.NotFound(f'namespaces "{name}" not found', {"name": name, "kind": _COLLECTION})
    if b'"Terminating"' not in stored.data:
        return
    status = msgspec.json.decode(stored.data).get("status") or {}
    if status.get("phase") == "Terminating":
        raise call.forbidden(
            f"unable to create new content in namespace {name} because it is being terminated"
        )
