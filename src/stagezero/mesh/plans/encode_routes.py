"""Rules, virtual hosts and route tables in Envoy's words (RDS).

Encoded parts are joined, never parsed again: repeated fields of a protobuf message may be written
one after the other, so a virtual host is its head and its routes, a table is its virtual hosts.
"""

import re
from collections.abc import Iterable, Sequence

from envoy.config.core.v3 import base_pb2 as base
from envoy.config.route.v3 import route_components_pb2 as parts
from envoy.config.route.v3 import route_pb2 as route
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from stagezero.mesh.plans.values import (
    Answer,
    Branch,
    Forward,
    HeaderChanges,
    How,
    Match,
    Named,
    Redirect,
    Retry,
    Rule,
    Text,
)

_VIRTUAL_HOSTS_TAG = bytes([2 << 3 | 2])  # RouteConfiguration.virtual_hosts, length-delimited
_OPERATOR = re.compile(r"%[A-Z_]+(?:\([^)]*\))?(?::\d+)?%")
_REDIRECT_CODES = {
    301: parts.RedirectAction.MOVED_PERMANENTLY,
    302: parts.RedirectAction.FOUND,
    303: parts.RedirectAction.SEE_OTHER,
    307: parts.RedirectAction.TEMPORARY_REDIRECT,
    308: parts.RedirectAction.PERMANENT_REDIRECT,
}


def encode_rules(rules: Iterable[Rule]) -> bytes:
    """Routes, ready to be put into a virtual host."""
    encoded: bytes = parts.VirtualHost(routes=[_route(rule) for rule in rules]).SerializeToString()
    return encoded


def encode_virtual_host(
    name: str, domains: Sequence[str], routes: Iterable[bytes], is_https_only: bool
) -> bytes:
    """A virtual host around routes that are encoded already."""
    head = parts.VirtualHost(
        name=name,
        domains=domains,
        include_request_attempt_count=True,
        require_tls=parts.VirtualHost.ALL if is_https_only else parts.VirtualHost.NONE,
    )
    return b"".join((head.SerializeToString(), *routes))


def encode_table(name: str, virtual_hosts: Iterable[bytes]) -> bytes:
    """A route table around virtual hosts that are encoded already."""
    head = route.RouteConfiguration(name=name, validate_clusters=BoolValue(value=False))
    written = [head.SerializeToString()]
    for virtual_host in virtual_hosts:
        written += (_VIRTUAL_HOSTS_TAG, _varint(len(virtual_host)), virtual_host)
    return b"".join(written)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _route(rule: Rule) -> parts.Route:
    message = parts.Route(name=rule.name, match=_match(rule.match))
    match rule.action:
        case Forward():
            message.route.CopyFrom(_forward(rule.action, rule.match))
        case Redirect():
            message.redirect.CopyFrom(_redirect(rule.action))
        case Answer():
            message.direct_response.status = rule.action.status
            if rule.action.body:
                message.direct_response.body.inline_string = rule.action.body
    return message


def _match(match: Match) -> parts.RouteMatch:
    message = parts.RouteMatch()
    value = match.path.value
    match match.path.how:
        case How.EXACT:
            message.path = value
        case How.PREFIX:
            message.prefix = value
        case How.REGEX:
            message.safe_regex.CopyFrom(regex_pb2.RegexMatcher(regex=value))
        case How.PRESENT:
            message.prefix = "/"
    if match.path.ignore_case:
        message.case_sensitive.value = False
    message.headers.extend(_header(named) for named in match.headers)
    message.query_parameters.extend(_query(named) for named in match.query)
    return message


def _header(named: Named) -> parts.HeaderMatcher:
    message = parts.HeaderMatcher(name=named.name, invert_match=named.is_not)
    if named.text.how is How.PRESENT:
        message.present_match = True
    else:
        message.string_match.CopyFrom(_string(named.text))
    return message


def _query(named: Named) -> parts.QueryParameterMatcher:
    message = parts.QueryParameterMatcher(name=named.name)
    if named.text.how is How.PRESENT:
        message.present_match = True
    else:
        message.string_match.CopyFrom(_string(named.text))
    return message


def _string(text: Text) -> string_pb2.StringMatcher:
    match text.how:
        case How.PREFIX:
            return string_pb2.StringMatcher(prefix=text.value, ignore_case=text.ignore_case)
        case How.REGEX:
            return string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=text.value))
    return string_pb2.StringMatcher(exact=text.value, ignore_case=text.ignore_case)


def _forward(forward: Forward, match: Match) -> parts.RouteAction:
    message = parts.RouteAction(
        weighted_clusters=parts.WeightedCluster(
            clusters=[_branch(branch) for branch in forward.branches if branch.weight]
        ),
        prefix_rewrite=forward.path_rewrite,
        timeout=_duration(forward.timeout_s),
        idle_timeout=_duration(0),
    )
    if forward.retry is not None:
        message.retry_policy.CopyFrom(_retry(forward.retry))
    if forward.mirror is not None:
        mirror = message.request_mirror_policies.add(cluster=forward.mirror.cluster)
        mirror.runtime_fraction.default_value.numerator = round(forward.mirror.percent * 10_000)
        mirror.runtime_fraction.default_value.denominator = 2  # of a million
        mirror.trace_sampled.value = False
    return message


def _branch(branch: Branch) -> parts.WeightedCluster.ClusterWeight:
    message = parts.WeightedCluster.ClusterWeight(
        name=branch.cluster, weight=UInt32Value(value=branch.weight)
    )
    if branch.host:
        message.host_rewrite_literal = branch.host
    message.request_headers_to_add.extend(_added(branch.request))
    message.request_headers_to_remove.extend(branch.request.remove)
    message.response_headers_to_add.extend(_added(branch.response))
    message.response_headers_to_remove.extend(branch.response.remove)
    return message


def _added(changes: HeaderChanges) -> list[base.HeaderValueOption]:
    option = base.HeaderValueOption
    return [
        option(header=base.HeaderValue(key=name, value=_literal(value)), append_action=action)
        for pairs, action in (
            (changes.set, option.OVERWRITE_IF_EXISTS_OR_ADD),
            (changes.add, option.APPEND_IF_EXISTS_OR_ADD),
        )
        for name, value in pairs
    ]


def _literal(value: str) -> str:
    """Double every % that does not begin one of Envoy's operators, which Istio lets through."""
    out, rest = [], 0
    for operator in _OPERATOR.finditer(value):
        out += [value[rest : operator.start()].replace("%", "%%"), operator.group()]
        rest = operator.end()
    return "".join((*out, value[rest:].replace("%", "%%")))


def _retry(retry: Retry) -> parts.RetryPolicy:
    message = parts.RetryPolicy(
        retry_on=retry.conditions,
        num_retries=UInt32Value(value=retry.attempts),
        retriable_status_codes=retry.codes,
        host_selection_retry_max_attempts=5,
    )
    if retry.per_try_s:
        message.per_try_timeout.CopyFrom(_duration(retry.per_try_s))
    predicate = message.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
    predicate.typed_config.Pack(previous_hosts_pb2.PreviousHostsPredicate())
    return message


def _redirect(redirect: Redirect) -> parts.RedirectAction:
    message = parts.RedirectAction(
        host_redirect=redirect.host,
        port_redirect=redirect.port,
        response_code=_REDIRECT_CODES.get(redirect.code, 0),
    )
    if redirect.path:
        message.path_redirect = redirect.path
    if redirect.scheme:
        message.scheme_redirect = redirect.scheme
    return message


def _duration(value_s: float) -> Duration:
    whole = int(value_s)
    return Duration(seconds=whole, nanos=round((value_s - whole) * 1e9))
