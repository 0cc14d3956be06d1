"""Objects through the API: create, read, replace, patch, and what the server answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.config import ConfigMap
from stagezero.api.errors import Denied
from stagezero.apiserver.server import Kinds
from support.api_server import LOOP, Api
from support.things import DEFINITIONS, THINGS, definition, thing

CONFIG = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def config(name: str = "c", **data: str) -> Raw:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": data or {"a": "1"},
    }


def deployment(name: str = "web") -> Raw:
    labels = {"app": name}
    containers = [{"name": "main", "image": "i"}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


@pytest.fixture
async def api() -> Api:
    api = await Api().with_namespaces("default")
    await api.create(DEFINITIONS, definition())
    return api


async def test_the_server_sets_what_is_its_own(api: Api) -> None:
    created = await api.create(CONFIG, config())
    meta = created["metadata"]
    assert meta["namespace"] == "default"
    assert len(meta["uid"]) == 36
    assert meta["resourceVersion"] == str(api.store.version)
    assert meta["creationTimestamp"].endswith("Z")
    assert await api.get(f"{CONFIG}/c") == created


async def test_what_a_client_claims_is_not_believed(api: Api) -> None:
    raw = config()
    raw["metadata"] |= {"uid": "mine", "generation": 9, "creationTimestamp": "2001-01-01T00:00:00Z"}
    meta = (await api.create(CONFIG, raw))["metadata"]
    assert meta["uid"] != "mine"
    assert "generation" not in meta
    assert not meta["creationTimestamp"].startswith("2001")


async def test_a_generated_name_is_new_every_time(api: Api) -> None:
    raw = {"metadata": {"generateName": "job-"}}
    names = {(await api.create(CONFIG, raw))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("job-") and len(name) == 9 for name in names)


async def test_yaml_is_read(api: Api) -> None:
    body = b"metadata: {name: y}\ndata: {since: 2026-01-01}"
    created = await api.create(CONFIG, body, content_type="application/yaml")  # type: ignore[arg-type]
    assert created["data"] == {"since": "2026-01-01"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", CONFIG, config("c1"), 409, 'configmaps "c1" already exists'),
        ("POST", CONFIG, {"metadata": {}}, 422, "name or generateName is required"),
        ("POST", CONFIG, config("A_b"), 422, "a lowercase RFC 1123 subdomain must consist of"),
        ("POST", CONFIG, config("nul\0"), 422, "a lowercase RFC 1123 subdomain must consist of"),
        ("GET", f"{CONFIG}/no", b"", 404, 'configmaps "no" not found'),
        ("GET", f"{DEPLOYMENTS}/no", b"", 404, 'deployments.apps "no" not found'),
        ("PUT", f"{CONFIG}/no", config("no"), 404, 'configmaps "no" not found'),
        ("DELETE", f"{CONFIG}/no", b"", 404, 'configmaps "no" not found'),
        ("GET", "/api/v1/nothings", b"", 404, "the server could not find the requested resource"),
        ("GET", "/apis/no/v1/x", b"", 404, "the server could not find the requested resource"),
        ("GET", f"{CONFIG}/c1/status", b"", 404, "could not find the requested resource"),
        ("GET", f"{CONFIG}/c1/scale", b"", 404, "could not find the requested resource"),
        ("GET", "/api/v1/configmaps/c1", b"", 404, "could not find the requested resource"),
        ("POST", f"{CONFIG}/c1", config(), 405, "does not allow this method"),
        ("POST", "/api/v1/configmaps", config(), 405, "does not allow this method"),
        ("BREW", CONFIG, b"", 405, "does not allow this method"),
        ("POST", "/version", b"", 405, "does not allow this method"),
        (
            "POST", "/api/v1/namespaces/no/configmaps", config(), 404, 'namespaces "no" not found',
        ),
        ("POST", CONFIG, {**config(), "kind": "Secret"}, 400, "cannot be handled as a ConfigMap"),
        ("POST", CONFIG, {**config(), "apiVersion": "v2"}, 400, "does not match the expected API"),
        ("POST", CONFIG, [1], 400, "is no ConfigMap object"),
        ("POST", CONFIG, {"metadata": [1]}, 400, "metadata is not an object"),
        ("POST", CONFIG, {"metadata": {"name": 1}}, 400, "metadata.name is not a string"),
        ("PUT", f"{CONFIG}/c1", config("c2"), 400, "does not match the name on the URL"),
        (
            "POST", CONFIG, {"metadata": {"name": "x", "namespace": "other"}}, 400,
            "the namespace of the provided object does not match",
        ),
        (
            "POST", CONFIG, {"metadata": {"name": "x", "resourceVersion": "1"}}, 400,
            "resourceVersion should not be set on objects to be created",
        ),
        (
            "POST", CONFIG, {"metadata": {"name": "x", "labels": {"a b": "c"}}}, 422,
            "name part must consist of",
        ),
        (
            "POST", CONFIG, {"metadata": {"name": "x", "labels": {"a": "b c"}}}, 422,
            "a valid label must be an empty string or",
        ),
        (
            "POST", CONFIG, {"metadata": {"name": "x", "finalizers": ["no good"]}}, 422,
            "metadata.finalizers[0]: Invalid value",
        ),
        (
            "POST", CONFIG, {"metadata": {"name": "x", "labels": {"a": 1}}}, 400,
            "cannot unmarshal number into Go struct field ConfigMap.metadata.labels.a",
        ),
        ("GET", f"{CONFIG}?limit=x", b"", 400, "invalid limit"),
        ("GET", f"{CONFIG}?continue=x", b"", 400, "continue key is not valid"),
        ("GET", f"{CONFIG}?labelSelector=a in", b"", 400, "unable to parse label selector"),
        ("GET", f"{CONFIG}?resourceVersion=999999", b"", 504, "Too large resource version"),
        ("POST", f"{CONFIG}?dryRun=Some", config("d"), 422, 'supported values: "All"'),
        ("POST", f"{CONFIG}?fieldValidation=x", config("d"), 400, "fieldValidation: Unsupported"),
    ],
)  # fmt: skip
async def test_a_refusal_is_a_status(
    api: Api, method: str, path: str, body: Any, status: int, message: str
) -> None:
    await api.create(CONFIG, config("c1"))
    answer = await api.send(method, path, body)
    assert answer.status == status, answer.body
    assert answer.body["kind"] == "Status"
    assert answer.body["code"] == status
    assert message in answer.message


async def test_a_stale_write_conflicts(api: Api) -> None:
    first = await api.create(CONFIG, config(a="1"))
    await api.send("PUT", f"{CONFIG}/c", {**first, "data": {"a": "2"}})
    answer = await api.send("PUT", f"{CONFIG}/c", {**first, "data": {"a": "3"}})
    assert answer.status == 409
    assert answer.message == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert answer.body["details"] == {"name": "c", "kind": "configmaps"}


async def test_another_uid_conflicts(api: Api) -> None:
    created = await api.create(CONFIG, config())
    other = {**created, "metadata": {**created["metadata"], "uid": "other"}}
    answer = await api.send("PUT", f"{CONFIG}/c", other)
    assert answer.status == 409
    assert "Precondition failed: UID in precondition: other" in answer.message


async def test_a_custom_object_is_replaced_only_at_a_version(api: Api) -> None:
    await api.create(THINGS, thing())
    answer = await api.send("PUT", f"{THINGS}/x", thing(size=2))
    assert answer.status == 422
    assert "metadata.resourceVersion: Invalid value: 0x0" in answer.message


async def test_writing_the_same_changes_nothing(api: Api) -> None:
    created = await api.create(CONFIG, config())
    before = api.store.version
    assert (await api.send("PUT", f"{CONFIG}/c", config())).body == created
    patch = {"data": {"a": "1"}}
    await api.send("PATCH", f"{CONFIG}/c", patch, content_type=MERGE)
    assert api.store.version == before


async def test_a_dry_run_stores_nothing(api: Api) -> None:
    before = api.store.version
    answer = await api.send("POST", f"{CONFIG}?dryRun=All", config("dry"))
    assert answer.status == 201
    assert answer.body["metadata"]["uid"]
    assert api.store.version == before
    await api.create(CONFIG, config())
    before = api.store.version
    await api.send("DELETE", f"{CONFIG}/c?dryRun=All")
    patch = {"data": {"a": "9"}}
    answer = await api.send("PATCH", f"{CONFIG}/c?dryRun=All", patch, content_type=MERGE)
    assert answer.body["data"] == {"a": "9"}
    assert api.store.version == before


@pytest.mark.parametrize(
    ("patch", "kind"),
    [
        ({"spec": {"replicas": 3}}, MERGE),
        ([{"op": "replace", "path": "/spec/replicas", "value": 3}], JSON_PATCH),
        ({"spec": {"replicas": 3}}, STRATEGIC),
    ],
    ids=["merge", "json", "strategic"],
)
async def test_every_kind_of_patch_patches(api: Api, patch: Any, kind: str) -> None:
    await api.create(DEPLOYMENTS, deployment())
    answer = await api.send("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=kind)
    assert answer.status == 200, answer.body
    assert answer.body["spec"]["replicas"] == 3
    assert answer.body["metadata"]["generation"] == 2


async def test_a_strategic_patch_of_a_custom_kind_is_refused(api: Api) -> None:
    await api.create(THINGS, thing())
    answer = await api.send("PATCH", f"{THINGS}/x", {"spec": {}}, content_type=STRATEGIC)
    assert answer.status == 415
    assert "application/json-patch+json, application/merge-patch+json" in answer.message


async def test_a_patch_with_an_old_version_conflicts(api: Api) -> None:
    created = await api.create(CONFIG, config())
    await api.send("PATCH", f"{CONFIG}/c", {"data": {"a": "2"}}, content_type=MERGE)
    stale = {
        "metadata": {"resourceVersion": created["metadata"]["resourceVersion"]},
        "data": {"a": "3"},
    }
    assert (await api.send("PATCH", f"{CONFIG}/c", stale, content_type=MERGE)).status == 409


@pytest.mark.parametrize(
    "patch",
    [{"metadata": {"name": "other"}}, {"kind": "Secret"}, {"apiVersion": "v9"},
     {"metadata": {"namespace": "other"}}],
    ids=str,
)  # fmt: skip
async def test_a_patch_cannot_change_an_identity(api: Api, patch: Any) -> None:
    await api.create(CONFIG, config())
    answer = await api.send("PATCH", f"{CONFIG}/c", patch, content_type=MERGE)
    assert answer.status == 400


async def test_generation_counts_changes_of_the_spec_alone(api: Api) -> None:
    created = await api.create(THINGS, thing())
    assert created["metadata"]["generation"] == 1
    for patch, path, generation in (
        ({"metadata": {"labels": {"a": "b"}}}, f"{THINGS}/x", 1),
        ({"status": {"url": "u"}}, f"{THINGS}/x/status", 1),
        ({"spec": {"size": 2}}, f"{THINGS}/x", 2),
        ({"spec": {"size": 2}}, f"{THINGS}/x", 2),
    ):
        answer = await api.send("PATCH", path, patch, content_type=MERGE)
        assert answer.body["metadata"]["generation"] == generation, patch


async def test_status_and_spec_have_a_door_each(api: Api) -> None:
    both: Raw = {"spec": {"size": 5}, "status": {"url": "u"}}
    created = await api.create(THINGS, {**thing(), "status": {"url": "early"}})
    assert "status" not in created
    through_status = await api.send("PATCH", f"{THINGS}/x/status", both, content_type=MERGE)
    assert (through_status.body["spec"]["size"], through_status.body["status"]["url"]) == (1, "u")
    both["status"]["url"] = "v"
    through_spec = await api.send("PATCH", f"{THINGS}/x", both, content_type=MERGE)
    assert (through_spec.body["spec"]["size"], through_spec.body["status"]["url"]) == (5, "u")


async def test_unknown_fields_are_refused_if_strict(api: Api) -> None:
    raw = thing(colour="red")
    answer = await api.send("POST", f"{THINGS}?fieldValidation=Strict", raw)
    assert answer.status == 400
    assert answer.message == (
        'Thing in version "v1" cannot be handled as a Thing: strict decoding error: '
        'unknown field "spec.colour"'
    )


async def test_a_field_given_twice_is_refused_if_strict(api: Api) -> None:
    body = b'{"metadata":{"name":"x"},"spec":{"size":1,"size":2}}'
    answer = await api.send("POST", f"{THINGS}?fieldValidation=Strict", body)
    assert answer.status == 400
    assert 'strict decoding error: duplicate field "spec.size"' in answer.message


async def test_unknown_fields_are_warned_of_and_dropped(api: Api) -> None:
    answer = await api.send("POST", f"{THINGS}?fieldValidation=Warn", thing(colour="red"))
    assert answer.status == 201
    assert answer.headers["warning"] == '299 - "unknown field \\"spec.colour\\""'
    assert "colour" not in answer.body["spec"]


async def test_unknown_fields_are_dropped_in_silence_if_ignored(api: Api) -> None:
    answer = await api.send("POST", f"{THINGS}?fieldValidation=Ignore", thing(colour="red"))
    assert "warning" not in answer.headers
    assert "colour" not in answer.body["spec"]


async def test_a_strict_patch_shows_itself(api: Api) -> None:
    await api.create(THINGS, thing())
    answer = await api.send(
        "PATCH",
        f"{THINGS}/x?fieldValidation=Strict",
        {"spec": {"colour": "red"}},
        content_type=MERGE,
    )
    assert answer.status == 422
    assert 'strict decoding error: unknown field "spec.colour"' in answer.message


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"size": "big"},
            'Thing.things.dev "x" is invalid: spec.size: Invalid value: "string": spec.size in '
            'body must be of type integer: "string"',
        ),
        ({"size": -1}, "spec.size in body should be greater than or equal to 0"),
        ({"color": "green"}, 'spec.color: Unsupported value: "green": supported values: "red"'),
        ({"size": None}, 'must be of type integer: "null"'),
        ({"port": 1.5}, "must be of type integer,string"),
        ({"parts": ["a", 1]}, "spec.parts[1]: Invalid value"),
    ],
    ids=str,
)
async def test_a_custom_object_is_checked(api: Api, spec: Raw, message: str) -> None:
    answer = await api.send("POST", THINGS, thing(**spec))
    assert answer.status == 422
    assert message in answer.message
    assert answer.body["details"]["causes"]


async def test_the_schemas_defaults_are_stored(api: Api) -> None:
    assert (await api.create(THINGS, thing()))["spec"]["color"] == "red"


async def test_free_parts_are_kept(api: Api) -> None:
    created = await api.create(THINGS, thing(free={"any": [1, {"thing": None}]}))
    assert created["spec"]["free"] == {"any": [1, {"thing": None}]}


async def test_a_wrong_type_in_a_builtin_kind_reads_as_gos(api: Api) -> None:
    raw = deployment()
    raw["spec"]["replicas"] = "many"
    answer = await api.send("POST", DEPLOYMENTS, raw)
    assert answer.status == 400
    assert "json: cannot unmarshal string into Go struct field" in answer.message


async def test_null_and_absent_are_the_same_to_a_builtin_kind(api: Api) -> None:
    raw = deployment()
    raw["spec"]["template"]["metadata"]["creationTimestamp"] = None
    raw["spec"]["strategy"] = None
    created = await api.create(f"{DEPLOYMENTS}", raw)
    assert "creationTimestamp" not in created["spec"]["template"]["metadata"]


def _default(raw: Raw, request: AdmissionRequest) -> Raw:
    data = {**raw.get("data", {}), "operation": request.operation}
    return {**raw, "data": data}


def _validate(raw: Raw, request: AdmissionRequest) -> None:
    if raw.get("data", {}).get("bad"):
        raise Denied("guard.dev", f"{request.user} may not {request.operation}", "BadRequest", 400)


@pytest.fixture
async def guarded() -> Api:
    admissions = ((ConfigMap, Admission(_default)), (ConfigMap, Admission(validate=_validate)))
    return await Api(kinds=Kinds(admissions=admissions)).with_namespaces("default")


async def test_admission_fills_in_and_refuses(guarded: Api) -> None:
    assert (await guarded.create(CONFIG, config()))["data"]["operation"] == "CREATE"
    patch = {"data": {"bad": "1"}}
    answer = await guarded.send("PATCH", f"{CONFIG}/c", patch, content_type=MERGE)
    assert answer.status == 400
    assert answer.message == (
        'admission webhook "guard.dev" denied the request: admin may not UPDATE'
    )


async def test_admission_may_keep_an_object() -> None:
    def keep(raw: Raw, request: AdmissionRequest) -> None:
        if request.operation == "DELETE":
            raise Denied("guard.dev", f"{raw['metadata']['name']} stays")

    kinds = Kinds(admissions=((ConfigMap, Admission(validate=keep)),))
    api = await Api(kinds=kinds).with_namespaces("default")
    await api.create(CONFIG, config())
    answer = await api.send("DELETE", f"{CONFIG}/c")
    assert answer.status == 403
    assert answer.message == 'admission webhook "guard.dev" denied the request: c stays'
    assert (await api.send("GET", f"{CONFIG}/c")).status == 200


async def test_what_our_loops_write_is_derived(api: Api) -> None:
    answer = await api.send("POST", CONFIG, config(), user=LOOP)
    assert answer.status == 201


async def test_scale_is_read_and_written(api: Api) -> None:
    await api.create(DEPLOYMENTS, deployment())
    scale = await api.get(f"{DEPLOYMENTS}/web/scale")
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 0, "selector": "app=web"}
    wanted = {"spec": {"replicas": 4}}
    answer = await api.send("PATCH", f"{DEPLOYMENTS}/web/scale", wanted, content_type=MERGE)
    assert answer.body["spec"] == {"replicas": 4}
    assert (await api.get(f"{DEPLOYMENTS}/web"))["spec"]["replicas"] == 4
    scale["spec"]["replicas"] = 2
    answer = await api.send("PUT", f"{DEPLOYMENTS}/web/scale", scale)
    assert answer.status == 409


async def test_a_custom_kind_scales_by_its_paths(api: Api) -> None:
    await api.create(THINGS, thing(replicas=2))
    wanted = {"spec": {"replicas": 7}}
    await api.send("PATCH", f"{THINGS}/x/scale", wanted, content_type=MERGE)
    assert (await api.get(f"{THINGS}/x"))["spec"]["replicas"] == 7


@pytest.mark.parametrize("replicas", [-1, "two", True, None])
async def test_a_senseless_scale_is_refused(api: Api, replicas: Any) -> None:
    await api.create(DEPLOYMENTS, deployment())
    raw = {"spec": {"replicas": replicas}}
    answer = await api.send("PUT", f"{DEPLOYMENTS}/web/scale", raw)
    assert answer.status == 422


class SetClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


async def test_events_are_kept_for_an_hour() -> None:
    clock = SetClock()
    api = await Api(clock=clock).with_namespaces("default")
    events = "/api/v1/namespaces/default/events"
    for name, minutes in (("old", 0), ("recurring", 0), ("young", 50), ("now", 11)):
        clock.moment += timedelta(minutes=minutes)
        await api.create(events, {"metadata": {"name": name}})
        patch = {"lastTimestamp": "2026-01-01T00:45:00Z"}
        await api.send("PATCH", f"{events}/recurring", patch, content_type=MERGE)
    assert (await api.send("GET", events)).items == ["now", "recurring", "young"]


async def test_what_comes_later_is_said_to_be_absent(api: Api) -> None:
    pods = "/api/v1/namespaces/default/pods"
    await api.create(pods, {"metadata": {"name": "p"}, "spec": {"containers": []}})
    answer = await api.send("POST", f"{pods}/p/exec")
    assert answer.status == 404
    assert answer.message == "pods/exec is not served by this version of stagezero"
