"""Patches by their media type: JSON patch, merge patch, strategic merge patch.

Server-side apply has a module of its own, because it needs to know who owns which field.
"""

from collections.abc import Callable
from typing import Any

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.apiserver import decoding, json_patch, strategic_patch
from stagezero.apiserver.served import Served

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = decoding.YAML_PATCH


def accepted(served: Served) -> tuple[str, ...]:
    """The patch types of a kind; custom kinds have no strategic merge patch, as upstream."""
    strategic = (STRATEGIC_PATCH,) if served.resource.is_builtin else ()
    return (JSON_PATCH, MERGE_PATCH, *strategic, APPLY_PATCH)


def decode(body: bytes, content_type: str, served: Served) -> tuple[str, Any]:
    """Read a patch and tell its type; UnsupportedMediaType names the types that are read."""
    kind = decoding.media_type(content_type)
    if kind not in accepted(served):
        raise errors.UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(accepted(served))
        )
    if len(body) > decoding.BODY_LIMIT_BYTES:
        raise errors.TooLarge(f"Request entity too large: limit is {decoding.BODY_LIMIT_BYTES}")
    is_apply = kind == APPLY_PATCH
    patch = decoding.decode_yaml(body) if is_apply else decoding.decode_json(body)
    if kind != JSON_PATCH and not isinstance(patch, dict):
        raise errors.BadRequest(f"a patch of type {kind} is an object")
    return kind, patch


def apply(raw: Raw, kind: str, patch: Any, served: Served) -> Raw:
    """Return the patched object; the argument stays as it is."""
    patched = _APPLY[kind](raw, patch, served.schema)
    if not isinstance(patched, dict):
        raise errors.BadRequest("the patch makes something else than an object")
    return patched


_APPLY: dict[str, Callable[[Raw, Any, Raw], Any]] = {
    JSON_PATCH: lambda raw, patch, _: json_patch.apply(raw, patch),
    MERGE_PATCH: lambda raw, patch, _: json_patch.merge(raw, patch),
    STRATEGIC_PATCH: strategic_patch.apply,
}
