"""Command line and environment to Settings. Standard library only: read before anything heavy.

Two dialects are understood at once, those of KServe's Python servers and of
tensorflow_model_server, because a pod's args come from ServingRuntimes written for these. Unknown
arguments are ignored, as upstream does.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stagezero.modelserver.errors import CannotStart

DEFAULT_PORT = 8080
ANY_HOST = "0.0.0.0"
DEFAULT_MAX_BODY_BYTES = 104857600  # --max_buffer_size of KServe 0.8
# sockaddr_un holds 108 bytes with the final zero; the kernel's own error does not say so.
_MAX_SOCKET_PATH_BYTES = 107


@dataclass(frozen=True)
class Settings:
    """One model server process, as its pod wants it."""

    runtime: str
    model_name: str
    model_dir: Path
    host: str = ANY_HOST
    port: int = DEFAULT_PORT
    unix_socket: Path | None = None  # instead of TCP, where pods share a network namespace
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    predict_timeout_s: float | None = None  # None: as long as the model takes
    intra_op_threads: int = 0  # 0: as many as the process may use cores
    inter_op_threads: int = 0
    termination_log: Path | None = None  # the reason of a failed start goes here, last line


def parse(argv: Sequence[str], env: Mapping[str, str]) -> Settings:
    """Read the arguments; `PORT` of the environment is used where no argument gives a port.

    Where pods share the machine's network, `STAGEZERO_LISTEN_HOST` keeps the server off the others.
    """
    args, _ = _parser().parse_known_args(list(argv))
    folder = args.model_dir or args.model_base_path
    if folder is None:
        raise CannotStart("one of the arguments --model_dir and --model_base_path is required")
    socket = Path(args.unix_socket) if args.unix_socket else None
    if socket is not None and len(str(socket).encode()) > _MAX_SOCKET_PATH_BYTES:
        raise CannotStart(
            f"--unix_socket {socket} is longer than {_MAX_SOCKET_PATH_BYTES} bytes,"
            " the longest path that a Unix socket can have: choose a shorter folder"
        )
    log = env.get("TERMINATION_LOG")
    return Settings(
        runtime=args.runtime,
        model_name=args.model_name,
        model_dir=_local_path(folder),
        host=args.host or env.get("STAGEZERO_LISTEN_HOST") or ANY_HOST,
        port=_port(args, env),
        unix_socket=socket,
        max_body_bytes=args.max_buffer_size,
        predict_timeout_s=_seconds(args.rest_api_timeout_in_ms),
        intra_op_threads=args.tensorflow_intra_op_parallelism,
        inter_op_threads=args.tensorflow_inter_op_parallelism,
        termination_log=Path(log) if log else None,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stagezero.modelserver", allow_abbrev=False, description=__doc__
    )
    parser.add_argument("--runtime", required=True, help="which framework serves the model")
    parser.add_argument("--model_name", default="model")
    parser.add_argument("--model_dir", help="folder with the model")
    parser.add_argument("--model_base_path", help="folder with numbered versions of the model")
    parser.add_argument("--http_port", help="port to listen on")
    parser.add_argument("--rest_api_port", help="the same, as tensorflow_model_server calls it")
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--unix_socket", help="listen on this path instead of a port")
    parser.add_argument("--max_buffer_size", type=int, default=DEFAULT_MAX_BODY_BYTES)
    parser.add_argument("--rest_api_timeout_in_ms", type=int, default=0)
    parser.add_argument("--tensorflow_intra_op_parallelism", type=int, default=0)
    parser.add_argument("--tensorflow_inter_op_parallelism", type=int, default=0)
    return parser


def _port(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    candidates = (
        ("--http_port", args.http_port),
        ("--rest_api_port", args.rest_api_port),
        ("the environment's PORT", env.get("PORT")),
    )
    for source, text in candidates:
        if text:
            if not text.isdigit() or not 0 <= int(text) <= 65535:
                raise CannotStart(f"{source} is {text!r}: expected a port from 0 to 65535")
            return int(text)
    return DEFAULT_PORT


def _seconds(milliseconds: int) -> float | None:
    return milliseconds / 1000 if milliseconds > 0 else None


def _local_path(folder: str) -> Path:
    return Path(folder.removeprefix("file://"))
