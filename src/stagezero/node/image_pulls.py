"""Images made ready: catalogue entry, then environment; told as a kubelet tells of pulls.

One state an image, whoever asks; failures wait 10 s, doubling to 5 min, as Kubernetes' do.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from stagezero.api.base import Key
from stagezero.kit.backoff import Backoff
from stagezero.kit.clock import Clock
from stagezero.kit.tasks import TaskOwner
from stagezero.node.images.catalogue import Catalogue
from stagezero.node.images.environments import Environments
from stagezero.node.images.errors import ImageError, InvalidImageName
from stagezero.node.images.image import Image
from stagezero.node.images.progress import BuildProgress
from stagezero.node.plans.container_spec import ReadyImage
from stagezero.node.plans.observed import ImagePhase, ImageView
from stagezero.runtime.plan import Happening, normal, warning

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 10.0

Tell = Callable[[Key, Happening], None]
"""Called with what a pod's owner should hear."""


@dataclass
class _Pull:
    image: str
    view: ImageView
    pods: set[Key] = field(default_factory=set)
    told_at: datetime | None = None


class ImagePulls:
    """The images that pods of this node asked for."""

    def __init__(
        self, catalogue: Catalogue, environments: Environments, clock: Clock, tell: Tell
    ) -> None:
        self._catalogue = catalogue
        self._environments = environments
        self._clock = clock
        self._tell = tell
        self._pulls: dict[str, _Pull] = {}
        self._backoff = Backoff(first_s=10.0, limit_s=300.0)
        self._tasks = TaskOwner("images")

    def view(self, image: str) -> ImageView:
        """What is known; an environment that is there already counts as ready at once."""
        pull = self._pulls.get(image)
        if pull is not None and pull.view.phase is ImagePhase.PULLING:
            return pull.view
        ready = self.find(image)
        if ready is not None:
            return ImageView(ImagePhase.READY, f"stagezero://{ready.environment.digest}")
        return pull.view if pull is not None else ImageView()

    def find(self, image: str) -> ReadyImage | None:
        """The image if it can be started now."""
        entry = self.entry(image)
        environment = self._environments.find(entry) if entry is not None else None
        return ReadyImage(entry, environment) if entry and environment else None

    def entry(self, image: str) -> Image | None:
        """The image's entry of the catalogue."""
        try:
            return self._catalogue.resolve(image)
        except ImageError:
            return None

    def pull(self, image: str, pod: Key) -> None:
        """Make an image ready in the background, unless that is under way; the pod hears of it."""
        pull = self._pulls.setdefault(image, _Pull(image, ImageView()))
        is_new = pod not in pull.pods
        pull.pods.add(pod)
        if pull.view.phase is ImagePhase.PULLING:
            if is_new:
                self._tell(pod, normal("Pulling", f'Pulling image "{image}"'))
            return
        pull.view = ImageView(ImagePhase.PULLING)
        self._tasks.start(self._make_ready(pull), image)

    async def close(self) -> None:
        """Stop pulling."""
        await self._tasks.stop()

    async def _make_ready(self, pull: _Pull) -> None:
        started = self._clock.now()
        self._say(pull, normal("Pulling", f'Pulling image "{pull.image}"'))
        try:
            entry = self._catalogue.resolve(pull.image)
            ready = await self._environments.ensure(entry, lambda told: self._progress(pull, told))
        except ImageError as error:
            self._failed(pull, error)
            return
        self._backoff.forget(pull.image)
        pull.view = ImageView(ImagePhase.READY, f"stagezero://{ready.digest}")
        took_s = (self._clock.now() - started).total_seconds()
        words = f'Successfully pulled image "{pull.image}" in {took_s:.1f}s'
        self._say(pull, normal("Pulled", words))
        pull.pods.clear()

    def _progress(self, pull: _Pull, progress: BuildProgress) -> None:
        words = f"building the environment of image {pull.image}: {progress}"
        pull.view = ImageView(ImagePhase.PULLING, message=words)
        now = self._clock.now()
        if pull.told_at is None or (now - pull.told_at).total_seconds() >= PROGRESS_EVERY_S:
            pull.told_at = now
            self._say(pull, normal("Pulling", words[0].upper() + words[1:]))

    def _failed(self, pull: _Pull, error: ImageError) -> None:
        log.info("image %s: %s", pull.image, error)
        delay_s = self._backoff.failed(pull.image)
        retry_at = self._clock.now() + timedelta(seconds=delay_s)
        if isinstance(error, InvalidImageName):
            pull.view = ImageView(ImagePhase.FAILED, "", "InvalidImageName", str(error))
            self._say(pull, warning("InspectFailed", str(error)))
            return
        # The first look shows the error itself, later ones that it is being waited; the true
        # reason stays in both.
        is_first = pull.view.reason == "" and delay_s <= self._backoff.first_s
        reason = "ErrImagePull" if is_first else "ImagePullBackOff"
        words = str(error) if is_first else f'Back-off pulling image "{pull.image}": {error}'
        pull.view = ImageView(ImagePhase.FAILED, "", reason, words, retry_at)
        self._say(pull, warning("Failed", f'Failed to pull image "{pull.image}": {error}'))
        self._say(pull, warning("Failed", f"Error: {reason}"))
        if not is_first:
            self._say(pull, normal("BackOff", f'Back-off pulling image "{pull.image}"'))

    def _say(self, pull: _Pull, happening: Happening) -> None:
        for pod in tuple(pull.pods):
            self._tell(pod, happening)
