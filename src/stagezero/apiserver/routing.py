"""Paths of the API: `/api/v1/…` and `/apis/GROUP/VERSION/…` become a `Target`.

Pure text work: whether the resource exists is the catalogue's business.
"""

from dataclasses import dataclass

# Under /namespaces/NAME these words are subresources of the namespace, not collections in it.
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True)
class Target:
    """What a path points at; `name` is empty for collections, `tail` is what follows a proxy-like
    subresource.
    """

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    tail: str = ""


def parse(path: str) -> Target | None:
    """Split a decoded path; None if it is not a path of resources."""
    parts = path.strip("/").split("/")
    if "" in parts:
        return None
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in _NAMESPACE_SUBRESOURCES:
        return _target(group, version, rest[2:], namespace=rest[1])
    return _target(group, version, rest)


def _target(group: str, version: str, rest: list[str], namespace: str = "") -> Target:
    padded = [*rest, "", ""]
    plural, name, subresource = padded[0], padded[1], padded[2]
    return Target(group, version, plural, namespace, name, subresource, "/".join(rest[3:]))
