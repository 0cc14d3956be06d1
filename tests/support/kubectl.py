"""The real kubectl against a server of ours; its environment is a directory of the test."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

KUBECTL = shutil.which("kubectl")


@dataclass
class Ran:
    """What a run printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """The words of each line."""
        return [line.split() for line in self.out.splitlines()]


class Kubectl:
    """Runs kubectl with a kubeconfig; nothing outside of `home` is read or written."""

    def __init__(self, kubeconfig: Path, home: Path) -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
        }
        self.home = home

    async def run(self, *words: str, stdin: str = "", editor: str = "") -> Ran:
        """Run to the end, whatever it is."""
        process = await self.start(*words, editor=editor)
        async with asyncio.timeout(30):
            out, err = await process.communicate(stdin.encode())
        return Ran(process.returncode or 0, out.decode(), err.decode())

    async def start(self, *words: str, editor: str = "") -> asyncio.subprocess.Process:
        """Start, for what runs until it is stopped."""
        assert KUBECTL is not None
        environment = {**self._environment, **({"KUBE_EDITOR": editor} if editor else {})}
        return await asyncio.create_subprocess_exec(
            KUBECTL,
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            cwd=self.home,
        )

    async def __call__(self, *words: str, stdin: str = "", editor: str = "") -> str:
        """Run and return what it printed; a failure fails the test."""
        ran = await self.run(*words, stdin=stdin, editor=editor)
        assert ran.code == 0, f"kubectl {' '.join(words)}: {ran.err}{ran.out}"
        return ran.out
