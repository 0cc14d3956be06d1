"""How far the build of an environment is: a value for events, logs and progress bars."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class BuildPhase(Enum):
    """The phases of a build, in their order; a build may skip some."""

    WAITING = "waiting"
    """Another process builds the same environment."""

    RESOLVING = "resolving"
    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    COMPILING = "compiling"
    READY = "ready"


@dataclass(frozen=True)
class BuildProgress:
    """A moment of a build; `bytes_total` is 0 as long as no size is known."""

    phase: BuildPhase
    packages_done: int = 0
    packages_total: int = 0
    package: str = ""
    bytes_done: int = 0
    bytes_total: int = 0
    elapsed_s: float = 0.0

    def __str__(self) -> str:
        """Return the moment in words, such as `downloading 3 of 10 packages (scipy), 12 s`."""
        words = self.phase.value
        if self.packages_total:
            words += f" {self.packages_done} of {self.packages_total} packages"
        if self.package:
            words += f" ({self.package})"
        if self.bytes_total:
            words += f", {self.bytes_done / 1e6:.0f} of {self.bytes_total / 1e6:.0f} MB"
        return f"{words}, {self.elapsed_s:.0f} s"


ProgressCallback = Callable[[BuildProgress], None]


def silent(_progress: BuildProgress) -> None:
    """Tell nobody."""
