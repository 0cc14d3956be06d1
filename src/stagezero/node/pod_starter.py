"""Starts one run of one container: environment, volumes, command line, then the runtime.

What is wrong with the pod becomes a `Problem` or a run that ended at once; the plan sees it next.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from stagezero.api.container import Container
from stagezero.api.pod import Pod
from stagezero.kit.clock import Clock
from stagezero.node.image_pulls import ImagePulls
from stagezero.node.model_fetch import FetchOrder, ModelFetch, is_model_fetch
from stagezero.node.plans import container_spec
from stagezero.node.plans.container_spec import DEFAULT_TERMINATION_PATH, ReadyImage
from stagezero.node.plans.environment import container_environment
from stagezero.node.plans.errors import ConfigError
from stagezero.node.plans.expansion import expand_all
from stagezero.node.plans.observed import Problem, Run
from stagezero.node.plans.references import Place, References
from stagezero.node.pod_memory import PodMemory
from stagezero.node.sandbox.folders import NodeFolders
from stagezero.node.sandbox.runtime import (
    Bind,
    CannotStart,
    ContainerId,
    ContainerSpec,
    Runtime,
    RuntimeFailed,
)
from stagezero.node.volumes import Volumes

log = logging.getLogger(__name__)

RETRY_S = 10.0
NOT_STARTED_CODE = 128


@dataclass(frozen=True)
class StartOrder:
    """Which run of which container, and what it may refer to."""

    pod: Pod
    container: Container
    restart: int
    references: References
    place: Place

    @property
    def id(self) -> ContainerId:
        """The run's id."""
        return ContainerId(self.pod.uid, self.container.name, self.restart)


class PodStarter:
    """Carries start orders out."""

    def __init__(
        self,
        runtime: Runtime,
        folders: NodeFolders,
        images: ImagePulls,
        models: ModelFetch,
        clock: Clock,
    ) -> None:
        self._runtime = runtime
        self._folders = folders
        self._images = images
        self._models = models
        self._clock = clock
        self._volumes = Volumes(folders)

    def is_slow(self, container: Container) -> bool:
        """Whether a start may have to ask other machines: then nobody should wait for it."""
        entry = self._images.entry(container.image)
        return entry is not None and is_model_fetch(entry)

    async def start(self, order: StartOrder, memory: PodMemory) -> bool:
        """Start the run; False if it could not be: `memory` then says why."""
        name = order.container.name
        ready = self._images.find(order.container.image)
        if ready is None:
            return False  # removed since the plan saw it: it will be built again
        try:
            spec = self._spec(order, ready)
            if await self._is_served(order, ready, spec, memory):
                return True
            await self._runtime.start(spec)
        except ConfigError as error:
            memory.config_problems[name] = self._problem(error.reason, str(error))
            return False
        except CannotStart as error:
            self._note_failed_start(order, memory, str(error))
            return False
        except RuntimeFailed as error:
            memory.config_problems[name] = self._problem("RunContainerError", str(error))
            return False
        memory.config_problems.pop(name, None)
        return True

    def _problem(self, reason: str, message: str) -> Problem:
        return Problem(reason, message, self._clock.now() + timedelta(seconds=RETRY_S))

    def _note_failed_start(self, order: StartOrder, memory: PodMemory, why: str) -> None:
        now = self._clock.now()
        run = Run(
            order.restart, now, now, NOT_STARTED_CODE, reason="StartError",
            message=f'exec: "{order.container.name}": {why}',
        )  # fmt: skip
        memory.own_runs.setdefault(order.container.name, []).append(run)

    async def _is_served(
        self, order: StartOrder, ready: ReadyImage, spec: ContainerSpec, memory: PodMemory
    ) -> bool:
        """Link a model in place instead of running the program that would."""
        if not is_model_fetch(ready.image):
            return False
        values = container_environment(order.pod, order.container, order.references, order.place)
        args = expand_all(order.container.args, values)
        fetch = FetchOrder.of(args, spec.binds, spec.env, spec.log)
        if fetch is None or order.container.command:
            return False
        started = self._clock.now()
        if not await self._models.serve(fetch, started):
            return False
        run = Run(order.restart, started, self._clock.now(), 0)
        memory.own_runs.setdefault(order.container.name, []).append(run)
        return True

    def _spec(self, order: StartOrder, ready: ReadyImage) -> ContainerSpec:
        pod, container = order.pod, order.container
        wanted = container_environment(pod, container, order.references, order.place)
        termination = self._termination_bind(order)
        is_of_platform = ready.is_of_platform
        given = self._models.variables(termination.path) if is_of_platform else {}
        binds = container_spec.volume_binds(container, self._volumes.paths(pod), wanted)
        for bind in binds:
            _make_sub_path(bind)
        return ContainerSpec(
            id=order.id,
            argv=container_spec.command_line(container, ready, wanted),
            env=container_spec.full_environment(pod, ready, wanted, given),
            cwd=container_spec.working_folder(container, ready),
            binds=(*binds, termination),
            log=self._folders.log(pod.metadata.namespace, pod.metadata.name, order.id),
            is_of_platform=is_of_platform,
        )

    def _termination_bind(self, order: StartOrder) -> Bind:
        file = self._folders.termination(order.id)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        file.chmod(0o666)
        path = order.container.termination_message_path or DEFAULT_TERMINATION_PATH
        return Bind(file, path)


def _make_sub_path(bind: Bind) -> None:
    source: Path = bind.source
    if not source.exists():
        source.mkdir(parents=True, exist_ok=True)
