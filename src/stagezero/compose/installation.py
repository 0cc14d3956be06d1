"""Puts the objects of an installation into the API: kinds first, then what they are there for.

Kinds and the gateway's own Services are ours and follow the program at every start; everything else
is created once and the user's from then on.
"""

from collections.abc import Iterable

import msgspec

from stagezero.api import errors
from stagezero.api.base import Object, Raw, to_raw
from stagezero.api.crd import crd_for
from stagezero.api.service import Service
from stagezero.client.client import AS_MERGE_PATCH, Client

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


async def install(client: Client, kinds: Iterable[type[Object]], presets: Iterable[Object]) -> None:
    """Create what is missing and bring what is ours up to date."""
    for kind in kinds:
        await _follow(client, _CRDS, crd_for(kind))
    for thing in presets:
        resource = thing.resource
        collection = resource.path(thing.metadata.namespace)
        raw = to_raw(thing)
        if isinstance(thing, Service):
            await _follow(client, collection, raw)
        else:
            await _create(client, collection, raw)


async def _create(client: Client, collection: str, raw: Raw) -> bool:
    try:
        await client.create_raw(collection, raw)
    except errors.AlreadyExists:
        return False
    return True


async def _follow(client: Client, collection: str, raw: Raw) -> None:
    if not await _create(client, collection, raw):
        await _patch(client, f"{collection}/{raw['metadata']['name']}", raw, "spec")


async def _patch(client: Client, path: str, raw: Raw, field: str) -> None:
    if field in raw:
        body = msgspec.json.encode({field: raw[field]})
        await client.request("PATCH", path, body=body, headers=AS_MERGE_PATCH)
