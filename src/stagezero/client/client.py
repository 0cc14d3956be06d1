"""The typed client: classes of `api` in, objects of `api` out, refusals as `api.errors`.

Writers patch: a merge patch touches only the fields it names, so a struct that does not know every
field of an object never drops one.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, NamedTuple

import msgspec

from stagezero.api import errors
from stagezero.api.base import Key, Raw, T, decode, to_raw
from stagezero.client.transport import Transport
from stagezero.kit.http import JSON, Request, Response, WatchFrame

AS_MERGE_PATCH = {"content-type": "application/merge-patch+json"}


@dataclass(frozen=True)
class Listing(Generic[T]):
    """A list answer: the items' encoded bytes stay as they came until they are decoded."""

    items: list[T]
    version: str


class EncodedListing(NamedTuple):
    """A list answer as it came: encoded objects, and the collection's version."""

    items: tuple[bytes, ...]
    version: str


class _RawListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class _RawList(msgspec.Struct):
    items: list[msgspec.Raw] = []
    metadata: _RawListMeta = msgspec.field(default_factory=_RawListMeta)


class Client:
    """Reads and writes objects through a transport."""

    def __init__(self, transport: Transport, agent: str = "stagezero") -> None:
        self._transport = transport
        self._headers = {"user-agent": agent, "accept": JSON}

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        """Read one object; `errors.NotFound` if it is not there."""
        response = await self.request("GET", kind.resource.path(namespace, name))
        return decode(kind, response.body)

    async def list(
        self, kind: type[T], namespace: str = "", labels: str = "", fields: str = ""
    ) -> Listing[T]:
        """Read a collection, or what selectors leave of it."""
        found = await self.list_encoded(kind, namespace, labels, fields)
        return Listing([decode(kind, item) for item in found.items], found.version)

    async def list_encoded(
        self, kind: type[T], namespace: str = "", labels: str = "", fields: str = ""
    ) -> EncodedListing:
        """Read a collection as encoded objects and its version."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        query = {name: value for name, value in query.items() if value}
        response = await self.request("GET", kind.resource.path(namespace), query)
        listing = msgspec.json.decode(response.body, type=_RawList)
        items = tuple(bytes(item) for item in listing.items)
        return EncodedListing(items, listing.metadata.resource_version)

    async def create(self, thing: T) -> T:
        """Create an object; `errors.AlreadyExists` if there is one of its name."""
        path = thing.resource.path(thing.metadata.namespace)
        body = msgspec.json.encode(to_raw(thing))
        response = await self.request("POST", path, body=body)
        return decode(type(thing), response.body)

    async def patch(self, kind: type[T], key: Key, patch: Raw, subresource: str = "") -> T:
        """Merge-patch an object (RFC 7386); a resourceVersion in the patch is a precondition."""
        path = kind.resource.path(key.namespace, key.name, subresource)
        body = msgspec.json.encode(patch)
        response = await self.request("PATCH", path, body=body, headers=AS_MERGE_PATCH)
        return decode(kind, response.body)

    async def post(self, kind: type[T], key: Key, subresource: str, body: Raw) -> None:
        """Post to a subresource such as `binding`."""
        path = kind.resource.path(key.namespace, key.name, subresource)
        await self.request("POST", path, body=msgspec.json.encode(body))

    async def create_raw(self, path: str, body: Raw) -> None:
        """Create an object given as JSON at a collection's path."""
        await self.request("POST", path, body=msgspec.json.encode(body))

    async def patch_raw(self, path: str, patch: Raw) -> None:
        """Merge-patch the object at a path."""
        data = msgspec.json.encode(patch)
        await self.request("PATCH", path, body=data, headers=AS_MERGE_PATCH)

    async def delete(
        self, kind: type[T], key: Key, uid: str = "", grace_s: int | None = None
    ) -> None:
        """Delete an object (of that uid, if given); dependents follow in the background."""
        options: Raw = {"kind": "DeleteOptions", "apiVersion": "v1"}
        options["propagationPolicy"] = "Background"
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        path = kind.resource.path(key.namespace, key.name)
        await self.request("DELETE", path, body=msgspec.json.encode(options))

    @asynccontextmanager
    async def watch(
        self, kind: type[T], since: str, namespace: str = "", fields: str = ""
    ) -> AsyncIterator[AsyncIterator[WatchFrame]]:
        """Open a watch on a collection from version `since`; frames carry encoded objects."""
        query = {"allowWatchBookmarks": "true"}
        if fields:
            query["fieldSelector"] = fields
        async with self.watch_path(kind.resource.path(namespace), since, query) as frames:
            yield frames

    @asynccontextmanager
    async def watch_path(
        self, path: str, since: str, query: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[WatchFrame]]:
        """Open a watch on a collection by its path."""
        asked = {"watch": "true", "resourceVersion": since, **query}
        request = Request("GET", path, asked, self._headers)
        async with self._transport.watch(request) as frames:
            yield frames

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send any request; raises the `api.errors` error that a refusal names."""
        content = {"content-type": JSON} if body else {}
        headers = {**self._headers, **content, **(headers or {})}
        response = await self._transport.send(Request(method, path, query or {}, headers, body))
        if response.status >= 400:
            raise errors.from_status(_status_of(response), response.status)
        return response

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.close()


def _status_of(response: Response) -> Raw:
    try:
        status = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        return {"message": response.body.decode(errors="replace")[:500]}
    return status if isinstance(status, dict) else {}
