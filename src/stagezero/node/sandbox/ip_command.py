"""The `ip` command of iproute2: several orders in one process, errors in its own words."""

import asyncio
import json
import shutil
from collections.abc import Sequence
from typing import Any

from stagezero.node.sandbox.runtime import RuntimeFailed


class NetworkFailed(RuntimeFailed):
    """The network of a pod or of the instance cannot be set up."""


def is_installed() -> bool:
    """Whether there is an `ip` command."""
    return shutil.which("ip") is not None


async def batch(orders: Sequence[str], namespace: str = "") -> None:
    """Carry out orders one after the other, within a named network namespace if given."""
    options = ["-n", namespace] if namespace else []
    code, _, errors = await _run([*options, "-batch", "-"], "\n".join(orders) + "\n")
    if code != 0:
        raise NetworkFailed(f"ip: {_reason(errors)} (orders: {'; '.join(orders)})")


async def query(*words: str) -> list[dict[str, Any]]:
    """Ask for JSON."""
    code, output, errors = await _run(["-j", *words])
    if code != 0:
        raise NetworkFailed(f"ip {' '.join(words)}: {_reason(errors)}")
    found = json.loads(output or "[]")
    return [entry for entry in found if isinstance(entry, dict)]


async def pids_in(namespace: str) -> list[int]:
    """The processes within a named network namespace."""
    code, output, _ = await _run(["netns", "pids", namespace])
    return [int(word) for word in output.split()] if code == 0 else []


def _reason(errors: str) -> str:
    lines = [line for line in errors.splitlines() if not line.startswith("Command failed")]
    return "; ".join(lines) or "failed without a word"


async def _run(arguments: Sequence[str], text: str = "") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        "ip",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(text.encode())
    return process.returncode or 0, output.decode(), errors.decode(errors="replace")
