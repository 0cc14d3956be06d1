"""The command line: commands are functions of their own modules, put together here."""

import sys
from typing import Annotated

import typer

from stagezero import __version__
from stagezero.api.errors import ApiError
from stagezero.cli import environments, lifecycle, objects, predict
from stagezero.cli.output import complain, say
from stagezero.cli.predict import NotServed
from stagezero.client.applying import NotAnObject
from stagezero.client.discovery import UnknownKind
from stagezero.client.kubeconfig import KubeconfigError
from stagezero.node.images.errors import ImageError
from stagezero.node.supervisor.launch import SupervisorFailed

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "KServe, Knative Serving and Istio's gateway on this machine. "
        "Start with `stagezero up`, then use kubectl or the commands below."
    ),
)
app.command()(lifecycle.up)
app.command()(lifecycle.down)
app.command()(lifecycle.status)
app.command()(lifecycle.wait)
app.command()(objects.apply)
app.command()(objects.get)
app.command()(objects.delete)
app.command()(objects.logs)
app.command()(predict.predict)
app.add_typer(environments.app, name="env")

_EXPECTED = (
    ApiError, NotServed, NotAnObject, UnknownKind, KubeconfigError, ImageError,
    lifecycle.NotStarted, SupervisorFailed, FileNotFoundError, PermissionError, TimeoutError,
)  # fmt: skip


def _version(wanted: bool) -> None:
    if wanted:
        say(f"stagezero {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Say nothing: the options above act by themselves."""


def main() -> None:
    """Run a command; an expected failure is one line, not a traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except _EXPECTED as error:
        complain(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
