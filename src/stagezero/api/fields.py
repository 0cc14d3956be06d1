"""How a field is annotated beyond its type: its description and how patches merge its list.

`Annotated[list[Container], MERGE_BY_NAME]` puts Kubernetes' own extension keys into the schema,
where strategic merge patch reads them; nothing here changes how a field is decoded.
"""

from typing import Any

import msgspec

IntOrString = int | str
"""A number or a string: a port by number or name, an amount or a percentage."""

Quantity = int | float | str
"""An amount of a resource as people write it: `1`, `0.5`, `100m`, `2Gi`."""


def doc(description: str) -> msgspec.Meta:
    """What `kubectl explain` says of a field."""
    return msgspec.Meta(description=description)


def merge_by(key: str, *more: str) -> msgspec.Meta:
    """A list of objects that patches merge by `key`; `more` completes the key for apply."""
    return msgspec.Meta(
        extra_json_schema={
            "x-kubernetes-patch-merge-key": key,
            "x-kubernetes-patch-strategy": "merge",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": [key, *more],
        }
    )


def extended(**keys: Any) -> msgspec.Meta:
    """Extension keys by name: `extended(patch_strategy="retainKeys")`."""
    extra = {f"x-kubernetes-{key.replace('_', '-')}": value for key, value in keys.items()}
    return msgspec.Meta(extra_json_schema=extra)


MERGE_BY_NAME = merge_by("name")
MERGE_BY_TYPE = merge_by("type")
MERGE_BY_IP = merge_by("ip")
MERGE_SET = msgspec.Meta(
    extra_json_schema={
        "x-kubernetes-patch-strategy": "merge",
        "x-kubernetes-list-type": "set",
    }
)
RETAIN_KEYS = extended(patch_strategy="retainKeys")
