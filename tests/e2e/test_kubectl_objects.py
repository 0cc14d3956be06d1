"""The real kubectl against the API server: what people type every day."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from support.api_server import Api, serving
from support.kubectl import KUBECTL, Kubectl
from support.things import DEFINITIONS, definition

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.kubectl,
    pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH"),
]

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: "one", ports: [{containerPort: 80}], env: [{name: A, value: "1"}]}
"""
THING = """
apiVersion: things.dev/v1
kind: Thing
metadata: {name: x, labels: {color: red}}
spec: {size: 1, parts: [a, b]}
"""
MERGE = "application/merge-patch+json"
THINGS = "/apis/things.dev/v1/namespaces/default/things"


@pytest.fixture
async def api() -> Api:
    api = await Api().with_namespaces("default", "other")
    await api.create(DEFINITIONS, definition())
    return api


@pytest.fixture
async def kubectl(api: Api, tmp_path: Path) -> AsyncIterator[Kubectl]:
    async with serving(api, tmp_path) as kubeconfig:
        yield Kubectl(kubeconfig, tmp_path)


async def test_version_and_resources(kubectl: Kubectl) -> None:
    assert "Server Version: v1.32.0+stagezero" in await kubectl("version")
    resources = await kubectl("api-resources")
    assert "deployments" in resources
    assert "things" in resources
    assert "th" in resources
    assert "apps/v1" in await kubectl("api-versions")


@pytest.mark.parametrize("manifest", [DEPLOYMENT, THING], ids=["built-in", "custom"])
async def test_apply_creates_leaves_alone_and_configures(kubectl: Kubectl, manifest: str) -> None:
    assert (await kubectl("apply", "-f", "-", stdin=manifest)).endswith(" created\n")
    assert (await kubectl("apply", "-f", "-", stdin=manifest)).endswith(" unchanged\n")
    changed = manifest.replace("replicas: 2", "replicas: 3").replace("size: 1", "size: 2")
    assert (await kubectl("apply", "-f", "-", stdin=changed)).endswith(" configured\n")


async def test_apply_removes_what_left_the_manifest(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    await kubectl(
        "apply", "-f", "-", stdin=DEPLOYMENT.replace(', env: [{name: A, value: "1"}]', "")
    )
    path = "jsonpath={.spec.template.spec.containers[0].env}"
    assert await kubectl("get", "deploy", "web", "-o", path) == ""


async def test_get_in_every_form(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert json.loads(await kubectl("get", "deploy", "web", "-o", "json"))["spec"]["replicas"] == 2
    assert yaml.safe_load(await kubectl("get", "deploy", "-o", "yaml"))["kind"] == "List"
    assert await kubectl("get", "deploy", "-o", "name") == "deployment.apps/web\n"
    assert await kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    narrow = (await kubectl.run("get", "deploy")).rows
    assert narrow[0] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    wide = (await kubectl.run("get", "deploy", "-o", "wide")).rows
    assert wide[0][-3:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    columns = "custom-columns=N:.metadata.name"
    assert await kubectl("get", "deploy", "-o", columns) == "N\nweb\n"


async def test_get_selects(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=THING)
    await kubectl("apply", "-n", "other", "-f", "-", stdin=THING.replace("red", "blue"))
    assert len((await kubectl.run("get", "th", "-A", "--no-headers")).rows) == 2
    selected = await kubectl.run("get", "things", "-A", "-l", "color in (blue)", "--no-headers")
    assert [row[0] for row in selected.rows] == ["other"]
    named = await kubectl.run("get", "th", "--field-selector", "metadata.name=y")
    assert "No resources found in default namespace." in named.err


async def test_columns_of_a_custom_kind(kubectl: Kubectl, api: Api) -> None:
    await kubectl("apply", "-f", "-", stdin=THING)
    status = {"url": "http://x", "conditions": [{"type": "Ready", "status": "True"}]}
    await api.send("PATCH", f"{THINGS}/x/status", {"status": status}, content_type=MERGE)
    rows = (await kubectl.run("get", "thing")).rows
    assert rows[0] == ["NAME", "URL", "READY", "AGE"]
    assert rows[1][:3] == ["x", "http://x", "True"]
    assert "SIZE" in await kubectl("get", "thing", "-o", "wide")


async def test_get_watches(kubectl: Kubectl, api: Api) -> None:
    await kubectl("apply", "-f", "-", stdin=THING)
    process = await kubectl.start("get", "th", "-w", "--no-headers")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert (await process.stdout.readline()).split()[0] == b"x"
            patch = {"status": {"url": "http://late"}}
            await api.send("PATCH", f"{THINGS}/x/status", patch, content_type=MERGE)
            assert (await process.stdout.readline()).split()[1] == b"http://late"
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.parametrize(
    ("manifest", "name", "editor", "path", "expected"),
    [
        (DEPLOYMENT, "deploy/web", "s/image: one/image: two/",
         "{.spec.template.spec.containers[0].image}", "two"),
        (THING, "thing/x", "s/size: 1/size: 7/", "{.spec.size}", "7"),
    ],
    ids=["built-in", "custom"],
)  # fmt: skip
async def test_edit(
    kubectl: Kubectl, manifest: str, name: str, editor: str, path: str, expected: str
) -> None:
    await kubectl("apply", "-f", "-", stdin=manifest)
    assert " edited" in await kubectl("edit", name, editor=f"sed -i '{editor}'")
    assert await kubectl("get", name, "-o", f"jsonpath={path}") == expected


async def test_an_edit_that_is_refused_says_why(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=THING)
    ran = await kubectl.run("edit", "thing/x", editor="sed -i 's/size: 1/size: much/'")
    assert ran.code != 0
    assert (await kubectl("get", "thing/x", "-o", "jsonpath={.spec.size}")) == "1"


async def test_describe(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT + "---" + THING)
    assert "Replicas:" in await kubectl("describe", "deploy", "web")
    assert "Parts:" in await kubectl("describe", "thing", "x")
    assert "Status:" in await kubectl("describe", "ns", "default")
    described = await kubectl("describe", "crd", "things.things.dev")
    assert "Established" in described


async def test_describe_shows_the_events_of_an_object(kubectl: Kubectl, api: Api) -> None:
    await kubectl("apply", "-f", "-", stdin=THING)
    uid = (await api.get(f"{THINGS}/x"))["metadata"]["uid"]
    event = {
        "metadata": {"name": "x.1", "namespace": "default"},
        "involvedObject": {
            "kind": "Thing", "namespace": "default", "name": "x", "uid": uid,
            "apiVersion": "things.dev/v1",
        },
        "reason": "Painted", "message": "it is red now", "type": "Normal", "count": 1,
    }  # fmt: skip
    await api.create("/api/v1/namespaces/default/events", event)
    assert "it is red now" in await kubectl("describe", "thing", "x")
    assert "Painted" in await kubectl("get", "events")
    assert "Painted" in await kubectl("events", "--for", "thing/x")


async def test_delete_waits_for_the_end(kubectl: Kubectl, api: Api) -> None:
    raw = yaml.safe_load(THING)
    raw["metadata"]["finalizers"] = ["a.dev/hold"]
    await api.create(THINGS, raw)
    deleting = asyncio.create_task(kubectl.run("delete", "thing", "x"))
    async with asyncio.timeout(20):
        while "deletionTimestamp" not in (await api.get(f"{THINGS}/x"))["metadata"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not deleting.done()
    patch = {"metadata": {"finalizers": None}}
    await api.send("PATCH", f"{THINGS}/x", patch, content_type=MERGE)
    assert (await deleting).out == 'thing.things.dev "x" deleted\n'


async def test_delete_by_file_and_by_label(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    await kubectl("delete", "-f", "-", stdin=DEPLOYMENT)
    await kubectl("apply", "-f", "-", stdin=THING)
    assert "deleted" in await kubectl("delete", "th", "-l", "color=red")
    ran = await kubectl.run("delete", "th", "x")
    assert 'things.things.dev "x" not found' in ran.err


async def test_wait_for_a_condition(kubectl: Kubectl, api: Api) -> None:
    await kubectl("apply", "-f", "-", stdin=THING)
    waiting = asyncio.create_task(
        kubectl.run("wait", "--for=condition=Ready", "thing/x", "--timeout=20s")
    )
    await asyncio.sleep(0.3)
    assert not waiting.done()
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    await api.send("PATCH", f"{THINGS}/x/status", {"status": status}, content_type=MERGE)
    assert (await waiting).out == "thing.things.dev/x condition met\n"


async def test_wait_for_a_value_and_for_the_end(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=THING)
    await kubectl("wait", "--for=jsonpath={.spec.size}=1", "thing/x", "--timeout=5s")
    waiting = asyncio.create_task(kubectl.run("wait", "--for=delete", "thing/x", "--timeout=20s"))
    await kubectl("delete", "thing", "x")
    assert (await waiting).code == 0


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (("deployment",), "VERSION:    v1"),
        (("deploy.spec.template.spec.containers.image",), "FIELD: image <string>"),
        (("deploy.spec.replicas",), "FIELD: replicas <integer>"),
        (("pods", "--recursive"), "containerPort\t<integer>"),
        (("thing",), "KIND:       Thing"),
        (("thing.spec.parts",), "FIELD: parts <[]string>"),
        (("th.spec.color",), "ENUM:\n    red\n    blue"),
        (("thing", "--recursive"), "size\t<integer> -required-"),
        (("thing.metadata.labels",), "<map[string]string>"),
        (("thing", "--api-version=things.dev/v1beta1"), "VERSION:    v1beta1"),
    ],
    ids=lambda what: " ".join(what) if isinstance(what, tuple) else "",
)
async def test_explain(kubectl: Kubectl, what: tuple[str, ...], expected: str) -> None:
    assert expected in await kubectl("explain", *what)


async def test_explain_names_a_field_that_is_not_there(kubectl: Kubectl) -> None:
    ran = await kubectl.run("explain", "thing.spec.nothing")
    assert 'field "nothing" does not exist' in ran.err


PATCHES = [
    ("strategic", '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"s"}]}}}}'),
    ("merge", '{"spec":{"replicas":9}}'),
    ("json", '[{"op":"replace","path":"/spec/replicas","value":8}]'),
]


@pytest.mark.parametrize(("kind", "patch"), PATCHES, ids=[kind for kind, _ in PATCHES])
async def test_patch(kubectl: Kubectl, kind: str, patch: str) -> None:
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert "patched" in await kubectl("patch", "deploy", "web", "--type", kind, "-p", patch)
    path = "jsonpath={.spec.replicas} {.spec.template.spec.containers[*].name}"
    found = await kubectl("get", "deploy", "web", "-o", path)
    assert found == {"strategic": "2 main side", "merge": "9 main", "json": "8 main"}[kind]


async def test_patch_a_subresource(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=THING)
    patch = '{"status":{"url":"http://s"}}'
    await kubectl("patch", "thing", "x", "--subresource=status", "--type=merge", "-p", patch)
    assert await kubectl("get", "thing", "x", "-o", "jsonpath={.status.url}") == "http://s"


async def test_label_annotate_scale(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    await kubectl("label", "deploy", "web", "tier=front")
    await kubectl("annotate", "deploy", "web", "note=hello")
    assert "scaled" in await kubectl("scale", "deploy", "web", "--replicas=5")
    path = "jsonpath={.metadata.labels.tier} {.metadata.annotations.note} {.spec.replicas}"
    assert await kubectl("get", "deploy", "web", "-o", path) == "front hello 5"
    await kubectl("label", "deploy", "web", "tier-")
    assert await kubectl("get", "deploy", "-l", "tier", "-o", "name") == ""


async def test_diff_shows_what_apply_would_do(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=THING)
    ran = await kubectl.run("diff", "-f", "-", stdin=THING.replace("size: 1", "size: 2"))
    assert ran.code == 1
    assert "+  size: 2" in ran.out
    assert (await kubectl.run("diff", "-f", "-", stdin=THING)).code == 0


async def test_dry_run_changes_nothing(kubectl: Kubectl) -> None:
    created = await kubectl("apply", "--dry-run=server", "-f", "-", stdin=THING)
    assert created == "thing.things.dev/x created (server dry run)\n"
    assert (await kubectl.run("get", "thing", "x")).code == 1


async def test_create_and_replace(kubectl: Kubectl) -> None:
    await kubectl("create", "-f", "-", stdin=THING)
    again = await kubectl.run("create", "-f", "-", stdin=THING)
    assert 'things.things.dev "x" already exists' in again.err
    replaced = await kubectl("replace", "-f", "-", stdin=THING.replace("size: 1", "size: 3"))
    assert replaced == "thing.things.dev/x replaced\n"


async def test_run_makes_a_pod(kubectl: Kubectl) -> None:
    assert await kubectl("run", "p", "--image=i") == "pod/p created\n"
    assert await kubectl("delete", "pod", "p") == 'pod "p" deleted\n'


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (THING.replace("size:", "sise:"), 'unknown field "spec.sise"'),
        (
            THING.replace("size: 1", "size: big"),
            'The Thing "x" is invalid: spec.size: Invalid value: "string": spec.size in body must '
            'be of type integer: "string"',
        ),
        (THING.replace("size: 1, ", ""), 'The Thing "x" is invalid: spec.size: Required value'),
        (DEPLOYMENT.replace("replicas: 2", "replica: 2"), 'unknown field "spec.replica"'),
        (DEPLOYMENT.replace("replicas: 2", "replicas: two"), "cannot be handled as a Deployment"),
        (THING.replace("name: x", "name: X_x"), "a lowercase RFC 1123 subdomain must consist of"),
        (THING.replace("things.dev/v1", "things.dev/v9"), "no matches for kind"),
        (THING.replace("things.dev", "absent.dev"), 'no matches for kind "Thing" in version "abs'),
        (DEPLOYMENT.replace("apps/v1", "v1"), 'no matches for kind "Deployment" in version "v1"'),
        (THING.replace("name: x", "name: x, namespace: absent"), 'namespaces "absent" not found'),
    ],
    ids=[
        "unknown field", "wrong type", "required", "unknown in built-in", "wrong type in built-in",
        "name", "version", "group", "unknown built-in", "namespace",
    ],
)  # fmt: skip
async def test_a_mistake_is_told(kubectl: Kubectl, manifest: str, message: str) -> None:
    ran = await kubectl.run("apply", "-f", "-", stdin=manifest)
    assert ran.code == 1
    assert message in ran.err


async def test_an_unknown_field_is_a_warning_if_asked(kubectl: Kubectl) -> None:
    manifest = THING.replace("size: 1", "size: 1, sise: 2")
    ran = await kubectl.run("apply", "--validate=warn", "-f", "-", stdin=manifest)
    assert 'Warning: unknown field "spec.sise"' in ran.err
    assert ran.code == 0


async def test_auth(kubectl: Kubectl) -> None:
    assert await kubectl("auth", "can-i", "delete", "pods") == "yes\n"
    assert "admin" in await kubectl("auth", "whoami")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("configmap", "c", "--from-literal=a=b"), "{.data.a}=b"),
        (("secret", "generic", "c", "--from-literal=a=b"), "{.data.a}=Yg=="),
        (("namespace", "c"), "{.status.phase}=Active"),
        (("serviceaccount", "c"), "{.metadata.name}=c"),
        (
            ("deployment", "c", "--image=i:1", "--replicas=3", "--port=80"),
            "{.spec.replicas} {.spec.template.spec.containers[0].image} "
            "{.spec.template.spec.containers[0].ports[0].containerPort}=3 i:1 80",
        ),
        (
            ("service", "clusterip", "c", "--tcp=80:8080"),
            "{.spec.ports[0].port} {.spec.ports[0].targetPort} {.spec.type}=80 8080 ClusterIP",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
async def test_create_by_words(kubectl: Kubectl, words: tuple[str, ...], expected: str) -> None:
    await kubectl("create", *words)
    path, _, value = expected.partition("=")
    kind = words[0]
    assert await kubectl("get", kind, "c", "-o", f"jsonpath={path}") == value


async def test_deleting_a_definition_ends_its_kind(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=THING)
    await kubectl("delete", "crd", "things.things.dev")
    ran = await kubectl.run("get", "things")
    assert "the server could not find the requested resource" in ran.err


async def test_a_definition_applied_is_served_at_once(kubectl: Kubectl) -> None:
    raw = json.loads(json.dumps(definition()).replace("hing", "oy"))
    manifest = yaml.safe_dump(raw)
    await kubectl("apply", "-f", "-", stdin=manifest)
    await kubectl("wait", "--for=condition=Established", "crd/toys.toys.dev", "--timeout=5s")
    toy = THING.replace("things.dev", "toys.dev").replace("Thing", "Toy")
    assert await kubectl("apply", "-f", "-", stdin=toy) == "toy.toys.dev/x created\n"


@pytest.mark.parametrize("manifest", [DEPLOYMENT, THING], ids=["built-in", "custom"])
async def test_server_side_apply(kubectl: Kubectl, manifest: str) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    assert " serverside-applied" in await kubectl(*apply, stdin=manifest)
    assert " serverside-applied" in await kubectl(*apply, stdin=manifest)
    changed = manifest.replace("replicas: 2", "replicas: 3").replace("size: 1", "size: 2")
    other = await kubectl.run(*apply, "--field-manager=other", stdin=changed)
    assert 'conflict with "kubectl"' in other.err
    await kubectl(*apply, "--field-manager=other", "--force-conflicts", stdin=changed)
