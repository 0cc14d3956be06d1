"""The one place where objects are committed to the store, in the API's words.

A commit of a CustomResourceDefinition changes what is served, one of an event lets old ones go.
"""

from stagezero.api import errors
from stagezero.api.base import Raw
from stagezero.apiserver.call import Call
from stagezero.apiserver.catalogue import Catalogue
from stagezero.apiserver.definitions import Definitions
from stagezero.apiserver.encoding import encoder
from stagezero.apiserver.event_expiry import COLLECTION as EVENTS
from stagezero.apiserver.event_expiry import EventExpiry
from stagezero.apiserver.served import Served
from stagezero.kit.clock import Clock
from stagezero.store.base import Store, Stored, StoreFailed, VersionConflict


class Objects:
    """Reads and commits objects, in the API's words where the store's would not be understood."""

    def __init__(self, store: Store, catalogue: Catalogue, clock: Clock) -> None:
        self.store = store
        self.definitions = Definitions(store, catalogue)
        self._catalogue = catalogue
        self._expiry = EventExpiry(store, clock)

    def served(self, collection: str) -> Served | None:
        """How the objects of a collection are served, at any version."""
        return self._catalogue.of_collection(collection)

    def check_accepts(self, call: Call) -> None:
        """Refuse a new object of a kind whose definition is being deleted."""
        if not call.served.resource.is_builtin and self.definitions.is_terminating(
            call.served.collection
        ):
            raise errors.MethodNotAllowed(
                "create not allowed while custom resource definition is terminating"
            )

    async def let_go(self, name: str) -> None:
        """Remove a terminating definition of whose kind no object is left."""
        await self.definitions.let_go(name)

    def find(self, call: Call) -> Stored:
        """The object that a call names; NotFound."""
        stored = self.store.get(call.key)
        if stored is None:
            raise call.not_found()
        return stored

    async def create(self, call: Call, raw: Raw) -> bytes:
        """Store a new object; AlreadyExists."""
        return await self._put(call, raw, None)

    async def replace(self, call: Call, raw: Raw, expected: int) -> bytes:
        """Store the next state of an object; Conflict if it is not at `expected`."""
        return await self._put(call, raw, expected)

    async def _put(self, call: Call, raw: Raw, expected: int | None) -> bytes:
        if call.is_dry_run:
            return encoder(raw, call.served)(expected or 0)
        encode = encoder(raw, call.served)
        try:
            stored = await self.store.put(call.key, encode, expected, call.durability)
        except VersionConflict as error:
            raise self._explain(call, error) from error
        except StoreFailed as error:
            raise errors.InternalError(f"the store cannot write: {error}") from error
        self.definitions.written(call.served.collection, raw)
        if call.served.collection == EVENTS:
            await self._expiry.sweep()
        return stored.data

    async def remove(self, call: Call, raw: Raw, expected: int) -> bytes:
        """Remove an object and return its last state; Conflict if it is not at `expected`."""
        encode = encoder(raw, call.served)
        if call.is_dry_run:
            return encode(expected)
        try:
            stored = await self.store.delete(call.key, encode, expected, call.durability)
        except VersionConflict as error:
            raise self._explain(call, error) from error
        except StoreFailed as error:
            raise errors.InternalError(f"the store cannot write: {error}") from error
        await self.definitions.removed(call.served.collection, raw)
        return stored.data

    def _explain(self, call: Call, error: VersionConflict) -> errors.ApiError:
        if error.expected is None:
            return call.already_exists()
        return call.conflict() if error.actual is not None else call.not_found()
