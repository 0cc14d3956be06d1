"""`env`: the environments that stand for images: list, build, locate, prune."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from stagezero.cli.options import Catalogues, State, state_of
from stagezero.cli.output import err, is_terminal, say, table
from stagezero.compose import lifecycle
from stagezero.compose.settings import Settings
from stagezero.node.images.catalogue import Catalogue
from stagezero.node.images.environments import EnvironmentInfo, Environments
from stagezero.node.images.progress import BuildProgress

app = typer.Typer(help="Environments: what an image is on this machine.", no_args_is_help=True)

ImageName = Annotated[str, typer.Argument(help="An image's name, such as kserve/sklearnserver.")]


def _environments() -> Environments:
    return Environments(Settings(state=state_of(None)).env_root)


@app.command("ls")
def list_environments() -> None:
    """List environments: which images they are for, their size, and when they were used last."""
    infos = _environments().infos()
    if not infos:
        say("No environments yet: the first pod that needs one builds it.")
        return
    table(["Digest", "Images", "Size", "Last used", "Complete"], [_row(info) for info in infos])


def _row(info: EnvironmentInfo) -> list[str]:
    used = info.last_used.strftime("%Y-%m-%d %H:%M") if info.last_used else "never"
    size = f"{info.size_bytes / 1e6:.0f} MB"
    return [info.digest, ", ".join(info.images), size, used, str(info.complete)]


@app.command("build")
def build(image: ImageName, catalogue: Catalogues = None, state: State = None) -> None:
    """Build the environment of an image now, instead of when its first pod starts.

    It knows the images of `--catalogue` and those of the installation that runs.

    Example: stagezero env build --catalogue ~/my-images example.com/hello
    """
    folders = known_folders(Settings(state=state_of(state)), catalogue or [])
    environment = asyncio.run(_build(_environments(), Catalogue(folders), image))
    say(environment)


def known_folders(settings: Settings, named: Sequence[Path]) -> tuple[Path, ...]:
    """The folders of images: those that the running installation has, then those `named` now."""
    plane = lifecycle.running(settings)
    of_plane = plane.catalogues if plane is not None else ()
    return (*of_plane, *(path.absolute() for path in named))


async def _build(environments: Environments, catalogue: Catalogue, name: str) -> str:
    image = catalogue.resolve(name)
    try:
        if not is_terminal():
            ready = await environments.ensure(image, _Lines(name).show)
            return str(ready.python)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=err) as bar:
            task = bar.add_task(f"environment of {name}", total=None)

            def show(moment: BuildProgress) -> None:
                bar.update(
                    task,
                    description=f"environment of {name}: {moment}",
                    total=moment.packages_total or None,
                    completed=moment.packages_done,
                )

            ready = await environments.ensure(image, show)
            return str(ready.python)
    finally:
        await environments.close()


class _Lines:
    """Progress for pipes: a line when the phase changes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._phase = ""

    def show(self, moment: BuildProgress) -> None:
        """Print the moment if it begins a phase."""
        if moment.phase.value != self._phase:
            self._phase = moment.phase.value
            err.print(f"environment of {self._name}: {moment}", markup=False)


@app.command("prune")
def prune() -> None:
    """Remove every environment that no process uses."""
    removed = _environments().prune()
    size = sum(info.size_bytes for info in removed)
    say(f"removed {len(removed)} environments, {size / 1e6:.0f} MB")
