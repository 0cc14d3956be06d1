"""Server-side apply: owners of fields, conflicts, and what is let go."""

from typing import Any

import pytest

from stagezero.api.base import Raw
from support.api_server import Answer, Api
from support.things import DEFINITIONS, THINGS, definition, thing

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
async def api() -> Api:
    api = await Api().with_namespaces("default")
    await api.create(DEFINITIONS, definition())
    return api


def deployment(**containers: str) -> Raw:
    labels = {"app": "web"}
    items = [{"name": name, "image": image} for name, image in containers.items()]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": items}},
        },
    }


async def apply(api: Api, raw: Raw, manager: str = "me", force: bool = False) -> Answer:
    path = DEPLOYMENTS if raw["kind"] == "Deployment" else THINGS
    url = f"{path}/{raw['metadata']['name']}?fieldManager={manager}&force={str(force).lower()}"
    return await api.send("PATCH", url, raw, content_type=APPLY)


async def images(api: Api) -> dict[str, str]:
    spec = (await api.get(f"{DEPLOYMENTS}/web"))["spec"]["template"]["spec"]
    return {item["name"]: item["image"] for item in spec["containers"]}


async def test_apply_creates_then_leaves_alone(api: Api) -> None:
    assert (await apply(api, thing())).status == 201
    before = api.store.version
    again = await apply(api, thing())
    assert again.status == 200
    assert api.store.version == before
    (entry,) = again.body["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("me", "Apply")
    assert entry["fieldsV1"] == {"f:spec": {"f:size": {}}}


async def test_what_left_the_manifest_leaves_the_object(api: Api) -> None:
    await apply(api, deployment(a="1", b="1"))
    await apply(api, deployment(b="2", c="1"))
    assert await images(api) == {"b": "2", "c": "1"}


async def test_what_others_wrote_stays(api: Api) -> None:
    await apply(api, deployment(a="1"))
    patch = {"spec": {"replicas": 5}, "metadata": {"labels": {"by": "hand"}}}
    await api.send("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=MERGE)
    answer = await apply(api, deployment(a="2"))
    assert answer.body["spec"]["replicas"] == 5
    assert answer.body["metadata"]["labels"] == {"by": "hand"}


async def test_managers_share_an_object(api: Api) -> None:
    await apply(api, deployment(a="1"), "one")
    await apply(api, deployment(b="1"), "two")
    assert await images(api) == {"a": "1", "b": "1"}
    await apply(api, deployment(c="1"), "two")
    assert await images(api) == {"a": "1", "c": "1"}


async def test_a_field_of_another_is_a_conflict(api: Api) -> None:
    await apply(api, thing(size=1), "one")
    answer = await apply(api, thing(size=2), "two")
    assert answer.status == 409
    assert answer.message == (
        'Apply failed with 1 conflict: conflict with "one" using things.dev/v1: .spec.size'
    )
    assert answer.body["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "one" using things.dev/v1',
            "field": ".spec.size",
        }
    ]


async def test_the_same_value_is_shared(api: Api) -> None:
    await apply(api, thing(size=1), "one")
    answer = await apply(api, thing(size=1), "two")
    managers = {entry["manager"] for entry in answer.body["metadata"]["managedFields"]}
    assert managers == {"one", "two"}


async def test_force_takes_a_field_over(api: Api) -> None:
    await apply(api, thing(size=1, color="blue"), "one")
    answer = await apply(api, thing(size=2), "two", force=True)
    assert answer.body["spec"] == {"size": 2, "color": "blue"}
    fields = {
        entry["manager"]: entry["fieldsV1"] for entry in answer.body["metadata"]["managedFields"]
    }
    assert fields == {
        "two": {"f:spec": {"f:size": {}}},
        "one": {"f:spec": {"f:color": {}}},
    }


async def test_status_is_applied_by_its_own_door(api: Api) -> None:
    await apply(api, thing())
    status = {**thing(), "status": {"url": "u"}}
    url = f"{THINGS}/x/status?fieldManager=me"
    answer = await api.send("PATCH", url, status, content_type=APPLY)
    assert answer.body["status"] == {"url": "u"}
    again = await apply(api, thing(size=3))
    assert again.body["status"] == {"url": "u"}


async def test_yaml_is_applied(api: Api) -> None:
    body = b"apiVersion: things.dev/v1\nkind: Thing\nmetadata: {name: x}\nspec: {size: 4}\n"
    url = f"{THINGS}/x?fieldManager=me"
    assert (await api.send("PATCH", url, body, content_type=APPLY)).body["spec"]["size"] == 4


async def test_clients_cannot_write_owners(api: Api) -> None:
    await apply(api, thing())
    forged: Any = {"metadata": {"managedFields": [{"manager": "x", "fieldsV1": {"k:{": {}}}]}}
    answer = await api.send("PATCH", f"{THINGS}/x", forged, content_type=MERGE)
    assert [entry["manager"] for entry in answer.body["metadata"]["managedFields"]] == ["me"]
    given_up: Raw = {"metadata": {"managedFields": []}}
    answer = await api.send("PATCH", f"{THINGS}/x", given_up, content_type=MERGE)
    assert "managedFields" not in answer.body["metadata"]


@pytest.mark.parametrize(
    ("query", "change", "status", "message"),
    [
        ("", {}, 422, "fieldManager: Required value: is required for apply patch"),
        ("fieldManager=m", {"metadata": {"name": "y"}}, 400, "does not match the name on the URL"),
        ("fieldManager=m", {"kind": "Other"}, 400, "cannot be handled as a Thing"),
        (
            "fieldManager=m&fieldValidation=Strict", {"spec": {"size": 1, "sise": 2}}, 400,
            'unknown field "spec.sise"',
        ),
        ("fieldManager=m", {"spec": {"size": "big"}}, 422, "must be of type integer"),
        (
            "fieldManager=m", {"metadata": {"name": "x", "managedFields": [{}]}}, 400,
            "metadata.managedFields must be nil",
        ),
        ("fieldManager=m", {"metadata": [1]}, 400, "metadata is not an object"),
    ],
    ids=["no manager", "name", "kind", "unknown field", "type", "owners", "metadata"],
)  # fmt: skip
async def test_a_broken_apply_is_refused(
    api: Api, query: str, change: Raw, status: int, message: str
) -> None:
    url = f"{THINGS}/x?{query}"
    answer = await api.send("PATCH", url, {**thing(), **change}, content_type=APPLY)
    assert answer.status == status, answer.body
    assert message in answer.message


async def test_the_status_of_what_is_not_there_is_not_found(api: Api) -> None:
    url = f"{THINGS}/x/status?fieldManager=me"
    assert (await api.send("PATCH", url, thing(), content_type=APPLY)).status == 404
