"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386) as pure functions over JSON values.

Neither changes its arguments. A JSON patch that cannot be applied raises `errors.Invalid` with the
words that Kubernetes' server uses.
"""

import copy
from collections.abc import Callable
from typing import Any

from stagezero.api import errors

# A patch is small; what it makes by copying a part into itself over and over is not.
_MOST_OPERATIONS = 10_000


def merge(target: Any, patch: Any) -> Any:
    """Apply a merge patch: objects merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def apply(document: Any, operations: Any) -> Any:
    """Apply a JSON patch; all of it or nothing."""
    if not isinstance(operations, list):
        raise errors.BadRequest("a JSON patch is a list of operations")
    if len(operations) > _MOST_OPERATIONS:
        raise errors.TooLarge(
            f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, "
            f"got {len(operations)}"
        )
    document = copy.deepcopy(document)
    for operation in operations:
        document = _apply_one(document, operation)
    return document


def _apply_one(document: Any, operation: Any) -> Any:
    if not isinstance(operation, dict):
        raise errors.BadRequest("an operation of a JSON patch is an object with op and path")
    name, path = operation.get("op"), operation.get("path")
    run = _OPERATIONS.get(name) if isinstance(name, str) else None
    if run is None:
        raise errors.BadRequest(f"Unexpected kind: {name}")
    if not isinstance(path, str):
        raise errors.BadRequest(f"the operation {name} has no path")
    return run(document, path, operation)


def _split(path: str) -> list[str]:
    if path == "":
        return []
    if not path.startswith("/"):
        raise errors.BadRequest(f"the path {path!r} of a JSON patch does not begin with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _missing(operation: str, path: str) -> errors.Invalid:
    return errors.Invalid(
        f"the server rejected our request due to an error in our request: {operation} operation "
        f"does not apply: doc is missing path: {path}: missing value"
    )


def _index(container: list[Any], part: str, path: str, operation: str) -> int:
    if not part.isascii() or not part.isdigit() or (len(part) > 1 and part[0] == "0"):
        raise _missing(operation, path)
    if len(part) > 9 or int(part) >= len(container):
        raise _missing(operation, path)
    return int(part)


def _look_up(document: Any, parts: list[str], path: str, operation: str) -> Any:
    value = document
    for part in parts:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list):
            value = value[_index(value, part, path, operation)]
        else:
            raise _missing(operation, path)
    return value


def _required(operation: dict[str, Any], field: str) -> Any:
    if field not in operation:
        raise errors.BadRequest(f"the operation {operation['op']} has no {field}")
    return operation[field]


def _insert(document: Any, path: str, value: Any, operation: str) -> Any:
    parts = _split(path)
    if not parts:
        return value
    parent, last = _look_up(document, parts[:-1], path, operation), parts[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list) and last in ("-", str(len(parent))):
        parent.append(value)
    elif isinstance(parent, list):
        parent.insert(_index(parent, last, path, operation), value)
    else:
        raise _missing(operation, path)
    return document


def _add(document: Any, path: str, operation: dict[str, Any]) -> Any:
    return _insert(document, path, copy.deepcopy(_required(operation, "value")), "add")


def _remove(document: Any, path: str, operation: dict[str, Any]) -> Any:
    parts, name = _split(path), operation["op"]
    if not parts:
        raise errors.BadRequest("a JSON patch cannot remove the whole document")
    parent, last = _look_up(document, parts[:-1], path, name), parts[-1]
    if isinstance(parent, dict) and last in parent:
        del parent[last]
    elif isinstance(parent, list):
        del parent[_index(parent, last, path, name)]
    else:
        raise _missing(name, path)
    return document


def _replace(document: Any, path: str, operation: dict[str, Any]) -> Any:
    value = copy.deepcopy(_required(operation, "value"))
    parts = _split(path)
    if not parts:
        return value
    parent, last = _look_up(document, parts[:-1], path, "replace"), parts[-1]
    if isinstance(parent, dict) and last in parent:
        parent[last] = value
    elif isinstance(parent, list):
        parent[_index(parent, last, path, "replace")] = value
    else:
        raise _missing("replace", path)
    return document


def _from(operation: dict[str, Any]) -> str:
    source = _required(operation, "from")
    if not isinstance(source, str):
        raise errors.BadRequest(f"the from of the operation {operation['op']} is not a path")
    return source


def _move(document: Any, path: str, operation: dict[str, Any]) -> Any:
    source = _from(operation)
    if path.startswith(f"{source}/"):
        raise errors.BadRequest(f"cannot move {source!r} into itself")
    value = _look_up(document, _split(source), source, "move")
    document = _remove(document, source, operation)
    return _insert(document, path, value, "move")


def _copy(document: Any, path: str, operation: dict[str, Any]) -> Any:
    source = _from(operation)
    value = copy.deepcopy(_look_up(document, _split(source), source, "copy"))
    return _insert(document, path, value, "copy")


def _test(document: Any, path: str, operation: dict[str, Any]) -> Any:
    wanted = _required(operation, "value")
    found = _look_up(document, _split(path), path, "test")
    if not _same(found, wanted):
        raise errors.Invalid(
            "the server rejected our request due to an error in our request: "
            f"testing value {path} failed: test failed"
        )
    return document


def _same(left: Any, right: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


_OPERATIONS: dict[str, Callable[[Any, str, dict[str, Any]], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
