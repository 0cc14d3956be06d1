"""`up`, `down`, `status`, `wait`: the life of an installation."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from stagezero.cli.connection import Connection, with_connection
from stagezero.cli.options import Catalogues, Namespace, State, kubeconfig_of, state_of
from stagezero.cli.output import err, say, table
from stagezero.cli.waiting import wait_for
from stagezero.compose import lifecycle
from stagezero.compose.ports import Ports
from stagezero.compose.settings import Settings, to_json
from stagezero.node.sandbox.runtime import Isolation

START_LIMIT_S = 60.0

Mirrors = Annotated[
    list[str] | None,
    typer.Option(
        "--mirror", help="PREFIX=URL: what stands in for a place, gs://kserve/=file:///models/"
    ),
]


class NotStarted(Exception):
    """The installation did not come up; says why and where more is written."""


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Come back when it is ready.")
    ] = False,
    mirror: Mirrors = None,
    catalogue: Catalogues = None,
    http_port: Annotated[
        int | None, typer.Option(help="The gateway's port; 80, else 8080, else any.")
    ] = None,
    https_port: Annotated[int | None, typer.Option(help="443, else 8443, else any.")] = None,
    api_port: Annotated[int, typer.Option(help="The API server's port; 6443, else any.")] = 0,
    network: Annotated[
        Isolation | None,
        typer.Option(help="How pods are kept apart; the best that works here if left out."),
    ] = None,
    state: State = None,
) -> None:
    """Start the API server, the gateway and the controllers.

    Example: stagezero up --detach --mirror gs://kserve/=file:///srv/models/
    """
    settings = Settings(
        state=state_of(state),
        mirrors=_mirrors(mirror or []),
        catalogues=tuple(path.absolute() for path in catalogue or []),
        http_port=http_port,
        https_port=https_port,
        api_port=api_port,
        network=network,
    )
    plane = lifecycle.running(settings)
    if plane is not None:
        raise NotStarted(
            f"it runs already (pid {plane.pid}) in {settings.state}; `stagezero status` shows it, "
            "`stagezero down` stops it"
        )
    if detach:
        _start_detached(settings)
    else:
        started = time.monotonic()

        def ready(ports: Ports) -> None:
            _announce(settings, ports, time.monotonic() - started)

        # The whole system: other commands shall not wait for its import.
        from stagezero.compose import daemon

        try:
            asyncio.run(daemon.run(settings, ready))
        except daemon.FAILURES as error:
            raise NotStarted(str(error)) from error


def _mirrors(texts: list[str]) -> dict[str, str]:
    mirrors = {}
    for text in texts:
        prefix, equals, place = text.partition("=")
        if not equals or not prefix or not place:
            raise typer.BadParameter(f"{text!r} is not PREFIX=URL", param_hint="--mirror")
        mirrors[prefix] = place
    return mirrors


def _start_detached(settings: Settings) -> None:
    started = time.monotonic()
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    read, write = os.pipe()
    with settings.log.open("ab") as log, os.fdopen(read) as news:
        process = subprocess.Popen(
            [sys.executable, "-m", "stagezero.compose", to_json(settings)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(write,),
            env={**os.environ, "STAGEZERO_READY_FD": str(write)},
            cwd="/",
        )
        os.close(write)
        words = news.read().strip()
    if words != "ready":
        process.wait(timeout=START_LIMIT_S)
        why = words or _last_words(settings.log)
        raise NotStarted(f"{why} (all of it is in {settings.log})")
    plane = lifecycle.running(settings)
    if plane is not None:
        _announce(settings, plane.ports, time.monotonic() - started)


def _last_words(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    if not lines:
        return "it ended without a word"
    return lines[-1]


def _announce(settings: Settings, ports: Ports, took_s: float) -> None:
    http = "" if ports.http == 80 else f":{ports.http}"
    say(f"ready in {took_s:.1f} s")
    say(f"  API server  https://{settings.host}:{ports.api}")
    say(f"  gateway     http://{settings.host}{http}  (hosts NAME.NAMESPACE.localhost)")
    say(f"  kubectl     export KUBECONFIG={settings.kubeconfig}")


def down(
    purge: Annotated[bool, typer.Option("--purge", help="Remove all it wrote, too.")] = False,
    state: State = None,
) -> None:
    """Stop everything: control plane, gateway and pods.

    Example: stagezero down --purge
    """
    settings = Settings(state=state_of(state))
    ended = asyncio.run(lifecycle.stop_all(settings))
    for what in ended:
        say(f"stopped: {what}")
    if not ended:
        say(f"nothing runs in {settings.state}")
    if purge:
        lifecycle.purge(settings)
        say(f"removed: {settings.state}")


def status(state: State = None) -> None:
    """Show each part, its address, and how it is."""
    settings = Settings(state=state_of(state))
    found = asyncio.run(lifecycle.parts(settings))
    rows = [[part.name, part.health, part.address, part.detail] for part in found]
    table(["Part", "Health", "Address", "Detail"], rows)
    if any(part.health != "healthy" for part in found):
        raise typer.Exit(1)


def wait(
    kind: Annotated[str, typer.Argument(help="isvc, ksvc, deploy, …")],
    name: Annotated[str, typer.Argument(help="The object's name.")],
    condition: Annotated[str, typer.Option("--for", help="The condition to wait for.")] = "Ready",
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait.")] = 300.0,
    state: State = None,
    namespace: Namespace = "",
) -> None:
    """Wait until a condition of an object is True, and tell what is going on meanwhile.

    Example: stagezero wait isvc mnist
    """

    async def work(connection: Connection) -> None:
        place = namespace or connection.namespace
        served = await connection.discovery.called(kind)
        try:
            async with asyncio.timeout(timeout_s):
                await wait_for(connection, served, (place, name), condition)
        except TimeoutError as error:
            thing = f"{served.printed_name}/{name}"
            raise TimeoutError(
                f"{thing} was not {condition} within {timeout_s:g} s; "
                f"`stagezero get {kind} {name} -o yaml` shows what it says"
            ) from error
        err.print(f"{served.printed_name}/{name}: {condition}", markup=False)

    with_connection(kubeconfig_of(state), work)
