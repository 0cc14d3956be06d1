"""Containers as processes of the supervisor: the runtime of this project's own images.

A run is a process whose id is `pod/<uid>/<container>/<restart>`; a sandbox is a network attachment
and a small file that remembers it. So everything is found again after any crash: runs in the
supervisor's list, sandboxes on disk.
"""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stagezero.node.sandbox import command_line, tree_mounts
from stagezero.node.sandbox.etc_files import write_etc
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.listening import family
from stagezero.node.sandbox.network import Network
from stagezero.node.sandbox.runtime import (
    CannotStart,
    ContainerId,
    ContainerRun,
    ContainerSpec,
    ExecResult,
    Isolation,
    RuntimeFailed,
    RuntimeInfo,
    Sandbox,
    SandboxSpec,
    Stats,
)
from stagezero.node.supervisor import protocol
from stagezero.node.supervisor.client import Process, SupervisorClient
from stagezero.node.supervisor.identity import read_stat
from stagezero.node.supervisor.protocol import Refused
from stagezero.node.supervisor.spec import Mount, Spec

KILL_LIMIT_S = 5.0
LISTEN_HOST = "STAGEZERO_LISTEN_HOST"
"""The address on which a program that shares the machine's network should listen: loopback."""


@dataclass(frozen=True)
class Surroundings:
    """What all containers of a node share.

    `visible` are folders that must stay visible where /tmp is private, `hidden` those that no
    container may read, `nameservers` go into resolv.conf.
    """

    visible: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    nameservers: tuple[str, ...] = ()


class ProcessRuntime:
    """Implements `runtime.Runtime` with the supervisor and a network."""

    def __init__(
        self,
        folders: NodeFolders,
        supervisor: SupervisorClient,
        network: Network,
        info: RuntimeInfo,
        surroundings: Surroundings,
    ) -> None:
        self._folders = folders
        self._supervisor = supervisor
        self._network = network
        self._info = info
        self._surroundings = surroundings
        self._needs_user_namespace = info.has_own_tree and os.geteuid() != 0
        remembered = remembered_sandboxes(folders)
        self._sandboxes = {s.uid: s for s in remembered if network.is_attached(s)}
        self._listeners: list[Callable[[str], None]] = []
        self._stop_listening = supervisor.on_change(self._changed)

    @property
    def info(self) -> RuntimeInfo:
        """What the machine allows."""
        return self._info

    def on_change(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call `listener` with the uid of a pod whose runs changed."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _changed(self, process: Process) -> None:
        uid = process.labels.get("uid")
        if uid:
            for listener in tuple(self._listeners):
                listener(uid)

    async def close(self) -> None:
        """Leave sandboxes and runs as they are."""
        self._stop_listening()
        await self._network.stop()

    # Sandboxes

    async def prepare(self, spec: SandboxSpec) -> Sandbox:
        """Attach the pod to the network, unless it is; what ran in a lost sandbox is ended."""
        known = self._sandboxes.get(spec.uid)
        if known is not None:
            return known
        await self._end_runs(spec.uid)
        attachment = await self._network.attach(spec.uid, spec.ports)
        sandbox = Sandbox(
            spec.uid,
            spec.namespace,
            spec.name,
            attachment.ip,
            self._info.isolation,
            attachment.ports,
            attachment.net,
        )
        self._sandboxes[spec.uid] = sandbox
        folder = self._folders.pod(spec.uid)
        nameservers = self._surroundings.nameservers or self._network.nameservers
        write_etc(folder / "etc", spec, sandbox, nameservers)
        _remember(folder / "sandbox.json", sandbox)
        return sandbox

    def sandbox(self, uid: str) -> Sandbox | None:
        """The pod's sandbox."""
        return self._sandboxes.get(uid)

    def uids(self) -> set[str]:
        """The pods of which anything is left."""
        labelled = {
            process.labels.get("uid", "") for process in self._supervisor.processes.values()
        }
        return (labelled | set(self._sandboxes)) - {""}

    async def release(self, uid: str) -> None:
        """Kill what runs, forget what ran, detach the network."""
        await self._end_runs(uid)
        for run_left in self.runs(uid):
            await self.forget(run_left.id)
        sandbox = self._sandboxes.pop(uid, None)
        if sandbox is not None:
            await self._network.detach(sandbox)
        (self._folders.pod(uid) / "sandbox.json").unlink(missing_ok=True)

    async def _end_runs(self, uid: str) -> None:
        running = [run.id for run in self.runs(uid) if run.is_running]
        for run in running:
            await self.stop(run, is_forced=True)
        if running:
            await self._await_ends(uid)

    async def _await_ends(self, uid: str) -> None:
        ended = asyncio.Event()

        def changed(changed_uid: str) -> None:
            if changed_uid == uid and not any(run.is_running for run in self.runs(uid)):
                ended.set()

        self._listeners.append(changed)
        changed(uid)
        try:
            async with asyncio.timeout(KILL_LIMIT_S):
                await ended.wait()
        except TimeoutError as error:
            raise RuntimeFailed(
                f"processes of pod {uid} did not end within {KILL_LIMIT_S:.0f} s of SIGKILL"
            ) from error
        finally:
            self._listeners.remove(changed)

    # Containers

    async def start(self, spec: ContainerSpec) -> None:
        """Start a run in its pod's sandbox."""
        sandbox = self._sandboxes.get(spec.id.uid)
        if sandbox is None:
            raise RuntimeFailed(f"pod {spec.id.uid} has no sandbox")
        private = self._folders.container(spec.id.uid, spec.id.container) / "tmp"
        private.mkdir(parents=True, exist_ok=True)
        os.chmod(private, 0o1777)
        process = self._process_spec(spec, sandbox, private)
        try:
            await self._supervisor.start_process(process)
        except Refused as error:
            if error.code == protocol.EXISTS:
                return  # a control plane that died between the start and noting it
            raise CannotStart(error.message) from error

    def _process_spec(self, spec: ContainerSpec, sandbox: Sandbox, private: Path) -> Spec:
        argv, env = spec.argv, dict(spec.env)
        has_own_tree = self._info.has_own_tree and not spec.is_of_platform
        has_own_net = bool(sandbox.net) and not spec.is_of_platform
        if not has_own_net:
            argv = command_line.with_ports(argv, sandbox.ports)
            _map_port_variable(env, sandbox.ports)
            if sandbox.isolation is Isolation.HOST and not spec.is_of_platform:
                env.setdefault(LISTEN_HOST, sandbox.ip)
        if not has_own_tree:
            paths = {bind.path: str(bind.source) for bind in spec.binds}
            argv = tuple(command_line.with_paths(word, paths) for word in argv)
            env = {name: command_line.with_paths(text, paths) for name, text in env.items()}
            env |= {"TMPDIR": str(private), "HOME": str(private)}
        cwd = spec.cwd if has_own_tree else (spec.cwd if os.path.isdir(spec.cwd) else str(private))
        mounts = self._mounts(spec, private) if has_own_tree else None
        return Spec(
            id=_process_id(spec.id),
            argv=argv,
            log=str(spec.log),
            env=env,
            cwd=cwd,
            user=self._user_namespace(sandbox) if has_own_tree else "",
            net=sandbox.net if has_own_net else "",
            mounts=None if mounts is None else tuple(mounts),
            labels={
                "uid": spec.id.uid,
                "container": spec.id.container,
                "restart": str(spec.id.restart),
                "namespace": sandbox.namespace,
                "pod": sandbox.name,
            },
        )

    def _user_namespace(self, sandbox: Sandbox) -> str:
        if sandbox.isolation is Isolation.PASTA:
            return sandbox.net.removesuffix("net") + "user"
        return "new" if self._needs_user_namespace else ""

    def _mounts(self, spec: ContainerSpec, private: Path) -> list[Mount]:
        hidden = self._surroundings.hidden
        covered = [*tree_mounts.PRIVATE, *map(str, hidden)]
        visible = [*map(str, self._surroundings.visible), *_named(spec.argv, hidden)]
        return tree_mounts.without_shadowed(
            [
                *tree_mounts.hidden_mounts(hidden),
                *tree_mounts.private_mounts(private),
                *tree_mounts.visible_mounts(visible, covered),
                *tree_mounts.device_mounts(),
                *tree_mounts.name_mounts(self._folders.pod(spec.id.uid) / "etc"),
                *tree_mounts.bind_mounts(spec.binds),
            ]
        )

    async def stop(self, run: ContainerId, *, is_forced: bool = False) -> None:
        """Send SIGTERM to the program, or SIGKILL to it and its group."""
        number = signal.SIGKILL if is_forced else signal.SIGTERM
        await self._supervisor.send_signal(_process_id(run), number, is_group=is_forced)

    def runs(self, uid: str) -> Sequence[ContainerRun]:
        """The runs that the supervisor knows, oldest first."""
        mine = [p for p in self._supervisor.processes.values() if p.labels.get("uid") == uid]
        return sorted((_run(process) for process in mine), key=lambda run: run.started_at)

    async def forget(self, run: ContainerId) -> None:
        """Let the supervisor drop the record."""
        await self._supervisor.forget(_process_id(run))

    async def execute(self, run: ContainerId, argv: Sequence[str], timeout_s: float) -> ExecResult:
        """Run a command in the namespaces, the environment and the folder of the container."""
        process = self._supervisor.processes.get(_process_id(run))
        if process is None or not process.is_running:
            raise RuntimeFailed(f'container "{run.container}" does not run')
        env = _environment(process.pid)
        try:
            result = await self._supervisor.execute(
                process.id, argv, env, cwd=env.get("PWD", "/"), timeout_s=timeout_s
            )
        except Refused as error:
            raise RuntimeFailed(error.message) from error
        if result.error:
            raise CannotStart(result.error)
        if result.is_timed_out:
            return ExecResult(-1, f"command timed out after {timeout_s:g} s\n{result.output}")
        return ExecResult(result.exit_code, result.output)

    def stats(self, run: ContainerId) -> Stats | None:
        """CPU and memory of the program and its descendants, from /proc."""
        process = self._supervisor.processes.get(_process_id(run))
        if process is None or not process.is_running:
            return None
        ticks = pages = 0
        for pid in family(process.pid):
            stat = read_stat(pid)
            if stat is not None:
                ticks, pages = ticks + stat.cpu_ticks, pages + stat.rss_pages
        return Stats(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))


def remembered_sandboxes(folders: NodeFolders) -> list[Sandbox]:
    """The sandboxes that were made and not released, as their files say."""
    found = []
    for path in sorted(folders.pods.glob("*/sandbox.json")):
        try:
            raw = json.loads(path.read_text())
            raw["ports"] = {int(port): int(mapped) for port, mapped in raw["ports"].items()}
            found.append(Sandbox(**{**raw, "isolation": Isolation(raw["isolation"])}))
        except (OSError, ValueError, TypeError, KeyError):
            continue  # half written: the pod's sandbox is made anew
    return found


def remove_pod_files(folders: NodeFolders, uid: str) -> None:
    """Delete a pod's volumes and private folders; its logs stay."""
    shutil.rmtree(folders.memory / uid, ignore_errors=True)
    shutil.rmtree(folders.pod(uid), ignore_errors=True)


def _remember(path: Path, sandbox: Sandbox) -> None:
    raw = {
        "uid": sandbox.uid,
        "namespace": sandbox.namespace,
        "name": sandbox.name,
        "ip": sandbox.ip,
        "isolation": sandbox.isolation.value,
        "ports": sandbox.ports,
        "net": sandbox.net,
    }
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(raw))
    draft.replace(path)


def _named(argv: Sequence[str], hidden: Sequence[Path]) -> list[str]:
    """What a command line names by path, unless it is hidden: it may lie below /tmp."""
    secret = tuple(f"{folder}/" for folder in hidden)
    return [
        word
        for word in argv
        if word.startswith("/") and not word.startswith(secret) and os.path.exists(word)
    ]


def _process_id(run: ContainerId) -> str:
    return f"pod/{run.uid}/{run.container}/{run.restart}"


def _run(process: Process) -> ContainerRun:
    labels = process.labels
    run = ContainerId(labels["uid"], labels["container"], int(labels["restart"]))
    exited_at = datetime.fromtimestamp(process.exited_at, UTC) if process.has_exited else None
    return ContainerRun(
        run,
        process.pid,
        datetime.fromtimestamp(process.started_at, UTC),
        exited_at,
        process.exit_code,
        process.signal,
        process.is_known_exit,
    )


def _map_port_variable(env: dict[str, str], ports: Mapping[int, int]) -> None:
    """Programs that honour PORT listen where the pod's first port is mapped to."""
    told = env.get("PORT", "")
    if told.isdecimal() and int(told) in ports:
        env["PORT"] = str(ports[int(told)])
    elif ports and not told:
        env["PORT"] = str(next(iter(ports.values())))


def _environment(pid: int) -> dict[str, str]:
    try:
        data = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    words = [word.decode(errors="replace") for word in data.split(b"\0") if b"=" in word]
    return dict(word.split("=", 1) for word in words)
