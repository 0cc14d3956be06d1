"""One image of the catalogue: what a container that names it runs, and what it needs to run.

Pure data and the rules of Kubernetes for `command` and `args`; no path or name of any image is
written here, all come from the catalogue's files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath
from types import MappingProxyType


class Interpreter(Enum):
    """Whose Python runs the image's program."""

    OWN = "own"
    """An environment of the image's own, with its locked requirements and nothing else."""

    PLATFORM = "platform"
    """The interpreter that runs Stagezero itself, for programs that are part of it."""


@dataclass(frozen=True)
class Environment:
    """A ready interpreter: where it is, and the digest that names it (`platform` for our own)."""

    digest: str
    prefix: Path
    python: Path


@dataclass(frozen=True)
class Image:
    """An entry of the catalogue.

    In `entrypoint`, `arguments`, `programs` and `env`, `{python}` stands for the environment's
    interpreter, `{prefix}` for its folder and `{source}` for the path of `source`.
    """

    names: tuple[str, ...]
    entrypoint: tuple[str, ...]
    defined_in: Path
    arguments: tuple[str, ...] = ()
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    interpreter: Interpreter = Interpreter.OWN
    requirements: Path | None = None
    model_server: bool = False
    preload: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    port: int | None = None
    working_dir: str | None = None
    source: Path | None = None

    def argv(
        self, environment: Environment, command: Sequence[str] = (), args: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Return what to execute for a container's `command` and `args`, already `$(VAR)`-expanded.

        As with any image, `command` replaces the entry point and the default arguments, `args`
        alone replaces only the arguments. A command that is no program of the image is returned as
        it stands, to be searched on the PATH of `environ`.
        """
        if not command:
            return (
                *self._filled(self.entrypoint, environment),
                *(args or self._filled(self.arguments, environment)),
            )
        return (*self._program(command[0], environment), *command[1:], *args)

    def environ(self, environment: Environment) -> dict[str, str]:
        """Return the image's own variables, which those of the container override."""
        return {
            "PATH": f"{environment.prefix / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONNOUSERSITE": "1",  # packages of the user's home are not part of the image
            "PYTHONUNBUFFERED": "1",  # a log line is there when it was printed
            **dict(zip(self.env, self._filled(tuple(self.env.values()), environment), strict=True)),
        }

    def _program(self, program: str, environment: Environment) -> tuple[str, ...]:
        prefix = self.programs.get(program)
        if prefix is None and "/" not in program:
            # What a container finds on its PATH: the same program under its bare name.
            names = {PurePosixPath(path).name: path for path in self.programs}
            prefix = self.programs.get(names.get(program, ""))
        return (program,) if prefix is None else self._filled(prefix, environment)

    def _filled(self, words: Sequence[str], environment: Environment) -> tuple[str, ...]:
        values = {
            "{python}": str(environment.python),
            "{prefix}": str(environment.prefix),
            "{source}": str(self.source or ""),
        }
        return tuple(_replaced(word, values) for word in words)


def _replaced(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word
