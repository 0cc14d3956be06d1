"""The difference of two specs as Knative prints it in a denial: a Go path, - old, + new."""

from collections.abc import Iterator
from typing import Any

from stagezero.api.base import Raw

_ACRONYMS = {
    "tcpSocket": "TCPSocket", "httpGet": "HTTPGet", "httpHeaders": "HTTPHeaders",
    "dnsPolicy": "DNSPolicy", "dnsConfig": "DNSConfig", "hostIP": "HostIP", "grpc": "GRPC",
}  # fmt: skip
_OWN = (
    "containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds",
)  # fmt: skip


def of_template(old: Raw, new: Raw) -> str:
    """The difference of two revision templates."""
    lines = _compare(
        "{*v1.RevisionTemplateSpec}.ObjectMeta", old.get("metadata"), new.get("metadata")
    )
    specs = _specs("{*v1.RevisionTemplateSpec}.Spec", old.get("spec"), new.get("spec"))
    return "".join([*lines, *specs])


def of_revision(old: Raw, new: Raw) -> str:
    """The difference of two revision specs."""
    return "".join(_specs("{v1.RevisionSpec}", old, new))


def _specs(path: str, old: Any, new: Any) -> Iterator[str]:
    old, new = old or {}, new or {}
    for name in sorted({*old, *new}):
        inner = path if name in _OWN else f"{path}.PodSpec"
        yield from _compare(f"{inner}.{_go_name(name)}", old.get(name), new.get(name))


def _compare(path: str, old: Any, new: Any) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict | None) and isinstance(new, dict | None):
        old, new = old or {}, new or {}
        for name in sorted({*old, *new}):
            yield from _compare(f"{path}.{_go_name(name)}", old.get(name), new.get(name))
    elif isinstance(old, list | None) and isinstance(new, list | None):
        old, new = old or [], new or []
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            mark = f"{index}" if index < min(len(old), len(new)) else f"?->{index}"
            yield from _compare(f"{path}[{mark}]", before, after)
    else:
        yield f"{path}:\n\t-: {_show(old)}\n\t+: {_show(new)}\n"


def _go_name(name: str) -> str:
    return _ACRONYMS.get(name, name[:1].upper() + name[1:])


def _show(value: Any) -> str:
    if isinstance(value, str) or value is None:
        return f'"{value or ""}"'
    return f'"{str(value).lower() if isinstance(value, bool) else value}"'
