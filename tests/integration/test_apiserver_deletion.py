"""Deletion: at once, with finalizers, with grace, of namespaces, of definitions."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stagezero.api.base import Raw
from stagezero.apiserver.server import ApiServer
from stagezero.kit.clock import SystemClock
from stagezero.store.base import Durability
from support.api_server import ADMIN, Api
from support.things import DEFINITIONS, THINGS, definition, thing

CONFIG = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"


@pytest.fixture
async def api() -> Api:
    api = await Api().with_namespaces("default")
    await api.create(DEFINITIONS, definition())
    return api


async def config(api: Api, *finalizers: str, name: str = "c") -> Raw:
    raw = {"metadata": {"name": name, "finalizers": list(finalizers)}}
    return await api.create(CONFIG, raw)


async def test_a_deletion_answers_with_a_status(api: Api) -> None:
    created = await config(api)
    answer = await api.send("DELETE", f"{CONFIG}/c")
    assert answer.status == 200
    assert answer.body["status"] == "Success"
    assert answer.body["details"] == {
        "name": "c", "kind": "configmaps", "uid": created["metadata"]["uid"],
    }  # fmt: skip
    assert (await api.send("GET", f"{CONFIG}/c")).status == 404


async def test_a_finalizer_holds_an_object_until_it_is_removed(api: Api) -> None:
    await config(api, "a.dev/one", "a.dev/two")
    answer = await api.send("DELETE", f"{CONFIG}/c")
    assert answer.body["metadata"]["deletionTimestamp"]
    patch: Raw = {"metadata": {"finalizers": ["a.dev/two"]}}
    assert (await api.send("PATCH", f"{CONFIG}/c", patch, content_type=MERGE)).status == 200
    assert (await api.get(f"{CONFIG}/c"))["metadata"]["finalizers"] == ["a.dev/two"]
    patch = {"metadata": {"finalizers": None}}
    assert (await api.send("PATCH", f"{CONFIG}/c", patch, content_type=MERGE)).status == 200
    assert (await api.send("GET", f"{CONFIG}/c")).status == 404


async def test_a_second_deletion_changes_nothing(api: Api) -> None:
    await config(api, "a.dev/one")
    await api.send("DELETE", f"{CONFIG}/c")
    before = api.store.version
    assert (await api.send("DELETE", f"{CONFIG}/c")).status == 200
    assert api.store.version == before


async def test_no_finalizer_joins_a_deletion(api: Api) -> None:
    await config(api, "a.dev/one")
    await api.send("DELETE", f"{CONFIG}/c")
    patch: Raw = {"metadata": {"finalizers": ["a.dev/one", "a.dev/late"]}}
    answer = await api.send("PATCH", f"{CONFIG}/c", patch, content_type=MERGE)
    assert answer.status == 422
    assert "no new finalizers can be added if the object is being deleted" in answer.message


@pytest.mark.parametrize(
    ("policy", "finalizer"),
    [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")],
)
async def test_a_policy_leaves_its_finalizer(api: Api, policy: str, finalizer: str) -> None:
    await config(api)
    answer = await api.send("DELETE", f"{CONFIG}/c", {"propagationPolicy": policy})
    assert answer.body["metadata"]["finalizers"] == [finalizer]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"propagationPolicy": "Sideways"}, 422),
        ({"preconditions": {"uid": "other"}}, 409),
        ({"preconditions": {"resourceVersion": "1"}}, 409),
        ({"preconditions": 1}, 400),
        ({"gracePeriodSeconds": "x"}, 400),
        ({"gracePeriodSeconds": 10**30}, 400),
        ([], 400),
    ],
    ids=str,
)
async def test_a_deletion_that_is_not_meant_deletes_nothing(
    api: Api, body: Any, status: int
) -> None:
    await config(api)
    assert (await api.send("DELETE", f"{CONFIG}/c", body)).status == status
    assert (await api.send("GET", f"{CONFIG}/c")).status == 200


async def test_the_right_uid_deletes(api: Api) -> None:
    created = await config(api)
    body = {"preconditions": {"uid": created["metadata"]["uid"]}}
    assert (await api.send("DELETE", f"{CONFIG}/c", body)).status == 200


async def test_a_collection_is_deleted_by_selector(api: Api) -> None:
    await config(api, name="a")
    await config(api, name="b")
    answer = await api.send("DELETE", f"{CONFIG}?fieldSelector=metadata.name!=b")
    assert answer.items == ["a"]
    assert (await api.send("GET", CONFIG)).items == ["b"]


async def pod(api: Api, node: str = "") -> None:
    raw: Raw = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "m", "image": "i"}], "terminationGracePeriodSeconds": 9},
    }
    await api.create(PODS, raw)
    if node:
        await api.create(f"{PODS}/p/binding", {"target": {"kind": "Node", "name": node}})


async def test_a_pod_without_a_node_goes_at_once(api: Api) -> None:
    await pod(api)
    answer = await api.send("DELETE", f"{PODS}/p")
    assert answer.body["kind"] == "Pod"
    assert (await api.send("GET", f"{PODS}/p")).status == 404


async def test_a_running_pod_waits_for_its_node(api: Api) -> None:
    await pod(api, "n1")
    meta = (await api.send("DELETE", f"{PODS}/p")).body["metadata"]
    assert meta["deletionGracePeriodSeconds"] == 9
    due = datetime.fromisoformat(meta["deletionTimestamp"])
    assert 7 < (due - datetime.now(UTC)).total_seconds() <= 9
    await api.send("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    assert (await api.send("GET", f"{PODS}/p")).status == 404


async def test_a_grace_period_shrinks_and_never_grows(api: Api) -> None:
    await pod(api, "n1")
    for asked, expected in ((20, 20), (5, 5), (30, 5)):
        body = {"gracePeriodSeconds": asked}
        meta = (await api.send("DELETE", f"{PODS}/p", body)).body["metadata"]
        assert meta["deletionGracePeriodSeconds"] == expected


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_pod_that_has_ended_goes_at_once(api: Api, phase: str) -> None:
    await pod(api, "n1")
    status = {"status": {"phase": phase}}
    await api.send("PATCH", f"{PODS}/p/status", status, content_type=MERGE)
    await api.send("DELETE", f"{PODS}/p")
    assert (await api.send("GET", f"{PODS}/p")).status == 404


async def test_binding_puts_a_pod_on_a_node_once(api: Api) -> None:
    await pod(api, "n1")
    found = await api.get(f"{PODS}/p")
    assert found["spec"]["nodeName"] == "n1"
    assert found["status"]["conditions"][0]["type"] == "PodScheduled"
    answer = await api.send("POST", f"{PODS}/p/binding", {"target": {"name": "n2"}})
    assert answer.status == 409
    answer = await api.send("POST", f"{PODS}/p/binding", {"target": {}})
    assert answer.status == 422


async def test_an_eviction_deletes(api: Api) -> None:
    await pod(api)
    await api.create(f"{PODS}/p/eviction", {"metadata": {"name": "p"}})
    assert (await api.send("GET", f"{PODS}/p")).status == 404


async def test_a_namespace_waits_for_its_finalizer(api: Api) -> None:
    await config(api)
    answer = await api.send("DELETE", "/api/v1/namespaces/default")
    assert answer.body["status"]["phase"] == "Terminating"
    refused = await api.send("POST", CONFIG, {"metadata": {"name": "late"}})
    assert refused.status == 403
    assert refused.message == (
        'configmaps "late" is forbidden: unable to create new content in namespace default '
        "because it is being terminated"
    )
    body: Raw = {"metadata": {"name": "default"}, "spec": {"finalizers": []}}
    assert (await api.send("PUT", "/api/v1/namespaces/default/finalize", body)).status == 200
    assert (await api.send("GET", "/api/v1/namespaces/default")).status == 404


async def test_an_update_cannot_free_a_namespace(api: Api) -> None:
    patch: Raw = {"spec": {"finalizers": []}}
    await api.send("PATCH", "/api/v1/namespaces/default", patch, content_type=MERGE)
    found = await api.get("/api/v1/namespaces/default")
    assert found["spec"]["finalizers"] == ["kubernetes"]
    assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": "default"}


async def test_a_definition_takes_its_objects_along(api: Api) -> None:
    await api.create(THINGS, thing("a"))
    await api.create(THINGS, thing("b"))
    name = f"{DEFINITIONS}/things.things.dev"
    assert (await api.send("DELETE", name)).status == 200
    assert (await api.send("GET", name)).status == 404
    assert (await api.send("GET", THINGS)).status == 404
    assert api.store.list("things.things.dev")[0] == []


async def test_a_definition_waits_for_its_last_object(api: Api) -> None:
    raw = thing("a")
    raw["metadata"]["finalizers"] = ["a.dev/hold"]
    await api.create(THINGS, raw)
    name = f"{DEFINITIONS}/things.things.dev"
    await api.send("DELETE", name)
    assert (await api.get(name))["metadata"]["deletionTimestamp"]
    assert (await api.send("POST", THINGS, thing("late"))).status == 405
    patch: Raw = {"metadata": {"finalizers": []}}
    await api.send("PATCH", f"{THINGS}/a", patch, content_type=MERGE)
    assert (await api.send("GET", name)).status == 404


async def test_a_crash_in_a_definitions_deletion_is_made_good(api: Api) -> None:
    raw = thing("a")
    raw["metadata"]["finalizers"] = ["a.dev/hold"]
    await api.create(THINGS, raw)
    await api.send("DELETE", f"{DEFINITIONS}/things.things.dev")
    stored = api.store.list("things.things.dev")[0][0]
    # As a crash would leave it: the object gone, its definition not yet.
    await api.store.delete(
        stored.key, lambda version: stored.data, stored.version, Durability.DERIVED
    )
    again = Api(api.store)
    assert (await again.send("GET", THINGS)).items == []
    await again.server.start()
    assert (await again.send("GET", THINGS)).status == 404


async def test_a_new_server_serves_what_was_defined(api: Api) -> None:
    await api.create(THINGS, thing("a"))
    server = ApiServer(api.store, SystemClock())
    again = Api(api.store)
    again.server = server
    assert (await again.send("GET", THINGS, user=ADMIN)).items == ["a"]
