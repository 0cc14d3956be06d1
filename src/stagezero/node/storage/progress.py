"""How far a download is: a value for events, logs and progress bars."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class FetchProgress:
    """A moment of a download; totals are 0 as long as they are unknown."""

    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    elapsed_s: float = 0.0

    def __str__(self) -> str:
        """Return the moment in words, such as `2 of 5 files, 31 of 98 MB, 3 s`."""
        files = f"{self.files_done} of {self.files_total} files"
        whole = f" of {self.bytes_total / 1e6:.0f}" if self.bytes_total else ""
        return f"{files}, {self.bytes_done / 1e6:.0f}{whole} MB, {self.elapsed_s:.0f} s"


ProgressCallback = Callable[[FetchProgress], None]


def silent(_progress: FetchProgress) -> None:
    """Tell nobody."""
