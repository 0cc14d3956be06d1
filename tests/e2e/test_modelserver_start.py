"""How a model server fails to start: one clear line, exit code 1, the reason where it is kept."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.models import ModelServer, python_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

HERE = Path(sys.executable)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--runtime=onnx", "--model_dir=/m"], "unknown runtime 'onnx': expected one of"),
        (["--runtime=sklearn"], "one of the arguments --model_dir and --model_base_path"),
        (["--runtime=sklearn", "--model_dir=/m", "--http_port=x"], "--http_port is 'x'"),
        (
            ["--runtime=tensorflow", "--model_dir=/m"],
            "runtime tensorflow cannot be used in this environment: No module named 'tensorflow'",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    kept = tmp_path / "termination-log"
    with ModelServer(HERE, arguments, tmp_path, {"TERMINATION_LOG": str(kept)}) as server:
        assert server.wait_for_end() == 1
    assert reason in server.log.splitlines()[-1]
    assert reason in kept.read_text()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["--runtime=sklearn", f"--model_dir={model}", f"--http_port={port}"]
        with ModelServer(python_of("sklearn"), arguments, tmp_path) as server:
            assert server.wait_for_end() == 1
    assert f"cannot listen on 0.0.0.0:{port}: " in server.log.splitlines()[-1]


def test_nothing_heavy_is_imported_before_the_runtime_is_chosen() -> None:
    code = (
        "import sys; import stagezero.modelserver.main; "
        "print(sorted({'numpy', 'uvloop', 'httptools', 'msgspec'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
