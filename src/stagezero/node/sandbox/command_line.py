"""What changes in a command line where a pod has not its own ports or file tree.

Pure. On a shared network a program must listen on another port than it was told; on a shared tree
the mount paths are not there. Both are replaced where they can be recognized with certainty: a
flag whose name ends in `port`, the variable PORT, and paths at or below a mount path.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

_PORT_FLAG = re.compile(
    r"(?P<flag>--?(?:[A-Za-z0-9]+[-_])*port)(?:=(?P<value>\d+))?", re.IGNORECASE
)
_LISTEN_FLAG = re.compile(r"(?P<flag>--?(?:bind|listen|addr|address)=[^=]*:)(?P<value>\d+)")


def ports_in(argv: Sequence[str]) -> tuple[int, ...]:
    """The ports that a command line names in flags."""
    return tuple(port for _, port in _port_words(argv))


def with_ports(argv: Sequence[str], ports: Mapping[int, int]) -> tuple[str, ...]:
    """The command line with every port of a flag replaced by the one it is mapped to."""
    words = list(argv)
    for index, port in _port_words(argv):
        mapped = str(ports.get(port, port))
        words[index] = words[index].removesuffix(str(port)) + mapped
    return tuple(words)


def _port_words(argv: Sequence[str]) -> Iterable[tuple[int, int]]:
    """Index and value of each word that ends in a port."""
    for index, word in enumerate(argv):
        match = _PORT_FLAG.fullmatch(word) or _LISTEN_FLAG.fullmatch(word)
        if match is None:
            continue
        if match["value"] is not None:
            yield index, int(match["value"])
        elif index + 1 < len(argv) and argv[index + 1].isdecimal():
            yield index + 1, int(argv[index + 1])


def with_paths(text: str, paths: Mapping[str, str]) -> str:
    """The text with each mount path, and what is below it, replaced by where it really is."""
    for mount_path in sorted(paths, key=len, reverse=True):
        # Not within a longer name, and not at the end of another path.
        pattern = rf"(?<![\w./-]){re.escape(mount_path.rstrip('/'))}(?=/|$|[\s:,;'\"])"
        text = re.sub(pattern, paths[mount_path].replace("\\", r"\\"), text)
    return text
