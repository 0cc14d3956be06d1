"""The part of Go's text/template that host-name templates use: fields, `index`, and little more.

`{{.Name}}`, `{{ .Labels.team }}`, `{{index .Annotations "sub"}}`, and pipelines through `lower`,
`upper` or `printf`. A template is parsed when a config map is read, so that a mistake is refused
there and not found by the first Route.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_STAGES: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper}

Scope = Mapping[str, str | Mapping[str, str]]
"""What a template may name: texts, and maps such as Labels."""

Part = str | Callable[[Scope], str]


class TemplateError(ValueError):
    """A template cannot be read or carried out."""


@dataclass(frozen=True)
class Template:
    """A parsed template: literal texts and expressions, in order."""

    source: str
    parts: tuple[Part, ...] = field(compare=False)

    def render(self, scope: Scope) -> str:
        """Fill the template in; a missing map key is empty, an unknown field is a TemplateError."""
        return "".join(part if isinstance(part, str) else part(scope) for part in self.parts)


def parse(source: str) -> Template:
    """Read a template; TemplateError if it is malformed or beyond the supported part."""
    parts: list[Part] = []
    end = 0
    for action in _ACTION.finditer(source):
        parts += [_literal(source[end : action.start()]), _pipeline(action[1])]
        end = action.end()
    parts.append(_literal(source[end:]))
    return Template(source, tuple(part for part in parts if part != ""))


def _literal(text: str) -> str:
    if "{{" in text or "}}" in text:
        raise TemplateError(f'template: unclosed or unexpected action in "{text}"')
    return text


def _pipeline(text: str) -> Part:
    if not text:
        raise TemplateError("template: missing value for command")
    first, *stages = (stage.strip() for stage in text.split("|"))
    value = _command(first)
    for name in stages:
        if name not in _STAGES:
            raise TemplateError(f'template: function "{name}" not defined')
        value = _then(value, _STAGES[name])
    return value


def _then(value: Callable[[Scope], str], stage: Callable[[str], str]) -> Callable[[Scope], str]:
    return lambda scope: stage(value(scope))


def _command(text: str) -> Callable[[Scope], str]:
    words = _WORD.findall(text)
    match words:
        case [path] if path.startswith("."):
            return _field(path[1:].split("."))
        case ["index", path, key] if path.startswith(".") and key.startswith('"'):
            return _field([path[1:], key[1:-1]])
        case [literal] if literal.startswith('"') and literal.endswith('"'):
            return lambda _: literal[1:-1]
    raise TemplateError(f'template: "{text}" is beyond what is supported: fields and index')


def _field(path: list[str]) -> Callable[[Scope], str]:
    def value(scope: Scope) -> str:
        name, *keys = path
        found = scope.get(name)
        if found is None:
            raise TemplateError(f"template: can't evaluate field {name}: not one of {list(scope)}")
        if isinstance(found, str) != (not keys) or len(keys) > 1:
            raise TemplateError(f"template: can't evaluate field {'.'.join(path)}")
        return found if isinstance(found, str) else found.get(keys[0], "")

    return value
