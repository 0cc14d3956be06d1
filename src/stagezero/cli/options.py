"""Options that many commands share, and the folder where everything of an installation lies."""

import os
from pathlib import Path
from typing import Annotated

import typer

State = Annotated[
    Path | None,
    typer.Option("--state", envvar="STAGEZERO_STATE", help="The installation's folder."),
]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", help="The namespace; the kubeconfig's if left out.")
]

Catalogues = Annotated[
    list[Path] | None,
    typer.Option(
        "--catalogue",
        exists=True,
        file_okay=False,
        help="A folder with image entries of your own.",
    ),
]


def state_of(state: Path | None) -> Path:
    """The folder of an installation: as asked, else below XDG_STATE_HOME."""
    if state is not None:
        return state.absolute()
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "stagezero"


def kubeconfig_of(state: Path | None) -> Path:
    """The kubeconfig that `up` writes."""
    return state_of(state) / "kubeconfig"
