"""Values in Envoy's words, read back with Envoy's own messages."""

from dataclasses import replace

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_components_pb2 as parts
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from stagezero.api.base import Key
from stagezero.mesh.plans.backends import Cluster, Load
from stagezero.mesh.plans.encode_clusters import HTTP_OPTIONS, encode_cluster, encode_load
from stagezero.mesh.plans.encode_listeners import encode_listener
from stagezero.mesh.plans.encode_routes import encode_rules, encode_table, encode_virtual_host
from stagezero.mesh.plans.pieces import Piece
from stagezero.mesh.plans.tables import Table, TableEncoder
from stagezero.mesh.plans.values import (
    Answer,
    Branch,
    Endpoint,
    Forward,
    HeaderChanges,
    How,
    Match,
    Mirror,
    Named,
    Redirect,
    Retry,
    Rule,
    Target,
    Text,
)
from support.mesh import SETTINGS

EVERYTHING = Match()


def branch(cluster: str = "c", weight: int = 100, **more: object) -> Branch:
    return Branch(Target(cluster), weight, cluster=cluster, **more)  # type: ignore[arg-type]


def route(rule: Rule) -> parts.Route:
    (found,) = parts.VirtualHost.FromString(encode_rules([rule])).routes
    return found


def forwarded(**more: object) -> parts.RouteAction:
    forward = Forward(**{"branches": (branch(),), **more})  # type: ignore[arg-type]  # as Forward
    return route(Rule(EVERYTHING, forward)).route


def test_one_destination_is_a_weighted_cluster_too() -> None:
    (found,) = forwarded().weighted_clusters.clusters
    assert (found.name, found.weight.value) == ("c", 100)


def test_a_branch_without_weight_is_left_out() -> None:
    found = forwarded(branches=(branch("a", 1), branch("b", 0)))
    assert [entry.name for entry in found.weighted_clusters.clusters] == ["a"]


def test_time_has_no_limit_unless_said() -> None:
    found = forwarded()
    assert found.HasField("timeout")
    assert (found.timeout.seconds, found.idle_timeout.seconds) == (0, 0)
    assert forwarded(timeout_s=1.5).timeout.nanos == 500_000_000


def test_host_and_headers_are_changed_per_branch() -> None:
    changes = HeaderChanges(set=(("a", "1"),), add=(("b", "2"),), remove=("c",))
    found = forwarded(branches=(branch(host="h", request=changes, response=changes),))
    (entry,) = found.weighted_clusters.clusters
    assert entry.host_rewrite_literal == "h"
    actions = [option.append_action for option in entry.request_headers_to_add]
    assert actions == [2, 0]  # overwrite or add; append or add
    assert list(entry.request_headers_to_remove) == ["c"]
    assert [option.header.key for option in entry.response_headers_to_add] == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "written"),
    [("100%", "100%%"), ("%REQ(a)%", "%REQ(a)%"), ("%d %START_TIME%", "%%d %START_TIME%")],
)
def test_a_percent_sign_is_no_operator(value: str, written: str) -> None:
    found = forwarded(branches=(branch(request=HeaderChanges(set=(("a", value),))),))
    (option,) = found.weighted_clusters.clusters[0].request_headers_to_add
    assert option.header.value == written


def test_retries_are_written() -> None:
    policy = forwarded(retry=Retry(2, "reset", (503,), 2.0)).retry_policy
    assert (policy.retry_on, policy.num_retries.value) == ("reset", 2)
    assert list(policy.retriable_status_codes) == [503]
    assert policy.per_try_timeout.seconds == 2
    assert len(policy.retry_host_predicate) == 1


def test_no_retries_is_no_policy() -> None:
    assert not forwarded().HasField("retry_policy")


def test_a_mirror_is_written() -> None:
    (mirror,) = forwarded(mirror=Mirror(Target("m"), 12.5, "m")).request_mirror_policies
    assert mirror.cluster == "m"
    assert mirror.runtime_fraction.default_value.numerator == 125_000


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (Text(How.EXACT, "/a"), "path"),
        (Text(How.PREFIX, "/a"), "prefix"),
        (Text(How.REGEX, "/a"), "safe_regex"),
    ],
)
def test_paths_are_written(path: Text, field: str) -> None:
    found = route(Rule(Match(path=path), Answer(200))).match
    assert found.WhichOneof("path_specifier") == field


def test_case_may_be_ignored() -> None:
    path = Text(How.PREFIX, "/a", ignore_case=True)
    assert not route(Rule(Match(path=path), Answer(200))).match.case_sensitive.value


def test_headers_and_query_are_written() -> None:
    match = Match(
        headers=(Named("a", Text(How.PRESENT)), Named("b", Text(How.REGEX, "x"), is_not=True)),
        query=(Named("q", Text(How.PREFIX, "y")), Named("r", Text(How.PRESENT))),
    )
    found = route(Rule(match, Answer(200))).match
    assert found.headers[0].present_match
    assert found.headers[1].invert_match
    assert found.headers[1].string_match.safe_regex.regex == "x"
    assert found.query_parameters[0].string_match.prefix == "y"
    assert found.query_parameters[1].present_match


@pytest.mark.parametrize(("code", "value"), [(301, 0), (302, 1), (303, 2), (307, 3), (308, 4)])
def test_redirects_are_written(code: int, value: int) -> None:
    action = Redirect(path="/x", host="h", port=81, scheme="https", code=code)
    found = route(Rule(EVERYTHING, action)).redirect
    assert (found.path_redirect, found.host_redirect, found.port_redirect) == ("/x", "h", 81)
    assert (found.scheme_redirect, found.response_code) == ("https", value)


def test_fixed_answers_are_written() -> None:
    found = route(Rule(EVERYTHING, Answer(418, "tea"))).direct_response
    assert (found.status, found.body.inline_string) == (418, "tea")


def test_a_virtual_host_is_its_head_and_its_routes() -> None:
    routes = [encode_rules([Rule(EVERYTHING, Answer(code))]) for code in (200, 201)]
    found = parts.VirtualHost.FromString(encode_virtual_host("v", ("a", "b"), routes, True))
    assert (found.name, list(found.domains)) == ("v", ["a", "b"])
    assert [r.direct_response.status for r in found.routes] == [200, 201]
    assert found.require_tls == parts.VirtualHost.ALL
    assert found.include_request_attempt_count


def test_a_table_is_its_virtual_hosts() -> None:
    hosts = [encode_virtual_host(f"v{n}", ("d" * 200,), (), False) for n in range(3)]
    found = route_pb2.RouteConfiguration.FromString(encode_table("t", hosts))
    assert [host.name for host in found.virtual_hosts] == ["v0", "v1", "v2"]
    assert found.HasField("validate_clusters")
    assert not found.validate_clusters.value


def piece(code: int, last: int | None = None) -> Piece:
    first = encode_rules([Rule(Match(path=Text(How.PREFIX, "/a")), Answer(code))])
    rest = encode_rules([Rule(EVERYTHING, Answer(last))]) if last else b""
    return Piece((), (), first, rest)


def table(**hosts: list[Piece]) -> Table:
    entries = {
        host: tuple((Key("", str(n)), found) for n, found in enumerate(found))
        for host, found in hosts.items()
    }
    return Table(80, entries, frozenset())


def test_rules_for_everything_come_last() -> None:
    resource = TableEncoder((80, 8080)).encode(table(h=[piece(200, 500), piece(201)]))
    message = route_pb2.RouteConfiguration.FromString(resource.body)
    statuses = [r.direct_response.status for r in message.virtual_hosts[0].routes]
    assert statuses == [200, 201, 500]


def test_an_unknown_host_meets_nothing() -> None:
    resource = TableEncoder((80, 8080)).encode(table())
    (host,) = route_pb2.RouteConfiguration.FromString(resource.body).virtual_hosts
    assert (host.name, list(host.domains), list(host.routes)) == ("blackhole:80", ["*"], [])


def test_hosts_are_named_as_istiod_names_them() -> None:
    message = route_pb2.RouteConfiguration.FromString(
        TableEncoder((80, 8080)).encode(table(h=[piece(200)])).body
    )
    assert (message.name, message.virtual_hosts[0].name) == ("http.80", "h:80")
    assert list(message.virtual_hosts[0].domains) == ["h", "h:*"]


def test_an_unchanged_table_is_the_same_resource() -> None:
    encoder, one = TableEncoder((80, 8080)), piece(200)
    assert encoder.encode(table(h=[one])) is encoder.encode(table(h=[one]))


@pytest.mark.parametrize("hosts", [["h"], ["h", "i", "j"], []])
def test_a_changed_table_is_another_version(hosts: list[str]) -> None:
    encoder, one = TableEncoder((80, 8080)), piece(200)
    before = encoder.encode(table(h=[one], i=[one]))
    assert encoder.encode(table(**{host: [one] for host in hosts})).version != before.version


def test_the_version_is_of_the_content() -> None:
    one, two = (TableEncoder((80, 8080)).encode(table(h=[piece(200)])) for _ in range(2))
    assert one.version == two.version


def cluster(**more: object) -> cluster_pb2.Cluster:
    values = {"name": "n", "host": "h", "port": 80, "port_name": "http", "is_http2": False, **more}
    return cluster_pb2.Cluster.FromString(encode_cluster(Cluster(**values)).body)  # type: ignore[arg-type]


def test_a_cluster_gets_its_endpoints_over_ads() -> None:
    found = cluster()
    assert found.type == cluster_pb2.Cluster.EDS
    assert found.eds_cluster_config.eds_config.HasField("ads")
    assert found.eds_cluster_config.eds_config.initial_fetch_timeout.seconds == 1


def test_a_cluster_has_no_limits_of_envoys_own() -> None:
    (limits,) = cluster().circuit_breakers.thresholds
    assert limits.max_connections.value == limits.max_requests.value == 2**32 - 1
    assert limits.max_pending_requests.value == 2**32 - 1
    assert cluster().connect_timeout.seconds == 10


@pytest.mark.parametrize(
    ("is_http2", "field"), [(True, "http2_protocol_options"), (False, "http_protocol_options")]
)
def test_a_cluster_speaks_the_protocol_of_its_port(is_http2: bool, field: str) -> None:
    options = http_protocol_options_pb2.HttpProtocolOptions()
    cluster(is_http2=is_http2).typed_extension_protocol_options[HTTP_OPTIONS].Unpack(options)
    assert options.explicit_http_config.WhichOneof("protocol_config") == field


def test_a_name_outside_is_resolved_by_dns() -> None:
    found = cluster(dns_name="example.org", port=443)
    assert found.type == cluster_pb2.Cluster.STRICT_DNS
    address = found.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address
    assert (address.address, address.port_value) == ("example.org", 443)


def load(*endpoints: Endpoint) -> endpoint_pb2.ClusterLoadAssignment:
    return endpoint_pb2.ClusterLoadAssignment.FromString(encode_load(Load("c", endpoints)).body)


def test_endpoints_are_written() -> None:
    found = load(Endpoint("10.0.0.1", 80), Endpoint("/run/x.sock", 0)).endpoints[0].lb_endpoints
    assert found[0].endpoint.address.socket_address.address == "10.0.0.1"
    assert found[1].endpoint.address.pipe.path == "/run/x.sock"


def test_no_endpoints_is_a_load_too() -> None:
    assert (load().cluster_name, len(load().endpoints)) == ("c", 0)


def listener(port: int = 80) -> tuple[listener_pb2.Listener, hcm.HttpConnectionManager]:
    message = listener_pb2.Listener.FromString(encode_listener(port, SETTINGS).body)
    manager = hcm.HttpConnectionManager()
    message.filter_chains[0].filters[0].typed_config.Unpack(manager)
    return message, manager


def test_a_listener_has_the_real_address() -> None:
    message, manager = listener()
    address = message.address.socket_address
    assert (address.address, address.port_value) == ("127.0.0.1", 8080)
    assert message.name == "127.0.0.1_8080"
    assert manager.stat_prefix == "outbound_127.0.0.1_8080"
    assert manager.rds.route_config_name == "http.80"


def test_a_listener_shares_its_port_with_nobody() -> None:
    message, _ = listener()
    assert not message.enable_reuse_port.value


def test_requests_are_logged_only_if_asked() -> None:
    assert list(listener()[1].access_log) == []
    body = encode_listener(80, replace(SETTINGS, access_log="/tmp/x")).body
    assert b"%UPSTREAM_CLUSTER%" in body
    assert b"/tmp/x" in body


def test_streams_may_be_idle() -> None:
    _, manager = listener()
    assert manager.HasField("stream_idle_timeout")
    assert manager.stream_idle_timeout.seconds == 0


def test_the_server_is_named_as_istios() -> None:
    _, manager = listener()
    assert manager.server_name == "istio-envoy"
    assert [upgrade.upgrade_type for upgrade in manager.upgrade_configs] == ["websocket"]
