"""What holds for every test."""

import asyncio


def pytest_configure() -> None:
    """Say that the main thread has no loop, or looptime makes one at a plain test and drops it."""
    asyncio.set_event_loop(None)
