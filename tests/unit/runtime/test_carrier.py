"""Carrying plans out: what is written, what is not, and what a refusal does."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from msgspec.structs import replace

from stagezero.api import errors
from stagezero.api.apps import Deployment, DeploymentSpec
from stagezero.api.base import (
    Condition,
    LabelSelector,
    ObjectMeta,
    controlled_by,
)
from stagezero.api.core import ConfigMap, Container, PodSpec, PodTemplateSpec
from stagezero.kit.http import Request
from stagezero.runtime.carry import Carrier, NotOwned, Refused
from stagezero.runtime.plan import Plan, normal
from support.engine import KEY, Gadget, Lab, Shape, Widget, WidgetSpec, WidgetStatus, gadget, lab

pytestmark = pytest.mark.looptime


@pytest.fixture
async def world() -> AsyncIterator[Lab]:
    async with lab() as made:
        yield made


def config_map(name: str = "c", **metadata: object) -> ConfigMap:
    meta = msgspec.convert({"name": name, "namespace": "default", **metadata}, ObjectMeta)
    return ConfigMap(metadata=meta, data={"a": "1"})


async def apply(world: Lab, *desired: Gadget | ConfigMap | Deployment, owner: Widget) -> None:
    await world.carrier.carry_out(owner, Plan(apply=desired))


async def test_absent_object_is_created(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, gadget(owner, size=3), owner=owner)
    made = await world.get(Gadget, "g")
    assert made.spec == WidgetSpec(size=3, shape=Shape(color="grey"))


async def test_own_write_is_seen_at_once(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, gadget(owner), owner=owner)
    assert world.caches.get(Gadget, KEY._replace(name="g")) is not None


async def test_same_plan_writes_once(world: Lab) -> None:
    owner = await world.widget()
    for _ in range(5):
        await apply(world, gadget(owner, size=3), owner=owner)
        await world.calm()
    assert world.wire.writes() == [
        "POST /apis/tests.dev/v1/namespaces/default/gadgets",
    ]


async def test_server_defaults_cause_no_write_after_a_restart(world: Lab) -> None:
    """A carrier without memory asks once; the server sees that nothing changes."""
    owner = await world.widget()
    await apply(world, gadget(owner, size=3), owner=owner)
    await world.calm()
    world.wire.clear()
    fresh = Carrier(world.client, world.caches, world.recorder)
    version = world.store.version
    for _ in range(3):
        await fresh.carry_out(owner, Plan(apply=(gadget(owner, size=3),)))
        await world.calm()
    assert world.store.version == version
    assert len(world.wire.writes("gadgets/g")) <= 1


async def test_status_of_the_child_costs_no_comparison_loop(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, gadget(owner, size=3), owner=owner)
    await world.user.patch(Gadget, KEY._replace(name="g"), {"status": {"url": "x"}}, "status")
    await world.calm()
    world.wire.clear()
    await apply(world, gadget(owner, size=3), owner=owner)
    assert world.wire.writes() == []


async def test_spec_of_custom_kinds_is_replaced(world: Lab) -> None:
    owner = await world.widget()
    wide = gadget(owner, size=3, parts=["a"], shape=Shape(corners=4, color="red"))
    await apply(world, wide, owner=owner)
    await apply(world, gadget(owner, size=4), owner=owner)
    changed = await world.get(Gadget, "g")
    assert changed.spec == WidgetSpec(size=4, shape=Shape(color="grey"))


async def test_user_edit_of_a_child_is_undone(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, gadget(owner, size=3), owner=owner)
    await world.user.patch(Gadget, KEY._replace(name="g"), {"spec": {"size": 9}})
    await world.calm()
    await apply(world, gadget(owner, size=3), owner=owner)
    assert (await world.get(Gadget, "g")).spec.size == 3


async def test_edit_of_a_defaulted_field_is_undone(world: Lab) -> None:
    """What admission filled in is the server's word; what somebody else wrote is not."""
    owner = await world.widget()
    await apply(world, gadget(owner, size=3), owner=owner)
    await world.user.patch(Gadget, KEY._replace(name="g"), {"spec": {"shape": {"color": "red"}}})
    await world.calm()
    await apply(world, gadget(owner, size=3), owner=owner)
    assert (await world.get(Gadget, "g")).spec.shape == Shape(color="grey")


async def test_labels_of_others_stay(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, gadget(owner), owner=owner)
    patch = {"metadata": {"labels": {"theirs": "1"}}}
    await world.user.patch(Gadget, KEY._replace(name="g"), patch)
    await world.calm()
    labelled = gadget(owner)
    labelled = replace(labelled, metadata=replace(labelled.metadata, labels={"ours": "2"}))
    await apply(world, labelled, owner=owner)
    assert (await world.get(Gadget, "g")).metadata.labels == {"theirs": "1", "ours": "2"}


def deployment(owner: Widget, replicas: int | None) -> Deployment:
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels={"app": "x"}),
        spec=PodSpec(containers=[Container(name="main", image="i")]),
    )
    return Deployment(
        metadata=ObjectMeta(name="d", namespace="default", owner_references=[controlled_by(owner)]),
        spec=DeploymentSpec(
            replicas=replicas, selector=LabelSelector({"app": "x"}), template=template
        ),
    )


async def test_builtin_spec_is_laid_over(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, deployment(owner, 1), owner=owner)
    await world.user.patch(Deployment, KEY._replace(name="d"), {"spec": {"replicas": 7}})
    await world.calm()
    await apply(world, deployment(owner, None), owner=owner)
    assert (await world.get(Deployment, "d")).spec.replicas == 7


async def test_builtin_defaults_cause_no_write(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, deployment(owner, 1), owner=owner)
    await world.calm()
    world.wire.clear()
    for _ in range(3):
        await apply(world, deployment(owner, 1), owner=owner)
        await world.calm()
    assert world.wire.writes() == []


async def test_object_of_somebody_else_is_left_alone(world: Lab) -> None:
    owner, other = await world.widget(), await world.widget("other")
    await apply(world, gadget(other, size=1), owner=other)
    with pytest.raises(NotOwned, match='existing Gadget "g" that Widget "w" does not own'):
        await apply(world, gadget(owner, size=2), owner=owner)
    assert (await world.get(Gadget, "g")).spec.size == 1
    assert [event.reason for event in await world.events()] == ["NotOwned"]


async def test_partial_of_a_foreign_object_needs_no_owner(world: Lab) -> None:
    owner = await world.widget()
    await world.user.create(config_map())
    await world.calm()
    await apply(world, config_map(labels={"seen": "yes"}), owner=owner)
    assert (await world.get(ConfigMap, "c")).metadata.labels == {"seen": "yes"}


async def test_object_that_the_cache_does_not_show_is_a_conflict(world: Lab) -> None:
    owner = await world.widget()
    world.wire.news.clear()
    await world.user.create(config_map("hidden"))
    with pytest.raises(errors.Conflict):
        await apply(world, config_map("hidden"), owner=owner)


async def test_stale_object_is_a_conflict(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, gadget(owner, size=1), owner=owner)
    await world.calm()
    world.wire.news.clear()
    await world.user.patch(Gadget, KEY._replace(name="g"), {"spec": {"size": 5}})
    with pytest.raises(errors.Conflict):
        await apply(world, gadget(owner, size=2), owner=owner)


async def test_object_deleted_meanwhile_is_a_conflict(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, gadget(owner, size=1), owner=owner)
    await world.calm()
    world.wire.news.clear()
    await world.user.delete(Gadget, KEY._replace(name="g"))
    with pytest.raises(errors.Conflict):
        await apply(world, gadget(owner, size=2), owner=owner)


def status_of(owner: Widget, **status: object) -> Plan:
    return Plan(status=replace(owner, status=msgspec.convert(status, WidgetStatus)))


async def test_status_is_made_exactly_so(world: Lab) -> None:
    owner = await world.widget()
    true = {"type": "Ready", "status": "True"}
    await world.carrier.carry_out(owner, status_of(owner, url="u", ready=3, conditions=[true]))
    owner = await world.get(Widget, "w")
    await world.carrier.carry_out(owner, status_of(owner, ready=4))
    assert (await world.raw(Widget, "w"))["status"] == {"ready": 4}


async def test_unchanged_status_is_not_written(world: Lab) -> None:
    owner = await world.widget()
    await world.carrier.carry_out(owner, status_of(owner, url="u"))
    owner = await world.get(Widget, "w")
    world.wire.clear()
    await world.carrier.carry_out(owner, status_of(owner, url="u"))
    assert world.wire.writes() == []


async def test_status_replaces_lists(world: Lab) -> None:
    owner = await world.widget()
    two = [Condition("A", "True"), Condition("B", "True")]
    await world.carrier.write_status(replace(owner, status=WidgetStatus(conditions=two)))
    owner = await world.get(Widget, "w")
    one = [Condition("B", "False")]
    await world.carrier.write_status(replace(owner, status=WidgetStatus(conditions=one)))
    assert (await world.get(Widget, "w")).status.conditions == one


async def test_status_of_an_older_state_is_a_conflict(world: Lab) -> None:
    """A status says what was decided on a version; on a newer one somebody must decide again."""
    owner = await world.widget()
    await world.user.patch(Widget, KEY, {"spec": {"size": 2}})
    await world.calm()
    with pytest.raises(errors.Conflict):
        await world.carrier.carry_out(owner, status_of(owner, url="u"))


async def test_status_of_a_namesake_is_not_written(world: Lab) -> None:
    owner = await world.widget()
    await world.user.delete(Widget, KEY)
    await world.widget()
    await world.carrier.carry_out(owner, status_of(owner, url="mine"))
    assert (await world.get(Widget, "w")).status.url == ""


async def test_status_of_what_is_gone_is_dropped(world: Lab) -> None:
    owner = await world.widget()
    world.wire.news.clear()
    await world.user.delete(Widget, KEY)
    await world.carrier.carry_out(owner, status_of(owner, url="u"))
    with pytest.raises(errors.NotFound):
        await world.get(Widget, "w")


async def test_refused_object_is_told_and_the_status_written(world: Lab) -> None:
    owner = await world.widget()
    plan = Plan(
        apply=(gadget(owner, size=2000),),
        status=replace(owner, status=WidgetStatus(url="u")),
        events=(normal("Created", "Created Gadget"),),
    )
    with pytest.raises(Refused, match='Cannot create Gadget "g": admission webhook'):
        await world.carrier.carry_out(owner, plan)
    told = [(event.reason, event.message) for event in await world.events()]
    assert told == [
        (
            "InternalError",
            'Cannot create Gadget "g": admission webhook "gadgets.tests.dev" denied the request: '
            "spec.size: too large",
        )
    ]
    assert (await world.get(Widget, "w")).status.url == "u"


async def test_refused_change_names_the_object(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, gadget(owner, size=1), owner=owner)
    with pytest.raises(Refused, match='Cannot change Gadget "g": '):
        await apply(world, gadget(owner, size=2000), owner=owner)


async def test_unreachable_api_is_not_told_on_the_object(world: Lab) -> None:
    owner = await world.widget()
    gone = errors.Unavailable("nobody listens")
    world.wire.refuse = lambda request: gone if request.path.endswith("gadgets") else None
    with pytest.raises(errors.Unavailable):
        await apply(world, gadget(owner), owner=owner)
    assert await world.events() == []


async def test_deletion_spares_a_namesake(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, gadget(owner), owner=owner)
    old = await world.get(Gadget, "g")
    await world.user.delete(Gadget, old.key)
    await apply_fresh(world, owner)
    await world.carrier.carry_out(owner, Plan(delete=(old,)))
    assert (await world.get(Gadget, "g")).uid != old.uid


async def apply_fresh(world: Lab, owner: Widget) -> None:
    await world.calm()
    await apply(world, gadget(owner), owner=owner)


async def test_deletion_of_what_is_gone_is_done(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, gadget(owner), owner=owner)
    old = await world.get(Gadget, "g")
    for _ in range(2):
        await world.carrier.carry_out(owner, Plan(delete=(old,)))


async def test_events_of_a_plan_are_told_after_its_objects(world: Lab) -> None:
    owner = await world.widget()
    plan = Plan(apply=(gadget(owner),), events=(normal("Created", "Created Gadget"),))
    await world.carrier.carry_out(owner, plan)
    assert [request.path.rpartition("/")[2] for request in world.wire.sent] == [
        "gadgets",
        "events",
    ]


async def test_plan_error_becomes_a_warning(world: Lab) -> None:
    owner = await world.widget()
    await world.carrier.carry_out(owner, Plan(error="no such runtime"))
    (event,) = await world.events()
    assert (event.type, event.reason, event.message) == (
        "Warning",
        "InternalError",
        "no such runtime",
    )


async def test_memory_of_gone_objects_is_dropped(world: Lab) -> None:
    owner = await world.widget()
    settled = world.carrier._settled
    settled._sweep_at = 10
    for number in range(100):
        await apply(world, gadget(owner, f"g{number}"), owner=owner)
        await world.user.delete(Gadget, KEY._replace(name=f"g{number}"))
        await world.calm()
    assert len(settled._left) <= 1024
    settled._sweep()
    assert len(settled._left) == 0


async def test_writes_carry_the_version_that_was_seen(world: Lab) -> None:
    owner = await world.widget()
    await apply(world, gadget(owner, size=1), owner=owner)
    seen = (await world.get(Gadget, "g")).metadata.resource_version
    await apply(world, gadget(owner, size=2), owner=owner)
    assert world.wire.bodies("gadgets/g")[-1]["metadata"]["resourceVersion"] == seen


async def test_write_that_fails_once_is_repeated_by_the_next_plan(world: Lab) -> None:
    owner = await world.widget()
    failures = [errors.Unavailable("restarting")]

    def once(request: Request) -> errors.ApiError | None:
        return failures.pop() if failures and request.path.endswith("gadgets") else None

    world.wire.refuse = once
    with pytest.raises(errors.Unavailable):
        await apply(world, gadget(owner), owner=owner)
    await apply(world, gadget(owner), owner=owner)
    assert (await world.get(Gadget, "g")).metadata.name == "g"
