"""Get and list: from the store's memory, page by page if asked, selected before they are shown."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.apiserver import selectors
from stagezero.apiserver.call import Call
from stagezero.apiserver.encoding import decode
from stagezero.apiserver.objects import Objects
from stagezero.apiserver.presenting import Presenter
from stagezero.store.base import Stored


class TooEarly(errors.ApiError):
    """A version was asked for that the server has not reached."""

    reason, code = "Timeout", 504


class _Continue(msgspec.Struct, rename="camel"):
    """Where the next page begins: after this object, in a list begun at `version`."""

    version: int
    namespace: str
    name: str


@dataclass(frozen=True)
class Page:
    """One page of a selected list."""

    items: list[Stored]
    meta: Raw


def whole_number(query: Mapping[str, str], name: str) -> int:
    """A number of the query, 0 if absent; BadRequest if it is none."""
    text = query.get(name, "")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise errors.BadRequest(f'invalid {name}: "{text}" is no whole number')
    return int(text)


class Reads:
    """Gets and lists."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def get(self, call: Call) -> Stored:
        """One object; NotFound."""
        self._check_version(whole_number(call.query, "resourceVersion"))
        return self._objects.find(call)

    def list(self, call: Call, presenter: Presenter) -> bytes:
        """A collection, or what selectors and limits leave of it."""
        page = self.page(call)
        return presenter.many([stored.data for stored in page.items], page.meta)

    def page(self, call: Call) -> Page:
        """The objects of a list request.

        Pages after the first come from the present state, under the version of the first: a client
        that then watches from that version sees every change made in between.
        """
        query = call.query
        limit = whole_number(query, "limit")
        asked = whole_number(query, "resourceVersion")
        self._check_version(asked)
        served, target = call.served, call.target
        items, version = self._objects.store.list(served.collection, target.namespace)
        if query.get("resourceVersionMatch") == "Exact" and asked not in (0, version):
            raise errors.Gone("The provided resource version is too old or is not available")
        selector = selectors.parse(query, served.collection, served.selectable_fields)
        if token := query.get("continue"):
            begun = _read_token(token)
            version = begun.version
            after = (begun.namespace, begun.name)
            items = [one for one in items if (one.key.namespace, one.key.name) > after]
        if not selector.is_empty:
            items = [one for one in items if selector.matches(decode(one.data))]
        meta: Raw = {"resourceVersion": str(version)}
        if limit and len(items) > limit:
            meta["remainingItemCount"] = len(items) - limit
            items = items[:limit]
            last = items[-1].key
            meta["continue"] = _token(_Continue(version, last.namespace, last.name))
        return Page(items, meta)

    def _check_version(self, asked: int) -> None:
        present = self._objects.store.version
        if asked > present:
            raise TooEarly(
                f"Too large resource version: {asked}, current: {present}",
                {"causes": [{"reason": "ResourceVersionTooLarge"}], "retryAfterSeconds": 1},
            )


def _token(begun: _Continue) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(begun)).decode().rstrip("=")


def _read_token(token: str) -> _Continue:
    try:
        padded = token.encode() + b"=" * (-len(token) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Continue)
    except (ValueError, binascii.Error) as error:
        raise errors.BadRequest("continue key is not valid") from error
