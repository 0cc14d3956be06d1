"""Reads one catalogue file: TOML in, images and problems out.

An entry that cannot be used becomes a problem that names file, key and remedy; the entries beside
it still count, so that a slip in one of a user's entries does not take the others down.

    [[image]]
    names = ["example/iris", "example/iris:v2"]     # a tag given here matches only that tag
    entrypoint = ["{python}", "{source}"]
    source = "iris.py"                              # paths are relative to this file
    requirements = "iris.lock"                      # pinned, with hashes
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stagezero.node.images.errors import CatalogueProblem, InvalidImageName
from stagezero.node.images.image import Image, Interpreter
from stagezero.node.images.names import parse_image_name


class _Wrong(Exception):
    def __init__(self, key: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.key, self.message, self.remedy = key, message, remedy


@dataclass(frozen=True)
class CatalogueFile:
    """The images of one file, and what is wrong in it."""

    images: tuple[Image, ...]
    problems: tuple[CatalogueProblem, ...]


def read_catalogue_file(path: Path) -> CatalogueFile:
    """Read and check one file; a file that is not TOML is one problem and no image."""
    try:
        tables = _tables(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        return _unusable(path, "", f"cannot be read ({error})", "make it a readable UTF-8 file")
    except tomllib.TOMLDecodeError as error:
        return _unusable(path, "", f"is not TOML ({error})", "mend that place")
    except _Wrong as wrong:
        return _unusable(path, wrong.key, wrong.message, wrong.remedy)
    images: list[Image] = []
    problems: list[CatalogueProblem] = []
    for index, table in enumerate(tables):
        try:
            images.append(_image(table, path))
        except _Wrong as wrong:
            key = f"image[{index}]" + (f".{wrong.key}" if wrong.key else "")
            problems.append(CatalogueProblem(path, key, wrong.message, wrong.remedy))
    return CatalogueFile(tuple(images), tuple(problems))


def _unusable(path: Path, key: str, message: str, remedy: str) -> CatalogueFile:
    return CatalogueFile((), (CatalogueProblem(path, key, message, remedy),))


def _tables(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    for key in document:
        if key != "image":
            raise _Wrong(key, "is not a key of a catalogue", "write the entries as [[image]]")
    tables = document.get("image", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise _Wrong("image", "must be a list of tables", "write [[image]], in double brackets")
    return tables


def _image(table: Mapping[str, Any], file: Path) -> Image:
    for key in table:
        if key not in _READERS:
            raise _Wrong(key, "is not a key of an image", f"use one of {', '.join(_READERS)}")
    for key in ("names", "entrypoint"):
        if not table.get(key):
            raise _Wrong(key, "is missing or empty", f"add a list of strings: {key} = [...]")
    image = Image(
        defined_in=file, **{key: _READERS[key](key, value, file) for key, value in table.items()}
    )
    if image.interpreter is Interpreter.PLATFORM and (image.requirements or image.model_server):
        raise _Wrong(
            "interpreter",
            '"platform" brings its own packages',
            "leave out requirements and model_server, or the interpreter",
        )
    return image


def _names(key: str, value: Any, file: Path) -> tuple[str, ...]:
    names = _strings(key, value, file)
    for name in names:
        try:
            parsed = parse_image_name(name)
        except InvalidImageName as error:
            raise _Wrong(key, str(error), "write such a name") from error
        if parsed.digest:
            raise _Wrong(key, f'"{name}" has a digest', "leave out everything from the @ on")
    return tuple(str(parse_image_name(name)) for name in names)


def _strings(key: str, value: Any, _file: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise _Wrong(
            key, f"must be a list of strings, not {value!r}", f'write {key} = ["...", "..."]'
        )
    return tuple(value)


def _string(key: str, value: Any, _file: Path) -> str:
    if not isinstance(value, str) or not value:
        raise _Wrong(key, f"must be a string, not {value!r}", f'write {key} = "..."')
    return value


def _existing(key: str, value: Any, file: Path) -> Path:
    path = (file.parent / _string(key, value, file)).resolve()
    if not path.exists():
        raise _Wrong(key, f"{path} does not exist", "paths are relative to the folder of the file")
    return path


def _flag(key: str, value: Any, _file: Path) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(key, f"must be true or false, not {value!r}", f"write {key} = true")
    return value


def _port(key: str, value: Any, _file: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise _Wrong(key, f"must be a port from 1 to 65535, not {value!r}", f"write {key} = 8080")
    return value


def _variables(key: str, value: Any, _file: Path) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _Wrong(key, "must be a table of strings", f'write {key} = {{ NAME = "value" }}')
    return MappingProxyType(dict(value))


def _programs(key: str, value: Any, file: Path) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise _Wrong(key, "must be a table", f'write {key} = {{ "/bin/x" = ["{{python}}"] }}')
    return MappingProxyType(
        {program: _strings(f"{key}.{program}", words, file) for program, words in value.items()}
    )


def _interpreter(key: str, value: Any, _file: Path) -> Interpreter:
    kinds = {kind.value: kind for kind in Interpreter}
    if value not in kinds:
        raise _Wrong(key, f"must be one of {', '.join(kinds)}, not {value!r}", "choose one")
    return kinds[value]


_READERS: Mapping[str, Callable[[str, Any, Path], Any]] = MappingProxyType(
    {
        "names": _names,
        "entrypoint": _strings,
        "arguments": _strings,
        "programs": _programs,
        "interpreter": _interpreter,
        "requirements": _existing,
        "model_server": _flag,
        "preload": _strings,
        "env": _variables,
        "port": _port,
        "working_dir": _string,
        "source": _existing,
    }
)
