"""What the program can say to its users, read from the source: reasons, and texts of errors.

docs/messages.md explains each; the tests compare. Reasons are the words of events, of conditions
and of containers that wait; a `*` stands for a part that is only known at run time. Nothing is run:
the syntax tree of every module is searched for the few calls that take a reason.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "stagezero"

_POSITION = {
    "warning": 0, "normal": 0, "no": 0, "unknown": 0, "NoRuntime": 0, "_Refused": 0,
    "_problem": 0, "ContainerStateWaiting": 0, "Happening": 1, "Mark": 1, "_said": 1,
    "_progressing": 1, "_all_are": 1, "ImageView": 2, "Run": 5,
}  # fmt: skip
"""At which position the functions and classes that say something take the reason."""
_ENUMS = ("Reason",)
"""Enums whose values are reasons."""


_SHAPE = re.compile(r"[A-Z][A-Za-z]*\*?|\*[A-Za-z ]+")
"""What a reason looks like: log lines have the same calls."""

Constants = dict[str, str]


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
        yield name, ast.parse(path.read_text(), str(path))


# Reasons


def reasons() -> set[str]:
    """Every reason that an event, a condition or a waiting container can have."""
    trees = dict(_modules())
    defined = {name: dict(_constants(tree)) for name, tree in trees.items()}
    found: set[str] = set()
    for name, tree in trees.items():
        constants = dict(_imported(tree, defined)) | defined[name]
        for node in ast.walk(tree):
            for expression in _said_by(node):
                found |= _texts(expression, constants)
    return {text for text in found if _SHAPE.fullmatch(text)}


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The texts that a module gives names to."""
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        names, value = node.targets[0], node.value
        pairs = [(names, value)]
        if isinstance(names, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(names.elts, value.elts, strict=False))
        for name, one in pairs:
            match name, one:
                case ast.Name(id=known), ast.Constant(value=str(text)):
                    yield known, text


def _imported(tree: ast.Module, defined: dict[str, Constants]) -> Iterator[tuple[str, str]]:
    """The texts that a module takes from others."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            there = defined.get(node.module or "", {})
            yield from ((a.name, there[a.name]) for a in node.names if a.name in there)


def _said_by(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions of a node that are reasons."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        position = _POSITION.get(name)
        if position is not None and len(node.args) > position:
            yield node.args[position]
        yield from (word.value for word in node.keywords if word.arg == "reason")
    elif isinstance(node, ast.Assign):
        if [t.id for t in node.targets if isinstance(t, ast.Name)] == ["reason"]:
            yield node.value
    elif isinstance(node, ast.ClassDef) and node.name in _ENUMS:
        yield from (one.value for one in node.body if isinstance(one, ast.Assign))


def _texts(expression: ast.expr, constants: Constants) -> set[str]:
    match expression:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.Name(id=name):
            return {constants[name]} if name in constants else set()
        case ast.IfExp(body=body, orelse=orelse):
            return _texts(body, constants) | _texts(orelse, constants)
        case ast.BoolOp(values=values):
            return {text for value in values for text in _texts(value, constants)}
        case ast.JoinedStr():
            return {"*".join(_pieces(expression))}
    return set()


def _pieces(text: ast.JoinedStr) -> list[str]:
    """The fixed pieces of an f-string; between two of them is something variable."""
    pieces = [""]
    for value in text.values:
        if isinstance(value, ast.Constant):
            pieces[-1] += str(value.value)
        else:
            pieces.append("")
    return pieces


# Errors


def error_texts() -> dict[str, str]:
    """For every class of error that words its own message: the longest fixed piece of it."""
    found: dict[str, str] = {}
    for _, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                pieces = [piece for text in _messages(node) for piece in text]
                if pieces:
                    found[node.name] = max(pieces, key=len).strip()
    return found


def _messages(kind: ast.ClassDef) -> Iterator[list[str]]:
    """The texts that `super().__init__` of an error class is called with, in fixed pieces."""
    for node in ast.walk(kind):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr != "__init__" or not node.args:
            continue
        text = node.args[0]
        if isinstance(text, ast.JoinedStr):
            yield _pieces(text)


def main() -> None:
    """Print what was found."""
    print("\n".join(sorted(reasons())))
    for name, text in sorted(error_texts().items()):
        print(f"{name}: {text}")


if __name__ == "__main__":
    main()
