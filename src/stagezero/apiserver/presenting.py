"""How objects go out: whole, as metadata alone, or as the rows of a Table, by the Accept header.

Whole objects are not decoded: their stored bytes are joined. Tables decode one object at a time.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.apiserver.encoding import as_version, decode
from stagezero.apiserver.served import Served

_META = "meta.k8s.io/v1"
_JSON_TYPES = frozenset({"application/json", "*/*", "application/*"})


class Form(Enum):
    """The form that a client asked for."""

    OBJECT = "object"
    TABLE = "Table"
    PARTIAL = "PartialObjectMetadata"


class NotAcceptable(errors.ApiError):
    """No form that the client accepts is served."""

    reason, code = "NotAcceptable", 406


def form_of(accept: str) -> Form:
    """The first form of an Accept header that is served; NotAcceptable if none is."""
    for entry in accept.split(",") if accept.strip() else ("*/*",):
        media, *params = (part.strip() for part in entry.split(";"))
        if media.lower() not in _JSON_TYPES:
            continue
        given = dict(re.findall(r"(\w+)=([^;,\s]+)", ";".join(params)))
        wanted = given.get("as", "").removesuffix("List")
        if not wanted:
            return Form.OBJECT
        is_known = given.get("g") == "meta.k8s.io" and given.get("v") == "v1"
        if is_known and wanted in (Form.TABLE.value, Form.PARTIAL.value):
            return Form(wanted)
    raise NotAcceptable(
        "only the following media types are accepted: application/json, "
        "application/json;as=Table;v=v1;g=meta.k8s.io, "
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    )


@dataclass(frozen=True)
class Presenter:
    """Writes objects of one served resource in one form; `include` is a Table's includeObject."""

    served: Served
    form: Form
    now: datetime
    include: str = "Metadata"

    def one(self, data: bytes) -> bytes:
        """One object as an answer of its own."""
        match self.form:
            case Form.TABLE:
                version = decode(data)["metadata"].get("resourceVersion", "")
                return self.table([data], {"resourceVersion": version})
            case Form.PARTIAL:
                return msgspec.json.encode(_partial(decode(data)))
        return as_version(data, self.served)

    def many(self, items: Sequence[bytes], meta: Raw) -> bytes:
        """A list of objects."""
        match self.form:
            case Form.TABLE:
                return self.table(items, meta)
            case Form.PARTIAL:
                rows = [_partial(decode(data)) for data in items]
                return msgspec.json.encode(
                    {
                        "kind": "PartialObjectMetadataList",
                        "apiVersion": _META,
                        "metadata": meta,
                        "items": rows,
                    }
                )
        head = msgspec.json.encode(
            {
                "kind": self.served.list_kind,
                "apiVersion": self.served.api_version,
                "metadata": meta,
            }
        )
        body = b",".join([as_version(data, self.served) for data in items])
        return b"".join((head[:-1], b',"items":[', body, b"]}"))

    def table(self, items: Sequence[bytes], meta: Raw, with_columns: bool = True) -> bytes:
        """A Table; a watch sends its columns once."""
        table: Raw = {"kind": "Table", "apiVersion": _META, "metadata": meta}
        table["columnDefinitions"] = self._columns() if with_columns else []
        table["rows"] = [self._row(data) for data in items]
        return msgspec.json.encode(table)

    def _columns(self) -> list[Raw]:
        return [
            {
                "name": column.name,
                "type": column.type,
                "format": "name" if column.name == "Name" else "",
                "description": column.description,
                "priority": column.priority,
            }
            for column in self.served.columns
        ]

    def _row(self, data: bytes) -> Raw:
        raw = decode(data)
        row: dict[str, Any] = {"cells": self.served.cells(raw, self.now)}
        match self.include:
            case "Object":
                row["object"] = {**raw, "apiVersion": self.served.api_version}
            case "None":
                row["object"] = None
            case _:
                row["object"] = _partial(raw)
        return row


def _partial(raw: Raw) -> Raw:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": raw["metadata"]}
