"""Workloads over the real API server, in virtual time, on a node that only pretends."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from stagezero.api import errors
from stagezero.api.apps import Deployment, ReplicaSet
from stagezero.api.base import Key, Object, Raw
from stagezero.api.core import (
    ConfigMap,
    Endpoints,
    Namespace,
    Node,
    Pod,
    Secret,
    Service,
    ServiceAccount,
)
from stagezero.api.discovery import EndpointSlice
from stagezero.controllers.workloads.plans.conditions import find, is_true
from support.plane import Plane, running_plane

pytestmark = pytest.mark.looptime


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    async with running_plane() as plane:
        yield plane


def deployment(replicas: int = 2, image: str = "app:1", **spec: object) -> Raw:
    container = {"name": "main", "image": image, "ports": [{"containerPort": 8080}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container]},
            },
            **spec,
        },
    }


SERVICE: Raw = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


def config_map(name: str = "thing", namespace: str = "default", **metadata: object) -> Raw:
    meta = {"name": name, "namespace": namespace, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


def has_all(replicas: int) -> Callable[[Deployment], bool]:
    return lambda thing: (
        thing.status.observed_generation == thing.metadata.generation
        and thing.status.available_replicas == replicas
        and thing.status.updated_replicas == replicas
        and thing.status.replicas == replicas
    )


async def until_complete(plane: Plane, replicas: int) -> Deployment:
    return await plane.until(Deployment, "web", has_all(replicas))


async def patch(plane: Plane, spec: Raw) -> None:
    await plane.client.patch(Deployment, Key("default", "web"), {"spec": spec})


async def a_minute() -> None:
    """Let a minute pass, which takes no time: whatever can settle has."""
    await asyncio.sleep(60)


def pods(plane: Plane) -> list[Pod]:
    return plane.core.caches.list(Pod, "default")


async def test_a_deployment_gets_its_pods(plane: Plane) -> None:
    await plane.apply(deployment(3))
    done = await until_complete(plane, 3)
    assert len(pods(plane)) == 3
    assert is_true(done.status.conditions, "Available")
    progress = find(done.status.conditions, "Progressing")
    assert progress is not None and progress.reason == "NewReplicaSetAvailable"


async def test_it_scales_to_zero_and_back(plane: Plane) -> None:
    await plane.apply(deployment(1))
    await until_complete(plane, 1)
    await patch(plane, {"replicas": 0})
    await until_complete(plane, 0)
    assert pods(plane) == []
    await patch(plane, {"replicas": 1})
    await until_complete(plane, 1)


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
async def test_a_new_template_replaces_every_pod(plane: Plane, strategy: str) -> None:
    await plane.apply(deployment(3, strategy={"type": strategy}))
    await until_complete(plane, 3)
    before = {pod.uid for pod in pods(plane)}
    container = {"name": "main", "image": "app:2"}
    await patch(plane, {"template": {"spec": {"containers": [container]}}})
    done = await until_complete(plane, 3)
    assert {pod.spec.containers[0].image for pod in pods(plane)} == {"app:2"}
    assert not before & {pod.uid for pod in pods(plane)}
    assert done.metadata.annotations["deployment.kubernetes.io/revision"] == "2"


async def test_a_rolling_update_never_has_too_few(plane: Plane) -> None:
    await plane.apply(deployment(3))
    await until_complete(plane, 3)
    ready: list[int] = []

    def count(*_: object) -> None:
        ready.append(sum(is_true(pod.status.conditions, "Ready") for pod in pods(plane)))

    plane.core.caches.of(Pod).subscribe(count)
    await patch(plane, {"template": {"spec": {"containers": [{"name": "main", "image": "b"}]}}})
    await until_complete(plane, 3)
    assert min(ready) >= 3


async def test_a_broken_template_leaves_the_old_pods(plane: Plane) -> None:
    await plane.apply(deployment(2, progressDeadlineSeconds=30))
    await until_complete(plane, 2)
    plane.node.is_ready = lambda pod: pod.spec.containers[0].image == "app:1"
    await patch(plane, {"template": {"spec": {"containers": [{"name": "main", "image": "bad"}]}}})

    def is_late(thing: Deployment) -> bool:
        progress = find(thing.status.conditions, "Progressing")
        return progress is not None and progress.reason == "ProgressDeadlineExceeded"

    late = await plane.until(Deployment, "web", is_late)
    assert late.status.available_replicas == 2


async def test_a_pod_that_is_deleted_is_replaced(plane: Plane) -> None:
    await plane.apply(deployment(1))
    await until_complete(plane, 1)
    (gone,) = pods(plane)
    await plane.client.delete(Pod, gone.key)
    await plane.gone(Pod, gone.metadata.name)
    await until_complete(plane, 1)
    (fresh,) = pods(plane)
    assert fresh.metadata.name != gone.metadata.name


def versions(plane: Plane) -> set[str]:
    kinds: tuple[type[Object], ...] = (Deployment, ReplicaSet, Pod, Service, Endpoints, Namespace)
    return {
        found.metadata.resource_version for kind in kinds for found in plane.core.caches.list(kind)
    }


async def test_what_is_settled_is_not_written_again(plane: Plane) -> None:
    await plane.apply(SERVICE)
    await plane.apply(deployment(2))
    await until_complete(plane, 2)
    await a_minute()
    before = versions(plane)
    plane.node.again()
    await plane.apply(config_map())
    await a_minute()
    assert versions(plane) == before


async def test_endpoints_follow_the_pods(plane: Plane) -> None:
    await plane.apply(SERVICE)
    await plane.apply(deployment(2))
    full = await plane.until(
        Endpoints, "web", lambda found: bool(found.subsets) and len(found.subsets[0].addresses) == 2
    )
    assert full.subsets[0].ports[0].port == 8080
    await until_complete(plane, 2)
    await patch(plane, {"replicas": 0})
    await plane.until(Endpoints, "web", lambda found: found.subsets == [])


async def test_slices_follow_the_endpoints(plane: Plane) -> None:
    await plane.apply(SERVICE)
    await plane.apply(deployment(2))
    await until_complete(plane, 2)
    await a_minute()
    (found,) = plane.core.caches.list(EndpointSlice, "default")
    assert [endpoint.conditions.ready for endpoint in found.endpoints] == [True, True]
    await patch(plane, {"replicas": 0})
    await a_minute()
    assert plane.core.caches.list(EndpointSlice, "default") == []


async def test_endpoints_that_are_deleted_come_back(plane: Plane) -> None:
    await plane.apply(SERVICE)
    first = await plane.until(Endpoints, "web", lambda _: True)
    await plane.client.delete(Endpoints, first.key)
    await plane.until(Endpoints, "web", lambda found: found.uid != first.uid)


async def test_a_service_gets_an_address(plane: Plane) -> None:
    await plane.apply(SERVICE)
    found = await plane.until(Service, "web", lambda service: bool(service.spec.cluster_ip))
    assert found.spec.cluster_ip.startswith("10.")


async def test_endpoints_go_with_their_service(plane: Plane) -> None:
    await plane.apply(SERVICE)
    await plane.until(Endpoints, "web", lambda _: True)
    await plane.client.delete(Service, Key("default", "web"))
    await plane.gone(Endpoints, "web")


async def test_a_pod_that_fits_nowhere_says_why_until_there_is_room(plane: Plane) -> None:
    container = {"name": "main", "image": "a", "resources": {"requests": {"cpu": "100000"}}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "big"}}
    await plane.apply({**pod, "spec": {"containers": [container]}})

    def why(found: Pod) -> bool:
        condition = find(found.status.conditions, "PodScheduled")
        return condition is not None and condition.reason == "Unschedulable"

    waiting = await plane.until(Pod, "big", why)
    condition = find(waiting.status.conditions, "PodScheduled")
    assert condition is not None
    assert condition.message == "0/1 nodes are available: 1 Insufficient cpu."
    room = {"status": {"allocatable": {"cpu": "100001"}}}
    await plane.client.patch(Node, Key("", "fake"), room, "status")
    await plane.until(Pod, "big", lambda found: found.spec.node_name == "fake")


async def delete(plane: Plane, kind: type[Deployment], policy: str) -> None:
    body = f'{{"propagationPolicy": "{policy}"}}'.encode()
    await plane.client.request("DELETE", kind.resource.path("default", "web"), body=body)


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
async def test_pods_go_with_their_deployment(plane: Plane, policy: str) -> None:
    await plane.apply(deployment(2))
    await until_complete(plane, 2)
    await delete(plane, Deployment, policy)
    await plane.gone(Deployment, "web")
    await a_minute()
    assert pods(plane) == []
    assert plane.core.caches.list(ReplicaSet, "default") == []


async def test_orphans_stay(plane: Plane) -> None:
    await plane.apply(deployment(2))
    await until_complete(plane, 2)
    await delete(plane, Deployment, "Orphan")
    await plane.gone(Deployment, "web")
    await a_minute()
    (left,) = plane.core.caches.list(ReplicaSet, "default")
    assert left.metadata.owner_references == []
    assert len(pods(plane)) == 2


async def test_orphans_are_adopted_again(plane: Plane) -> None:
    await plane.apply(deployment(2))
    await until_complete(plane, 2)
    before = {pod.uid for pod in pods(plane)}
    await delete(plane, Deployment, "Orphan")
    await plane.gone(Deployment, "web")
    await a_minute()
    again = await plane.apply(deployment(2))
    await until_complete(plane, 2)
    assert {pod.uid for pod in pods(plane)} == before
    (kept,) = plane.core.caches.list(ReplicaSet, "default")
    assert kept.metadata.owner_references[0].uid == again["metadata"]["uid"]


async def test_a_pod_that_loses_its_labels_is_let_go_and_replaced(plane: Plane) -> None:
    await plane.apply(deployment(1))
    await until_complete(plane, 1)
    (pod,) = pods(plane)
    await plane.client.patch(Pod, pod.key, {"metadata": {"labels": {"app": "debug"}}})
    await a_minute()
    free = await plane.client.get(Pod, pod.metadata.name, "default")
    assert free.metadata.owner_references == []
    assert len(pods(plane)) == 2


async def test_an_object_born_without_its_owner_goes(plane: Plane) -> None:
    nobody = {"apiVersion": "v1", "kind": "Secret", "name": "none", "uid": "u"}
    await plane.apply(config_map(ownerReferences=[nobody]))
    await plane.gone(ConfigMap, "thing")


async def test_an_object_with_an_owner_left_only_lets_go(plane: Plane) -> None:
    owners = []
    for name in ("a", "b"):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
        made = await plane.apply(secret)
        uid = made["metadata"]["uid"]
        owners.append({"apiVersion": "v1", "kind": "Secret", "name": name, "uid": uid})
    await plane.apply(config_map(ownerReferences=owners))
    await plane.client.delete(Secret, Key("default", "a"))
    kept = await plane.until(
        ConfigMap, "thing", lambda found: len(found.metadata.owner_references) == 1
    )
    assert kept.metadata.owner_references[0].name == "b"


async def test_a_namespace_is_furnished(plane: Plane) -> None:
    account = await plane.client.get(ServiceAccount, "default", "default")
    await plane.client.delete(ServiceAccount, account.key)
    await plane.until(ServiceAccount, "default", lambda found: found.uid != account.uid)


async def test_a_namespace_takes_its_content_along(plane: Plane) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
    await plane.client.create_raw(Namespace.resource.path(), namespace)
    await plane.apply(config_map(namespace="team"))
    raw = deployment(1)
    raw["metadata"]["namespace"] = "team"
    await plane.apply(raw)
    await a_minute()
    assert plane.core.caches.list(Pod, "team")
    await plane.client.delete(Namespace, Key("", "team"))
    await plane.gone(Namespace, "team")
    assert plane.core.caches.list(Pod, "team") == []
    with pytest.raises(errors.NotFound):
        await plane.client.get(ConfigMap, "thing", "team")


async def test_a_bad_deployment_is_refused(plane: Plane) -> None:
    raw = deployment(1)
    raw["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    with pytest.raises(errors.Invalid, match="`selector` does not match template `labels`"):
        await plane.apply(raw)


async def test_a_pod_is_stored_with_its_defaults(plane: Plane) -> None:
    await plane.apply(deployment(1))
    await until_complete(plane, 1)
    (pod,) = pods(plane)
    assert pod.spec.service_account_name == "default"
    assert pod.spec.termination_grace_period_seconds == 30
