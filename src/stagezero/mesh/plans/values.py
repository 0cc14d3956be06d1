"""What a gateway does, as values: which requests, what happens to them, where they go.

Between Istio's words (`api.istio`) and Envoy's (`encode`): small enough to be combined, compared
and reasoned about; frozen, so that they can be remembered.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class How(Enum):
    """How a string is compared."""

    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"
    PRESENT = "present"


@dataclass(frozen=True)
class Text:
    """A condition on a string; the value of PRESENT is empty."""

    how: How
    value: str = ""
    ignore_case: bool = False


EVERY_PATH = Text(How.PREFIX, "/")


class Named(NamedTuple):
    """A condition on a header or a query parameter; `is_not` turns it round."""

    name: str
    text: Text
    is_not: bool = False


@dataclass(frozen=True)
class Match:
    """Which requests: all conditions hold. The authority is apart: mostly the host decides."""

    path: Text = EVERY_PATH
    headers: tuple[Named, ...] = ()
    query: tuple[Named, ...] = ()
    authority: Text | None = None

    @property
    def is_everything(self) -> bool:
        """Whether every request matches: such rules come last in a virtual host."""
        return self == _EVERYTHING


_EVERYTHING = Match()


@dataclass(frozen=True)
class HeaderChanges:
    """What is done to headers: first `remove`, then `set` (replaces), then `add` (appends)."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()

    def then(self, later: "HeaderChanges") -> "HeaderChanges":
        """Both changes, one after the other; the later one wins."""
        if later == NO_CHANGES:
            return self
        gone = {name.lower() for name in later.remove}
        replaced = gone | {name.lower() for name, _ in later.set}
        return HeaderChanges(
            (*(pair for pair in self.set if pair[0].lower() not in replaced), *later.set),
            (*(pair for pair in self.add if pair[0].lower() not in replaced), *later.add),
            tuple(dict.fromkeys((*self.remove, *later.remove))),
        )


NO_CHANGES = HeaderChanges()


class Target(NamedTuple):
    """A destination as it was written: service (full name), port (0: its only one), subset."""

    host: str
    port: int = 0
    subset: str = ""


@dataclass(frozen=True)
class Branch:
    """One share of the requests: where it goes and what is changed on the way.

    `cluster` is empty until the destination is resolved. `host` replaces the authority.
    """

    target: Target
    weight: int = 1
    host: str = ""
    request: HeaderChanges = NO_CHANGES
    response: HeaderChanges = NO_CHANGES
    cluster: str = ""


@dataclass(frozen=True)
class Retry:
    """When Envoy tries again: `conditions` in its words, `codes` as status numbers."""

    attempts: int
    conditions: str
    codes: tuple[int, ...] = ()
    per_try_s: float = 0.0


class Mirror(NamedTuple):
    """A copy of the requests goes to another service; its answer is thrown away."""

    target: Target
    percent: float
    cluster: str = ""


@dataclass(frozen=True)
class Forward:
    """Send the request on; `timeout_s` 0 means no limit."""

    branches: tuple[Branch, ...]
    path_rewrite: str = ""
    timeout_s: float = 0.0
    retry: Retry | None = None
    mirror: Mirror | None = None


@dataclass(frozen=True)
class Redirect:
    """Answer with a redirect; empty parts stay as they were asked for."""

    path: str = ""
    host: str = ""
    port: int = 0
    scheme: str = ""
    code: int = 301


@dataclass(frozen=True)
class Answer:
    """Answer at once."""

    status: int
    body: str = ""


Action = Forward | Redirect | Answer


@dataclass(frozen=True)
class Rule:
    """Requests that match meet the action; `gateways` and `port` limit where the rule stands."""

    match: Match
    action: Action
    name: str = ""
    gateways: frozenset[str] = field(default_factory=frozenset)
    port: int = 0


class Reason(Enum):
    """Why an object is not served as it was written; the words of conditions."""

    DESTINATION_NOT_FOUND = "DestinationNotFound"
    HOST_NOT_FOUND = "HostNotFound"
    GATEWAY_NOT_FOUND = "GatewayNotFound"
    NO_SERVER = "NoServerForHosts"
    NOT_SERVED = "NotServed"
    CONFLICT = "Conflict"
    INVALID = "Invalid"


class Problem(NamedTuple):
    """What is wrong, for the one who wrote the object."""

    reason: Reason
    message: str


class Endpoint(NamedTuple):
    """One address behind a cluster; port 0 and an absolute path mean a Unix socket."""

    address: str
    port: int
