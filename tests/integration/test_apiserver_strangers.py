"""Requests from strangers: whatever comes, a Status answers and the next request is served."""

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagezero.kit.http import Request
from stagezero.store.memory import MemoryStore
from support.api_server import ADMIN, Api
from support.things import DEFINITIONS, THINGS, definition, thing

PATHS = [
    "/api/v1/namespaces", "/api/v1/namespaces/default", "/api/v1/namespaces/default/finalize",
    "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/pods/p",
    "/api/v1/namespaces/default/pods/p/binding", "/api/v1/namespaces/default/pods/p/eviction",
    "/api/v1/namespaces/default/pods/p/status", "/apis/apps/v1/namespaces/default/deployments",
    "/apis/apps/v1/namespaces/default/deployments/web",
    "/apis/apps/v1/namespaces/default/deployments/web/scale",
    DEFINITIONS, f"{DEFINITIONS}/things.things.dev", f"{DEFINITIONS}/things.things.dev/status",
    THINGS, f"{THINGS}/x", f"{THINGS}/x/status", f"{THINGS}/x/scale",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/api", "/apis", "/version", "/openapi/v3/api/v1", "/openapi/v3/../../etc/passwd",
]  # fmt: skip
KEYS = [
    "apiVersion", "kind", "metadata", "name", "namespace", "labels", "annotations", "finalizers",
    "ownerReferences", "resourceVersion", "uid", "generateName", "spec", "status", "size", "color",
    "replicas", "versions", "names", "group", "scope", "schema", "openAPIV3Schema", "type",
    "properties", "target", "op", "path", "value", "from", "$patch", "$retainKeys", "containers",
    "template", "selector", "matchLabels", "conditions", "additionalPrinterColumns", "jsonPath",
    "served", "storage", "preconditions", "propagationPolicy", "gracePeriodSeconds", "phase",
    "$setElementOrder/containers", "creationTimestamp", "deletionTimestamp", "managedFields",
    "subresources", "scale", "shortNames", "data", "stringData", "plural", "matchExpressions",
]  # fmt: skip
WORDS = [
    "default", "x", "web", "p", "things", "Thing", "v1", "apps/v1", "things.dev", "things.dev/v1",
    "Deployment", "Pod", "merge", "replace", "delete", "add", "test", "remove", "/spec", "/a/-", "",
    "Namespaced", "string", "object", "\0", "../..", "\U0001f600", "Foreground", ".a[?(@.b)]",
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
    | st.sampled_from(WORDS) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip
TYPES = [
    "application/json", "application/yaml", "application/merge-patch+json",
    "application/json-patch+json", "application/strategic-merge-patch+json",
    "application/apply-patch+yaml", "application/vnd.kubernetes.protobuf", "text/html", "", ";;",
]  # fmt: skip
QUERIES = st.dictionaries(
    st.sampled_from(
        ["limit", "continue", "labelSelector", "fieldSelector", "resourceVersion", "dryRun",
         "fieldValidation", "resourceVersionMatch", "includeObject", "propagationPolicy",
         "gracePeriodSeconds", "timeoutSeconds", "fieldManager", "force"]
    ),
    st.sampled_from(["1", "-1", "9" * 30, "All", "Strict", "a=b", "a in", "x", "\0", "Exact", ""]),
    max_size=2,
)  # fmt: skip


async def filled() -> Api:
    api = await Api(MemoryStore()).with_namespaces("default")
    await api.create(DEFINITIONS, definition())
    await api.create(THINGS, thing())
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "m", "image": "i"}]}}
    await api.create("/api/v1/namespaces/default/pods", pod)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod["spec"]}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    await api.create(deployments, {"metadata": {"name": "web"}, "spec": spec})
    return api


async def check(api: Api, request: Request) -> None:
    response = await api.server.handle(request)
    assert response.status < 500 or response.status in (504,), (request, response.body)
    if response.status >= 400:
        status = msgspec.json.decode(response.body)
        assert (status["kind"], status["code"]) == ("Status", response.status)
    assert (await api.send("GET", "/api/v1/namespaces")).status == 200


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "BREW"]),
    st.sampled_from(PATHS),
    QUERIES,
    st.sampled_from(TYPES),
    VALUES,
)
async def test_no_value_hurts(method: str, path: str, query: Any, kind: str, value: Any) -> None:
    api = await filled()
    headers = {"content-type": kind, "accept": "application/json"}
    body = msgspec.json.encode(value)
    await check(api, Request(method, path, query, headers, body, ADMIN))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from([THINGS, DEFINITIONS, "/apis/apps/v1/namespaces/default/deployments",
                     "/api/v1/namespaces/default/pods"]),
    st.sampled_from(["POST", "PUT", "PATCH"]),
    st.lists(st.tuples(st.integers(0, 150), VALUES), min_size=1, max_size=3),
    st.sampled_from(TYPES[:6]),
)  # fmt: skip
async def test_no_mutation_of_a_good_object_hurts(
    path: str, method: str, changes: list[tuple[int, Any]], kind: str
) -> None:
    api = await filled()
    names = {THINGS: "x", DEFINITIONS: "things.things.dev"}
    name = names.get(path, "web" if path.endswith("deployments") else "p")
    raw = await api.get(f"{path}/{name}")
    for at, value in changes:
        _mutate(raw, at, value)
    target = path if method == "POST" else f"{path}/{name}"
    headers = {"content-type": kind}
    query = {"fieldManager": "me"}
    await check(api, Request(method, target, query, headers, msgspec.json.encode(raw), ADMIN))
    await check(api, Request("POST", THINGS, {}, {}, msgspec.json.encode(thing("new")), ADMIN))
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    for form in ("application/json", table):
        answer = await api.send("GET", path, accept=form)
        assert answer.status in (200, 404)
    assert (await api.send("GET", "/openapi/v3/apis/things.dev/v1")).status in (200, 404)


def _mutate(raw: Any, at: int, value: Any) -> None:
    """Replace the value at the place of this number, counted in depth."""
    places: list[tuple[Any, Any]] = []
    stack = [raw]
    while stack:
        found = stack.pop()
        items = found.items() if isinstance(found, dict) else enumerate(found)
        for key, inner in items:
            places.append((found, key))
            if isinstance(inner, dict | list):
                stack.append(inner)
    container, key = places[at % len(places)]
    container[key] = value


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=40), st.binary(max_size=40))
async def test_no_path_and_no_body_hurts(path: str, body: bytes) -> None:
    api = await Api().with_namespaces("default")
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        await check(api, Request(method, f"/{path}", {}, {}, body, ADMIN))
        full = f"/api/v1/namespaces/default/configmaps/{path}"
        await check(api, Request(method, full, {}, {}, body, ADMIN))
