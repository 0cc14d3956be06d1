"""Informer caches: what the API holds, as encoded bytes, with the few indexes that plans need.

Bytes are shared with the store where the API is in process; an object is decoded when somebody
touches it, and a bounded number of decoded objects is kept. A writer notes what its write returned
(`note`), so that the next plan sees its own writes before the watch brings them. An object that
does not fit its class is not there for typed readers: one odd object must not stop the others.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec

from stagezero.api.base import Key, Object, Raw, T, decode

log = logging.getLogger(__name__)

DECODED_LIMIT = 4096
"""How many decoded objects all caches of a process keep together."""

Subscriber = Callable[[Object | None, Object | None], None]
"""Called with the object before and after a change; None where there is none."""


class _Owner(msgspec.Struct):
    uid: str = ""


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    labels: dict[str, str] = {}
    owner_references: list[_Owner] = []


class _Head(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _Entry(msgspec.Struct):
    data: bytes
    version: int
    labels: dict[str, str]
    owners: tuple[str, ...]
    is_readable: bool = True


class _Decoded:
    """The decoded objects that all caches keep, the least recently touched go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._objects: OrderedDict[tuple[type[Object], Key], tuple[int, Object]] = OrderedDict()

    def get(self, kind: type[T], key: Key, entry: _Entry) -> T:
        """Return the decoded object of an entry, from memory if its version is there."""
        found = self._objects.get((kind, key))
        if found is not None and found[0] == entry.version:
            self._objects.move_to_end((kind, key))
            return cast(T, found[1])
        thing = decode(kind, entry.data)
        self._objects[(kind, key)] = (entry.version, thing)
        self._objects.move_to_end((kind, key))
        if len(self._objects) > self._limit:
            self._objects.popitem(last=False)
        return thing

    def drop(self, kind: type[Object], key: Key) -> None:
        self._objects.pop((kind, key), None)


class KindCache(Generic[T]):
    """All objects of one kind; changes are announced to subscribers in order."""

    def __init__(self, kind: type[T], decoded: _Decoded) -> None:
        self.kind = kind
        self._decoded = decoded
        self._entries: dict[Key, _Entry] = {}
        self._by_owner: dict[str, set[Key]] = {}
        self._by_namespace: dict[str, set[Key]] = {}
        self._seen = 0
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` on every change, and now for every object that is there."""
        self._subscribers.append(subscriber)
        for key in list(self._entries):
            thing = self.get(key)
            if thing is not None:
                subscriber(None, thing)

    def get(self, key: Key) -> T | None:
        """Return an object, decoded."""
        entry = self._entries.get(key)
        return None if entry is None else self._read(key, entry)

    def _read(self, key: Key, entry: _Entry) -> T | None:
        if not entry.is_readable:
            return None
        try:
            return self._decoded.get(self.kind, key, entry)
        except msgspec.DecodeError as error:
            entry.is_readable = False
            log.warning("%s %s cannot be read and is left out: %s", self.kind.__name__, key, error)
            return None

    def encoded(self, key: Key) -> bytes | None:
        """Return an object as it is stored."""
        entry = self._entries.get(key)
        return None if entry is None else entry.data

    def version_of(self, key: Key) -> str | None:
        """Return the version that an object is at."""
        entry = self._entries.get(key)
        return None if entry is None else str(entry.version)

    def keys(self, namespace: str = "") -> list[Key]:
        """Return the names of all objects (of one namespace), sorted."""
        return sorted(self._by_namespace.get(namespace, ()) if namespace else self._entries)

    def owned_keys(self, uid: str) -> list[Key]:
        """Return the names of the objects that refer to an owner, sorted."""
        return sorted(self._by_owner.get(uid, ()))

    def labels(self, key: Key) -> Mapping[str, str]:
        """Return an object's labels without decoding it."""
        return self._entries[key].labels

    def replace(self, items: Iterable[bytes], version: str) -> None:
        """Take over a fresh list: what is new or changed is announced, what is gone too.

        A list that is older than what was seen comes from a store that began anew: it is right,
        and what was seen is not. Notes of writes younger than the list stay.
        """
        at = int(version or 0)
        begins_anew = at < self._seen
        fresh = {Key(meta.namespace, meta.name): item for item, meta in _with_meta(items)}
        for key, entry in list(self._entries.items()):
            if begins_anew or (key not in fresh and entry.version <= at):
                self._remove(key)
        self._seen = at
        for item in fresh.values():
            self._take(item, is_watch=True)

    def event(self, frame_type: str, data: bytes) -> None:
        """Take over one frame of a watch."""
        meta = msgspec.json.decode(data, type=_Head).metadata
        version = int(meta.resource_version or 0)
        self._seen = max(self._seen, version)
        if frame_type == "BOOKMARK":
            return
        if frame_type != "DELETED":
            self._take(data, is_watch=True)
            return
        key = Key(meta.namespace, meta.name)
        entry = self._entries.get(key)
        if entry is not None and entry.version <= version:  # else noted: there is a new one already
            self._remove(key)

    def note(self, data: bytes) -> None:
        """Take over what a write returned, unless the watch is already past it."""
        self._take(data, is_watch=False)

    @property
    def version(self) -> str:
        """The version that the cache has seen, to watch from."""
        return str(self._seen)

    def _take(self, data: bytes, is_watch: bool) -> None:
        meta = msgspec.json.decode(data, type=_Head).metadata
        key, version = Key(meta.namespace, meta.name), int(meta.resource_version or 0)
        old = self._entries.get(key)
        if old is not None and old.version >= version:
            if is_watch and old.version == version:
                old.data = data  # the store's own bytes: one copy in the process
            return
        if not is_watch and old is None and version <= self._seen:
            return  # the watch has passed this version: the object was deleted meanwhile
        before = None if old is None else self._read(key, old)
        owners = tuple(owner.uid for owner in meta.owner_references)
        if old is not None:
            self._unindex(key, old)
        self._entries[key] = _Entry(data, version, meta.labels, owners)
        self._by_namespace.setdefault(key.namespace, set()).add(key)
        for owner in owners:
            self._by_owner.setdefault(owner, set()).add(key)
        self._announce(before, self.get(key))

    def _remove(self, key: Key) -> None:
        entry = self._entries.get(key)
        if entry is None:
            return
        before = self._read(key, entry)
        self._unindex(key, entry)
        del self._entries[key]
        self._decoded.drop(self.kind, key)
        self._announce(before, None)

    def _unindex(self, key: Key, entry: _Entry) -> None:
        _discard(self._by_namespace, key.namespace, key)
        for owner in entry.owners:
            _discard(self._by_owner, owner, key)

    def _announce(self, before: T | None, after: T | None) -> None:
        if before is None and after is None:
            return
        for subscriber in self._subscribers:
            subscriber(before, after)


def _with_meta(items: Iterable[bytes]) -> Iterable[tuple[bytes, _Meta]]:
    for item in items:
        yield item, msgspec.json.decode(item, type=_Head).metadata


def _discard(index: dict[str, set[Key]], value: str, key: Key) -> None:
    keys = index.get(value)
    if keys is not None:
        keys.discard(key)
        if not keys:
            del index[value]


C = TypeVar("C", bound=Object)


class Caches:
    """The caches of a process, one a kind; reading a kind that nobody asked for is a mistake."""

    def __init__(self, decoded_limit: int = DECODED_LIMIT) -> None:
        self._decoded = _Decoded(decoded_limit)
        self._kinds: dict[type[Object], KindCache[Any]] = {}

    def add(self, kind: type[C]) -> KindCache[C]:
        """Return the cache of a kind; the first call makes it."""
        if kind not in self._kinds:
            self._kinds[kind] = KindCache(kind, self._decoded)
        return self._kinds[kind]

    def of(self, kind: type[C]) -> KindCache[C]:
        """Return the cache of a kind that was added before."""
        if kind not in self._kinds:
            raise RuntimeError(f"{kind.__name__} is read but nobody watches it: name it in `reads`")
        return self._kinds[kind]

    @property
    def kinds(self) -> tuple[type[Object], ...]:
        """The kinds that were added."""
        return tuple(self._kinds)

    def get(self, kind: type[C], key: Key) -> C | None:
        """Return one object."""
        return self.of(kind).get(key)

    def owned(self, kind: type[C], owner: Object) -> list[C]:
        """Return the objects of a kind that refer to `owner`, sorted by name."""
        cache = self.of(kind)
        keys = cache.owned_keys(owner.uid)
        return [thing for key in keys if (thing := cache.get(key)) is not None]

    def labelled(self, kind: type[C], namespace: str, labels: Mapping[str, str]) -> list[C]:
        """Return the objects of a namespace that carry all these labels, sorted by name."""
        cache = self.of(kind)
        chosen = [
            key for key in cache.keys(namespace) if labels.items() <= cache.labels(key).items()
        ]
        return [thing for key in chosen if (thing := cache.get(key)) is not None]

    def raw(self, kind: type[Object], key: Key) -> Raw | None:
        """Return one object as parsed JSON."""
        data = self.of(kind).encoded(key)
        if data is None:
            return None
        raw: Raw = msgspec.json.decode(data)
        return raw

    def list(self, kind: type[C], namespace: str = "") -> list[C]:
        """Return all objects of a kind (in a namespace), sorted by name."""
        cache = self.of(kind)
        return [thing for key in cache.keys(namespace) if (thing := cache.get(key)) is not None]
