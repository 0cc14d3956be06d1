"""What `kubectl logs` reads: a container's log, whole, its end, or on and on until it ends.

Programs write to their files directly, so that a log outlives us; hence a line has no time of its
own: `timestamps` and `since` know only when the file was written last.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stagezero.api import errors
from stagezero.api.base import Key
from stagezero.api.pod import Pod
from stagezero.client.cache import Caches
from stagezero.kit.clock import rfc3339_micro
from stagezero.node.inotify import FolderWatch
from stagezero.node.log_files import Follower, last_written, read_tail, read_whole
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.runtime import ContainerId, Runtime


@dataclass(frozen=True)
class LogOptions:
    """How a log is wanted, by the names of the API's query."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None


class PodLogs:
    """Reads logs of the pods of this node."""

    def __init__(self, caches: Caches, folders: NodeFolders, runtime: Runtime) -> None:
        self._caches = caches
        self._folders = folders
        self._runtime = runtime

    def read(self, namespace: str, name: str, options: LogOptions) -> AsyncIterator[bytes]:
        """The log of a container, in pieces; refusals in Kubernetes' words come at once."""
        pod = self._caches.get(Pod, Key(namespace, name))
        if pod is None:
            raise errors.NotFound(f'pods "{name}" not found')
        run = self._run(pod, _container(pod, options.container), options)
        path = self._folders.log(namespace, name, run)
        if not path.exists():
            raise errors.BadRequest(
                f'container "{run.container}" in pod "{name}" is waiting to start: '
                f"{_waiting_reason(pod, run.container)}"
            )
        return _limited(self._pieces(run, path, options), options.limit_bytes)

    def _run(self, pod: Pod, container: str, options: LogOptions) -> ContainerId:
        """The run meant: the latest of which there is a log, or the one before."""
        meta = pod.metadata
        folder = self._folders.pod_logs(meta.namespace, meta.name, meta.uid) / container
        known = sorted(int(path.stem) for path in folder.glob("*.log") if path.stem.isdecimal())
        latest = known[-1] if known else 0
        if not options.previous:
            return ContainerId(pod.uid, container, latest)
        if latest - 1 not in known:
            raise errors.BadRequest(
                f'previous terminated container "{container}" in pod "{pod.metadata.name}" '
                "not found"
            )
        return ContainerId(pod.uid, container, latest - 1)

    async def _pieces(
        self, run: ContainerId, path: Path, options: LogOptions
    ) -> AsyncIterator[bytes]:
        stamp = _Stamp(path) if options.timestamps else None
        if not options.follow:
            for piece in _chosen(path, options):
                yield stamp.mark(piece) if stamp else piece
            return
        watch = FolderWatch()
        forget = self._runtime.on_change(lambda uid: watch.wake() if uid == run.uid else None)
        try:
            watch.add(path.parent)
            follower = Follower(path)
            for piece in _chosen(path, options, follower.position):
                yield stamp.mark(piece) if stamp else piece
            async for piece in self._followed(run, follower, watch):
                yield stamp.mark(piece) if stamp else piece
        finally:
            forget()
            watch.close()

    async def _followed(
        self, run: ContainerId, follower: Follower, watch: FolderWatch
    ) -> AsyncIterator[bytes]:
        while True:
            watch.expect()
            # Asked before reading: what is written before the end is then read after it.
            has_ended = not self._is_running(run)
            for piece in follower.read():
                yield piece
            if has_ended:
                return
            await watch.changed()

    def _is_running(self, run: ContainerId) -> bool:
        return any(known.id == run and known.is_running for known in self._runtime.runs(run.uid))


class _Stamp:
    """Puts a time before each line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_at_start = True

    def mark(self, piece: bytes) -> bytes:
        written = last_written(self._path) or datetime.now(UTC)
        time = rfc3339_micro(written).encode() + b" "
        marked = bytearray()
        for line in piece.splitlines(keepends=True):
            marked += time + line if self._is_at_start else line
            self._is_at_start = line.endswith(b"\n")
        return bytes(marked)


def _chosen(path: Path, options: LogOptions, end: int | None = None) -> Iterable[bytes]:
    """What is wanted of what is there; of the newest file, only what lies before `end`."""
    written = last_written(path)
    if options.since is not None and written is not None and written < options.since:
        return ()
    if options.tail_lines is not None:
        return read_tail(path, options.tail_lines, end)
    return read_whole(path, end)


async def _limited(pieces: AsyncIterator[bytes], limit_bytes: int | None) -> AsyncIterator[bytes]:
    left = limit_bytes
    async for piece in pieces:
        if left is None:
            yield piece
            continue
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return


def _container(pod: Pod, wanted: str) -> str:
    names = [container.name for container in pod.spec.containers]
    inits = [container.name for container in pod.spec.init_containers]
    if wanted:
        if wanted not in (*names, *inits):
            raise errors.BadRequest(f"container {wanted} is not valid for pod {pod.metadata.name}")
        return wanted
    if len(names) == 1:
        return names[0]
    choice = f"[{' '.join(names)}]" + (f" or one of the init containers: {inits}" if inits else "")
    raise errors.BadRequest(
        f"a container name must be specified for pod {pod.metadata.name}, choose one of: {choice}"
    )


def _waiting_reason(pod: Pod, container: str) -> str:
    for status in (*pod.status.container_statuses, *pod.status.init_container_statuses):
        if status.name == container and status.state.waiting is not None:
            return status.state.waiting.reason
    return "ContainerCreating"
