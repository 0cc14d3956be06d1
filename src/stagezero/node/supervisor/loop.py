"""The event loop: file descriptors, signals and timers in one thread, nothing else.

Handlers run to their end and never block; asyncio would cost three times the memory.
"""

import heapq
import itertools
import os
import selectors
import signal
import time
from collections.abc import Callable

Handler = Callable[[], None]


class Timer:
    """A call to come; `cancel` makes it not come."""

    def __init__(self, handler: Handler) -> None:
        self.handler: Handler | None = handler

    def cancel(self) -> None:
        """Forget the call."""
        self.handler = None


class Loop:
    """Calls handlers when descriptors are ready, signals arrive or time has passed."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._signals: dict[int, Handler] = {}
        self._is_running = False
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self.on_readable(self._wake_read, self._read_signals)

    def on_readable(self, descriptor: int, handler: Handler) -> None:
        """Call `handler` whenever `descriptor` can be read."""
        self._selector.register(descriptor, selectors.EVENT_READ, {selectors.EVENT_READ: handler})

    def on_writable(self, descriptor: int, handler: Handler | None) -> None:
        """Call `handler` too whenever a registered `descriptor` can be written; None: no more."""
        handlers = dict(self._selector.get_key(descriptor).data)
        handlers.pop(selectors.EVENT_WRITE, None)
        if handler is not None:
            handlers[selectors.EVENT_WRITE] = handler
        self._selector.modify(descriptor, sum(handlers), handlers)

    def drop(self, descriptor: int) -> None:
        """Call nothing for `descriptor` any more."""
        self._selector.unregister(descriptor)

    def on_signal(self, number: int, handler: Handler) -> None:
        """Call `handler` in the loop when the signal arrives."""
        self._signals[number] = handler
        signal.signal(number, lambda *_: None)  # the wake-up pipe carries the number

    def after(self, delay_s: float, handler: Handler) -> Timer:
        """Call `handler` once, after a delay."""
        timer = Timer(handler)
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._order), timer))
        return timer

    def run(self) -> None:
        """Run until `stop`."""
        self._is_running = True
        while self._is_running:
            for key, ready in self._selector.select(self._patience()):
                for event, handler in tuple(key.data.items()):
                    # An earlier handler of this turn may have closed the descriptor.
                    if ready & event and self._selector.get_map().get(key.fd) is not None:
                        handler()
            self._run_timers()

    def stop(self) -> None:
        """End `run` after this turn."""
        self._is_running = False

    def _patience(self) -> float | None:
        while self._timers and self._timers[0][2].handler is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.handler is not None:
                timer.handler()

    def _read_signals(self) -> None:
        for number in sorted(set(os.read(self._wake_read, 4096))):
            handler = self._signals.get(number)
            if handler is not None:
                handler()
