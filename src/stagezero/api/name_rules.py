"""Kubernetes' rules for names, each a function from a name to the list of what is wrong with it.

The sentences are Kubernetes' own: users know them and tools match on them.
"""

import re

_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")

_NOT_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_NOT_1123 = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_NOT_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    r"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_NOT_QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def dns_1035_label(name: str) -> list[str]:
    """What keeps a name from being a DNS-1035 label (of Services, Routes, tags)."""
    return _check(name, _LABEL_1035, _NOT_1035, 63)


def dns_1035_prefix(prefix: str) -> list[str]:
    """The same for a generateName, whose last dash is no mistake."""
    return dns_1035_label(prefix[:-1] + "a" if prefix.endswith("-") else prefix)


def dns_1123_label(name: str) -> list[str]:
    """What keeps a name from being an RFC 1123 label."""
    return _check(name, _LABEL_1123, _NOT_1123, 63)


def dns_1123_subdomain(name: str) -> list[str]:
    """What keeps a name from being an RFC 1123 subdomain."""
    return _check(name, _SUBDOMAIN, _NOT_SUBDOMAIN, 253)


def qualified_name(name: str) -> list[str]:
    """What keeps a name from being a qualified name, without or with a `prefix/`."""
    prefix, slash, last = name.rpartition("/")
    problems = []
    if slash:
        problems += [f"prefix part {problem}" for problem in dns_1123_subdomain(prefix)]
    if not last:
        problems.append("name part must be non-empty")
    elif len(last) > 63:
        problems.append("name part must be no more than 63 characters")
    if not _QUALIFIED.fullmatch(last):
        problems.append(_NOT_QUALIFIED)
    return problems


def _check(name: str, rule: re.Pattern[str], complaint: str, longest: int) -> list[str]:
    problems = []
    if len(name) > longest:
        problems.append(f"must be no more than {longest} characters")
    if not rule.fullmatch(name):
        problems.append(complaint)
    return problems
