"""The kubelet: carries out what `plans.pod` decides about each pod, and writes what became of it.

In come pods (and the ConfigMaps and Secrets they name), runs of containers, results of probes and
states of images; out go actions on the runtime, the pod's status and events. Whatever it remembers
can be found out again, so it may be killed at any moment: runs are the supervisor's.
"""

import asyncio
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

import msgspec
from msgspec.structs import replace as with_fields

from stagezero.api import errors
from stagezero.api.base import Key, Object
from stagezero.api.config import ConfigMap, Secret
from stagezero.api.pod import Pod
from stagezero.client.cache import Caches
from stagezero.client.client import AS_MERGE_PATCH, Client
from stagezero.kit.clock import Clock
from stagezero.kit.tasks import TaskOwner
from stagezero.node.fixed_ports import fixed_ports
from stagezero.node.image_pulls import ImagePulls
from stagezero.node.images.catalogue import Catalogue
from stagezero.node.images.environments import Environments
from stagezero.node.model_fetch import ModelFetch
from stagezero.node.observing import PodObserver, health_told, named_by, references_of, versions_of
from stagezero.node.plans import container_spec
from stagezero.node.plans.errors import MountFailed
from stagezero.node.plans.observed import Problem
from stagezero.node.plans.pod import (
    Action,
    Decision,
    Mount,
    Prepare,
    Pull,
    Release,
    Start,
    Stop,
    decide,
)
from stagezero.node.plans.probing import ProbeKind
from stagezero.node.plans.references import Place
from stagezero.node.pod_memory import PodMemory
from stagezero.node.pod_starter import PodStarter, StartOrder
from stagezero.node.pod_stopper import PodStopper
from stagezero.node.probe_calls import ProbeResult, Target
from stagezero.node.prober import Prober
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.processes import remove_pod_files
from stagezero.node.sandbox.runtime import ContainerId, Runtime, RuntimeFailed, SandboxSpec
from stagezero.node.volumes import Volumes
from stagezero.runtime.carry import Carrier
from stagezero.runtime.events import Recorder
from stagezero.runtime.loop import Loop
from stagezero.runtime.plan import Happening, normal, warning

log = logging.getLogger(__name__)

PORTS_ANNOTATION = "node.stagezero.dev/ports"
ROUNDS = 8
RETRY_S = 2.0
ORPHAN_GRACE_S = 10.0
RUNS_KEPT = 2
WORKERS = 16
"""Pods are independent of one another, and a step mostly waits."""


@dataclass(frozen=True)
class NodeParts:
    """What the kubelet works with; `place.pod_ip` is filled in for each pod."""

    place: Place
    client: Client
    caches: Caches
    recorder: Recorder
    clock: Clock
    runtime: Runtime
    folders: NodeFolders
    catalogue: Catalogue
    environments: Environments
    models: ModelFetch


class Kubelet:
    """Runs the pods of one node."""

    def __init__(self, parts: NodeParts) -> None:
        self._place = parts.place
        self._client = parts.client
        self._caches = parts.caches
        self._recorder = parts.recorder
        self._carrier = Carrier(parts.client, parts.caches, parts.recorder)
        self._clock = parts.clock
        self._runtime = parts.runtime
        self._folders = parts.folders
        self._images = ImagePulls(parts.catalogue, parts.environments, parts.clock, self._tell)
        self._starter = PodStarter(
            parts.runtime, parts.folders, self._images, parts.models, parts.clock
        )
        self._stopper = PodStopper(parts.runtime)
        self._volumes = Volumes(parts.folders)
        self._prober = Prober(self._wake, self._probe_failed)
        self._observer = PodObserver(
            parts.runtime, parts.folders, self._images, self._prober, parts.place
        )
        self._memories: dict[str, PodMemory] = {}
        self._ending: set[str] = set()
        self._told: dict[Key, list[Happening]] = {}
        self._tasks = TaskOwner("kubelet")
        self.loop = Loop("kubelet", self._step, WORKERS)
        for kind in (Pod, ConfigMap, Secret):
            parts.caches.add(kind)

    # Waking

    def connect(self) -> None:
        """Begin to listen; call when the caches are filled. Takes over what runs."""
        self._runtime.on_change(self._wake)
        self.loop.wake_on(self._caches, Pod, lambda pod, _: (pod.key,))
        self.loop.wake_on(self._caches, ConfigMap, _pods_naming)
        self.loop.wake_on(self._caches, Secret, _pods_naming)
        wanted = {pod.uid for pod in self._caches.list(Pod)}
        for uid in self._runtime.uids() - wanted:
            self._end_orphan(uid)

    async def close(self) -> None:
        """Stop looking after pods, once the loop has ended; what runs goes on running."""
        await self._tasks.stop()
        await self._prober.close()
        await self._images.close()
        await self._runtime.close()

    def _wake(self, uid: str) -> None:
        memory = self._memories.get(uid)
        if memory is not None:
            self.loop.add(memory.key)

    def _tell(self, pod: Key, happening: Happening) -> None:
        """Keep an event for the pod's next step."""
        self._told.setdefault(pod, []).append(happening)
        self.loop.add(pod)

    def _probe_failed(self, run: ContainerId, kind: ProbeKind, result: ProbeResult) -> None:
        memory = self._memories.get(run.uid)
        if memory is not None:
            memory.fixed_ports[run.container] = fixed_ports(self._runtime, run)
            words = f"{kind.value} probe failed: {result.message}"
            self._tell(memory.key, warning("Unhealthy", words))

    # One pod

    async def _step(self, key: Key) -> float | None:
        pod = self._caches.get(Pod, key)
        for memory in [m for m in self._memories.values() if m.key == key]:
            if pod is None or memory.uid != pod.uid:
                self._end_orphan(memory.uid)
        if pod is None or pod.spec.node_name != self._place.node_name:
            self._told.pop(key, None)
            return None
        if pod.uid in self._ending:
            return RETRY_S
        memory = self._memories.setdefault(pod.uid, PodMemory(pod.uid, key))
        memory.is_fresh = memory.is_fresh and pod.status.start_time is None
        decision = await self._go_on(pod, memory)
        if pod.uid not in self._memories:
            return None  # released: there is nothing left to tell
        await self._write(pod, memory, decision)
        return decision.recheck_s

    async def _go_on(self, pod: Pod, memory: PodMemory) -> Decision:
        """Decide and act until there is nothing more to do at once."""
        events: dict[Happening, None] = {}
        for _ in range(ROUNDS):
            self._refresh(pod, memory)
            decision = decide(self._observer.observe(pod, memory), self._clock.now())
            events |= dict.fromkeys(decision.events)
            memory.is_fresh = False
            acted = [await self._act(action, pod, memory) for action in decision.actions]
            if not any(acted) or pod.uid not in self._memories:
                break
        self._told.setdefault(memory.key, [])[:0] = events
        return decision

    def _refresh(self, pod: Pod, memory: PodMemory) -> None:
        """Bring volumes, and hope for what failed, up to date with the objects that are named."""
        versions = versions_of(pod, references_of(pod, self._caches))
        if versions != memory.mounted_versions:
            memory.mounted_versions = versions
            memory.config_problems.clear()
            memory.mount_problem = None
            if memory.is_mounted and not pod.is_deleting:
                self._mount(pod, memory)
        for name, runs in self._running(pod.uid).items():
            self._watch_health(pod, name, runs)
        running = set(self._running(pod.uid).values())
        self._prober.forget_others(pod.uid, running)

    def _running(self, uid: str) -> dict[str, ContainerId]:
        return {run.id.container: run.id for run in self._runtime.runs(uid) if run.is_running}

    def _watch_health(self, pod: Pod, name: str, run: ContainerId) -> None:
        target = self._target(pod, name, run)
        if target is not None:
            self._prober.watch(run, target, health_told(pod, run))

    def _target(self, pod: Pod, name: str, run: ContainerId) -> Target | None:
        sandbox = self._runtime.sandbox(pod.uid)
        everyone = (*pod.spec.init_containers, *pod.spec.containers)
        container = next((c for c in everyone if c.name == name), None)
        if sandbox is None or container is None:
            return None
        return Target(
            container,
            sandbox,
            lambda argv, timeout_s: self._runtime.execute(run, argv, timeout_s),
        )

    # Actions: each says whether something changed that the plan should see at once

    async def _act(self, action: Action, pod: Pod, memory: PodMemory) -> bool:
        match action:
            case Pull():
                memory.pulled.add(action.image)
                self._images.pull(action.image, memory.key)
                return False
            case Mount():
                return self._mount(pod, memory)
            case Prepare():
                return await self._prepare(pod, memory)
            case Start():
                return await self._start(action, pod, memory)
            case Stop():
                self._stop(action, pod, memory)
                return False
            case Release():
                return await self._release(action, pod, memory)

    def _mount(self, pod: Pod, memory: PodMemory) -> bool:
        try:
            self._volumes.write(pod, references_of(pod, self._caches), self._place_of(pod))
        except MountFailed as error:
            memory.mount_problem = self._problem("FailedMount", str(error))
            self._told.setdefault(memory.key, []).append(warning("FailedMount", str(error)))
            return False
        memory.is_mounted, memory.mount_problem = True, None
        return True

    async def _prepare(self, pod: Pod, memory: PodMemory) -> bool:
        containers = pod.spec.containers
        entries = {c.image: self._images.entry(c.image) for c in containers}
        ports = container_spec.pod_ports(pod, {n: entry for n, entry in entries.items() if entry})
        aliases = tuple((alias.ip, " ".join(alias.hostnames)) for alias in pod.spec.host_aliases)
        spec = SandboxSpec(
            pod.uid,
            pod.metadata.namespace,
            pod.metadata.name,
            container_spec.pod_hostname(pod),
            ports,
            aliases,
        )
        try:
            await self._runtime.prepare(spec)
        except RuntimeFailed as error:
            words = f"Failed to create pod sandbox: {error}"
            memory.sandbox_problem = self._problem("FailedCreatePodSandBox", words)
            told = warning("FailedCreatePodSandBox", words)
            self._told.setdefault(memory.key, []).append(told)
            return False
        memory.sandbox_problem = None
        return True

    async def _start(self, action: Start, pod: Pod, memory: PodMemory) -> bool:
        containers = (*pod.spec.init_containers, *pod.spec.containers)
        container = next(c for c in containers if c.name == action.container)
        if container.name in memory.busy:
            return False
        references = references_of(pod, self._caches)
        order = StartOrder(pod, container, action.restart, references, self._place_of(pod))
        memory.busy.add(container.name)
        if self._starter.is_slow(container):
            work = self._start_slowly(order, memory)
            self._tasks.start(work, f"start/{pod.uid}/{container.name}")
            return False
        return await self._start_now(order, memory)

    async def _start_slowly(self, order: StartOrder, memory: PodMemory) -> None:
        await self._start_now(order, memory)
        self.loop.add(memory.key)

    async def _start_now(self, order: StartOrder, memory: PodMemory) -> bool:
        name = order.container.name
        memory.fixed_ports.pop(name, None)
        told = self._told.setdefault(memory.key, [])
        try:
            is_started = await self._starter.start(order, memory)
        finally:
            memory.busy.discard(name)
        if not is_started:
            problem = memory.config_problems.get(name)
            runs = memory.own_runs.get(name, ())
            why = problem.message if problem else (runs[-1].message if runs else "")
            if why:
                told.append(warning("Failed", f"Error: {why}"))
            return bool(runs) and problem is None
        image = order.container.image
        if image in memory.pulled:
            memory.pulled.discard(image)  # it was told of when it was pulled
        else:
            words = f'Container image "{image}" already present on machine'
            told.append(normal("Pulled", words))
        told.append(normal("Created", f"Created container {name}"))
        told.append(normal("Started", f"Started container {name}"))
        await self._forget_old_runs(order)
        return True

    async def _forget_old_runs(self, order: StartOrder) -> None:
        mine = [
            run.id
            for run in self._runtime.runs(order.pod.uid)
            if run.id.container == order.container.name and not run.is_running
        ]
        for run in mine[:-RUNS_KEPT]:
            await self._runtime.forget(run)

    def _stop(self, action: Stop, pod: Pod, memory: PodMemory) -> None:
        run = self._running(pod.uid).get(action.container)
        if run is None:
            return
        memory.stopping.add(action.container)
        self._told.setdefault(memory.key, []).append(normal("Killing", action.message))
        target = self._target(pod, action.container, run)
        work = self._stop_run(run, action, target, memory)
        self._tasks.start(work, f"stop/{pod.uid}/{action.container}")

    async def _stop_run(
        self, run: ContainerId, action: Stop, target: Target | None, memory: PodMemory
    ) -> None:
        try:
            await self._stopper.stop(run, action.grace_s, target)
        finally:
            memory.stopping.discard(action.container)
            self.loop.add(memory.key)

    async def _release(self, action: Release, pod: Pod, memory: PodMemory) -> bool:
        self._prober.forget_others(pod.uid, set())
        if not action.is_gone:
            self._keep_ended_runs(pod, memory)
            await self._runtime.release(pod.uid)
            return True
        await self._runtime.release(pod.uid)
        await asyncio.to_thread(remove_pod_files, self._folders, pod.uid)
        del self._memories[pod.uid]
        self._told.pop(memory.key, None)
        try:
            await self._client.delete(Pod, pod.key, uid=pod.uid, grace_s=0)
        except (errors.NotFound, errors.Conflict):
            log.debug("pod %s is gone already", pod.key)
        return False

    def _keep_ended_runs(self, pod: Pod, memory: PodMemory) -> None:
        """A pod that is through keeps its status when the runtime forgets its runs."""
        seen = self._observer.observe(pod, memory)
        memory.own_runs = {name: list(runs) for name, runs in seen.runs.items()}

    # Pods whose objects are gone

    def _end_orphan(self, uid: str) -> None:
        if uid not in self._ending:
            self._ending.add(uid)
            self._tasks.start(self._orphan_ends(uid), f"orphan/{uid}")

    async def _orphan_ends(self, uid: str) -> None:
        memory = self._memories.pop(uid, None)
        self._prober.forget_others(uid, set())
        try:
            stops = [self._stopper.stop(run, ORPHAN_GRACE_S) for run in self._running(uid).values()]
            await asyncio.gather(*stops)
            await self._runtime.release(uid)
            await asyncio.to_thread(remove_pod_files, self._folders, uid)
        finally:
            self._ending.discard(uid)
            if memory is not None:
                self.loop.add(memory.key)

    # What is written

    async def _write(self, pod: Pod, memory: PodMemory, decision: Decision) -> None:
        await self._tell_ports(pod)
        # Decided anew, for the actions have changed what there is to tell.
        seen = self._observer.observe(pod, memory)
        now = self._clock.now()
        await self._carrier.write_status(with_fields(pod, status=decide(seen, now).status))
        for happening in self._told.pop(memory.key, ()):
            await self._recorder.record(pod, happening)

    async def _tell_ports(self, pod: Pod) -> None:
        """Say where the pod's ports are if they are not at its address."""
        sandbox = self._runtime.sandbox(pod.uid)
        if sandbox is None or not sandbox.ports:
            return
        ports = json.dumps({str(port): mapped for port, mapped in sandbox.ports.items()})
        if pod.metadata.annotations.get(PORTS_ANNOTATION) == ports:
            return
        body = msgspec.json.encode({"metadata": {"annotations": {PORTS_ANNOTATION: ports}}})
        path = pod.resource.path(pod.metadata.namespace, pod.metadata.name)
        response = await self._client.request("PATCH", path, body=body, headers=AS_MERGE_PATCH)
        self._caches.of(Pod).note(response.body)

    def _place_of(self, pod: Pod) -> Place:
        sandbox = self._runtime.sandbox(pod.uid)
        return replace(self._place, pod_ip=sandbox.ip if sandbox else "")

    def _problem(self, reason: str, message: str) -> Problem:
        return Problem(reason, message, self._clock.now() + timedelta(seconds=RETRY_S))


def _pods_naming(thing: Object, caches: Caches) -> Iterable[Key]:
    """The pods that name a ConfigMap or Secret."""
    which = 0 if isinstance(thing, ConfigMap) else 1
    for pod in caches.list(Pod, thing.metadata.namespace):
        if thing.metadata.name in named_by(pod)[which]:
            yield pod.key
