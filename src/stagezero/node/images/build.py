"""Builds one environment in place: interpreter, locked packages, model server, compiled files.

The folder is built where it will stay, because scripts carry their interpreter's path. Packages
come from pip, run from the platform's own installation with the user's configuration, or as hard
links from an environment that already has the same lock: a new model server then costs a second,
not a download. Nothing here decides whether an environment is complete; the caller does.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import venv
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from stagezero.node.images.errors import EnvironmentBuildFailed
from stagezero.node.images.image import Image
from stagezero.node.images.pip_output import after_line, failure_reason, pinned_packages
from stagezero.node.images.progress import BuildPhase, BuildProgress, ProgressCallback
from stagezero.node.images.wheel import DEPENDENCIES, ModelServerWheel

_PIP_OPTIONS = ("--no-input", "--no-color", "--disable-pip-version-check")
_REMEMBERED_LINES = 200
_TICK_S = 1.0
# They would send packages elsewhere, or change the output that is read.
_NOT_FOR_PIP = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_QUIET")
# Nobody imports the packages' own tests, which are up to half of their files.
_NOT_COMPILED = r"[/\\]tests?[/\\]"


@dataclass(frozen=True)
class BuildOrder:
    """What to build where; `twin` is the folder of an environment with the same packages."""

    image: Image
    folder: Path
    log: Path
    wheel: ModelServerWheel | None
    twin: Path | None = None

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.folder / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where the environment's packages are."""
        return site_packages(self.folder)


def site_packages(prefix: Path) -> Path:
    """Return the folder of an environment's packages."""
    return prefix / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


class Build:
    """One build under way; pip inherits `lock_descriptor`, for it must not outlive the lock."""

    def __init__(self, order: BuildOrder, lock_descriptor: int, tell: ProgressCallback) -> None:
        self._order = order
        self._lock_descriptor = lock_descriptor
        self._tell = tell
        self._started = asyncio.get_running_loop().time()
        self._progress = BuildProgress(BuildPhase.RESOLVING)

    async def run(self) -> None:
        """Build the environment; EnvironmentBuildFailed says why not."""
        ticking = asyncio.create_task(self._tick(), name="build progress")
        try:
            self._show(self._progress)
            await self._steps()
        except OSError as error:
            reason = f"{error.strerror or error} ({error.filename})"
            raise self._failed(reason) from error
        finally:
            ticking.cancel()
            await asyncio.wait([ticking])

    async def _steps(self) -> None:
        order = self._order
        await asyncio.to_thread(_make_interpreter, order.folder)
        changed: list[Path] = []
        if order.image.requirements is not None:
            linked = order.twin is not None and await self._link(order.twin)
            if not linked:
                await self._install(order.image.requirements)
                changed = [order.site_packages]
        if order.wheel is not None:
            self._require_dependencies()
            await asyncio.to_thread(order.wheel.install, order.site_packages)
            changed = changed or [order.site_packages / "stagezero"]
        if changed:
            await self._compile(changed)

    def _show(self, progress: BuildProgress) -> None:
        now = asyncio.get_running_loop().time()
        self._progress = replace(progress, elapsed_s=now - self._started)
        self._tell(self._progress)

    async def _tick(self) -> None:
        # pip says nothing while it unpacks, so the packages that have arrived are counted.
        while True:
            await asyncio.sleep(_TICK_S)
            progress = self._progress
            if progress.phase is BuildPhase.INSTALLING:
                done = await asyncio.to_thread(_count_installed, self._order.site_packages)
                progress = replace(progress, packages_done=min(done, progress.packages_total))
            self._show(progress)

    def _failed(self, reason: str) -> EnvironmentBuildFailed:
        if "No space left" in reason:
            reason = f"the disk of {self._order.folder.parent} is full; free space and try again"
        log = self._order.log if self._order.log.exists() else None
        return EnvironmentBuildFailed(self._order.image.names[0], reason, log)

    async def _install(self, lock: Path) -> None:
        text = await asyncio.to_thread(lock.read_text, encoding="utf-8")
        total = len(pinned_packages(text))
        self._show(replace(self._progress, packages_total=total))
        if (pip := _platform_pip(self._order.python)) is None:
            # Some installers leave pip out; Python's own copy goes into the environment then.
            await self._must_run([str(self._order.python), "-m", "ensurepip"])
            pip = [str(self._order.python), "-m", "pip", *_PIP_OPTIONS]
        options = ("--no-compile", "--no-user", "--no-warn-script-location", "--require-hashes")
        await self._must_run([*pip, "install", *_raw_progress(), *options, "-r", str(lock)])

    async def _must_run(self, command: Sequence[str]) -> None:
        code, lines = await self._run(command, _pip_variables(os.environ))
        if code != 0:
            raise self._failed(failure_reason(lines))

    async def _link(self, twin: Path) -> bool:
        self._show(replace(self._progress, phase=BuildPhase.INSTALLING))
        try:
            await asyncio.to_thread(_link_packages, twin, self._order.folder)
        except OSError:
            # The twin is being removed, or the disk knows no hard links: build without it.
            await asyncio.to_thread(shutil.rmtree, self._order.site_packages)
            self._order.site_packages.mkdir()
            return False
        return True

    def _require_dependencies(self) -> None:
        have = {_distribution(path) for path in self._order.site_packages.glob("*.dist-info")}
        missing = [name for name in DEPENDENCIES if name not in have]
        if missing:
            raise self._failed(
                f"its requirements lack {', '.join(missing)}, which the model server needs; "
                "add them and write the lock anew"
            )

    async def _compile(self, folders: Sequence[Path]) -> None:
        self._show(BuildProgress(BuildPhase.COMPILING))
        options = ("-qq", "-j", "0", "-x", _NOT_COMPILED)
        # Templates of other Python versions do not compile; that is their packages' affair.
        await self._run(
            [str(self._order.python), "-m", "compileall", *options, *map(str, folders)],
            dict(os.environ),
        )

    async def _run(
        self, command: Sequence[str], env: Mapping[str, str]
    ) -> tuple[int, Sequence[str]]:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
            pass_fds=(self._lock_descriptor,),
            limit=1 << 20,
        )
        try:
            lines = await self._read(process)
            return await process.wait(), lines
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise

    async def _read(self, process: Process) -> Sequence[str]:
        assert process.stdout is not None
        last: deque[str] = deque(maxlen=_REMEMBERED_LINES)
        with self._order.log.open("a", encoding="utf-8") as log:
            async for raw in process.stdout:
                line = raw.decode(errors="replace").rstrip("\n")
                last.append(line)
                if not line.startswith("Progress "):
                    log.write(f"{line}\n")
                progress = after_line(self._progress, line)
                if progress is not self._progress:
                    self._show(progress)
        return list(last)


def _make_interpreter(folder: Path) -> None:
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    # Its own configuration file is the one place where pip would not find the user's settings.
    config = Path(sys.prefix) / "pip.conf"
    if config.exists():
        (folder / "pip.conf").symlink_to(config)


def _platform_pip(python: Path) -> list[str] | None:
    if not _pip_version():
        return None
    return [sys.executable, "-m", "pip", "--python", str(python), *_PIP_OPTIONS]


def _raw_progress() -> list[str]:
    """Options of `pip install` for a progress that programs can read; pip 24.1 has them."""
    return ["--progress-bar", "raw"] if _pip_version() >= [24, 1] else []


def _pip_version() -> list[int]:
    """The platform's pip, major and minor; empty where there is none."""
    try:
        found = re.findall(r"\d+", metadata.version("pip"))
    except metadata.PackageNotFoundError:
        return []
    return [int(part) for part in found[:2]]


def _pip_variables(env: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in env.items() if name not in _NOT_FOR_PIP}
    return kept | {"PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8"}


def _link_packages(twin: Path, folder: Path) -> None:
    def not_ours(directory: str, names: list[str]) -> list[str]:
        top = Path(directory) == site_packages(twin)
        return [name for name in names if top and name.startswith("stagezero")]

    shutil.copytree(
        site_packages(twin),
        site_packages(folder),
        symlinks=True,
        ignore=not_ours,
        copy_function=os.link,
        dirs_exist_ok=True,
    )
    for script in (twin / "bin").iterdir():
        target = folder / "bin" / script.name
        if not os.path.lexists(target):
            text = script.read_bytes().replace(os.fsencode(twin), os.fsencode(folder))
            target.write_bytes(text)
            target.chmod(script.stat().st_mode)


def _count_installed(folder: Path) -> int:
    return sum(1 for _ in folder.glob("*.dist-info/RECORD"))


def _distribution(path: Path) -> str:
    return re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower()
