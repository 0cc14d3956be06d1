"""One served resource: a kind at one of its versions, with all the server must know to serve it.

Built-in kinds come from the classes of `api`, custom ones from their CustomResourceDefinition; past
this module the server makes no difference between them but the few rules that Kubernetes has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from stagezero.api.base import Column, Object, Raw, Resource
from stagezero.api.durations import human_duration
from stagezero.api.printing import TablePrinter
from stagezero.api.schema import object_schema
from stagezero.api.times import parse_time
from stagezero.apiserver.jsonpath import JsonPath
from stagezero.apiserver.pruning import default_tree

Cells = Callable[[Raw, datetime], list[Any]]


@dataclass(frozen=True)
class ScalePaths:
    """Where a kind keeps its scale."""

    spec_replicas: str = ".spec.replicas"
    status_replicas: str = ".status.replicas"
    selector: str | None = ".spec.selector"


@dataclass(frozen=True)
class Served:
    """A kind at one served version."""

    resource: Resource
    version: str
    schema: Raw
    columns: tuple[Column, ...]
    cells: Cells
    singular: str
    list_kind: str
    has_status: bool
    scale: ScalePaths | None = None
    deprecation: str | None = None
    selectable_fields: frozenset[str] = frozenset()

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.resource.group

    @property
    def kind(self) -> str:
        """The kind's name."""
        return self.resource.kind

    @property
    def collection(self) -> str:
        """The collection in the store, which all versions share."""
        return self.resource.full_name

    @property
    def api_version(self) -> str:
        """The apiVersion that clients of this version see."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def defaults(self) -> Raw | None:
        """The part of the schema that has defaults."""
        return default_tree(self.schema)

    @cached_property
    def counts_generations(self) -> bool:
        """Whether metadata.generation counts changes: of custom kinds, and workloads."""
        return not self.resource.is_builtin or self.group == "apps"


def from_class(kind: type[Object], printer: TablePrinter | None) -> Served:
    """Serve a built-in kind."""
    resource = kind.resource
    columns, cells = (printer.columns, printer.cells) if printer else _by_path(resource.columns)
    return Served(
        resource=resource,
        version=resource.version,
        schema=object_schema(kind),
        columns=columns,
        cells=cells,
        singular=resource.singular,
        list_kind=f"{resource.kind}List",
        has_status=resource.has_status,
        scale=ScalePaths() if resource.has_scale else None,
    )


def from_definition(definition: Raw) -> list[Served]:
    """Serve every served version of a custom kind."""
    spec = definition["spec"]
    storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
    return [
        _custom(spec, version, storage) for version in spec["versions"] if version.get("served")
    ]


def _custom(spec: Raw, version: Raw, storage: str) -> Served:
    names = spec["names"]
    subresources = version.get("subresources") or {}
    scale = subresources.get("scale")
    columns, cells = _by_path(_columns(version))
    fields = [str(field.get("jsonPath", "")) for field in version.get("selectableFields") or []]
    return Served(
        resource=Resource(
            group=spec["group"],
            version=storage,
            kind=names["kind"],
            plural=names["plural"],
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            namespaced=spec["scope"] == "Namespaced",
            has_status="status" in subresources,
            has_scale=scale is not None,
        ),
        version=version["name"],
        schema=_schema(spec, version),
        columns=columns,
        cells=cells,
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        has_status="status" in subresources,
        scale=scale and _scale_paths(scale),
        deprecation=_deprecation(spec, version),
        selectable_fields=frozenset(field.lstrip(".") for field in fields),
    )


def _schema(spec: Raw, version: Raw) -> Raw:
    schema: Raw = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
    if spec.get("preserveUnknownFields") or "properties" not in schema:
        schema = {**schema, "x-kubernetes-preserve-unknown-fields": True}
    return schema


def _scale_paths(scale: Raw) -> ScalePaths:
    return ScalePaths(
        scale.get("specReplicasPath", ".spec.replicas"),
        scale.get("statusReplicasPath", ".status.replicas"),
        scale.get("labelSelectorPath"),
    )


def _deprecation(spec: Raw, version: Raw) -> str | None:
    if not version.get("deprecated"):
        return None
    fallback = f"{spec['group']}/{version['name']} {spec['names']['kind']} is deprecated"
    return version.get("deprecationWarning") or fallback


_DEFAULT_COLUMNS = (Column("Age", ".metadata.creationTimestamp", type="date"),)


def _columns(version: Raw) -> tuple[Column, ...]:
    found = version.get("additionalPrinterColumns")
    if not found:
        return _DEFAULT_COLUMNS
    return tuple(
        Column(
            column["name"],
            column["jsonPath"],
            column.get("type", "string"),
            column.get("priority", 0),
            column.get("description", ""),
        )
        for column in found
    )


def _by_path(columns: tuple[Column, ...]) -> tuple[tuple[Column, ...], Cells]:
    columns = columns or _DEFAULT_COLUMNS
    paths = [(JsonPath(column.path), column.type) for column in columns]

    def cells(raw: Raw, now: datetime) -> list[Any]:
        name = raw["metadata"].get("name", "")
        return [name, *(_cell(path.first(raw), kind, now) for path, kind in paths)]

    return (Column("Name", ".metadata.name"), *columns), cells


def _cell(value: Any, kind: str, now: datetime) -> Any:
    """A cell as kubectl gets it; null where the value is absent or of another type."""
    match kind:
        case "date":
            return _age(value, now)
        case "string":
            return _text(value)
        case "integer":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return int(value) if is_number else None
        case "number":
            return value if isinstance(value, int | float) else None
        case "boolean":
            return value if isinstance(value, bool) else None
    return None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return str(value)


def _age(value: Any, now: datetime) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return human_duration((now - parse_time(value)).total_seconds())
    except (ValueError, TypeError):
        return "<invalid>"
