"""Starts the supervisor of a directory, detached from whoever starts it; harmless if it runs."""

import asyncio
import os
import sys
from pathlib import Path

from stagezero.node.supervisor.__main__ import EXIT_ALREADY_RUNS

START_LIMIT_S = 20.0


class SupervisorFailed(Exception):
    """The supervisor cannot be started or spoken to."""


async def launch(folder: Path) -> bool:
    """Start the supervisor of `folder`; False if one already runs. It listens when this returns."""
    script = Path(__file__).with_name("script.py")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(script), "--dir", str(folder), "--detach"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(START_LIMIT_S):
            _, errors = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise SupervisorFailed(
            f"the supervisor for {folder} did not start within {START_LIMIT_S:.0f} s"
        ) from error
    if process.returncode == EXIT_ALREADY_RUNS:
        return False
    if process.returncode != 0:
        raise SupervisorFailed(
            f"the supervisor for {folder} ended with code {process.returncode}: "
            f"{errors.decode(errors='replace').strip()[-2000:]}"
        )
    return True
