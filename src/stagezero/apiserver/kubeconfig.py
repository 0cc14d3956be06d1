"""The kubeconfig that makes kubectl talk to us: written to a path of ours, never elsewhere unasked.

`merge_into` is for the one who asks to have the context in a kubeconfig of their own; it keeps
everything else in that file and takes away nothing.
"""

import base64
import os
from pathlib import Path
from typing import Any

import yaml

from stagezero.api.base import Raw

NAME = "stagezero"
"""The name of the cluster, the user and the context."""


class Unreadable(Exception):
    """A kubeconfig to merge into is no kubeconfig."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is no readable kubeconfig ({why}); it was left as it is")
        self.path = path


def kubeconfig(server: str, ca_pem: str, token: str) -> Raw:
    """A kubeconfig with one context, certificate and token embedded."""
    authority = base64.b64encode(ca_pem.encode()).decode()
    cluster = {"server": server, "certificate-authority-data": authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [
            {"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": "default"}}
        ],
        "current-context": NAME,
        "preferences": {},
    }


def write(path: Path, config: Raw) -> None:
    """Write a kubeconfig of mode 0600, as a whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        yaml.safe_dump(config, file, sort_keys=False)
    new.replace(path)


def merge_into(path: Path, config: Raw) -> None:
    """Add our cluster, user and context to a kubeconfig and make it current; Unreadable."""
    merged = _read(path)
    for part in ("clusters", "users", "contexts"):
        others = [entry for entry in merged.get(part) or [] if entry.get("name") != NAME]
        merged[part] = others + config[part]
    for field in ("apiVersion", "kind", "current-context"):
        merged[field] = config[field]
    write(path.resolve(), merged)


def _read(path: Path) -> Raw:
    if not path.exists():
        return {}
    try:
        found: Any = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Unreadable(path, str(error).splitlines()[0]) from error
    if found is None:
        return {}
    parts = ("clusters", "users", "contexts")
    if not isinstance(found, dict) or not all(_is_named(found.get(part)) for part in parts):
        raise Unreadable(path, "it has another shape")
    return found


def _is_named(entries: Any) -> bool:
    return entries is None or (
        isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    )
