"""How a client reaches the API: a seam of two methods, over TLS or within the process."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from stagezero.kit.http import Handler, Request, Response, User, WatchFrame


class Transport(Protocol):
    """Carries requests to an API server; refusals come back as responses, not as errors."""

    async def send(self, request: Request) -> Response:
        """Carry one request; `api.errors.Unavailable` if the server cannot be reached."""
        ...

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[WatchFrame]]:
        """Open a watch; a refusal raises the `api.errors` error that its Status names."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


__all__ = ["Handler", "Request", "Response", "Transport", "User", "WatchFrame"]
