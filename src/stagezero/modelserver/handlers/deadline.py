"""An exchange that answers for itself when the model takes too long.

The prediction cannot be stopped, only left to itself; one that has not begun is not begun.
"""

import asyncio

from stagezero.modelserver.transports.messages import Exchange, Response


class DeadlineExchange:
    """Wraps an exchange; `late` is sent if nothing else was within `timeout_s`."""

    def __init__(self, exchange: Exchange, timeout_s: float, late: Response) -> None:
        self._exchange = exchange
        self._late = late
        self._is_late = False
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._give_up)

    @property
    def is_abandoned(self) -> bool:
        """True when the client has gone or has been told that it took too long."""
        return self._is_late or self._exchange.is_abandoned

    def respond(self, response: Response) -> None:
        """Send the answer, unless it comes too late."""
        self._timer.cancel()
        if not self._is_late:
            self._exchange.respond(response)

    def _give_up(self) -> None:
        self._is_late = True
        if not self._exchange.is_abandoned:
            self._exchange.respond(self._late)
