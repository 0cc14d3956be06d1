"""JSONPath as printer columns and scale paths use it: compiled once, then applied to many objects.

Steps: names (`.a`, `['a.b/c']`, `.a\\.b`), indices and slices, `[*]`, `..name`, unions, and filters
such as `[?(@.type=='Ready')]`.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

Values = list[Any]
Step = Callable[[Values], Values]

_NAME = re.compile(r"\.((?:\\.|[^.\[\\])+)")
_BRACKET_NAME = re.compile(r"""\[(('[^']*'|"[^"]*")(\s*,\s*('[^']*'|"[^"]*"))*)\]""")
_INDEX = re.compile(r"\[\s*(-?\d{1,9}(?:\s*,\s*-?\d{1,9})*)\s*\]")
_SLICE = re.compile(r"\[\s*(-?\d{1,9})?\s*:\s*(-?\d{1,9})?\s*(?::\s*(-?\d{1,9})?\s*)?\]")
_ALL = re.compile(r"\[\*\]|\.\*")
_DEEP = re.compile(r"\.\.((?:\\.|[^.\[\\])+)")
_FILTER = re.compile(r"\[\?\(\s*@(.*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)\]")


class PathError(ValueError):
    """A JSONPath that cannot be read; the message shows the rest that made no sense."""

    def __init__(self, path: str, rest: str) -> None:
        super().__init__(f"cannot read JSONPath {path!r} at {rest!r}")


class JsonPath:
    """One compiled path."""

    def __init__(self, text: str) -> None:
        self.text = text
        inner = text.strip()
        if inner.startswith("{") and inner.endswith("}"):
            inner = inner[1:-1]
        inner = inner.removeprefix("$")
        if inner and inner[0] not in ".[":
            inner = f".{inner}"
        self._steps = list(_compile(inner, text))

    def find(self, value: Any) -> Values:
        """Return every value that the path leads to, in document order."""
        values = [value]
        for step in self._steps:
            values = step(values)
        return values

    def first(self, value: Any) -> Any:
        """Return the first value, or None."""
        return next(iter(self.find(value)), None)


def _compile(rest: str, whole: str) -> Iterator[Step]:
    while rest:
        if rest == ".":
            return
        for pattern, build in _STEPS:
            found = pattern.match(rest)
            if found is not None:
                yield build(found)
                rest = rest[found.end() :]
                break
        else:
            raise PathError(whole, rest)


def _unescape(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)


def _names(names: list[str]) -> Step:
    def step(values: Values) -> Values:
        return [
            value[name]
            for value in values
            if isinstance(value, dict)
            for name in names
            if name in value
        ]

    return step


def _indices(indices: list[int]) -> Step:
    def step(values: Values) -> Values:
        return [
            value[index]
            for value in values
            if isinstance(value, list)
            for index in indices
            if -len(value) <= index < len(value)
        ]

    return step


def _sliced(found: re.Match[str]) -> Step:
    start, stop, stride = (int(part) if part else None for part in found.groups())
    if stride is not None and stride <= 0:
        raise PathError(found.string, found[0])
    cut = slice(start, stop, stride)

    def step(values: Values) -> Values:
        return [item for value in values if isinstance(value, list) for item in value[cut]]

    return step


def _children(value: Any) -> Values:
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else []


def _all(values: Values) -> Values:
    return [child for value in values for child in _children(value)]


def _deep(name: str) -> Step:
    def step(values: Values) -> Values:
        found = []
        stack = list(reversed(values))
        while stack:
            value = stack.pop()
            if isinstance(value, dict) and name in value:
                found.append(value[name])
            stack.extend(reversed(_children(value)))
        return found

    return step


def _filtered(found: re.Match[str]) -> Step:
    inner = JsonPath(found[1]) if found[1] else None
    operator, literal = found[2], _literal(found[3]) if found[3] else None

    def holds(item: Any) -> bool:
        got = inner.find(item) if inner else [item]
        if operator is None:
            return bool(got)
        return bool(got) and _compare(got[0], operator, literal)

    def step(values: Values) -> Values:
        return [item for value in values for item in _children(value) if holds(item)]

    return step


def _literal(text: str) -> Any:
    if text[0] in "'\"" and text[-1] == text[0] and len(text) >= 2:
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _compare(left: Any, operator: str, right: Any) -> bool:
    if operator == "==":
        return bool(left == right)
    if operator == "!=":
        return bool(left != right)
    try:
        if operator in ("<", "<="):
            return bool(left < right or (operator == "<=" and left == right))
        return bool(left > right or (operator == ">=" and left == right))
    except TypeError:
        return False


def _quoted(found: re.Match[str]) -> list[str]:
    return [_unescape(name[1:-1]) for name in re.findall(r"""'[^']*'|"[^"]*\"""", found[1])]


_STEPS: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Step]]] = [
    (_DEEP, lambda found: _deep(_unescape(found[1]))),
    (_ALL, lambda found: _all),
    (_NAME, lambda found: _names([_unescape(found[1])])),
    (_BRACKET_NAME, lambda found: _names(_quoted(found))),
    (_INDEX, lambda found: _indices([int(part) for part in found[1].split(",")])),
    (_SLICE, _sliced),
    (_FILTER, _filtered),
]
