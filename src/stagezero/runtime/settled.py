"""What the server made of what was applied.

Admission and defaulting fill in what a plan does not know. As long as a plan wants the same, and
the object is still as the server left it, nothing differs; and as long as the object did not change
at all there is nothing to compare.
"""

import hashlib

import msgspec

from stagezero.api.base import Key, Object, Raw
from stagezero.client.cache import Caches
from stagezero.runtime.difference import OWNED_METADATA

_FIRST_SWEEP = 1024

_Name = tuple[type[Object], Key]


class _Left(msgspec.Struct):
    """Digests of what was wanted and of what the server then stored, and the version of that."""

    wanted: bytes
    stored: bytes
    version: str


class Settled:
    """Remembers, by object, the last thing wanted and what became of it."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._left: dict[_Name, _Left] = {}
        self._sweep_at = _FIRST_SWEEP

    def holds(self, desired: Object) -> bool:
        """Whether the same was wanted before and the object has not changed in any way since."""
        name = (type(desired), desired.key)
        left = self._left.get(name)
        if left is None or left.version != self._caches.of(type(desired)).version_of(desired.key):
            return False
        return left.wanted == _digest_of_object(desired)

    def is_as_left(self, desired: Object, before: Raw) -> bool:
        """Whether the same was wanted before, and nobody changed what a plan can want since."""
        left = self._left.get((type(desired), desired.key))
        if left is None or left.wanted != _digest_of_object(desired):
            return False
        return left.stored == _digest(before)

    def was_wanted(self, desired: Object) -> bool:
        """Whether the last thing wanted of the object was the same."""
        left = self._left.get((type(desired), desired.key))
        return left is not None and left.wanted == _digest_of_object(desired)

    def remember(self, desired: Object, stored: Raw) -> None:
        """Keep how the server holds an object that is as `desired`."""
        version = stored["metadata"]["resourceVersion"]
        left = _Left(_digest_of_object(desired), _digest(stored), version)
        self._left[(type(desired), desired.key)] = left
        if len(self._left) >= self._sweep_at:
            self._sweep()

    def _sweep(self) -> None:
        """Drop what is gone; done again when the number has doubled, so it costs little."""
        for kind, key in list(self._left):
            if self._caches.of(kind).encoded(key) is None:
                del self._left[(kind, key)]
        self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._left))


def _digest_of_object(desired: Object) -> bytes:
    encoded = msgspec.json.encode(desired, order="sorted")
    return hashlib.blake2b(encoded, digest_size=16).digest()


def _digest(raw: Raw) -> bytes:
    """What a plan can want of an object: everything but its status and most metadata."""
    metadata = raw.get("metadata", {})
    wanted = {
        **{name: value for name, value in raw.items() if name not in ("status", "metadata")},
        "metadata": {name: metadata.get(name) for name in OWNED_METADATA},
    }
    return hashlib.blake2b(msgspec.json.encode(wanted, order="sorted"), digest_size=16).digest()
