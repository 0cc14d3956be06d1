"""Puts together what is known of a pod: the input of its plan."""

from collections.abc import Iterable

from stagezero.api.base import Key
from stagezero.api.config import ConfigMap, Secret
from stagezero.api.container import Container, ContainerStateTerminated
from stagezero.api.pod import Pod
from stagezero.api.times import parse_time
from stagezero.client.cache import Caches
from stagezero.node.image_pulls import ImagePulls
from stagezero.node.plans.container_status import UNKNOWN
from stagezero.node.plans.observed import Health, Observed, Run
from stagezero.node.plans.references import Place, References
from stagezero.node.pod_memory import PodMemory
from stagezero.node.prober import Prober
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.runtime import ContainerId, ContainerRun, Runtime
from stagezero.node.termination import termination_message

_UNKNOWN_MESSAGE = (
    "The supervisor was gone when the container ended, so nobody could read its exit code"
)


class PodObserver:
    """Looks at the runtime, the images and the probes on behalf of one pod at a time."""

    def __init__(
        self,
        runtime: Runtime,
        folders: NodeFolders,
        images: ImagePulls,
        prober: Prober,
        place: Place,
    ) -> None:
        self._runtime = runtime
        self._folders = folders
        self._images = images
        self._prober = prober
        self._place = place

    def observe(self, pod: Pod, memory: PodMemory) -> Observed:
        """Everything known about a pod now."""
        containers = (*pod.spec.init_containers, *pod.spec.containers)
        runs = {c.name: self._runs(pod, c, memory) for c in containers}
        return Observed(
            pod=pod,
            info=self._runtime.info,
            node_name=self._place.node_name,
            host_ip=self._place.host_ip,
            sandbox=self._runtime.sandbox(pod.uid),
            sandbox_problem=memory.sandbox_problem,
            is_mounted=memory.is_mounted,
            mount_problem=memory.mount_problem,
            images={c.image: self._images.view(c.image) for c in containers},
            runs={name: found for name, found in runs.items() if found},
            config_problems=dict(memory.config_problems),
            health={c.name: self._health(pod, runs[c.name], c) for c in containers},
            fixed_ports={name: ports for name, ports in memory.fixed_ports.items() if ports},
            stopping=frozenset(memory.stopping),
            is_fresh=memory.is_fresh,
        )

    def _health(self, pod: Pod, runs: tuple[Run, ...], container: Container) -> Health:
        if not runs or not runs[-1].is_running:
            return Health(is_started=False, is_ready=False)
        return self._prober.health(ContainerId(pod.uid, container.name, runs[-1].restart))

    def _runs(self, pod: Pod, container: Container, memory: PodMemory) -> tuple[Run, ...]:
        known = {
            run.id.restart: self._run(pod, container, run, memory)
            for run in self._runtime.runs(pod.uid)
            if run.id.container == container.name
        }
        known |= {run.restart: run for run in memory.own_runs.get(container.name, ())}
        if not known:
            # Kept, so that it stays the last state of the run that follows.
            told = memory.own_runs[container.name] = list(_told_before(pod, container))
            known |= {run.restart: run for run in told}
        return tuple(known[restart] for restart in sorted(known))

    def _run(self, pod: Pod, container: Container, run: ContainerRun, memory: PodMemory) -> Run:
        if run.exited_at is None:
            return Run(run.id.restart, run.started_at)
        which = (container.name, run.id.restart)
        if which not in memory.messages:
            memory.messages[which] = termination_message(
                container,
                self._folders.termination(run.id),
                self._folders.log(pod.metadata.namespace, pod.metadata.name, run.id),
                run.exit_code,
            )
        return Run(
            run.id.restart,
            run.started_at,
            run.exited_at,
            run.exit_code,
            run.signal,
            "" if run.is_known_exit else UNKNOWN,
            memory.messages[which] if run.is_known_exit else _UNKNOWN_MESSAGE,
        )


def _told_before(pod: Pod, container: Container) -> Iterable[Run]:
    """What the status says of a container of which nothing else is known.

    Runs without a process live in our memory only, and a journal may be lost: then what was told
    is what is true. A container that was told to run and is not there has ended, nobody knows how.
    """
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if status.name != container.name:
            continue
        ended = status.state.terminated or status.last_state.terminated
        if status.state.running is not None and status.state.running.started_at:
            since = parse_time(status.state.running.started_at)
            yield Run(status.restart_count, since, since, 137, 0, UNKNOWN, _UNKNOWN_MESSAGE)
        elif ended is not None and ended.started_at and ended.finished_at:
            yield _ended_run(status.restart_count, ended)


def _ended_run(restart: int, ended: ContainerStateTerminated) -> Run:
    return Run(
        restart,
        parse_time(ended.started_at or ""),
        parse_time(ended.finished_at or ""),
        ended.exit_code,
        ended.signal,
        ended.reason,
        ended.message,
    )


def health_told(pod: Pod, run: ContainerId) -> Health | None:
    """What the status says of a run that is under way, if it speaks of that very run."""
    for status in pod.status.container_statuses:
        is_meant = status.name == run.container and status.restart_count == run.restart
        if is_meant and status.state.running is not None:
            return Health(is_started=bool(status.started), is_ready=status.ready)
    return None


def named_by(pod: Pod) -> tuple[set[str], set[str]]:
    """The ConfigMaps and Secrets that a pod's environments and volumes name."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        for source in container.env_from:
            if source.config_map_ref is not None:
                config_maps.add(source.config_map_ref.name)
            if source.secret_ref is not None:
                secrets.add(source.secret_ref.name)
        for variable in container.env:
            value = variable.value_from
            if value is not None and value.config_map_key_ref is not None:
                config_maps.add(value.config_map_key_ref.name)
            if value is not None and value.secret_key_ref is not None:
                secrets.add(value.secret_key_ref.name)
    _add_volumes(pod, config_maps, secrets)
    return config_maps, secrets


def _add_volumes(pod: Pod, config_maps: set[str], secrets: set[str]) -> None:
    for volume in pod.spec.volumes:
        if volume.config_map is not None:
            config_maps.add(volume.config_map.name)
        if volume.secret is not None:
            secrets.add(volume.secret.secret_name)
        for source in volume.projected.sources if volume.projected else ():
            if source.config_map is not None:
                config_maps.add(source.config_map.name)
            if source.secret is not None:
                secrets.add(source.secret.name)


def references_of(pod: Pod, caches: Caches) -> References:
    """The objects that a pod names, as they are now."""
    namespace = pod.metadata.namespace
    config_maps, secrets = named_by(pod)
    found_maps = {name: caches.get(ConfigMap, Key(namespace, name)) for name in config_maps}
    found_secrets = {name: caches.get(Secret, Key(namespace, name)) for name in secrets}
    return References(
        {name: thing for name, thing in found_maps.items() if thing is not None},
        {name: thing for name, thing in found_secrets.items() if thing is not None},
    )


def versions_of(pod: Pod, references: References) -> tuple[str, ...]:
    """What must change for the pod's volumes and environment to change."""
    things = (*references.config_maps.values(), *references.secrets.values())
    versions = sorted(f"{thing.uid}:{thing.metadata.resource_version}" for thing in things)
    return (*versions, repr(pod.metadata.labels), repr(pod.metadata.annotations))
