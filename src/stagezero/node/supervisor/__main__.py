"""`python -m stagezero.node.supervisor --dir STATE [--detach]`: one supervisor for one directory.

With `--detach` the command returns 0 when the supervisor listens, 3 when another one already does.
The directory holds `lock`, `socket`, `journal`, `output` and `root` (an empty mount point).
"""

import fcntl
import os
import signal
import socket
import sys

from stagezero.node.supervisor import linux
from stagezero.node.supervisor.journal import Journal
from stagezero.node.supervisor.loop import Loop
from stagezero.node.supervisor.processes import Processes
from stagezero.node.supervisor.server import Server

SIGTERM_GRACE_S = 10.0
EXIT_ALREADY_RUNS = 3


def main(arguments: list[str]) -> int:
    """Run until told to shut down."""
    if len(arguments) < 2 or arguments[0] != "--dir" or arguments[2:] not in ([], ["--detach"]):
        print("usage: python -m stagezero.node.supervisor --dir STATE [--detach]", file=sys.stderr)  # noqa: T201
        return 2
    folder = os.path.abspath(arguments[1])
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.makedirs(os.path.join(folder, "root"), mode=0o700, exist_ok=True)
    if not _lock(folder):
        print(f"another supervisor already runs for {folder}", file=sys.stderr)  # noqa: T201
        return EXIT_ALREADY_RUNS
    listener = _listen(folder)
    if arguments[2:]:
        _detach(folder)
        listener.listen(64)  # the kernel tells whoever connects our pid, not our parent's
    _serve(folder, listener)
    return 0


def _lock(folder: str) -> bool:
    """Take the lock for as long as this process (or the one it becomes) lives."""
    descriptor = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _listen(folder: str) -> socket.socket:
    """Bind through the directory's descriptor, for a socket's path may not exceed 107 bytes."""
    path = os.path.join(folder, "socket")
    if os.path.lexists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    mask = os.umask(0o177)
    listener.bind(f"/proc/self/fd/{directory}/socket")
    os.umask(mask)
    os.close(directory)
    listener.listen(64)
    listener.setblocking(False)
    return listener


def _detach(folder: str) -> None:
    """Go on in the background, without a terminal; the caller sees us listen when it returns."""
    if os.fork():
        os._exit(0)
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDONLY)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    output = os.open(os.path.join(folder, "output"), flags, 0o640)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)
    os.chdir("/")


def _serve(folder: str, listener: socket.socket) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    linux.become_subreaper()
    loop = Loop()
    processes = Processes(
        loop, Journal(os.path.join(folder, "journal")), os.path.join(folder, "root")
    )
    processes.recover()
    server = Server(loop, processes, listener)
    loop.on_signal(signal.SIGTERM, lambda: server.shut_down(SIGTERM_GRACE_S))
    loop.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
