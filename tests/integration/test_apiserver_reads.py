"""Lists, selectors, pages, tables and the server's own pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stagezero.apiserver.discovery import AGGREGATED
from support.api_server import Api
from support.things import DEFINITIONS, THINGS, definition, thing

PODS = "/api/v1/namespaces/default/pods"
CONFIG = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
MERGE = "application/merge-patch+json"


class SetClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def api(clock: SetClock) -> Api:
    api = await Api(clock=clock).with_namespaces("default", "other")
    await api.create(DEFINITIONS, definition())
    return api


async def configs(api: Api, *names: str, **labels: str) -> None:
    for name in names:
        raw = {"metadata": {"name": name, "labels": labels}}
        await api.create(CONFIG, raw)


async def test_a_list_is_ordered_and_says_its_version(api: Api) -> None:
    await configs(api, "b", "a")
    answer = await api.send("GET", CONFIG)
    assert answer.items == ["a", "b"]
    assert answer.body["kind"] == "ConfigMapList"
    assert answer.body["metadata"]["resourceVersion"] == str(api.store.version)


async def test_a_list_of_nothing_is_empty(api: Api) -> None:
    assert (await api.send("GET", CONFIG)).body["items"] == []
    assert (await api.send("GET", "/api/v1/namespaces/absent/pods")).body["items"] == []


async def test_a_cluster_wide_list_sees_all_namespaces(api: Api) -> None:
    await configs(api, "a")
    await api.create("/api/v1/namespaces/other/configmaps", {"metadata": {"name": "b"}})
    assert (await api.send("GET", "/api/v1/configmaps")).items == ["a", "b"]


async def test_selectors_select(api: Api) -> None:
    await configs(api, "a", "b", tier="front")
    await configs(api, "c", tier="back")
    assert (await api.send("GET", f"{CONFIG}?labelSelector=tier in (front)")).items == ["a", "b"]
    assert (await api.send("GET", f"{CONFIG}?fieldSelector=metadata.name!=a")).items == ["b", "c"]


async def test_pages_follow_one_another(api: Api) -> None:
    await configs(api, "a", "b", "c", "d", "e")
    first = await api.send("GET", f"{CONFIG}?limit=2")
    assert first.items == ["a", "b"]
    assert first.body["metadata"]["remainingItemCount"] == 3
    await configs(api, "bb")
    token = first.body["metadata"]["continue"]
    second = await api.send("GET", f"{CONFIG}?limit=9&continue={token}")
    assert second.items == ["bb", "c", "d", "e"]
    assert "continue" not in second.body["metadata"]
    version = first.body["metadata"]["resourceVersion"]
    assert second.body["metadata"]["resourceVersion"] == version


async def test_an_exact_version_that_has_passed_is_gone(api: Api) -> None:
    await configs(api, "a")
    query = f"resourceVersion={api.store.version - 1}&resourceVersionMatch=Exact"
    assert (await api.send("GET", f"{CONFIG}?{query}")).status == 410


async def test_a_custom_kind_prints_its_columns(api: Api, clock: SetClock) -> None:
    await api.create(THINGS, thing())
    status = {"url": "http://x", "conditions": [{"type": "Ready", "status": "True"}]}
    await api.send("PATCH", f"{THINGS}/x/status", {"status": status}, content_type=MERGE)
    clock.moment += timedelta(minutes=3, seconds=4)
    table = (await api.send("GET", THINGS, accept=TABLE)).body
    assert table["kind"] == "Table"
    names = [(column["name"], column["priority"]) for column in table["columnDefinitions"]]
    assert names == [("Name", 0), ("URL", 0), ("Ready", 0), ("Size", 1), ("Age", 0)]
    assert table["rows"][0]["cells"] == ["x", "http://x", "True", 1, "3m4s"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_an_absent_value_is_an_empty_cell(api: Api) -> None:
    await api.create(THINGS, thing())
    table = (await api.send("GET", f"{THINGS}/x", accept=TABLE)).body
    assert table["rows"][0]["cells"][1:3] == [None, None]


@pytest.mark.parametrize(
    ("include", "kind"),
    [("None", None), ("Metadata", "PartialObjectMetadata"), ("Object", "Thing")],
)
async def test_rows_carry_what_is_asked_for(api: Api, include: str, kind: str | None) -> None:
    await api.create(THINGS, thing())
    table = (await api.send("GET", f"{THINGS}?includeObject={include}", accept=TABLE)).body
    found = table["rows"][0]["object"]
    assert (found and found["kind"]) == kind


async def test_a_builtin_kind_prints_as_kubernetes_prints_it(api: Api) -> None:
    await configs(api, "a")
    table = (await api.send("GET", CONFIG, accept=TABLE)).body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"] == ["a", 0, "0s"]


async def test_metadata_alone_is_served(api: Api) -> None:
    await api.create(THINGS, thing())
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    body = (await api.send("GET", THINGS, accept=accept)).body
    assert body["kind"] == "PartialObjectMetadataList"
    assert "spec" not in body["items"][0]


async def test_other_forms_are_not_acceptable(api: Api) -> None:
    answer = await api.send("GET", CONFIG, accept="application/vnd.kubernetes.protobuf")
    assert answer.status == 406


async def test_a_served_version_renames_the_object(api: Api) -> None:
    await api.create(THINGS, thing())
    old = THINGS.replace("/v1/", "/v1beta1/")
    assert (await api.get(f"{old}/x"))["apiVersion"] == "things.dev/v1beta1"
    listed = (await api.send("GET", old)).body
    assert (listed["apiVersion"], listed["items"][0]["apiVersion"]) == (
        "things.dev/v1beta1", "things.dev/v1beta1",
    )  # fmt: skip
    patch = {"spec": {"size": 2}}
    answer = await api.send("PATCH", f"{old}/x", patch, content_type=MERGE)
    assert answer.body["apiVersion"] == "things.dev/v1beta1"
    assert (await api.get(f"{THINGS}/x"))["apiVersion"] == "things.dev/v1"


async def test_the_pages_of_the_server_answer(api: Api) -> None:
    assert (await api.get("/version"))["gitVersion"] == "v1.32.0+stagezero"
    assert "/apis/things.dev" in (await api.get("/"))["paths"]
    for path in ("/healthz", "/livez", "/readyz", "/readyz/ping"):
        assert (await api.respond("GET", path)).body == b"ok"


async def test_discovery_lists_kinds_of_both_sorts(api: Api) -> None:
    assert (await api.get("/api"))["versions"] == ["v1"]
    groups = {group["name"] for group in (await api.get("/apis"))["groups"]}
    assert {"apps", "things.dev", "apiextensions.k8s.io"} <= groups
    group = await api.get("/apis/things.dev")
    assert group["preferredVersion"]["version"] == "v1"
    resources = (await api.get("/apis/things.dev/v1"))["resources"]
    assert [one["name"] for one in resources] == ["things", "things/status", "things/scale"]
    assert resources[0]["shortNames"] == ["th"]
    assert resources[2]["kind"] == "Scale"
    assert (await api.send("GET", "/apis/no.dev")).status == 404
    assert (await api.send("GET", "/apis/things.dev/v9")).status == 404


async def test_aggregated_discovery_says_it_in_one_document(api: Api) -> None:
    response = await api.respond("GET", "/apis", accept=f"{AGGREGATED},application/json")
    assert response.headers["content-type"] == AGGREGATED
    body = (await api.send("GET", "/apis", accept=AGGREGATED)).body
    things = next(item for item in body["items"] if item["metadata"]["name"] == "things.dev")
    assert [version["version"] for version in things["versions"]] == ["v1", "v1beta1"]
    resource = things["versions"][0]["resources"][0]
    assert resource["responseKind"]["kind"] == "Thing"
    assert [sub["subresource"] for sub in resource["subresources"]] == ["status", "scale"]


async def test_openapi_v2_is_empty_in_both_forms(api: Api) -> None:
    assert (await api.get("/openapi/v2"))["definitions"] == {}
    protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    answer = await api.respond("GET", "/openapi/v2", accept=protobuf)
    assert answer.headers["content-type"] == protobuf.replace("@", ".")
    assert answer.body.startswith(b"\n\x032.0\x12")


async def test_openapi_describes_every_kind(api: Api) -> None:
    index = (await api.get("/openapi/v3"))["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/things.dev/v1"} <= index.keys()
    url = index["apis/things.dev/v1"]["serverRelativeURL"]
    document = await api.get(url)
    schema = document["components"]["schemas"]["dev.things.v1.Thing"]
    kinds: Any = schema["x-kubernetes-group-version-kind"]
    assert kinds == [{"group": "things.dev", "version": "v1", "kind": "Thing"}]
    item = document["paths"]["/apis/things.dev/v1/namespaces/{namespace}/things/{name}"]
    options = {option["name"] for option in item["patch"]["parameters"]}
    assert {"fieldValidation", "dryRun"} <= options


async def test_a_known_document_is_not_sent_again(api: Api) -> None:
    first = await api.respond("GET", "/openapi/v3/api/v1?hash=x")
    etag = first.headers["etag"]
    api_request = await api.respond("GET", "/openapi/v3/api/v1")
    assert api_request.headers["etag"] == etag
    assert "immutable" in first.headers["cache-control"]


async def test_one_may_ask_what_one_may(api: Api) -> None:
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert (await api.create(path, review))["status"]["allowed"] is True
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    assert (await api.create(path, {}))["status"]["userInfo"]["username"] == "admin"
