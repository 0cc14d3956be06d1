"""The catalogue of images: the files shipped with the package, then the user's own folders.

Folders are read when an image is asked for, and read again only when one of their files changed, so
an entry that was just added or mended counts at the pod's next try, without a restart.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from stagezero.node.images.entries import CatalogueFile, read_catalogue_file
from stagezero.node.images.errors import CatalogueProblem, ImageNotInCatalogue
from stagezero.node.images.image import Image
from stagezero.node.images.names import ImageName, parse_image_name

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent.parent / "catalogue"

_Fingerprint = tuple[tuple[Path, int, int], ...]


class Catalogue:
    """Finds the entry for an image name; of two entries with one name, the later folder's counts.

    Within one folder files are read by name, and the first to claim a name keeps it.
    """

    def __init__(self, user_folders: Sequence[Path] = (), shipped: Path = SHIPPED) -> None:
        self._user_folders = tuple(user_folders)
        self._folders = (shipped, *self._user_folders)
        self._seen: _Fingerprint | None = None
        self._images: dict[str, Image] = {}
        self._problems: tuple[CatalogueProblem, ...] = ()

    def resolve(self, image: str) -> Image:
        """Return the entry for an image name; InvalidImageName or ImageNotInCatalogue otherwise."""
        name = parse_image_name(image)
        self._refresh()
        pinned = self._images.get(str(ImageName(name.repository, name.tag)))
        found = pinned or self._images.get(name.repository)
        if found is None:
            broken = sorted({problem.file for problem in self._problems})
            raise ImageNotInCatalogue(image, sorted(self._images), self._user_folders, broken)
        return found

    def images(self) -> dict[str, Image]:
        """Return all entries by name."""
        self._refresh()
        return dict(self._images)

    def problems(self) -> tuple[CatalogueProblem, ...]:
        """Return what is wrong in the files as they are now."""
        self._refresh()
        return self._problems

    def _refresh(self) -> None:
        seen = tuple(entry for folder in self._folders for entry in _files(folder))
        if seen == self._seen:
            return
        images: dict[str, Image] = {}
        problems: list[CatalogueProblem] = []
        for folder in self._folders:
            here: dict[str, Image] = {}
            for path, _, _ in _files(folder):
                problems += _claim(here, read_catalogue_file(path), path)
            images |= here
        for problem in problems:
            log.warning("catalogue: %s", problem)
        self._images, self._problems, self._seen = images, tuple(problems), seen


def _claim(images: dict[str, Image], file: CatalogueFile, path: Path) -> list[CatalogueProblem]:
    problems = list(file.problems)
    for image in file.images:
        for name in image.names:
            first = images.setdefault(name, image)
            if first is not image:
                problems.append(
                    CatalogueProblem(
                        path,
                        "names",
                        f'"{name}" is already the name of an image in {first.defined_in}',
                        "take another name, or remove one of the two",
                    )
                )
    return problems


def _files(folder: Path) -> _Fingerprint:
    try:
        paths = sorted(folder.glob("*.toml"))
        stats = [(path, path.stat()) for path in paths]
    except OSError:
        return ()
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats)
