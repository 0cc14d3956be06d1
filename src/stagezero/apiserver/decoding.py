"""Bodies become JSON values: JSON and YAML, bounded, and with an eye on fields given twice.

A body is the one thing a stranger controls wholly: depth, size of numbers, aliases and stray
Unicode are refused here with a BadRequest, so that nothing behind has to fear them.
"""

import json
from typing import Any

import msgspec
import yaml

from stagezero.api import errors
from stagezero.apiserver import protobuf

BODY_LIMIT_BYTES = 3 * 1024 * 1024
_DEPTH_LIMIT = 200
_YAML_NODES_LIMIT = 1_000_000
_INT64 = 2**63
_YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
YAML_PATCH = "application/apply-patch+yaml"
_JSON_TYPES = frozenset({"", "application/json", "text/plain", "application/octet-stream"})


def media_type(content_type: str) -> str:
    """The type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def decode_body(body: bytes, content_type: str) -> Any:
    """Read a body of a request that creates or replaces an object."""
    kind = media_type(content_type)
    if len(body) > BODY_LIMIT_BYTES:
        raise errors.TooLarge(f"Request entity too large: limit is {BODY_LIMIT_BYTES}")
    if kind in _YAML_TYPES:
        return decode_yaml(body)
    if kind == protobuf.MEDIA_TYPE:
        return protobuf.decode(body)
    if kind not in _JSON_TYPES:
        raise errors.UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json, application/yaml, application/vnd.kubernetes.protobuf"
        )
    return decode_json(body)


def decode_json(body: bytes) -> Any:
    """Read JSON."""
    try:
        value = msgspec.json.decode(body)
        return _bounded(value, 0)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise errors.BadRequest(f"couldn't get JSON from the body: {_say(error)}") from error


def decode_yaml(body: bytes) -> Any:
    """Read one YAML document; timestamps stay text, as JSON has none."""
    try:
        value = yaml.load(body.decode(), Loader=_Loader)
        if _expanded_nodes(value, {}, 0) > _YAML_NODES_LIMIT:
            raise errors.TooLarge(f"Request entity too large: limit is {BODY_LIMIT_BYTES}")
        return msgspec.json.decode(msgspec.json.encode(_bounded(value, 0)))
    except (yaml.YAMLError, RecursionError, UnicodeError, ValueError, TypeError) as error:
        raise errors.BadRequest(f"error converting YAML to JSON: {_say(error)}") from error


class _Loader(yaml.CSafeLoader):
    """YAML's JSON-like part: no timestamps, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; a key given twice is a mistake that would go unseen."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen and key.value != "<<":
                line = key.start_mark.line + 1
                raise ValueError(f'line {line}: key "{key.value}" already set in map')
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _expanded_nodes(value: Any, counted: dict[int, int], depth: int) -> int:
    """How many values there are once every alias is written out; each is visited once."""
    if not isinstance(value, dict | list):
        return 1
    if depth > _DEPTH_LIMIT:
        raise errors.BadRequest(f"the body is nested deeper than {_DEPTH_LIMIT} levels")
    if id(value) not in counted:
        children = value.values() if isinstance(value, dict) else value
        counted[id(value)] = 1 + sum(
            _expanded_nodes(child, counted, depth + 1) for child in children
        )
    return counted[id(value)]


def _bounded(value: Any, depth: int) -> Any:
    """Check the depth, and turn whole numbers that no int64 holds into floats, as Go does."""
    if depth > _DEPTH_LIMIT:
        raise errors.BadRequest(f"the body is nested deeper than {_DEPTH_LIMIT} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict | list | int):
                value[key] = _bounded(item, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict | list | int):
                value[index] = _bounded(item, depth + 1)
    elif isinstance(value, int) and not -_INT64 <= value < _INT64:
        return float(value)
    return value


def _say(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


class _Pairs(list[tuple[str, Any]]):
    """One JSON object as its pairs."""


def duplicate_fields(body: bytes, content_type: str) -> list[str]:
    """Paths of fields that the body gives twice, as `kubectl` is told of them."""
    if media_type(content_type) not in _JSON_TYPES or not body:
        return []
    try:
        pairs = json.loads(body, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return []
    found: list[str] = []
    _find_duplicates(pairs, "", found)
    return found


def _find_duplicates(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, item in value:
            inner = f"{path}.{name}" if path else name
            if name in seen and inner not in found:
                found.append(inner)
            seen.add(name)
            _find_duplicates(item, inner, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _find_duplicates(item, f"{path}[{index}]", found)
