"""What the supervisor is asked to run, checked field by field before anything is done."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from stagezero.node.supervisor.protocol import BAD_REQUEST, Refused

LABELS_LIMIT = 32 << 10
"""Labels are kept and listed, so they are bounded."""


class Mount(NamedTuple):
    """One thing to show in a process's own tree: `kind` is bind, tmpfs or link (a symlink)."""

    target: str
    source: str = ""
    kind: str = "bind"
    read_only: bool = False
    options: str = ""


class Restart(NamedTuple):
    """Start again after every end, after a delay that doubles from `first_s` to `limit_s`.

    A process that ran for `reset_after_s` is forgiven its past.
    """

    first_s: float = 0.1
    limit_s: float = 10.0
    reset_after_s: float = 30.0


class Spec(NamedTuple):
    """One process: what to execute, where its output goes, what it may see.

    `user` and `net` are empty (the supervisor's own), `new`, or the path of a namespace file;
    `mounts` None means the machine's own tree. `labels` are the client's words, given back to it.
    """

    id: str
    argv: tuple[str, ...]
    log: str
    env: Mapping[str, str] = {}
    cwd: str = "/"
    umask: int = 0o022
    limits: Mapping[str, int] = {}
    user: str = ""
    net: str = ""
    mounts: tuple[Mount, ...] | None = None
    uid: int | None = None
    gid: int | None = None
    keep_capabilities: bool = False
    restart: Restart | None = None
    labels: Mapping[str, str] = {}

    def to_json(self) -> dict[str, Any]:
        """Write the spec as `parse_spec` reads it."""
        raw: dict[str, Any] = dict(self._asdict())
        raw["argv"] = list(self.argv)
        raw["mounts"] = None if self.mounts is None else [m._asdict() for m in self.mounts]
        raw["restart"] = None if self.restart is None else self.restart._asdict()
        return raw


def parse_spec(raw: object) -> Spec:
    """Read a spec from a request; Refused names the field that is wrong."""
    fields = _object("spec", raw)
    unknown = fields.keys() - set(Spec._fields)
    if unknown:
        raise _wrong(f"spec.{sorted(unknown)[0]}", "is not a field")
    mounts = fields.get("mounts")
    restart = fields.get("restart")
    return Spec(
        id=_text("spec.id", fields.get("id"), limit=512),
        argv=_texts("spec.argv", fields.get("argv")),
        log=_text("spec.log", fields.get("log")),
        env=_strings("spec.env", fields.get("env", {})),
        cwd=_text("spec.cwd", fields.get("cwd", "/")),
        umask=_number("spec.umask", fields.get("umask", 0o022), 0o777),
        limits=_numbers("spec.limits", fields.get("limits", {})),
        user=_plain("spec.user", fields.get("user", "")),
        net=_plain("spec.net", fields.get("net", "")),
        mounts=None if mounts is None else tuple(_mount(m) for m in _list("spec.mounts", mounts)),
        uid=_optional_id("spec.uid", fields.get("uid")),
        gid=_optional_id("spec.gid", fields.get("gid")),
        keep_capabilities=_flag("spec.keep_capabilities", fields.get("keep_capabilities", False)),
        restart=None if restart is None else _restart(restart),
        labels=_labels("spec.labels", fields.get("labels", {})),
    )


def _mount(raw: object) -> Mount:
    fields = _object("spec.mounts[]", raw)
    kind = _plain("spec.mounts[].kind", fields.get("kind", "bind"))
    if kind not in ("bind", "tmpfs", "link"):
        raise _wrong("spec.mounts[].kind", f"must be bind, tmpfs or link, not {kind!r}")
    return Mount(
        _absolute("spec.mounts[].target", fields.get("target")),
        _plain("spec.mounts[].source", fields.get("source", "")),
        kind,
        _flag("spec.mounts[].read_only", fields.get("read_only", False)),
        _plain("spec.mounts[].options", fields.get("options", "")),
    )


def _restart(raw: object) -> Restart:
    fields = _object("spec.restart", raw)
    values = []
    for name in Restart._fields:
        value = fields.get(name, Restart._field_defaults[name])
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
            raise _wrong(f"spec.restart.{name}", "must be a positive number of seconds")
        values.append(float(value))
    return Restart(*values)


def _wrong(field: str, what: str) -> Refused:
    return Refused(BAD_REQUEST, f"{field} {what}")


def _object(field: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(field, f"must be an object, not {type(value).__name__}")
    return value


def _list(field: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(field, f"must be a list, not {type(value).__name__}")
    return value


def _plain(field: str, value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise _wrong(field, "must be a string without a zero byte")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # a lone surrogate, which JSON can spell
        raise _wrong(field, "must be valid Unicode") from error
    return value


def _text(field: str, value: object, limit: int = 4096) -> str:
    text = _plain(field, value)
    if not text or len(text) > limit:
        raise _wrong(field, f"must have 1 to {limit} characters")
    return text


def _absolute(field: str, value: object) -> str:
    text = _text(field, value)
    if not text.startswith("/") or ".." in text.split("/"):
        raise _wrong(field, "must be an absolute path without ..")
    return text


def _texts(field: str, value: object) -> tuple[str, ...]:
    words = tuple(_plain(field, word) for word in _list(field, value))
    if not words or not words[0]:
        raise _wrong(field, "must name a program")
    return words


def _strings(field: str, value: object) -> dict[str, str]:
    fields = _object(field, value)
    for name, text in fields.items():
        _plain(f"{field} name", name)
        _plain(f"{field}.{name}", text)
    return fields


def _labels(field: str, value: object) -> dict[str, str]:
    labels = _strings(field, value)
    if sum(len(name) + len(text) for name, text in labels.items()) > LABELS_LIMIT:
        raise _wrong(field, f"must not have more than {LABELS_LIMIT} characters together")
    return labels


def _number(field: str, value: object, limit: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise _wrong(field, f"must be a whole number from 0 to {limit}")
    return value


def _numbers(field: str, value: object) -> dict[str, int]:
    fields = _object(field, value)
    return {name: _number(f"{field}.{name}", number, 1 << 62) for name, number in fields.items()}


def _optional_id(field: str, value: object) -> int | None:
    return None if value is None else _number(field, value, (1 << 32) - 2)


def _flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(field, "must be true or false")
    return value
