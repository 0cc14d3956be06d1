"""The server's own pages: version, health, discovery and OpenAPI, made anew when kinds change."""

from collections.abc import Callable

import msgspec

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.apiserver.catalogue import Catalogue
from stagezero.apiserver.discovery import AGGREGATED, Groups, wants_aggregated
from stagezero.apiserver.openapi import Documents
from stagezero.kit.http import JSON, Request, Response

VERSION: Raw = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0+stagezero",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "cpython",
    "platform": "linux/amd64",
}
_HEALTH = frozenset({"/healthz", "/livez", "/readyz"})
_OPENAPI_V3 = "/openapi/v3"
_OPENAPI_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_OPENAPI_V2_REPLY = _OPENAPI_V2_PROTOBUF.replace("@", ".")  # Go's mime takes no @ in an answer


class Documentation:
    """Answers what describes the server; `extra` are subresources that others carry out."""

    def __init__(self, catalogue: Catalogue, extra: tuple[tuple[str, str], ...]) -> None:
        self._catalogue = catalogue
        self._extra = extra
        self._revision = -1
        self._groups = Groups(())
        self._documents = Documents(())

    def answer(self, request: Request) -> Response | None:
        """Answer a request for a page; None if the path is none of ours."""
        page = self._find(request)
        if page is None:
            return None
        if request.method not in ("GET", "HEAD"):
            raise errors.MethodNotAllowed(
                "the server does not allow this method on the requested resource"
            )
        return page()

    def _find(self, request: Request) -> Callable[[], Response] | None:
        path = request.path.rstrip("/") or "/"
        if path in _HEALTH or path.rpartition("/")[0] in _HEALTH:
            return lambda: Response(200, b"ok", {"content-type": "text/plain; charset=utf-8"})
        if path == "/version":
            return lambda: _json(VERSION)
        if path == "/":
            return lambda: _json(self._root())
        if path == "/openapi/v2":
            return lambda: _openapi_v2(request.headers.get("accept", ""))
        if path == _OPENAPI_V3 or path.startswith(f"{_OPENAPI_V3}/"):
            return lambda: self._openapi_v3(path.removeprefix(_OPENAPI_V3).strip("/"), request)
        return self._find_discovery(path, request)

    def _find_discovery(self, path: str, request: Request) -> Callable[[], Response] | None:
        parts = path.strip("/").split("/")
        is_aggregated = wants_aggregated(request.headers.get("accept", ""))
        match parts:
            case ["api"]:
                return lambda: self._core(is_aggregated)
            case ["apis"]:
                return lambda: self._all_groups(is_aggregated)
            case ["api", version]:
                return lambda: self._resources("", version)
            case ["apis", group]:
                return lambda: self._group(group)
            case ["apis", group, version]:
                return lambda: self._resources(group, version)
        return None

    def _refresh(self) -> None:
        if self._revision != self._catalogue.revision:
            self._revision = self._catalogue.revision
            served = self._catalogue.all()
            self._groups = Groups(served, self._extra)
            self._documents = Documents(served)

    def _root(self) -> Raw:
        self._refresh()
        groups = [f"/apis/{group}" for group in self._groups.names()]
        paths = ["/api", "/api/v1", "/apis", *groups, *sorted(_HEALTH), _OPENAPI_V3, "/version"]
        return {"paths": paths}

    def _core(self, is_aggregated: bool) -> Response:
        self._refresh()
        if is_aggregated:
            return _json(self._groups.aggregated([""]), AGGREGATED)
        return _json({"kind": "APIVersions", "versions": self._groups.versions("")})

    def _all_groups(self, is_aggregated: bool) -> Response:
        self._refresh()
        if is_aggregated:
            return _json(self._groups.aggregated(self._groups.names()), AGGREGATED)
        return _json(self._groups.group_list())

    def _group(self, group: str) -> Response:
        self._refresh()
        if group not in self._groups.names():
            raise errors.NotFound("the server could not find the requested resource")
        return _json(self._groups.group(group))

    def _resources(self, group: str, version: str) -> Response:
        self._refresh()
        if version not in self._groups.versions(group):
            raise errors.NotFound("the server could not find the requested resource")
        return _json(self._groups.resource_list(group, version))

    def _openapi_v3(self, path: str, request: Request) -> Response:
        self._refresh()
        if not path:
            return _json(self._documents.index())
        document = self._documents.document(path)
        if document is None:
            raise errors.NotFound("the server could not find the requested resource")
        etag = f'"{self._documents.etag(path)}"'
        headers = {"content-type": JSON, "etag": etag}
        if "hash" in request.query:
            headers["cache-control"] = "public, max-age=31536000, immutable"
        if request.headers.get("if-none-match") == etag:
            return Response(304, b"", headers)
        return Response(200, document, headers)


def _openapi_v2(accept: str) -> Response:
    """An empty document, in the form that is asked for.

    Kinds are described in v3. kubectl reads v2 (as protobuf only) for a kind that v3 does not have,
    and goes on to say that nobody knows the kind.
    """
    title, version = "Stagezero", VERSION["gitVersion"]
    if _OPENAPI_V2_PROTOBUF not in accept:
        info = {"title": title, "version": version}
        return _json({"swagger": "2.0", "info": info, "paths": {}, "definitions": {}})
    info_bytes = _protobuf_text(1, title.encode()) + _protobuf_text(2, version.encode())
    body = _protobuf_text(1, b"2.0") + _protobuf_text(2, info_bytes)
    return Response(200, body, {"content-type": _OPENAPI_V2_REPLY})


def _protobuf_text(number: int, value: bytes) -> bytes:
    assert len(value) < 128, "a longer text needs a length of more than one byte"
    return bytes((number << 3 | 2, len(value))) + value


def _json(raw: Raw, content_type: str = JSON) -> Response:
    return Response(200, msgspec.json.encode(raw), {"content-type": content_type})
