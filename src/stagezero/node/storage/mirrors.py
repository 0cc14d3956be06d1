"""The mirror map: where to look for a prefix of URIs instead, so that the same YAML runs offline.

`gs://kserve/` → `file:///models/` turns `gs://kserve/models/mnist` into
`file:///models/models/mnist`; of several prefixes that fit, the longest counts.
"""

from collections.abc import Mapping

from stagezero.node.storage.errors import ModelInvalid


class Mirrors:
    """Rewrites URIs by prefix, whole path segments only, once."""

    def __init__(self, mirrors: Mapping[str, str]) -> None:
        longest_first = sorted(mirrors.items(), key=lambda pair: -len(pair[0].rstrip("/")))
        self._mirrors = tuple(longest_first)

    def target(self, uri: str) -> str:
        """Return the URI to read instead of `uri`, or `uri` itself where no mirror is set."""
        for prefix, target in self._mirrors:
            bare = prefix.rstrip("/")
            if uri == bare or uri.startswith(f"{bare}/"):
                rest = uri[len(bare) :].lstrip("/")
                return f"{target.rstrip('/')}/{rest}" if rest else target
        return uri


def parse_mirror(text: str) -> tuple[str, str]:
    """Read `PREFIX=TARGET`, as options and settings write a mirror; ModelInvalid otherwise."""
    prefix, separator, target = text.partition("=")
    if not (separator and "://" in prefix and target):
        raise ModelInvalid(
            f'"{text}" is not a mirror; write PREFIX=TARGET, such as gs://kserve/=file:///models/'
        )
    return prefix, target
