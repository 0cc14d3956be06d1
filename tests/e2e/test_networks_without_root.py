"""The installation in the networks that need no root: the machine's own, and pasta's.

Whoever runs the suite runs these; as a user without root they are the user's only ones.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stagezero.node.sandbox.listening import family
from support.installation import Installation, installed
from support.sandboxes import NEEDS_PASTA

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NETWORKS = [
    pytest.param("host", marks=pytest.mark.xdist_group("network-host")),
    pytest.param("pasta", marks=[NEEDS_PASTA, pytest.mark.xdist_group("network-pasta")]),
]
PROGRAM = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())

port = int(sys.argv[2]) if sys.argv[2:] else int(os.environ["PORT"])
HTTPServer((os.environ.get("STAGEZERO_LISTEN_HOST", ""), port), Handler).serve_forever()
"""
ROWS = b'{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}'


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


FIXED = free_port()


def entry(name: str, *arguments: str) -> str:
    words = ", ".join(f'"{word}"' for word in ("{python}", "{source}", name, *arguments))
    return f'[[image]]\nnames = ["example/{name}"]\nentrypoint = [{words}]\nsource = "web.py"\n\n'


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two programs that listen where PORT says, and one that does not."""
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "web.py").write_text(PROGRAM)
    (folder / "web.toml").write_text(entry("one") + entry("two") + entry("fixed", str(FIXED)))
    return folder


@pytest.fixture(scope="module", params=NETWORKS)
def installation(
    request: pytest.FixtureRequest,
    bucket: Path,
    catalogue: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """An installation in one of the networks."""
    folder = tmp_path_factory.mktemp("i")
    with installed(
        folder,
        mirrors={"gs://kserve/": f"{bucket.as_uri()}/"},
        catalogues=(catalogue,),
        network=request.param,
    ) as made:
        yield made


def ksvc(name: str, port: int = 8080) -> str:
    return f"""
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {{name: {name}}}
spec:
  template:
    spec:
      containers:
      - image: example/{name}
        ports: [{{containerPort: {port}}}]
"""


def isvc(name: str) -> str:
    return f"""
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: {name}}}
spec:
  predictor:
    sklearn: {{storageUri: "gs://kserve/models/iris"}}
"""


def test_the_node_says_which_network_it_is(installation: Installation) -> None:
    annotations = installation.get("node", "stagezero", "")["metadata"]["annotations"]
    assert annotations["node.stagezero.dev/network"] == installation.network


def test_two_models_answer_at_once(installation: Installation) -> None:
    installation.apply(isvc("first") + "---" + isvc("second"))
    for name in ("first", "second"):
        installation.wait("isvc", name)
    for name in ("first", "second"):
        answer = installation.call(f"{name}.default.localhost", f"/v1/models/{name}:predict", ROWS)
        assert answer.json() == {"predictions": [1, 1]}


def test_two_programs_that_honour_port_answer_at_once(installation: Installation) -> None:
    installation.apply(ksvc("one") + "---" + ksvc("two"))
    for name in ("one", "two"):
        installation.wait("ksvc", name)
    answers = [installation.call(f"{name}.default.localhost").body for name in ("one", "two")]
    assert answers == [b"one", b"two"]


async def test_a_fixed_port_is_served_or_refused_with_the_reason(
    installation: Installation,
) -> None:
    installation.apply(ksvc("fixed", FIXED))
    if installation.network == "pasta":
        installation.wait("ksvc", "fixed")
        assert (await installation.request("fixed.default.localhost")).body == b"fixed"
        return
    words = f"listens on port {FIXED} instead of"
    async with asyncio.timeout(30):
        while words not in ready_message(installation, "fixed"):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


def ready_message(installation: Installation, name: str) -> str:
    found = installation.get("ksvc", name).get("status", {}).get("conditions", [])
    return next((str(c.get("message", "")) for c in found if c["type"] == "Ready"), "")


def test_nothing_listens_for_other_machines(installation: Installation) -> None:
    everyone = family(supervisor_pid(installation))
    assert not sockets_open_to_all() & {inode for pid in everyone for inode in sockets(pid)}


def sockets_open_to_all() -> set[str]:
    """The machine's sockets that listen on every address, by inode."""
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "0A" and not int(row[1].partition(":")[0], 16)}


def sockets(pid: int) -> set[str]:
    try:
        entries = list(Path(f"/proc/{pid}/fd").iterdir())
    except PermissionError:
        return set()  # pasta hides its own; it is told to listen on 127.0.0.1
    targets = [os.readlink(entry) for entry in entries if entry.is_symlink()]
    return {target[len("socket:[") : -1] for target in targets if target.startswith("socket:[")}


def supervisor_pid(installation: Installation) -> int:
    folder = str(installation.state / "node" / "supervisor")
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if folder in words:
            return int(name)
    raise AssertionError(f"nobody supervises {folder}")


def test_down_and_purge_leave_nothing(catalogue: Path, tmp_path: Path) -> None:
    installation = Installation(tmp_path / "s", catalogues=(catalogue,), network="host")
    installation.up()
    try:
        supervisor = supervisor_pid(installation)
        installation.apply(ksvc("one"))
        installation.wait("ksvc", "one")
        everyone = family(supervisor)
    finally:
        installation.down()
    assert len(everyone) > 2
    assert [pid for pid in everyone if runs(pid)] == []
    assert not installation.state.exists()


def runs(pid: int) -> bool:
    """Whether a process is there; one that has ended and was not waited for has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False
