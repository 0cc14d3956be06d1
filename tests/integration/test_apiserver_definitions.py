"""CustomResourceDefinitions: conditions, names, versions, and what is refused."""

import copy
from typing import Any

import pytest

from stagezero.api.base import Raw
from support.api_server import Api
from support.things import DEFINITIONS, THINGS, definition, thing

NAME = f"{DEFINITIONS}/things.things.dev"
MERGE = "application/merge-patch+json"


@pytest.fixture
async def api() -> Api:
    return await Api().with_namespaces("default")


def conditions(raw: Raw) -> dict[str, str]:
    return {one["type"]: one["status"] for one in raw["status"]["conditions"]}


async def test_a_definition_is_established_as_it_is_stored(api: Api) -> None:
    created = await api.create(DEFINITIONS, definition())
    assert conditions(created) == {"NamesAccepted": "True", "Established": "True"}
    assert created["status"]["storedVersions"] == ["v1"]
    assert created["status"]["acceptedNames"]["listKind"] == "ThingList"
    assert created["spec"]["names"]["singular"] == "thing"
    await api.create(THINGS, thing())


async def test_the_same_definition_again_changes_nothing(api: Api) -> None:
    created = await api.create(DEFINITIONS, definition())
    answer = await api.send("PUT", NAME, definition())
    assert answer.body == created


async def test_a_column_more_is_printed_at_once(api: Api) -> None:
    raw = await api.create(DEFINITIONS, definition())
    await api.create(THINGS, thing())
    column = {"name": "Color", "type": "string", "jsonPath": ".spec.color"}
    raw["spec"]["versions"][0]["additionalPrinterColumns"] = [column]
    assert (await api.send("PUT", NAME, raw)).status == 200
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    body = (await api.send("GET", THINGS, accept=table)).body
    assert body["rows"][0]["cells"] == ["x", "red"]


async def test_a_version_that_is_served_no_longer_is_not_found(api: Api) -> None:
    raw = await api.create(DEFINITIONS, definition())
    raw["spec"]["versions"][1]["served"] = False
    await api.send("PUT", NAME, raw)
    assert (await api.send("GET", THINGS.replace("/v1/", "/v1beta1/"))).status == 404


async def test_a_deprecated_version_warns(api: Api) -> None:
    await api.create(DEFINITIONS, definition(deprecated=True))
    answer = await api.send("GET", THINGS)
    assert "things.dev/v1 Thing is deprecated" in answer.headers["warning"]


async def test_a_definition_without_a_schema_keeps_everything(api: Api) -> None:
    free = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    await api.create(DEFINITIONS, definition(schema=free))
    raw = {"metadata": {"name": "x"}, "any": {"thing": [1]}}
    assert (await api.create(THINGS, raw))["any"] == {"thing": [1]}


async def test_without_a_status_subresource_status_is_ordinary(api: Api) -> None:
    await api.create(DEFINITIONS, definition(subresources={}))
    created = await api.create(THINGS, {**thing(), "status": {"url": "u"}})
    assert created["status"] == {"url": "u"}
    patch = {"status": {"url": "v"}}
    answer = await api.send("PATCH", f"{THINGS}/x", patch, content_type=MERGE)
    assert answer.body["metadata"]["generation"] == 2
    assert (await api.send("GET", f"{THINGS}/x/status")).status == 404


async def test_a_cluster_wide_kind_has_no_namespace(api: Api) -> None:
    raw = definition()
    raw["spec"]["scope"] = "Cluster"
    await api.create(DEFINITIONS, raw)
    created = await api.create("/apis/things.dev/v1/things", thing())
    assert "namespace" not in created["metadata"]
    assert (await api.send("GET", THINGS)).status == 404


async def test_a_short_name_in_use_is_told(api: Api) -> None:
    await api.create(DEFINITIONS, definition())
    other = copy.deepcopy(definition())
    other["metadata"]["name"] = "others.things.dev"
    other["spec"]["names"] = {"plural": "others", "kind": "Other", "shortNames": ["th"]}
    created = await api.create(DEFINITIONS, other)
    assert conditions(created)["NamesAccepted"] == "False"


def changed(path: str, value: Any) -> Raw:
    raw = copy.deepcopy(definition())
    *parents, last = path.split("/")
    inner: Any = raw
    for part in parents:
        inner = inner[int(part)] if part.isdigit() else inner[part]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("metadata/name", "other.things.dev", 'must be spec.names.plural+"."+spec.group'),
        ("spec/scope", "Galaxy", 'spec.scope: Unsupported value: "Galaxy"'),
        ("spec/group", None, "spec.group: Required value"),
        ("spec/names/kind", None, "spec.names.kind: Required value"),
        ("spec/versions/0/storage", False, "exactly one version marked as storage version"),
        ("spec/versions/1/name", "v1", "must contain unique version names"),
        ("spec/versions/0/name", "V 1", "must be a DNS-1035 label"),
        ("spec/versions/0/schema", None, "schemas are required"),
        ("spec/versions/0/additionalPrinterColumns/0/jsonPath", ".a[", "cannot read JSONPath"),
        ("spec/conversion", {"strategy": "Webhook"}, 'supported values: "None"'),
    ],
    ids=str,
)
async def test_a_broken_definition_is_refused(
    api: Api, path: str, value: Any, message: str
) -> None:
    answer = await api.send("POST", DEFINITIONS, changed(path, value))
    assert answer.status == 422, answer.body
    assert message in answer.message


@pytest.mark.parametrize("path", ["spec/scope", "spec/names/kind"], ids=["scope", "kind"])
async def test_an_identity_stays(api: Api, path: str) -> None:
    await api.create(DEFINITIONS, definition())
    answer = await api.send("PUT", NAME, changed(path, "Cluster"))
    assert answer.status == 422
    assert "field is immutable" in answer.message
