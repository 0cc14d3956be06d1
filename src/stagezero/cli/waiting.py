"""Waits for a condition by a watch, and tells the events of everything that belongs to it."""

import asyncio
import contextlib

import msgspec

from stagezero.api.base import Raw
from stagezero.cli.connection import Connection
from stagezero.cli.output import err
from stagezero.client.discovery import Served


async def wait_for(
    connection: Connection, served: Served, place: tuple[str, str], condition: str
) -> None:
    """Return when the condition is True of the object's present generation."""
    teller = asyncio.create_task(_tell_events(connection, place), name="events")
    try:
        await until_holds(connection, served, place, condition)
    finally:
        teller.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await teller


async def until_holds(
    connection: Connection, served: Served, place: tuple[str, str], condition: str
) -> None:
    """Return when the condition is True, by a list and a watch from there."""
    namespace, name = place
    path, query = served.path(namespace), {"fieldSelector": f"metadata.name={name}"}
    answer = await connection.client.request("GET", path, query)
    listing: Raw = msgspec.json.decode(answer.body)
    if any(_holds(item, condition) for item in listing["items"]):
        return
    since = listing["metadata"]["resourceVersion"]
    async with connection.client.watch_path(path, since, query) as frames:
        async for frame in frames:
            if frame.type in ("ADDED", "MODIFIED"):
                thing: Raw = msgspec.json.decode(frame.object)
                if _holds(thing, condition):
                    return


def _holds(thing: Raw, condition: str) -> bool:
    status = thing.get("status") or {}
    is_current = status.get("observedGeneration", 0) >= thing["metadata"].get("generation", 0)
    return is_current and any(
        found["type"] == condition and found["status"] == "True"
        for found in status.get("conditions") or []
    )


async def _tell_events(connection: Connection, place: tuple[str, str]) -> None:
    """Print the events of the namespace about objects whose names begin with the object's."""
    namespace, name = place
    path = f"/api/v1/namespaces/{namespace}/events"
    answer = await connection.client.request("GET", path)
    since = msgspec.json.decode(answer.body)["metadata"]["resourceVersion"]
    async with connection.client.watch_path(path, since, {}) as frames:
        async for frame in frames:
            event: Raw = msgspec.json.decode(frame.object)
            about = event.get("involvedObject") or {}
            if frame.type == "DELETED" or not str(about.get("name", "")).startswith(name):
                continue
            words = f"  {about.get('kind', ''):<14} {event['reason']:<24} {event['message']}"
            err.print(words, markup=False, style="dim")
