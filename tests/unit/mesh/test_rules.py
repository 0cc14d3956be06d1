"""VirtualServices read as rules: destinations, changes, limits."""

import pytest

from stagezero.api.base import Raw
from stagezero.api.istio import VirtualService
from stagezero.mesh.plans.rules import DEFAULT_RETRY, Rules, rules_of
from stagezero.mesh.plans.values import (
    Answer,
    Branch,
    Forward,
    HeaderChanges,
    Mirror,
    Redirect,
    Retry,
    Rule,
    Target,
)
from support.mesh import INGRESS, knative_route, to, virtual_service

LABELS = ({"istio": "ingressgateway"},)
A = "a.default.svc.cluster.local"


def read(service: VirtualService) -> Rules:
    return rules_of(service, LABELS)


def one(**route: object) -> Rule:
    (rule,) = read(virtual_service("x", ["x.y"], route)).rules
    return rule


def forward(**route: object) -> Forward:
    action = one(**{"route": [to("a")], **route}).action
    assert isinstance(action, Forward)
    return action


def test_each_match_is_a_rule() -> None:
    matches = [{"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/b"}}]
    found = read(virtual_service("x", ["x.y"], {"match": matches, "route": [to("a")]}))
    assert [rule.match.path.value for rule in found.rules] == ["/a", "/b"]


def test_short_names_are_of_the_own_namespace() -> None:
    found = read(virtual_service("shop/x", ["x"], {"route": [to("a")]}, gateways=("gw",)))
    assert found.hosts == ("x.shop.svc.cluster.local",)
    assert found.gateways == ("shop/gw",)
    (rule,) = found.rules
    assert isinstance(rule.action, Forward)
    assert rule.action.branches[0].target == Target("a.shop.svc.cluster.local", 80)


def test_no_gateways_means_the_mesh() -> None:
    assert read(virtual_service("x", ["x"], {"route": [to("a")]}, gateways=())).gateways == (
        "mesh",
    )


def test_a_rule_knows_its_gateways_and_port() -> None:
    rule = one(match=[{"gateways": [INGRESS], "port": 80}], route=[to("a")])
    assert (rule.gateways, rule.port) == (frozenset({INGRESS}), 80)


def test_source_labels_must_be_the_gateways() -> None:
    matches = [{"sourceLabels": {"app": "x"}}, {"sourceLabels": {"istio": "ingressgateway"}}]
    assert len(read(virtual_service("x", ["x"], {"match": matches, "route": [to("a")]})).rules) == 1


def test_weights_are_kept_and_nought_is_dropped() -> None:
    found = forward(route=[to("a", weight=90), to("b", weight=10), to("c")])
    assert [branch.weight for branch in found.branches] == [90, 10]


def test_the_only_destination_gets_everything() -> None:
    assert [branch.weight for branch in forward().branches] == [100]


def test_header_changes_of_route_and_destination_are_joined() -> None:
    found = forward(
        headers={"request": {"set": {"a": "1", "b": "1"}, "remove": ["c"]}},
        route=[to("a", headers={"request": {"set": {"b": "2"}, "add": {"d": "3"}}})],
    )
    assert found.branches[0].request == HeaderChanges(
        set=(("a", "1"), ("b", "2")), add=(("d", "3"),), remove=("c",)
    )


def test_response_headers_are_changed() -> None:
    found = forward(headers={"response": {"set": {"x": "1"}}})
    assert found.branches[0].response == HeaderChanges(set=(("x", "1"),))


@pytest.mark.parametrize(
    "route",
    [
        pytest.param({"headers": {"request": {"set": {"Host": "h"}}}}, id="Host set"),
        pytest.param({"headers": {"request": {"set": {":authority": "h"}}}}, id="authority set"),
        pytest.param({"rewrite": {"authority": "h"}}, id="rewrite"),
        pytest.param({"route": [to("a", headers={"request": {"set": {"host": "h"}}})]}, id="entry"),
    ],
)
def test_the_host_may_be_set_in_many_ways(route: Raw) -> None:
    branch = forward(**route).branches[0]
    assert (branch.host, branch.request) == ("h", HeaderChanges())


def test_a_path_may_be_rewritten() -> None:
    assert forward(rewrite={"uri": "/v2"}).path_rewrite == "/v2"


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("0s", 0), ("1.5s", 1.5), ("1m", 60), ("never", 0)]
)
def test_time_limits_are_seconds(text: str, seconds: float) -> None:
    assert forward(timeout=text).timeout_s == seconds


@pytest.mark.parametrize(
    ("retries", "expected"),
    [
        pytest.param(None, DEFAULT_RETRY, id="unsaid: as istiod"),
        pytest.param({}, None, id="empty: never"),
        pytest.param({"attempts": 0}, None, id="nought: never"),
        pytest.param(
            {"attempts": 3, "perTryTimeout": "2s", "retryOn": "reset,503"},
            Retry(3, "reset,retriable-status-codes", (503,), 2.0),
            id="said",
        ),
        pytest.param(
            {"attempts": 1}, Retry(1, DEFAULT_RETRY.conditions, (503,)), id="attempts alone"
        ),
    ],
)
def test_retries_are_read(retries: Raw | None, expected: Retry | None) -> None:
    route = {"retries": retries} if retries is not None else {}
    assert forward(**route).retry == expected


def test_a_redirect_is_read() -> None:
    rule = one(redirect={"uri": "/x", "authority": "h", "redirectCode": 308, "scheme": "https"})
    assert rule.action == Redirect(path="/x", host="h", scheme="https", code=308)


def test_a_fixed_answer_is_read() -> None:
    assert one(directResponse={"status": 418, "body": {"string": "tea"}}).action == Answer(
        418, "tea"
    )


@pytest.mark.parametrize(
    ("route", "percent"),
    [({}, 100.0), ({"mirrorPercentage": {"value": 12.5}}, 12.5), ({"mirrorPercent": 7}, 7.0)],
)
def test_a_mirror_has_a_share(route: Raw, percent: float) -> None:
    found = forward(mirror={"host": "m"}, **route)
    assert found.mirror == Mirror(Target("m.default.svc.cluster.local"), percent)


def test_no_share_is_no_mirror() -> None:
    assert forward(mirror={"host": "m"}, mirrorPercentage={"value": 0}).mirror is None


def test_what_is_not_obeyed_is_noted() -> None:
    found = read(virtual_service("x", ["x"], {"route": [to("a")], "fault": {"delay": {}}}))
    assert found.notes == ("spec.http[0].fault",)


@pytest.mark.parametrize(
    ("derived", "notes"),
    [
        ("FROM_REQUEST_PORT", ("spec.http[0].redirect.derivePort",)),
        ("FROM_PROTOCOL_DEFAULT", ()),
    ],
)
def test_a_redirect_to_the_port_of_the_request_is_noted(
    derived: str, notes: tuple[str, ...]
) -> None:
    found = read(virtual_service("x", ["x"], {"redirect": {"uri": "/", "derivePort": derived}}))
    assert found.notes == notes


def test_knatives_routes_are_read() -> None:
    found = read(knative_route("hello"))
    rule = found.rules[0]
    assert isinstance(rule.action, Forward)
    assert rule.action.retry is None
    assert rule.action.branches == (
        Branch(
            target=Target("hello-00001.default.svc.cluster.local", 80),
            weight=100,
            request=HeaderChanges(set=(("Knative-Serving-Revision", "hello-00001"),)),
        ),
    )


def test_later_changes_win() -> None:
    first = HeaderChanges(set=(("A", "1"), ("b", "1")), add=(("c", "1"),))
    later = HeaderChanges(set=(("a", "2"),), remove=("C",))
    assert first.then(later) == HeaderChanges(set=(("b", "1"), ("a", "2")), remove=("C",))
