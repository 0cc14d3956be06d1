"""Apply as kubectl does from the client: create, or a three-way merge with what was applied last.

The last applied object travels in kubectl's own annotation, so both tools may take turns.
"""

from copy import deepcopy
from enum import Enum
from typing import Any

import msgspec

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.client.client import AS_MERGE_PATCH, Client
from stagezero.client.discovery import Discovery, Served

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Applied(Enum):
    """What an apply did, in kubectl's words."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


class NotAnObject(Exception):
    """A document that is no object of the API; says what is missing."""


def three_way(last: Raw, live: Raw, wanted: Raw) -> Raw:
    """The merge patch that gives `live` all that `wanted` says, less what only `last` said."""
    patch: Raw = {name: None for name in last.keys() - wanted.keys() if name in live}
    for name, value in wanted.items():
        old = live.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            before = last.get(name)
            nested = three_way(before if isinstance(before, dict) else {}, old, value)
            if nested:
                patch[name] = nested
        elif name not in live or old != value:
            patch[name] = value
    return patch


class Applier:
    """Applies documents to the server."""

    def __init__(self, client: Client, discovery: Discovery) -> None:
        self._client = client
        self._discovery = discovery

    async def apply(self, document: Any, namespace: str) -> tuple[Served, str, Applied]:
        """Apply one document; returns its resource, its name, and what happened."""
        thing = _checked(document)
        served = await self._discovery.of_kind(thing["apiVersion"], thing["kind"])
        metadata = thing["metadata"]
        place = metadata.get("namespace") or namespace
        if served.is_namespaced:
            metadata["namespace"] = place
        wanted = _with_last_applied(thing)
        path = served.path(place, metadata["name"])
        query = {"fieldManager": "stagezero", "fieldValidation": "Strict"}
        try:
            live = msgspec.json.decode((await self._client.request("GET", path)).body)
        except errors.NotFound:
            body = msgspec.json.encode(wanted)
            await self._client.request("POST", served.path(place), query, body=body)
            return served, metadata["name"], Applied.CREATED
        patch = three_way(_last_applied(live), live, wanted)
        if not patch:
            return served, metadata["name"], Applied.UNCHANGED
        body = msgspec.json.encode(patch)
        await self._client.request("PATCH", path, query, body=body, headers=AS_MERGE_PATCH)
        return served, metadata["name"], Applied.CONFIGURED


def _checked(document: Any) -> Raw:
    if not isinstance(document, dict):
        raise NotAnObject("a document must be a map with apiVersion, kind and metadata")
    for name in ("apiVersion", "kind"):
        if not isinstance(document.get(name), str):
            raise NotAnObject(f"a document has no {name}")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise NotAnObject(f"{document['kind']} has no metadata.name")
    return deepcopy(document)


def _with_last_applied(thing: Raw) -> Raw:
    wanted = deepcopy(thing)
    annotations = wanted["metadata"].setdefault("annotations", {})
    annotations.pop(LAST_APPLIED, None)
    annotations[LAST_APPLIED] = msgspec.json.encode(thing, order="sorted").decode() + "\n"
    return wanted


def _last_applied(live: Raw) -> Raw:
    text = (live.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED, "{}")
    try:
        last = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return last if isinstance(last, dict) else {}
