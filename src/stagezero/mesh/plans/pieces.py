"""What one VirtualService gives to one virtual host: its rules, resolved and encoded once.

Pieces are compared by identity: the planner hands out the same piece until something that it was
made from has changed, and then all that is made of pieces can tell what is new at a glance.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stagezero.api.base import Key
from stagezero.mesh.plans.backends import Cluster
from stagezero.mesh.plans.values import Problem, Rule


@dataclass(frozen=True, eq=False)
class Piece:
    """Resolved rules; `first` and `last` are their encoding, rules for every request apart."""

    rules: tuple[Rule, ...]
    clusters: tuple[Cluster, ...]
    first: bytes
    last: bytes


class Place(NamedTuple):
    """A virtual host: gateway port and host."""

    port: int
    host: str


Question = tuple[str, Hashable]
Ask = Callable[[Question], Any]


class Looped(Exception):
    """The rules of a host were asked for while they were being made."""


_NO_ANSWER = object()
"""Equal to no answer: what is remembered of a question that came back to itself."""


@dataclass(frozen=True, eq=False)
class Contribution:
    """Everything that one VirtualService gives, and what was asked to make it."""

    pieces: Mapping[Place, Piece]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    is_mesh_only: bool
    trace: tuple[tuple[Question, Any], ...]

    def holds(self, ask: Ask) -> bool:
        """Whether every question would still be answered as it was."""
        try:
            return all(ask(question) == answer for question, answer in self.trace)
        except Looped:
            return False

    @property
    def clusters(self) -> dict[str, Cluster]:
        """The clusters that the rules name, by name."""
        return {c.name: c for piece in self.pieces.values() for c in piece.clusters}


@dataclass
class Trace:
    """Remembers every question that is asked through it, with the answer."""

    ask: Ask
    asked: dict[Question, Any] = field(default_factory=dict)

    def __call__(self, question: Question) -> Any:
        """Ask, and remember the answer."""
        if question not in self.asked:
            self.asked[question] = _NO_ANSWER
            self.asked[question] = self.ask(question)
        answer = self.asked[question]
        if answer is _NO_ANSWER:
            raise Looped(question)  # again, for another host of the same VirtualService
        return answer


HostRules = tuple[tuple[Key, Piece], ...]
"""What stands in one virtual host: pieces with the VirtualServices that gave them, in order."""
