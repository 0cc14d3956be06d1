"""`$(NAME)` in commands, arguments and values, as Kubernetes expands it.

An unknown name stays as it was written, `$$` stands for one `$`, so `$$(NAME)` is never expanded.
"""

import re
from collections.abc import Mapping, Sequence

_REFERENCE = re.compile(r"\$\$|\$\((?P<name>[^()]*)\)")


def expand(text: str, values: Mapping[str, str]) -> str:
    """The text with every known reference replaced."""

    def replaced(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "$"
        return values.get(match["name"], match[0])

    return _REFERENCE.sub(replaced, text)


def expand_all(texts: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Every text expanded."""
    return tuple(expand(text, values) for text in texts)
