"""Kubeconfig files: where the API server is, and with what to reach it.

Reads what kubectl reads: the files named by `KUBECONFIG` merged (the first to name a thing wins),
else `~/.kube/config`; contexts, authorities, tokens and client certificates as data or as files.
Programs that make credentials (`exec`, `auth-provider`) are refused by name.
"""

import base64
import binascii
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

_REFUSED = ("exec", "auth-provider", "impersonate", "as")


class KubeconfigError(Exception):
    """A kubeconfig that cannot be used; the message names the file and the entry."""


@dataclass(frozen=True)
class Access:
    """How to reach one API server; texts are PEM, `source` is named in messages."""

    url: str
    source: str = ""
    namespace: str = "default"
    authority: str = ""
    token: str = ""
    certificate: str = ""
    key: str = ""
    username: str = ""
    password: str = ""
    # The name that the server's certificate is checked for, where it is not the address.
    server_name: str = ""
    proxy: str = ""
    is_verified: bool = True


@dataclass(frozen=True)
class _Entry:
    """One named cluster, user or context, and the file it stands in (paths are relative to it)."""

    what: str
    file: Path
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A field as text, empty if it is not there."""
        value = self.fields.get(name)
        return "" if value is None else str(value)

    def bytes_of(self, name: str) -> str:
        """PEM text: the field `NAME-data`, or the content of the file that `NAME` names."""
        data = self.text(f"{name}-data")
        if data:
            try:
                return base64.b64decode(data, validate=False).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise KubeconfigError(
                    f"{self.file}: {name}-data of {self.what} is not base64 of PEM text: {error}"
                ) from error
        return self.content(name)

    def content(self, name: str) -> str:
        """The content of the file that a field names, empty if there is no such field."""
        if not self.text(name):
            return ""
        path = self.file.parent / Path(self.text(name)).expanduser()
        try:
            return path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise KubeconfigError(
                f"{self.file}: cannot read {path}, the {name} of {self.what}: {error}"
            ) from error


def load(
    path: Path | None = None, context: str = "", env: Mapping[str, str] = os.environ
) -> Access:
    """Read a kubeconfig (`path`, else `KUBECONFIG`, else ~/.kube/config); KubeconfigError."""
    config = _Config(_files(path, env))
    name = context or config.current
    if not name:
        raise KubeconfigError(
            f"{config.names}: no current-context; choose one of: {config.known('contexts')}"
        )
    chosen = config.entry("contexts", name)
    cluster = config.entry("clusters", chosen.text("cluster"), chosen)
    user = config.entry("users", chosen.text("user"), chosen) if chosen.text("user") else None
    access = _access(cluster, user or _Entry("no user", chosen.file, {}))
    return replace(access, namespace=chosen.text("namespace") or "default")


def _files(path: Path | None, env: Mapping[str, str]) -> list[Path]:
    if path is not None:
        return [path]
    named = [Path(part) for part in env.get("KUBECONFIG", "").split(os.pathsep) if part]
    if not named:
        named = [Path(env.get("HOME") or Path.home()) / ".kube" / "config"]
    there = [file for file in named if file.exists()]
    if not there:
        looked = ", ".join(map(str, named))
        raise KubeconfigError(
            f"there is no kubeconfig at {looked}; name one with --kubeconfig or KUBECONFIG"
        )
    return there


class _Config:
    """The merged files."""

    def __init__(self, files: list[Path]) -> None:
        self.names = ", ".join(map(str, files))
        self.current = ""
        self._entries: dict[tuple[str, str], _Entry] = {}
        for file in files:
            content = _parse(file)
            self.current = self.current or str(content.get("current-context") or "")
            for section in ("clusters", "users", "contexts"):
                for name, fields in _named(file, content, section):
                    entry = _Entry(f"{section[:-1]} {name!r}", file, fields)
                    self._entries.setdefault((section, name), entry)

    def known(self, section: str) -> str:
        """The names of a section, for messages."""
        return ", ".join(name for kind, name in self._entries if kind == section) or "(none)"

    def entry(self, section: str, name: str, asked_by: _Entry | None = None) -> _Entry:
        """Find a named entry."""
        found = self._entries.get((section, name))
        if found is None:
            who = f"{asked_by.what} names " if asked_by else "there is no "
            lacking = ", which is not there" if asked_by else ""
            raise KubeconfigError(
                f"{self.names}: {who}{section[:-1]} {name!r}{lacking}; "
                f"{section} are: {self.known(section)}"
            )
        return found


def _parse(file: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"cannot read the kubeconfig {file}: {error}") from error
    except yaml.YAMLError as error:
        raise KubeconfigError(f"the kubeconfig {file} is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise KubeconfigError(f"{file} is not a kubeconfig: it holds no mapping")
    return content


def _named(
    file: Path, content: Mapping[str, Any], section: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with _shape(file, section):
        for item in content.get(section) or ():
            yield str(item["name"]), dict(item.get(section[:-1]) or {})


@contextmanager
def _shape(file: Path, section: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise KubeconfigError(
            f"{file}: {section} must be a list of mappings with a name and a {section[:-1]}"
        ) from error


def _access(cluster: _Entry, user: _Entry) -> Access:
    url = cluster.text("server").rstrip("/")
    if not url.startswith(("https://", "http://")):
        raise KubeconfigError(
            f"{cluster.file}: the server of {cluster.what} must be an https:// URL, not {url!r}"
        )
    for field in _REFUSED:
        if field in user.fields:
            raise KubeconfigError(
                f"{user.file}: {user.what} uses {field!r}, which stagezero does not do; "
                "use a token or a client certificate"
            )
    return Access(
        url=url,
        source=str(cluster.file),
        authority=cluster.bytes_of("certificate-authority"),
        token=user.text("token") or user.content("tokenFile").strip(),
        certificate=user.bytes_of("client-certificate"),
        key=user.bytes_of("client-key"),
        username=user.text("username"),
        password=user.text("password"),
        server_name=cluster.text("tls-server-name"),
        proxy=cluster.text("proxy-url"),
        is_verified=cluster.fields.get("insecure-skip-tls-verify") is not True,
    )
