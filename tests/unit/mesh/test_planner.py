"""The plan: which rules stand in which virtual host of which port."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from stagezero.api.base import Key, ObjectMeta
from stagezero.api.core import Service
from stagezero.api.istio import Gateway, VirtualService
from stagezero.mesh.plans.backends import backend_of
from stagezero.mesh.plans.planner import Planner, Routing, World
from stagezero.mesh.plans.values import (
    Action,
    Answer,
    Forward,
    How,
    Named,
    Reason,
    Redirect,
    Rule,
    Text,
)
from support.mesh import (
    GATEWAYS,
    INGRESS,
    LOCAL,
    LOOPBACK,
    SETTINGS,
    gateway,
    knative_route,
    kserve_route,
    service,
    to,
    virtual_service,
)

SERVICES = tuple(
    service(name) for name in ("a", "b", "hello-00001", "mnist-predictor-default-00001")
)


def world(
    *services: VirtualService,
    gateways: Sequence[Gateway] = GATEWAYS,
    backends: Sequence[Service] = SERVICES,
) -> World:
    found = {backend.host: backend for backend in map(backend_of, backends)}
    return World(gateways, services, found)


def plan(*services: VirtualService, **more: Sequence[object]) -> Routing:
    return Planner(SETTINGS).plan(world(*services, **more))  # type: ignore[arg-type]  # as world


def rules_at(routing: Routing, host: str, port: int = 80) -> list[Rule]:
    entries = routing.tables[port].hosts.get(host, ())
    return [rule for _, piece in entries for rule in piece.rules]


def action_at(routing: Routing, host: str, port: int = 80) -> Action:
    (rule,) = rules_at(routing, host, port)
    return rule.action


def forward_at(routing: Routing, host: str, port: int = 80) -> Forward:
    action = action_at(routing, host, port)
    assert isinstance(action, Forward)
    return action


def clusters(forward: Forward) -> dict[str, int]:
    return {
        branch.cluster.split("|")[3].split(".")[0]: branch.weight for branch in forward.branches
    }


def reasons(routing: Routing, name: str) -> list[Reason]:
    return [problem.reason for problem in routing.contributions[Key("default", name)].problems]


def message(routing: Routing, name: str) -> str:
    return "; ".join(p.message for p in routing.contributions[Key("default", name)].problems)


def simple(name: str = "x", host: str = "x.y", target: str = "a", **more: object) -> VirtualService:
    return virtual_service(name, [host], {"route": [to(target)]}, **more)  # type: ignore[arg-type]


def test_a_host_leads_to_the_cluster_of_its_service() -> None:
    found = forward_at(plan(simple()), "x.y")
    assert [branch.cluster for branch in found.branches] == [
        "outbound|80||a.default.svc.cluster.local"
    ]


def test_a_split_keeps_its_weights() -> None:
    routes = {"route": [to("a", weight=90), to("b", weight=10)]}
    assert clusters(forward_at(plan(virtual_service("x", ["x.y"], routes)), "x.y")) == {
        "a": 90,
        "b": 10,
    }


def test_the_only_port_need_not_be_named() -> None:
    found = plan(virtual_service("x", ["x.y"], {"route": [to("a", port=0)]}))
    assert clusters(forward_at(found, "x.y")) == {"a": 100}


def test_an_unknown_service_keeps_the_route_and_is_said() -> None:
    found = plan(simple(target="nobody"))
    assert clusters(forward_at(found, "x.y")) == {"nobody": 100}
    assert reasons(found, "x") == [Reason.DESTINATION_NOT_FOUND]
    assert message(found, "x") == "there is no Service nobody.default.svc.cluster.local"


@pytest.mark.parametrize(
    ("port", "words"), [(99, "has no port 99"), (0, "has several ports: name one")]
)
def test_an_unknown_port_is_said(port: int, words: str) -> None:
    two = service("two", (80, "http"), (81, "more"))
    found = plan(virtual_service("x", ["x.y"], {"route": [to("two", port)]}), backends=[two])
    assert words in message(found, "x")


def test_a_subset_is_said_to_be_unserved() -> None:
    destination = {"destination": {"host": "a", "subset": "v1"}}
    found = plan(virtual_service("x", ["x.y"], {"route": [destination]}))
    assert "subset v1" in message(found, "x")


@pytest.mark.parametrize("host", ["a", "a.default", "a.default.svc", "a.default.svc.cluster.local"])
def test_a_service_may_be_named_in_four_ways(host: str) -> None:
    assert reasons(plan(simple(target=host)), "x") == []


def test_an_external_name_inside_is_followed() -> None:
    alias = service("alias", external="a.default.svc.cluster.local")
    found = plan(simple(target="alias"), backends=[alias, *SERVICES])
    assert clusters(forward_at(found, "x.y")) == {"a": 100}


def test_an_external_name_outside_is_resolved_by_envoy() -> None:
    alias = service("alias", external="example.org")
    found = plan(simple(target="alias"), backends=[alias])
    (cluster,) = found.contributions[Key("default", "x")].clusters.values()
    assert (cluster.dns_name, cluster.port) == ("example.org", 80)


def test_external_names_in_a_circle_end() -> None:
    circle = [
        service("p", external="q.default.svc.cluster.local"),
        service("q", external="p.default.svc.cluster.local"),
    ]
    assert "in a circle" in message(plan(simple(target="p"), backends=circle), "x")


def test_the_older_virtual_service_comes_first() -> None:
    young = simple("young", target="a", created=9)
    old = simple("old", target="b", created=1)
    owners = [key.name for key, _ in plan(young, old).tables[80].hosts["x.y"]]
    assert owners == ["old", "young"]


def test_hosts_are_those_that_the_gateway_admits() -> None:
    both = virtual_service("x", ["a.shop", "a.other"], {"route": [to("a")]})
    found = plan(both, gateways=[gateway(hosts=["*.shop"])])
    assert set(found.tables[80].hosts) == {"a.shop"}


def test_a_gateway_of_a_namespace_admits_only_its_services() -> None:
    found = plan(simple(), gateways=[gateway(hosts=["shop/*"])])
    assert found.tables[80].hosts == {}
    assert reasons(found, "x") == [Reason.NO_SERVER]


def test_an_unknown_gateway_is_said() -> None:
    found = plan(simple(gateways=("nowhere/gw",)))
    assert reasons(found, "x") == [Reason.GATEWAY_NOT_FOUND]


def test_the_mesh_alone_needs_nothing() -> None:
    found = plan(simple(gateways=("mesh",)))
    contribution = found.contributions[Key("default", "x")]
    assert (contribution.is_mesh_only, contribution.problems) == (True, ())


def test_rules_stand_only_where_their_gateways_are() -> None:
    found = plan(knative_route("hello"))
    assert set(found.tables[80].hosts) == {"hello.default.localhost"}
    assert "hello.default.svc.cluster.local" in found.tables[8081].hosts


def test_the_host_has_decided_the_authority() -> None:
    (rule,) = rules_at(plan(knative_route("hello")), "hello.default.localhost")
    assert rule.match.is_everything


def test_rules_that_nothing_can_meet_are_said() -> None:
    never = {"match": [{"authority": {"exact": "other"}}], "route": [to("a")]}
    found = plan(virtual_service("x", ["x.y"], never))
    assert reasons(found, "x") == [Reason.NO_SERVER]


def test_a_rule_for_another_port_is_left_out() -> None:
    routes = [{"match": [{"port": n}], "route": [to(t)]} for n, t in ((81, "a"), (80, "b"))]
    assert clusters(forward_at(plan(virtual_service("x", ["x.y"], *routes)), "x.y")) == {"b": 100}


def test_what_cannot_be_encoded_spoils_only_itself() -> None:
    bad = virtual_service("bad", ["bad.y"], {"redirect": {"port": 2**40}})
    found = plan(bad, simple())
    assert reasons(found, "bad") == [Reason.INVALID]
    assert clusters(forward_at(found, "x.y")) == {"a": 100}


def test_hosts_of_a_redirecting_server_are_https_only() -> None:
    found = plan(simple(), gateways=[gateway(tls={"httpsRedirect": True})])
    assert found.tables[80].https_only == {"x.y"}


# The loop-back: a destination that is this gateway itself.


def mnist() -> tuple[VirtualService, VirtualService]:
    return kserve_route("mnist"), knative_route("mnist-predictor-default")


@pytest.mark.parametrize(
    ("host", "port"), [("mnist.default.localhost", 80), ("mnist.default.svc.cluster.local", 8081)]
)
def test_kserves_route_leads_straight_to_the_revision(host: str, port: int) -> None:
    (branch,) = forward_at(plan(*mnist()), host, port).branches
    assert "mnist-predictor-default-00001" in branch.cluster
    assert branch.host == "mnist-predictor-default.default.svc.cluster.local"
    assert branch.request.set == (("Knative-Serving-Revision", "mnist-predictor-default-00001"),)


def test_a_collapsed_route_has_no_problem() -> None:
    assert reasons(plan(*mnist()), "mnist") == []


def test_an_unknown_inner_host_answers_503_and_is_named() -> None:
    found = plan(kserve_route("mnist"))
    assert action_at(found, "mnist.default.localhost") == Answer(503)
    assert reasons(found, "mnist") == [Reason.HOST_NOT_FOUND]
    assert "mnist-predictor-default.default.svc.cluster.local" in message(found, "mnist")


def test_an_inner_host_that_appears_mends_the_route() -> None:
    planner = Planner(SETTINGS)
    planner.plan(world(kserve_route("mnist")))
    found = planner.plan(world(*mnist()))
    assert clusters(forward_at(found, "mnist.default.localhost")) == {
        "mnist-predictor-default-00001": 100
    }


def test_an_inner_change_reaches_the_outer_route() -> None:
    planner = Planner(SETTINGS)
    outer, inner = mnist()
    planner.plan(world(outer, inner))
    changed = knative_route("mnist-predictor-default", revision="a")
    changed = type(changed)(metadata=_next(changed), spec=changed.spec, status=changed.status)
    found = planner.plan(world(outer, changed))
    assert clusters(forward_at(found, "mnist.default.localhost")) == {"a": 100}


def _next(thing: VirtualService) -> ObjectMeta:
    return msgspec.structs.replace(thing.metadata, generation=thing.metadata.generation + 1)


def inner(*routes: dict[str, object], host: str = "in.ner") -> VirtualService:
    return virtual_service("inner", [host], *routes, gateways=(LOCAL,))


def outer(**route: object) -> VirtualService:
    default = {"route": [to(LOOPBACK)], "rewrite": {"authority": "in.ner"}}
    return virtual_service("outer", ["out.er"], {**default, **route})


def test_conditions_of_both_are_needed() -> None:
    found = plan(
        outer(match=[{"headers": {"x": {"exact": "1"}}}]),
        inner({"match": [{"uri": {"prefix": "/v1"}}], "route": [to("a")]}),
    )
    (rule,) = rules_at(found, "out.er")
    assert rule.match.path == Text(How.PREFIX, "/v1")
    assert rule.match.headers == (Named("x", Text(How.EXACT, "1")),)


def test_every_inner_rule_has_its_place() -> None:
    found = plan(
        outer(),
        inner({"match": [{"uri": {"prefix": "/b"}}], "route": [to("b")]}, {"route": [to("a")]}),
    )
    actions = [rule.action for rule in rules_at(found, "out.er")]
    assert [clusters(action) for action in actions if isinstance(action, Forward)] == [
        {"b": 100},
        {"a": 100},
    ]


def test_an_inner_rule_that_excludes_the_outer_one_is_left_out() -> None:
    found = plan(
        outer(match=[{"uri": {"prefix": "/a"}}]),
        inner({"match": [{"uri": {"prefix": "/b"}}], "route": [to("b")]}, {"route": [to("a")]}),
    )
    assert clusters(forward_at(found, "out.er")) == {"a": 100}


def test_a_header_set_outside_decides_inside() -> None:
    headers = {"request": {"set": {"tag": "blue"}}}
    found = plan(
        outer(route=[to(LOOPBACK, headers=headers)]),
        inner(
            {"match": [{"headers": {"tag": {"exact": "red"}}}], "route": [to("b")]},
            {"match": [{"headers": {"tag": {"exact": "blue"}}}], "route": [to("a")]},
        ),
    )
    assert clusters(forward_at(found, "out.er")) == {"a": 100}


def test_an_inner_redirect_stays_one() -> None:
    found = plan(outer(), inner({"redirect": {"uri": "/x"}}))
    assert action_at(found, "out.er") == Redirect(path="/x")


def test_an_outer_split_between_a_service_and_the_loopback() -> None:
    found = plan(
        outer(route=[to("a", weight=50), to(LOOPBACK, weight=50)]),
        inner({"route": [to("a", weight=10), to("b", weight=90)]}),
    )
    weights = [(b.cluster.split("|")[3][0], b.weight) for b in forward_at(found, "out.er").branches]
    assert weights == [("a", 10), ("a", 1), ("b", 9)]


def test_the_shorter_time_limit_holds() -> None:
    found = plan(outer(timeout="5s"), inner({"route": [to("a")], "timeout": "3s"}))
    assert forward_at(found, "out.er").timeout_s == 3


def test_the_outer_retries_hold_if_there_are_none_inside() -> None:
    found = plan(outer(retries={"attempts": 7}), inner({"route": [to("a")], "retries": {}}))
    retry = forward_at(found, "out.er").retry
    assert retry is not None
    assert retry.attempts == 7


@pytest.mark.parametrize(
    ("outer_path", "uri", "inner_path", "path", "rewrite"),
    [
        pytest.param("/m/", "/", "/", "/m/", "/", id="inner takes all"),
        pytest.param("/m", "/v1", "/v1/models", "/m/models", "/v1/models", id="inner is narrower"),
        pytest.param("/m", "/v1/models", "/v1", "/m", "/v1/models", id="inner is wider"),
    ],
)
def test_an_outer_path_rewrite_is_kept(
    outer_path: str, uri: str, inner_path: str, path: str, rewrite: str
) -> None:
    found = plan(
        outer(match=[{"uri": {"prefix": outer_path}}], rewrite={"authority": "in.ner", "uri": uri}),
        inner({"match": [{"uri": {"prefix": inner_path}}], "route": [to("a")]}),
    )
    (rule,) = rules_at(found, "out.er")
    assert isinstance(rule.action, Forward)
    assert (rule.match.path.value, rule.action.path_rewrite) == (path, rewrite)


def test_an_inner_path_rewrite_fits_the_outer_path() -> None:
    found = plan(
        outer(match=[{"uri": {"prefix": "/a/b"}}]),
        inner({"match": [{"uri": {"prefix": "/a"}}], "rewrite": {"uri": "/x"}, "route": [to("a")]}),
    )
    assert forward_at(found, "out.er").path_rewrite == "/x/b"


def test_two_path_rewrites_are_refused_and_said() -> None:
    found = plan(
        outer(rewrite={"authority": "in.ner", "uri": "/x"}, match=[{"uri": {"prefix": "/a"}}]),
        inner({"rewrite": {"uri": "/y"}, "route": [to("a")]}),
    )
    assert action_at(found, "out.er") == Answer(503)
    assert "rewrite.uri stands in both" in message(found, "outer")


def test_a_pattern_behind_a_path_rewrite_is_refused_and_said() -> None:
    found = plan(
        outer(rewrite={"authority": "in.ner", "uri": "/x"}, match=[{"uri": {"prefix": "/a"}}]),
        inner({"match": [{"uri": {"regex": "/x/.*y"}}], "route": [to("a")]}),
    )
    assert "cannot be matched after rewrite.uri" in message(found, "outer")


def test_without_a_new_host_the_own_one_is_looked_up() -> None:
    found = plan(
        virtual_service("outer", ["in.ner"], {"route": [to(LOOPBACK)]}), inner({"route": [to("a")]})
    )
    assert clusters(forward_at(found, "in.ner")) == {"a": 100}


def test_a_host_that_leads_back_to_itself_is_said() -> None:
    found = plan(inner({"route": [to(LOOPBACK)]}))
    assert "leads back to itself" in message(found, "inner")


def test_a_broken_circle_is_mended() -> None:
    planner = Planner(SETTINGS)
    planner.plan(world(inner({"route": [to(LOOPBACK)]})))
    other = virtual_service("older", ["in.ner"], {"route": [to("a")]}, gateways=(LOCAL,))
    circle = outer()
    planner.plan(world(circle, inner({"route": [to(LOOPBACK)]})))
    found = planner.plan(world(circle, other))
    assert clusters(forward_at(found, "out.er")) == {"a": 100}


def test_a_wildcard_cannot_go_through_the_loopback() -> None:
    found = plan(virtual_service("x", ["*.y"], {"route": [to(LOOPBACK)]}))
    assert "rewrite.authority" in message(found, "x")


def test_an_external_name_may_be_the_loopback() -> None:
    alias = service("alias", external=LOOPBACK)
    outside = virtual_service(
        "outer", ["out.er"], {"route": [to("alias")], "rewrite": {"authority": "in.ner"}}
    )
    found = plan(outside, inner({"route": [to("a")]}), backends=[alias, *SERVICES])
    assert clusters(forward_at(found, "out.er")) == {"a": 100}


def test_the_inner_host_may_be_a_wildcard() -> None:
    found = plan(outer(), inner({"route": [to("a")]}, host="*.ner"))
    assert clusters(forward_at(found, "out.er")) == {"a": 100}


# Memory: the same input gives the same objects.


def pieces(routing: Routing) -> Mapping[str, object]:
    return {host: entries for host, entries in routing.tables[80].hosts.items()}


def test_what_did_not_change_is_the_same_piece() -> None:
    planner = Planner(SETTINGS)
    before = planner.plan(world(simple("x", "x.y"), simple("z", "z.y")))
    after = planner.plan(world(simple("x", "x.y"), simple("z", "z.y", target="b", generation=2)))
    assert pieces(before)["x.y"] == pieces(after)["x.y"]
    assert pieces(before)["z.y"] != pieces(after)["z.y"]


def test_a_service_that_appears_changes_only_its_users() -> None:
    planner = Planner(SETTINGS)
    services = (simple("x", "x.y"), simple("z", "z.y", target="late"))
    before = planner.plan(world(*services))
    after = planner.plan(world(*services, backends=[*SERVICES, service("late")]))
    assert pieces(before)["x.y"] == pieces(after)["x.y"]
    assert reasons(after, "z") == []


def test_a_new_gateway_is_seen_by_all() -> None:
    planner = Planner(SETTINGS)
    one = simple(gateways=(INGRESS,))
    assert planner.plan(world(one, gateways=())).tables == {}
    assert "x.y" in planner.plan(world(one)).tables[80].hosts


def test_a_mirror_to_nowhere_leaves_its_route_alone() -> None:
    route = {"route": [to("a")], "mirror": {"host": "absent"}}
    routing = plan(virtual_service("x", ["x.y"], route))
    [rule] = rules_at(routing, "x.y")
    assert isinstance(rule.action, Forward)
    assert rule.action.mirror is None
    [problem] = routing.contributions[Key("default", "x")].problems
    assert problem.reason is Reason.DESTINATION_NOT_FOUND


def test_two_hosts_that_lead_back_to_themselves_are_said() -> None:
    route = {"route": [to(LOOPBACK)], "rewrite": {"authority": "in.ner"}}
    found = plan(virtual_service("x", ["in.ner", "al.so"], route, gateways=(LOCAL,)))
    assert "leads back to itself" in message(found, "x")
