"""Conditions on requests: read from VirtualServices, decided where a host is known, combined.

Combining serves the collapsed loop-back: a request must meet the outer rule's conditions and those
of the inner one, which stand in one Envoy route.
"""

import re
import warnings
from dataclasses import replace

from stagezero.api.istio import HTTPMatchRequest, StringMatch
from stagezero.mesh.plans.values import EVERY_PATH, How, Match, Named, Text


def match_of(request: HTTPMatchRequest) -> Match:
    """Read one match of a VirtualService; headers sorted by name as istiod sorts them."""
    headers = [Named(name, _text(value)) for name, value in request.headers.items()]
    headers += [
        Named(name, _text(value), is_not=True) for name, value in request.without_headers.items()
    ]
    for name, value in ((":method", request.method), (":scheme", request.scheme)):
        if value is not None:
            headers.append(Named(name, _text(value)))
    path = _text(request.uri) if request.uri is not None else EVERY_PATH
    if path.how is How.PRESENT or path == Text(How.REGEX, ".*"):
        path = EVERY_PATH
    return Match(
        path=replace(path, ignore_case=request.ignore_uri_case and path != EVERY_PATH),
        headers=tuple(sorted(headers, key=lambda named: (named.name, named.text.value))),
        query=tuple(
            Named(name, _text(value)) for name, value in sorted(request.query_params.items())
        ),
        authority=_text(request.authority) if request.authority is not None else None,
    )


def _text(match: StringMatch) -> Text:
    if match.exact is not None:
        return Text(How.EXACT, match.exact) if match.exact else Text(How.PRESENT)
    if match.prefix is not None:
        return Text(How.PREFIX, match.prefix) if match.prefix else Text(How.PRESENT)
    if match.regex and match.regex != "*":
        return Text(How.REGEX, match.regex)
    return Text(How.PRESENT)


def meets(text: Text, value: str) -> bool | None:
    """Whether a known string meets a condition; None if a pattern is beyond us (Envoy decides)."""
    if text.ignore_case:
        return meets(Text(text.how, text.value.lower()), value.lower())
    if text.how is How.PRESENT:
        return True
    if text.how is How.EXACT:
        return value == text.value
    if text.how is How.PREFIX:
        return value.startswith(text.value)
    if "[[:" in text.value:
        return None  # Python reads POSIX classes as something else
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.fullmatch(text.value, value) is not None
    except re.error:
        return None


def at_host(match: Match, host: str) -> Match | None:
    """The match within the virtual host of `host`: None if it can never hold there.

    A host name written alone also stands for the host with a port: on this machine the gateway may
    not have port 80, and then every client sends one.
    """
    if match.authority is None:
        return match
    if not host.startswith("*"):
        verdicts = {meets(match.authority, host), meets(match.authority, f"{host}:80")}
        if match.authority == Text(How.EXACT, host):
            verdicts = {True}
        if verdicts == {False}:
            return None
        if verdicts == {True}:
            return replace(match, authority=None)
    headers = (Named(":authority", match.authority), *match.headers)
    return replace(match, headers=headers, authority=None)


def known_headers(match: Match, known: dict[str, str]) -> Match | None:
    """Decide conditions on headers whose values are known (names in lower case)."""
    left: list[Named] = []
    for named in match.headers:
        verdict = None
        if named.name.lower() in known:
            verdict = meets(named.text, known[named.name.lower()])
        if verdict is None:
            left.append(named)
        elif verdict == named.is_not:
            return None
    return replace(match, headers=tuple(left))


def both(one: Match, other: Match) -> Match | None:
    """The requests that meet two matches; None if there are none."""
    if one == other:
        return one
    headers = tuple(dict.fromkeys((*one.headers, *other.headers)))
    path, condition = _both_paths(one.path, other.path)
    if path is None:
        return None
    if condition is not None:
        headers = (*headers, condition)
    return Match(
        path=path,
        headers=headers,
        query=tuple(dict.fromkeys((*one.query, *other.query))),
        authority=one.authority,
    )


def _both_paths(one: Text, other: Text) -> tuple[Text | None, Named | None]:
    for first, second in ((one, other), (other, one)):
        if first in (EVERY_PATH, second):
            return second, None
        if second.how is How.EXACT:
            verdict = meets(first, second.value)
            if verdict is not None:
                return (second if verdict else None), None
    if one.how is How.PREFIX and other.how is How.PREFIX:
        narrow, wide = sorted((one, other), key=lambda text: -len(text.value))
        return (narrow if meets(wide, narrow.value) else None), None
    return _with_path_header(one, other)


def _with_path_header(one: Text, other: Text) -> tuple[Text, Named]:
    """Two paths that cannot be one: the second becomes a condition on `:path`, query included."""
    path, rest = (one, other) if other.how is not How.REGEX else (other, one)
    if rest.how is How.PREFIX:
        return path, Named(":path", rest)
    return path, Named(":path", Text(How.REGEX, rf"(?:{rest.value})(?:\?.*)?", rest.ignore_case))


def after_rewrite(match: Match, path: Text, rewrite: str) -> Match | None:
    """An inner match as conditions on the path before an outer rule has rewritten it.

    Only prefixes can be taken back; ValueError for the rest, None if it can never hold.
    """
    inner = match.path
    if inner == EVERY_PATH or (inner.how is How.PREFIX and rewrite.startswith(inner.value)):
        return replace(match, path=EVERY_PATH)
    if path.how is How.EXACT:
        verdict = meets(inner, rewrite)
        if verdict is None:
            raise ValueError(inner.value)
        return replace(match, path=EVERY_PATH) if verdict else None
    if path.how is How.PREFIX and inner.how in (How.PREFIX, How.EXACT):
        if not inner.value.startswith(rewrite):
            return None
        original = path.value + inner.value[len(rewrite) :]
        return replace(match, path=Text(inner.how, original, inner.ignore_case))
    raise ValueError(inner.value)
