"""OpenAPI v3 of what is served, one document a version: for `kubectl explain` and patches.

kubectl finds a kind through the paths, reads its schema, and takes from PATCH's parameters that the
server validates fields and knows dry runs.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from stagezero.api.base import Raw
from stagezero.api.schema import metadata_schema
from stagezero.apiserver.patching import accepted
from stagezero.apiserver.served import Served

_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
_GVK = "x-kubernetes-group-version-kind"
_ACTION = "x-kubernetes-action"
_API_VERSION: Raw = {
    "type": "string",
    "description": ("APIVersion defines the versioned schema of this representation of an object."),
}
_KIND: Raw = {
    "type": "string",
    "description": "Kind is a string value representing the REST resource this object represents.",
}
_WRITE_OPTIONS = ("dryRun", "fieldManager", "fieldValidation")
_LIST_OPTIONS = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit",
    "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
)  # fmt: skip


def path_of(group: str, version: str) -> str:
    """The name of a document: api/v1, apis/GROUP/VERSION."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


class Documents:
    """The documents of one revision of the catalogue, encoded when first asked for."""

    def __init__(self, served: Iterable[Served]) -> None:
        self._by_path: dict[str, list[Served]] = {}
        for one in served:
            self._by_path.setdefault(path_of(one.group, one.version), []).append(one)
        self._encoded: dict[str, bytes] = {}

    def index(self) -> Raw:
        """The list of documents; each address carries a hash, so that clients keep it by that."""
        return {
            "paths": {
                path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self.etag(path)}"}
                for path in sorted(self._by_path)
            }
        }

    def etag(self, path: str) -> str:
        """The hash of a document."""
        document = self.document(path)
        assert document is not None, path
        return hashlib.sha256(document).hexdigest()[:32].upper()

    def document(self, path: str) -> bytes | None:
        """One encoded document, None if there is none."""
        if path not in self._by_path:
            return None
        if path not in self._encoded:
            self._encoded[path] = msgspec.json.encode(_document(self._by_path[path]))
        return self._encoded[path]


def _document(served: list[Served]) -> Raw:
    schemas: Raw = {_META: _with_description(metadata_schema()), _LIST_META: _list_meta()}
    paths: Raw = {}
    for one in served:
        schemas[_schema_name(one)] = _schema(one)
        schemas[f"{_schema_name(one)}List"] = _list_schema(one)
        paths.update(_paths(one))
    return {
        "openapi": "3.0.0",
        "info": {"title": "Stagezero", "version": "v1.32.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _with_description(schema: Raw) -> Raw:
    return {"description": "ObjectMeta is metadata that all objects have.", **schema}


def _list_meta() -> Raw:
    text: Raw = {"type": "string"}
    return {
        "type": "object",
        "description": "ListMeta describes the metadata of a list.",
        "properties": {
            "continue": text,
            "remainingItemCount": {"type": "integer", "format": "int64"},
            "resourceVersion": text,
            "selfLink": text,
        },
    }


def _schema_name(one: Served) -> str:
    if one.resource.is_builtin:
        group = one.group.removesuffix(".k8s.io") or "core"
        return f"io.k8s.api.{group}.{one.version}.{one.kind}"
    reversed_group = ".".join(reversed(one.group.split(".")))
    return f"{reversed_group}.{one.version}.{one.kind}"


def _gvk(one: Served, kind: str) -> Raw:
    return {"group": one.group, "version": one.version, "kind": kind}


def _ref(name: str) -> Raw:
    return {"$ref": f"#/components/schemas/{name}"}


def _described_ref(name: str, description: str) -> Raw:
    return {"description": description, "allOf": [_ref(name)], "default": {}}


def _schema(one: Served) -> Raw:
    properties = dict(one.schema.get("properties") or {})
    properties["apiVersion"], properties["kind"] = _API_VERSION, _KIND
    properties["metadata"] = _described_ref(_META, "Standard object's metadata.")
    return {**one.schema, "properties": properties, _GVK: [_gvk(one, one.kind)]}


def _list_schema(one: Served) -> Raw:
    return {
        "type": "object",
        "description": f"{one.list_kind} is a list of {one.kind}.",
        "required": ["items"],
        "properties": {
            "apiVersion": _API_VERSION,
            "kind": _KIND,
            "metadata": _described_ref(_LIST_META, "Standard list metadata."),
            "items": {"type": "array", "items": _ref(_schema_name(one))},
        },
        _GVK: [_gvk(one, one.list_kind)],
    }


def _paths(one: Served) -> Raw:
    base = f"/{path_of(one.group, one.version)}"
    plural = one.resource.plural
    paths: Raw = {f"{base}/{plural}": _collection_path(one, is_main=not one.resource.namespaced)}
    if one.resource.namespaced:
        base = f"{base}/namespaces/{{namespace}}"
        paths[f"{base}/{plural}"] = _collection_path(one, is_main=True)
    item = _item_path(one)
    paths[f"{base}/{plural}/{{name}}"] = item
    if one.has_status:
        paths[f"{base}/{plural}/{{name}}/status"] = {
            name: value for name, value in item.items() if name != "delete"
        }
    return paths


def _collection_path(one: Served, is_main: bool) -> Raw:
    path: Raw = {"parameters": _path_parameters(one, with_name=False) if is_main else []}
    path["get"] = _operation(one, "list", _LIST_OPTIONS, f"{_schema_name(one)}List")
    if is_main:
        path["post"] = _operation(one, "post", _WRITE_OPTIONS, _schema_name(one))
    return path


def _item_path(one: Served) -> Raw:
    name = _schema_name(one)
    return {
        "parameters": _path_parameters(one, with_name=True),
        "get": _operation(one, "get", (), name),
        "put": _operation(one, "put", _WRITE_OPTIONS, name),
        "patch": _operation(one, "patch", (*_WRITE_OPTIONS, "force"), name),
        "delete": _operation(one, "delete", ("dryRun", "gracePeriodSeconds"), name),
    }


def _path_parameters(one: Served, with_name: bool) -> list[Raw]:
    names = ["name"] if with_name else []
    names += ["namespace"] if one.resource.namespaced else []
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]


def _operation(one: Served, action: str, options: tuple[str, ...], answer: str) -> Raw:
    operation: Raw = {
        "operationId": f"{action}_{one.group}_{one.version}_{one.resource.plural}",
        "parameters": [
            {"name": option, "in": "query", "schema": {"type": "string"}} for option in options
        ],
        "responses": {
            "200": {
                "description": "OK",
                "content": {"application/json": {"schema": _ref(answer)}},
            }
        },
        _ACTION: action,
        _GVK: _gvk(one, one.kind),
    }
    media = {"put": ("*/*",), "post": ("*/*",), "patch": accepted(one)}.get(action)
    if media:
        body = {"schema": _ref(_schema_name(one)) if action != "patch" else {"type": "object"}}
        operation["requestBody"] = {"content": dict.fromkeys(media, body)}
    return operation
