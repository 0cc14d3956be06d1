"""The API server: one handler from requests to responses, over a store, whoever carries the bytes.

It knows Kubernetes' rules and no serving kind: kinds come as classes or CustomResourceDefinitions,
their rules as admission, the node's streams as extra subresources.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from stagezero.api import errors
from stagezero.api.admission import Admission
from stagezero.api.base import Object, Raw
from stagezero.api.builtin import BUILTIN_KINDS
from stagezero.api.printing import PRINTERS, TablePrinter
from stagezero.apiserver import deletion, reviews, routing
from stagezero.apiserver.call import Call
from stagezero.apiserver.catalogue import Catalogue
from stagezero.apiserver.deletion import Deletion
from stagezero.apiserver.documents import Documentation
from stagezero.apiserver.objects import Objects
from stagezero.apiserver.presenting import Form, Presenter, form_of
from stagezero.apiserver.reads import Reads
from stagezero.apiserver.shaping import Shaper
from stagezero.apiserver.subresources import SUCCESS, Subresources
from stagezero.apiserver.watches import Watch
from stagezero.apiserver.writes import Writes
from stagezero.kit.clock import Clock
from stagezero.kit.http import JSON, Handler, Request, Response, WatchFrame
from stagezero.store.base import Store

log = logging.getLogger(__name__)

_NO_METHOD = "the server does not allow this method on the requested resource"
_LATER = frozenset({"exec", "attach", "portforward", "proxy", "token", "ephemeralcontainers"})
_NO_RESOURCE = "the server could not find the requested resource"


@dataclass(frozen=True)
class Kinds:
    """What is served: kinds, their rules, their tables, and subresources that others carry out.

    `subresources` are found by the collection's name (`pods`, `things.group`) and their own; the
    object is known to exist when they are called.
    """

    builtin: tuple[type[Object], ...] = BUILTIN_KINDS
    admissions: Iterable[tuple[type[Object], Admission]] = ()
    printers: Mapping[tuple[str, str], TablePrinter] = field(default_factory=lambda: PRINTERS)
    subresources: Mapping[tuple[str, str], Handler] = field(default_factory=dict)


class _Verb(NamedTuple):
    """What a subresource allows, and who does it."""

    methods: tuple[str, ...]
    run: Callable[[Call], Awaitable[bytes]]


class ApiServer:
    """Answers requests; `handle` never raises but for the caller's own cancellation."""

    def __init__(self, store: Store, clock: Clock, kinds: Kinds | None = None) -> None:
        kinds = kinds or Kinds()
        self._store = store
        self._clock = clock
        self._extra = kinds.subresources
        self._catalogue = Catalogue(kinds.builtin, kinds.printers)
        objects = Objects(store, self._catalogue, clock)
        objects.definitions.load()
        shaper = Shaper(kinds.admissions, objects.definitions)
        self._deletion = Deletion(objects, shaper, clock)
        self._reads = Reads(objects)
        self._writes = Writes(objects, shaper, self._deletion, clock)
        self._subresources = Subresources(objects, shaper, self._deletion, clock)
        self._verbs = {
            ("pods", "binding"): _Verb(("POST",), self._subresources.bind),
            ("pods", "eviction"): _Verb(("POST",), self._subresources.evict),
            ("namespaces", "finalize"): _Verb(("PUT",), self._subresources.finalize),
        }
        self._documentation = Documentation(self._catalogue, tuple(kinds.subresources))
        self.watches: set[Watch] = set()
        self._is_closed = False

    async def start(self) -> None:
        """Finish what a crash interrupted: kinds whose objects were being deleted with them."""
        await self._deletion.resume()

    async def close(self) -> None:
        """End all watches; later requests are refused as Unavailable."""
        self._is_closed = True
        for watch in list(self.watches):
            await watch.close()

    async def handle(self, request: Request) -> Response:
        """Answer one request; every refusal is a Status."""
        try:
            if self._is_closed:
                raise errors.Unavailable("the server is shutting down")
            return await self._answer(request)
        except errors.ApiError as error:
            return refusal(error)
        except Exception:
            # The transport's last line: whatever a request brought about, the next one is served.
            log.exception("%s %s failed", request.method, request.path)
            return refusal(errors.InternalError("an error on the server prevented the request"))

    async def _answer(self, request: Request) -> Response:
        document = self._documentation.answer(request)
        if document is not None:
            return document
        target = routing.parse(request.path)
        if target is None:
            raise errors.NotFound(_NO_RESOURCE)
        review = reviews.answer(target.group, target.plural, request)
        if review is not None and target.version == "v1":
            return review
        served = self._catalogue.find(target.group, target.version, target.plural)
        if served is None or (target.namespace and not served.resource.namespaced):
            raise errors.NotFound(_NO_RESOURCE)
        call = Call(request, target, served)
        if served.deprecation:
            call.warnings.append(served.deprecation)
        return await self._dispatch(call)

    async def _dispatch(self, call: Call) -> Response:
        target, method = call.target, call.request.method
        if not target.name:
            return await self._on_collection(call)
        if call.served.resource.namespaced and not target.namespace:
            raise errors.NotFound(_NO_RESOURCE)
        extra = self._extra.get((call.served.collection, target.subresource))
        if extra is not None:
            self._reads.get(call)
            return await extra(call.request)
        if target.tail:
            raise errors.NotFound(_NO_RESOURCE)
        if target.subresource == "":
            return await self._on_object(call, method)
        if target.subresource == "status" and call.served.has_status:
            return await self._on_status(call, method)
        return await self._on_subresource(call, method)

    async def _on_collection(self, call: Call) -> Response:
        match call.request.method:
            case "GET" | "HEAD":
                if call.query.get("watch", "") in ("true", "1"):
                    return self._watch(call)
                return _json(call, self._reads.list(call, self._presenter(call)))
            case "POST":
                if call.served.resource.namespaced and not call.target.namespace:
                    raise errors.MethodNotAllowed(_NO_METHOD)
                data = await self._writes.create(call)
                return _json(call, self._presenter(call).one(data), 201)
            case "DELETE":
                return await self._delete_collection(call)
        raise errors.MethodNotAllowed(_NO_METHOD)

    async def _on_object(self, call: Call, method: str) -> Response:
        if method == "DELETE":
            return await self._delete(call)
        return await self._on_status(call, method)

    async def _on_status(self, call: Call, method: str) -> Response:
        """Read or write an object, or its status alone."""
        presenter = self._presenter(call)
        match method:
            case "GET" | "HEAD":
                return _json(call, presenter.one(self._reads.get(call).data))
            case "PUT":
                return _json(call, presenter.one(await self._writes.replace(call)))
            case "PATCH":
                data, is_new = await self._writes.patch(call)
                return _json(call, presenter.one(data), 201 if is_new else 200)
        raise errors.MethodNotAllowed(_NO_METHOD)

    async def _on_subresource(self, call: Call, method: str) -> Response:
        name = call.target.subresource
        if name == "scale" and call.served.scale is not None:
            if method in ("GET", "HEAD"):
                return _json(call, self._subresources.get_scale(call))
            verb = _Verb(("PUT", "PATCH"), self._subresources.write_scale)
        else:
            found = self._verbs.get((call.served.collection, name))
            if found is None:
                raise _not_served(call)
            verb = found
        if method not in verb.methods:
            raise errors.MethodNotAllowed(_NO_METHOD)
        return _json(call, await verb.run(call), 201 if method == "POST" else 200)

    def _presenter(self, call: Call) -> Presenter:
        form = form_of(call.request.headers.get("accept", ""))
        include = call.query.get("includeObject", "Metadata")
        return Presenter(call.served, form, self._clock.now(), include)

    async def _delete(self, call: Call) -> Response:
        presenter = self._presenter(call)
        deleted = await self._deletion.delete(call, deletion.read_options(call))
        if not deleted.is_gone or call.served.collection == "pods":
            return _json(call, presenter.one(deleted.data))
        uid = msgspec.json.decode(deleted.data)["metadata"]["uid"]
        status: Raw = {**SUCCESS, "details": {**call.details(), "uid": uid}}
        return _json(call, msgspec.json.encode(status))

    async def _delete_collection(self, call: Call) -> Response:
        presenter = self._presenter(call)
        options = deletion.read_options(call)
        found = self._reads.page(call).items
        await self._deletion.delete_collection(call, found, options)
        meta = {"resourceVersion": str(self._store.version)}
        return _json(call, presenter.many([stored.data for stored in found], meta))

    def _watch(self, call: Call) -> Response:
        presenter = self._presenter(call)
        watch = Watch(self._store, call, presenter)
        headers = {"content-type": f"{JSON};stream=watch" if _streams(call) else JSON}
        if presenter.form is not Form.OBJECT:
            headers = {"content-type": JSON}
        return Response(200, headers=headers, events=self._followed(watch))

    async def _followed(self, watch: Watch) -> AsyncIterator[WatchFrame]:
        self.watches.add(watch)
        try:
            async for frame in watch.frames():
                yield frame
        finally:
            self.watches.discard(watch)
            await watch.close()


def _not_served(call: Call) -> errors.NotFound:
    """kubectl shows this text where it asked for what later versions will have."""
    if call.target.subresource in _LATER:
        return errors.NotFound(
            f"{call.served.resource.plural}/{call.target.subresource} is not "
            "served by this version of stagezero"
        )
    return errors.NotFound(_NO_RESOURCE)


def _streams(call: Call) -> bool:
    return "stream=watch" in call.request.headers.get("accept", "")


def _json(call: Call, body: bytes, status: int = 200) -> Response:
    headers = {"content-type": JSON}
    if call.warnings:
        texts = [f'299 - "{_quoted(text)}"' for text in call.warnings]
        headers["warning"] = ", ".join(texts)
    return Response(status, body, headers)


def _quoted(text: str) -> str:
    printable = "".join(char if char.isprintable() and char.isascii() else "?" for char in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')


def refusal(error: errors.ApiError) -> Response:
    """The answer to a request that is refused."""
    status: dict[str, Any] = error.status()
    headers = {"content-type": JSON}
    if (error.details or {}).get("retryAfterSeconds"):
        headers["retry-after"] = str(error.details["retryAfterSeconds"] if error.details else 1)
    return Response(int(status["code"]), msgspec.json.encode(status), headers)
