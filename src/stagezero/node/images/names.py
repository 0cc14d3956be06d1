"""Image names: one spelling for the many ways to write the same repository.

`docker.io/library/python:3.11`, `index.docker.io/library/python` and `python@sha256:…` are the
repository `python`; other hosts stay in the name.
"""

import re
from dataclasses import dataclass

from stagezero.node.images.errors import InvalidImageName

_DEFAULT_HOSTS = ("docker.io/", "index.docker.io/", "registry-1.docker.io/")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
# A first part is a host, which may have capitals, only if it has a dot or a port, or is localhost.
_LABEL = r"[A-Za-z0-9-]+"
_HOST = rf"(?:(?:{_LABEL}(?:\.{_LABEL})+(?::\d+)?|{_LABEL}:\d+|localhost)/)?"
_REPOSITORY = re.compile(rf"{_HOST}{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}")


@dataclass(frozen=True)
class ImageName:
    """A parsed image name; `tag` and `digest` are empty where not given."""

    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse_image_name(image: str) -> ImageName:
    """Read an image name as container runtimes do; InvalidImageName if it is none."""
    rest, has_digest, digest = image.partition("@")
    head, slash, last = rest.rpartition("/")
    name, has_tag, tag = last.partition(":")
    repository = f"{head}{slash}{name}"
    if not _REPOSITORY.fullmatch(repository):
        raise InvalidImageName(image)
    if has_tag and not _TAG.fullmatch(tag):
        raise InvalidImageName(image)
    if has_digest and not _DIGEST.fullmatch(digest):
        raise InvalidImageName(image)
    return ImageName(_short(repository), tag, digest)


def _short(repository: str) -> str:
    for host in _DEFAULT_HOSTS:
        if repository.startswith(host):
            return repository.removeprefix(host).removeprefix("library/")
    return repository.removeprefix("library/")
