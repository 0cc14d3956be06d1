"""What a forked child does between fork and execution: namespaces, tree, limits, a clean slate.

The child waits for the parent's word first: the parent writes the journal meanwhile, so a child
that runs is a child that is known. What goes wrong is reported through a pipe that closes itself
when the program is executed.
"""

import contextlib
import fcntl
import os
import resource
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from stagezero.node.supervisor import linux, tree
from stagezero.node.supervisor.spec import Spec

ERROR_LIMIT_BYTES = 4096
NOT_STARTED = 127

# Where the pipes lie in the child, so that everything above can be closed in one go.
_ERRORS, _GO = 3, 4

# What a container may keep of root's powers; the numbers are those of capabilities(7).
_KEPT_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31})
_ALL_CAPABILITIES = range(41)


class Pipes:
    """Two pipes between parent and child: `go` releases the child, `error` tells its failure."""

    def __init__(self) -> None:
        self.go_read, self.go_write = os.pipe2(os.O_CLOEXEC)
        self.error_read, self.error_write = os.pipe2(os.O_CLOEXEC)

    def keep_parents(self) -> None:
        """Close the child's ends."""
        os.close(self.go_read)
        os.close(self.error_write)

    def close(self) -> None:
        """Close everything: there is no child."""
        for descriptor in (self.go_read, self.go_write, self.error_read, self.error_write):
            os.close(descriptor)

    def release(self) -> None:
        """Let the child run."""
        with contextlib.suppress(BrokenPipeError):  # killed already; it is reaped like any other
            os.write(self.go_write, b"g")
        os.close(self.go_write)


def run(spec: Spec, pipes: Pipes, output: int, workplace: str) -> NoReturn:
    """Become the program of `spec`; never returns, and never raises into the parent's code."""
    become(pipes, output, lambda: _prepare(spec, workplace), spec.argv, spec.env)


def become(
    pipes: Pipes,
    output: int,
    prepare: Callable[[], None],
    argv: Sequence[str],
    env: Mapping[str, str],
) -> NoReturn:
    """Wait for the parent's word, `prepare`, execute `argv`; report what fails, never return."""
    try:
        _settle(pipes, output)
        if os.read(_GO, 1) != b"g":
            os._exit(NOT_STARTED)  # the parent died before it had written us down
        os.close(_GO)
        prepare()
        program = _found(argv[0], env)
        os.execve(program, list(argv), dict(env))
    except OSError as error:
        about = error.filename if isinstance(error.filename, str) else argv[0]
        _report(f"{about}: {error.strerror}")
    except BaseException as error:  # noqa: BLE001 - a forked copy of the supervisor must not go on
        _report(f"{type(error).__name__}: {error}")
    finally:
        os._exit(NOT_STARTED)


def _report(text: str) -> None:
    os.write(_ERRORS, text.encode(errors="replace")[:ERROR_LIMIT_BYTES])


def _settle(pipes: Pipes, output: int) -> None:
    """Own session, default signals, standard streams, the two pipes, and nothing else open."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    nothing = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (pipes.error_write, pipes.go_read)]
    streams = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (nothing, output)]
    os.dup2(streams[0], 0)
    os.dup2(streams[1], 1)
    os.dup2(streams[1], 2)
    os.dup2(high[0], _ERRORS, inheritable=False)
    os.dup2(high[1], _GO, inheritable=False)
    os.closerange(_GO + 1, 1 << 20)


def _prepare(spec: Spec, workplace: str) -> None:
    _enter_namespaces(spec, workplace)
    _limit(spec)


def _enter_namespaces(spec: Spec, workplace: str) -> None:
    if spec.user == "new":
        uid, gid = os.geteuid(), os.getegid()
        linux.unshare(linux.CLONE_NEWUSER)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    elif spec.user:
        linux.join_namespace(spec.user, linux.CLONE_NEWUSER)
    if spec.net == "new":
        linux.unshare(linux.CLONE_NEWNET)
    elif spec.net:
        linux.join_namespace(spec.net, linux.CLONE_NEWNET)
    if spec.mounts is not None:
        linux.unshare(linux.CLONE_NEWNS)
        tree.enter(spec.mounts, workplace)


def _limit(spec: Spec) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, value in spec.limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}")
        hard = resource.getrlimit(number)[1]
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (soft, hard))
    os.umask(spec.umask)
    os.chdir(spec.cwd)
    if not spec.keep_capabilities:
        give_up_powers(is_root=os.geteuid() == 0 and not spec.user)
    if spec.gid is not None:
        if os.geteuid() == 0:
            os.setgroups([])
        os.setresgid(spec.gid, spec.gid, spec.gid)
    if spec.uid is not None:
        os.setresuid(spec.uid, spec.uid, spec.uid)


def give_up_powers(*, is_root: bool) -> None:
    """What is executed next has at most the powers that a container is given."""
    if is_root:
        unwanted = set(_ALL_CAPABILITIES) - _KEPT_CAPABILITIES
        linux.drop_capabilities(tuple(sorted(unwanted)))
    linux.forbid_new_privileges()


def _found(program: str, env: Mapping[str, str]) -> str:
    if "/" in program:
        return program
    for folder in env.get("PATH", os.defpath).split(":"):
        path = os.path.join(folder or ".", program)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    raise FileNotFoundError(2, "executable file not found in $PATH", program)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
