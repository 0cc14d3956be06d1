"""The transport within one process: a request is a call, a watch hands over shared bytes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec

from stagezero.api import errors
from stagezero.kit.http import Handler, Request, Response, User, WatchFrame


class InProcess:
    """Calls the server's handler directly, as `user`."""

    def __init__(self, handler: Handler, user: User) -> None:
        self._handler = handler
        self._user = user

    async def send(self, request: Request) -> Response:
        """Call the handler."""
        return await self._handler(replace(request, user=self._user))

    @asynccontextmanager
    async def watch(self, request: Request) -> AsyncIterator[AsyncIterator[WatchFrame]]:
        """Open a watch and close its frames when the block ends."""
        response = await self._handler(replace(request, user=self._user))
        if response.events is None:
            raise errors.from_status(msgspec.json.decode(response.body or b"{}"), response.status)
        try:
            yield response.events
        finally:
            close = getattr(response.events, "aclose", None)
            if close is not None:
                await close()

    async def close(self) -> None:
        """Nothing is held open."""
