"""`apply`, `get`, `delete`, `logs`: for a machine without kubectl; the words are kubectl's."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.cli.connection import Connection, with_connection
from stagezero.cli.options import Namespace, State, kubeconfig_of
from stagezero.cli.output import complain, say, table
from stagezero.client.applying import Applier, NotAnObject
from stagezero.client.discovery import Served, UnknownKind

AS_TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}

Files = Annotated[
    list[str], typer.Option("--filename", "-f", help="A file, a folder, or - for standard input.")
]
Output = Annotated[str, typer.Option("--output", "-o", help="yaml, json, wide or name.")]


def documents(sources: list[str]) -> Iterator[tuple[str, Any]]:
    """Read every YAML or JSON document of files and folders, with the place it came from."""
    for source in sources:
        if source == "-":
            yield from _parse("standard input", sys.stdin.read())
            continue
        path = Path(source)
        files = (
            sorted(path.glob("*.y*ml")) + sorted(path.glob("*.json")) if path.is_dir() else [path]
        )
        for file in files:
            yield from _parse(str(file), file.read_text())


def _parse(place: str, text: str) -> Iterator[tuple[str, Any]]:
    try:
        for document in yaml.safe_load_all(text):
            if document is not None:
                yield place, document
    except yaml.YAMLError as error:
        raise NotAnObject(f"{place}: not YAML: {error}") from error


def apply(filename: Files, state: State = None, namespace: Namespace = "") -> None:
    """Create or change objects, as `kubectl apply -f` does.

    Example: stagezero apply -f mnist.yaml
    """

    async def work(connection: Connection) -> int:
        applier = Applier(connection.client, connection.discovery)
        failures = 0
        for place, document in documents(filename):
            try:
                served, name, did = await applier.apply(document, namespace or connection.namespace)
                say(f"{served.printed_name}/{name} {did.value}")
            except (errors.ApiError, NotAnObject, UnknownKind) as error:
                failures += 1
                complain(f"{place}: {error}")
        return failures

    if with_connection(kubeconfig_of(state), work):
        raise typer.Exit(1)


def get(
    kind: Annotated[str, typer.Argument(help="isvc, ksvc, route, pods, deploy, …")],
    name: Annotated[str, typer.Argument(help="One object; all if left out.")] = "",
    state: State = None,
    namespace: Namespace = "",
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Of every namespace.")
    ] = False,
    output: Output = "",
) -> None:
    """Show objects as a table, or as yaml or json.

    Example: stagezero get isvc -o yaml
    """

    async def work(connection: Connection) -> None:
        served = await connection.discovery.called(kind)
        place = "" if everywhere else namespace or connection.namespace
        path = served.path(place, name)
        if output in ("yaml", "json", "name"):
            answer = await connection.client.request("GET", path)
            _print_objects(served, msgspec.json.decode(answer.body), output)
            return
        await _print_table(connection, path, place, everywhere, output == "wide")

    with_connection(kubeconfig_of(state), work)


def _print_objects(served: Served, answer: Raw, output: str) -> None:
    if output == "json":
        say(msgspec.json.format(msgspec.json.encode(answer), indent=4).decode())
    elif output == "yaml":
        say(yaml.safe_dump(answer, sort_keys=False, allow_unicode=True).rstrip())
    else:
        for item in answer.get("items", [answer]):
            say(f"{served.printed_name}/{item['metadata']['name']}")


async def _print_table(
    connection: Connection, path: str, place: str, everywhere: bool, is_wide: bool
) -> None:
    answer = await connection.client.request("GET", path, headers=AS_TABLE)
    shown: Raw = msgspec.json.decode(answer.body)
    if not shown["rows"]:
        say("No resources found" if not place else f"No resources found in {place} namespace.")
        return
    columns = shown["columnDefinitions"]
    chosen = [
        number for number, column in enumerate(columns) if is_wide or not column.get("priority")
    ]
    headers = [columns[number]["name"] for number in chosen]
    rows = [[_cell(row["cells"][number]) for number in chosen] for row in shown["rows"]]
    if everywhere:
        headers = ["Namespace", *headers]
        rows = [
            [row["object"]["metadata"].get("namespace", ""), *cells]
            for row, cells in zip(shown["rows"], rows, strict=True)
        ]
    table(headers, rows)


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def delete(
    target: Annotated[
        list[str] | None, typer.Argument(help="A kind and names, or nothing with -f.")
    ] = None,
    filename: Annotated[
        list[str] | None, typer.Option("--filename", "-f", help="Delete what a file describes.")
    ] = None,
    state: State = None,
    namespace: Namespace = "",
) -> None:
    """Delete objects and wait until they are gone.

    Example: stagezero delete isvc mnist
    """

    async def work(connection: Connection) -> None:
        place = namespace or connection.namespace
        async for served, name, where in _targets(connection, target or [], filename or [], place):
            path = served.path(where, name)
            await connection.client.request("DELETE", path, body=b"{}")
            say(f'{served.printed_name} "{name}" deleted')
            await _gone(connection, path)

    if not target and not filename:
        raise typer.BadParameter("name a kind and an object, or a file with -f")
    with_connection(kubeconfig_of(state), work)


async def _targets(
    connection: Connection, target: list[str], files: list[str], namespace: str
) -> AsyncIterator[tuple[Served, str, str]]:
    for _, document in documents(files):
        served = await connection.discovery.of_kind(document["apiVersion"], document["kind"])
        metadata = document["metadata"]
        yield served, metadata["name"], metadata.get("namespace") or namespace
    if target:
        served = await connection.discovery.called(target[0])
        for name in target[1:]:
            yield served, name, namespace


async def _gone(connection: Connection, path: str, limit_s: float = 120.0) -> None:
    collection, _, name = path.rpartition("/")
    query = {"fieldSelector": f"metadata.name={name}"}
    async with asyncio.timeout(limit_s):
        answer = await connection.client.request("GET", collection, query)
        listing: Raw = msgspec.json.decode(answer.body)
        if not listing["items"]:
            return
        since = listing["metadata"]["resourceVersion"]
        async with connection.client.watch_path(collection, since, query) as frames:
            async for frame in frames:
                if frame.type == "DELETED":
                    return


def logs(
    pod: Annotated[str, typer.Argument(help="The pod's name.")],
    container: Annotated[str, typer.Option("--container", "-c", help="Which container.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    tail: Annotated[int, typer.Option(help="Only so many last lines; -1: all.")] = -1,
    previous: Annotated[bool, typer.Option("--previous", "-p", help="Of the one before.")] = False,
    state: State = None,
    namespace: Namespace = "",
) -> None:
    """Print what a pod's program wrote.

    Example: stagezero logs -f mnist-predictor-default-00001-deployment-5d4b9c7f6-x2x4k
    """

    async def work(connection: Connection) -> None:
        query = {"container": container, "tailLines": str(tail) if tail >= 0 else ""}
        query |= {"follow": "true" if follow else "", "previous": "true" if previous else ""}
        place = namespace or connection.namespace
        path = f"/api/v1/namespaces/{place}/pods/{pod}/log"
        chosen = {key: value for key, value in query.items() if value}
        answer = await connection.client.request("GET", path, chosen)
        if answer.stream is None:
            _write(answer.body)
            return
        async for piece in answer.stream:
            _write(piece)

    with_connection(kubeconfig_of(state), work)


def _write(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
