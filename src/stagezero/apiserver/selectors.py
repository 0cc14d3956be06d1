"""Label and field selectors: text from a query becomes a predicate over an object's metadata.

Label selectors know Kubernetes' full set syntax; field selectors are equalities over the few fields
that each kind offers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stagezero.api import errors
from stagezero.api.base import Raw

_TOKEN = re.compile(r"\s*(==|!=|=|,|\(|\)|!|<|>|[^\s=!,()<>]+)")
_KEY = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_SYMBOLS = frozenset({"==", "!=", "=", ",", "(", ")", "!", "<", ">"})
_FIELDS: Mapping[str, frozenset[str]] = {
    "pods": frozenset(
        {
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "status.phase", "status.podIP", "status.nominatedNodeName",
        }
    ),
    "events": frozenset(
        {
            "involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
            "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion",
            "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
        }
    ),
    "namespaces": frozenset({"status.phase"}),
    "nodes": frozenset({"spec.unschedulable"}),
    "secrets": frozenset({"type"}),
    "services": frozenset({"spec.clusterIP", "spec.type"}),
    "replicasets.apps": frozenset({"status.replicas"}),
    "jobs.batch": frozenset({"status.successful"}),
}  # fmt: skip
_ALWAYS = frozenset({"metadata.name", "metadata.namespace"})


@dataclass(frozen=True)
class Requirement:
    """One requirement on a label; `operator` is in, notin, exists, !, gt or lt."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet the requirement."""
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        return _compares(value, self.operator, next(iter(self.values)))


def _compares(value: str | None, operator: str, bound: str) -> bool:
    try:
        left, right = int(value or ""), int(bound)
    except ValueError:
        return False
    return left > right if operator == "gt" else left < right


class _Reader:
    """Reads the tokens of one label selector."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str] = []
        position = 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            if found is None:
                raise self.error(f"unexpected character {text[position]!r}")
            self.tokens.append(found[1])
            position = found.end()
        self.at = 0

    def error(self, why: str) -> errors.BadRequest:
        return errors.BadRequest(f"unable to parse label selector {self.text!r}: {why}")

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def key(self) -> str:
        key = self.take()
        if not _KEY.fullmatch(key):
            raise self.error(f"found {key!r}, expected a label's key")
        return key

    def value(self) -> str:
        """A value may be empty: `a=` selects the empty value."""
        return "" if self.peek() in ("", ",", ")") else self._word()

    def _word(self) -> str:
        word = self.take()
        if word in _SYMBOLS:
            raise self.error(f"found {word!r}, expected a value")
        return word

    def values(self) -> frozenset[str]:
        if self.take() != "(":
            raise self.error("expected '(' after in or notin")
        values = {self.value()}
        while self.peek() == ",":
            self.take()
            values.add(self.value())
        if self.take() != ")":
            raise self.error("expected ')' after the values")
        return frozenset(values)

    def requirement(self) -> Requirement:
        if self.peek() == "!":
            self.take()
            return Requirement(self.key(), "!")
        key = self.key()
        match self.peek():
            case "" | ",":
                return Requirement(key, "exists")
            case "=" | "==":
                self.take()
                return Requirement(key, "in", frozenset({self.value()}))
            case "!=":
                self.take()
                return Requirement(key, "notin", frozenset({self.value()}))
            case ">" | "<" as symbol:
                self.take()
                bound = self.value()
                return Requirement(key, "gt" if symbol == ">" else "lt", frozenset({bound}))
            case "in" | "notin" as word:
                self.take()
                return Requirement(key, word, self.values())
        raise self.error(f"found {self.peek()!r}, expected an operator")


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Read a label selector; BadRequest tells where it cannot be read."""
    if not text.strip():
        return ()
    reader = _Reader(text)
    needs = [reader.requirement()]
    while reader.peek() == ",":
        reader.take()
        needs.append(reader.requirement())
    if reader.peek():
        raise reader.error(f"found {reader.peek()!r}, expected ',' or the end")
    return tuple(needs)


@dataclass(frozen=True)
class FieldTerm:
    """One equality (or inequality) of a field selector."""

    path: str
    value: str
    is_equal: bool

    def matches(self, raw: Raw) -> bool:
        """Whether the object's field has the value; an absent field is the empty text."""
        return (_field_text(raw, self.path) == self.value) == self.is_equal


def _field_text(raw: Raw, path: str) -> str:
    if path == "source":
        path = "source.component"
    value: object = raw
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "false" if path == "spec.unschedulable" else ""
    return str(value)


def parse_fields(
    text: str, full_name: str, extra: frozenset[str] = frozenset()
) -> tuple[FieldTerm, ...]:
    """Read a field selector for a kind; BadRequest names a field that the kind does not offer."""
    terms = []
    for part in filter(None, (part.strip() for part in _split_unescaped(text))):
        found = re.match(r"([^=!]+)(==|!=|=)(.*)", part, re.DOTALL)
        if found is None:
            raise errors.BadRequest(f"invalid field selector: {part!r}; expected NAME=VALUE")
        path, operator, value = found[1].strip(), found[2], _unescape(found[3])
        if path not in _ALWAYS | extra | _FIELDS.get(full_name, frozenset()):
            raise errors.BadRequest(f"field label not supported: {path}")
        terms.append(FieldTerm(path, value, operator != "!="))
    return tuple(terms)


def _split_unescaped(text: str) -> list[str]:
    return re.split(r"(?<!\\),", text)


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


@dataclass(frozen=True)
class Selector:
    """Both selectors of one request."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[FieldTerm, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether everything is selected, so that nothing need be decoded."""
        return not self.labels and not self.fields

    def matches(self, raw: Raw) -> bool:
        """Whether an object is selected."""
        labels = (raw.get("metadata") or {}).get("labels") or {}
        return all(need.matches(labels) for need in self.labels) and all(
            term.matches(raw) for term in self.fields
        )


def parse(
    query: Mapping[str, str], full_name: str, extra_fields: frozenset[str] = frozenset()
) -> Selector:
    """Read the selectors of a query."""
    return Selector(
        parse_labels(query.get("labelSelector", "")),
        parse_fields(query.get("fieldSelector", ""), full_name, extra_fields),
    )
