"""Subresources that the server itself understands: scale, binding, eviction, finalize.

`status` is an ordinary write with another partition; `log` and its like are handed in.
"""

from typing import Any

import msgspec

from stagezero.api import errors
from stagezero.api.base import LabelSelector, Raw
from stagezero.api.selectors import selector_text
from stagezero.apiserver import decoding, patching
from stagezero.apiserver.call import Call
from stagezero.apiserver.deletion import Deletion, Options
from stagezero.apiserver.encoding import decode
from stagezero.apiserver.jsonpath import JsonPath
from stagezero.apiserver.objects import Objects
from stagezero.apiserver.served import ScalePaths
from stagezero.apiserver.shaping import Draft, Shaper
from stagezero.kit.clock import Clock, rfc3339

SUCCESS: Raw = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


class Subresources:
    """Carries out the requests on subresources."""

    def __init__(self, objects: Objects, shaper: Shaper, deletion: Deletion, clock: Clock) -> None:
        self._objects = objects
        self._shaper = shaper
        self._deletion = deletion
        self._clock = clock

    def get_scale(self, call: Call) -> bytes:
        """The Scale of an object."""
        raw = decode(self._objects.find(call).data)
        return msgspec.json.encode(_scale_of(raw, _paths(call)))

    async def write_scale(self, call: Call) -> bytes:
        """PUT or PATCH a Scale: the object's replicas change."""
        paths = _paths(call)
        stored = self._objects.find(call)
        raw = decode(stored.data)
        wanted = self._wanted_scale(call, _scale_of(raw, paths))
        replicas = (wanted.get("spec") or {}).get("replicas", 0)
        if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
            raise errors.Invalid(
                f'Scale.autoscaling "{call.target.name}" is invalid: spec.replicas: Invalid value: '
                f"{replicas}: must be greater than or equal to 0"
            )
        version = (wanted.get("metadata") or {}).get("resourceVersion")
        if version and version != raw["metadata"]["resourceVersion"]:
            raise call.conflict()
        changed = _with(raw, paths.spec_replicas, replicas)
        changed["apiVersion"] = call.served.api_version
        shaped = self._shaper.changed(call, Draft(changed), raw, rfc3339(self._clock.now()))
        if {**shaped, "apiVersion": ""} != {**raw, "apiVersion": ""}:
            await self._objects.replace(call, shaped, stored.version)
        return msgspec.json.encode(_scale_of(decode(self._objects.find(call).data), paths))

    def _wanted_scale(self, call: Call, scale: Raw) -> Raw:
        request = call.request
        content_type = request.headers.get("content-type", "")
        if request.method == "PUT":
            body = decoding.decode_body(request.body, content_type)
        else:
            kind, patch = patching.decode(request.body, content_type, call.served)
            if kind == patching.APPLY_PATCH:
                raise errors.UnsupportedMediaType("a scale cannot be applied")
            body = patching.apply(scale, kind, patch, call.served)
        if not isinstance(body, dict) or not isinstance(body.get("spec") or {}, dict):
            raise errors.BadRequest("the body of the request is no Scale object")
        return body

    async def bind(self, call: Call) -> bytes:
        """POST a Binding: the pod is on a node from now on."""
        body = decoding.decode_body(call.request.body, call.request.headers.get("content-type", ""))
        target = body.get("target") if isinstance(body, dict) else None
        node = target.get("name") if isinstance(target, dict) else None
        if not isinstance(node, str) or not node:
            raise errors.Invalid('Binding "" is invalid: target.name: Required value')
        stored = self._objects.find(call)
        raw = decode(stored.data)
        if (raw.get("spec") or {}).get("nodeName"):
            raise call.conflict(
                f'pod {call.target.name} is already assigned to node "{raw["spec"]["nodeName"]}"'
            )
        raw["spec"] = {**raw["spec"], "nodeName": node}
        raw["status"] = _scheduled(raw.get("status") or {}, rfc3339(self._clock.now()))
        await self._objects.replace(call, raw, stored.version)
        return msgspec.json.encode(SUCCESS)

    async def evict(self, call: Call) -> bytes:
        """POST an Eviction: the pod is deleted; disruption budgets are not served."""
        await self._deletion.delete(call, Options())
        return msgspec.json.encode(SUCCESS)

    async def finalize(self, call: Call) -> bytes:
        """PUT a namespace's finalizers: when none is left and it is terminating, it goes."""
        body = decoding.decode_body(call.request.body, call.request.headers.get("content-type", ""))
        spec = body.get("spec") or {} if isinstance(body, dict) else None
        finalizers = spec.get("finalizers") or [] if isinstance(spec, dict) else None
        if not isinstance(finalizers, list) or not all(isinstance(one, str) for one in finalizers):
            raise errors.BadRequest("spec.finalizers is a list of names")
        stored = self._objects.find(call)
        raw = decode(stored.data)
        raw["spec"] = {"finalizers": finalizers} if finalizers else {}
        if self._deletion.is_due(raw):
            return await self._objects.remove(call, raw, stored.version)
        return await self._objects.replace(call, raw, stored.version)


def _paths(call: Call) -> ScalePaths:
    if call.served.scale is None:
        raise errors.NotFound("the server could not find the requested resource")
    return call.served.scale


def _scale_of(raw: Raw, paths: ScalePaths) -> Raw:
    meta = raw["metadata"]
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Raw = {"replicas": JsonPath(paths.status_replicas).first(raw) or 0}
    selector = JsonPath(paths.selector).first(raw) if paths.selector else None
    if isinstance(selector, dict):
        status["selector"] = selector_text(msgspec.convert(selector, LabelSelector))
    elif isinstance(selector, str):
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in names if name in meta},
        "spec": {"replicas": JsonPath(paths.spec_replicas).first(raw) or 0},
        "status": status,
    }


def _with(raw: Raw, path: str, value: Any) -> Raw:
    """The object with a value at a plain path such as .spec.replicas."""
    changed = dict(raw)
    inner = changed
    *parents, last = path.strip(".").split(".")
    for name in parents:
        child = inner.get(name)
        inner[name] = dict(child) if isinstance(child, dict) else {}
        inner = inner[name]
    inner[last] = value
    return changed


def _scheduled(status: Raw, now: str) -> Raw:
    conditions = [
        condition
        for condition in status.get("conditions") or []
        if condition.get("type") != "PodScheduled"
    ]
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}
    return {**status, "conditions": [*conditions, scheduled]}
