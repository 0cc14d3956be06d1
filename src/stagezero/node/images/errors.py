"""What can go wrong between a pod's `image:` and a program that can be started.

Each class says what its catcher does: an invalid name or an unknown image waits for a person, a
failed build is tried again with back-off. Every message is meant for the person who wrote the pod.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class ImageError(Exception):
    """An image cannot be made ready to run."""


class InvalidImageName(ImageError):
    """The text is not the name of an image; only another name helps."""

    def __init__(self, image: str) -> None:
        super().__init__(
            f'"{image}" is not an image name: expected [HOST/]NAME[:TAG][@sha256:DIGEST] '
            "in lower case, such as kserve/sklearnserver:v0.8.0"
        )
        self.image = image


class ImageNotInCatalogue(ImageError):
    """No entry of the catalogue bears this name; only a new entry or another name helps."""

    def __init__(
        self, image: str, known: Sequence[str], folders: Sequence[Path], broken: Sequence[Path] = ()
    ) -> None:
        where = " or ".join(str(folder) for folder in folders) or "a folder of the catalogue"
        unread = f" Not all of {', '.join(map(str, broken))} could be used." if broken else ""
        super().__init__(
            f'image "{image}" is not in the catalogue, which has {", ".join(known) or "no image"}. '
            "To pull and run a real OCI image needs podman, which is not supported yet. "
            "To run a Python program under this name, put a .toml file with an [[image]] entry "
            f"(names, entrypoint) into {where}.{unread}"
        )
        self.image = image


class EnvironmentBuildFailed(ImageError):
    """The environment of an image could not be built; trying again later may help."""

    def __init__(self, image: str, reason: str, log: Path | None = None) -> None:
        more = f" (all of pip's output: {log})" if log else ""
        super().__init__(f"cannot build the environment of image {image}: {reason}{more}")
        self.image = image
        self.reason = reason
        self.log = log


class EnvironmentNotFound(ImageError):
    """No environment has this digest."""

    def __init__(self, digest: str, root: Path) -> None:
        super().__init__(
            f'no environment "{digest}" under {root}; "stagezero env ls" lists those there are'
        )


class EnvironmentInUse(ImageError):
    """An environment is being built or has running processes; stop them first."""

    def __init__(self, digest: str) -> None:
        super().__init__(
            f"environment {digest} is in use; delete the pods that run in it, then try again"
        )


@dataclass(frozen=True)
class CatalogueProblem:
    """One thing wrong in a catalogue file: where, what, and how to put it right."""

    file: Path
    key: str
    message: str
    remedy: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}: {key}{self.message}; {self.remedy}"
