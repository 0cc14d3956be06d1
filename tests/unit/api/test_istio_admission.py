"""What istiod's webhook refuses, and the words it uses."""

from typing import Any

import pytest

from stagezero.api import errors
from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.istio_admission import GATEWAY, VIRTUAL_SERVICE, regex_problem

CREATE = AdmissionRequest("CREATE", None, "kubernetes-admin")
TO_A: Raw = {"destination": {"host": "a"}}


def server(**changes: Any) -> Raw:
    return {
        "port": {"number": 80, "name": "http", "protocol": "HTTP"},
        "hosts": ["*"],
        **changes,
    }


def https(tls: Raw | None) -> Raw:
    port = {"number": 443, "name": "https", "protocol": "HTTPS"}
    return server(port=port, **({"tls": tls} if tls is not None else {}))


def route(**changes: Any) -> Raw:
    return {"route": [TO_A], **changes}


def virtual_service(*routes: Raw, **changes: Any) -> Raw:
    return {"hosts": ["a.example"], "gateways": ["gw"], "http": list(routes), **changes}


def refusal(admission: Any, spec: Raw) -> str:
    try:
        admission.validate({"metadata": {"name": "x"}, "spec": spec}, CREATE)
    except errors.Denied as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        pytest.param([], "gateway must have at least one server", id="no server"),
        pytest.param(
            [https(None)], "server must have TLS settings for HTTPS/TLS protocols", id="no tls"
        ),
        pytest.param(
            [server(tls={"mode": "SIMPLE", "credentialName": "x"})],
            "server cannot have TLS settings for plain text HTTP ports",
            id="tls on http",
        ),
        pytest.param(
            [https({"mode": "SIMPLE", "serverCertificate": "c"})],
            "SIMPLE TLS requires a private key",
            id="no key",
        ),
        pytest.param(
            [https({"mode": "SIMPLE", "privateKey": "k"})],
            "SIMPLE TLS requires a server certificate",
            id="no certificate",
        ),
        pytest.param(
            [https({"mode": "MUTUAL", "privateKey": "k", "serverCertificate": "c"})],
            "MUTUAL TLS requires a client CA bundle",
            id="no client CA",
        ),
        pytest.param([server(hosts=[])], "at least one host", id="no host"),
        pytest.param([server(hosts=["a b"])], 'invalid host "a b"', id="broken host"),
        pytest.param([server(hosts=["/a"])], "cannot be empty /a", id="empty namespace"),
        pytest.param(
            [server(port={"number": 0, "name": "http", "protocol": "HTTP"})],
            "port number 0 must be in the range 1..65535",
            id="port zero",
        ),
        pytest.param(
            [server(port={"number": 80, "name": "x", "protocol": "GOPHER"})],
            'invalid protocol "GOPHER"',
            id="unknown protocol",
        ),
        pytest.param([server(), server()], "duplicate name http", id="same port name"),
    ],
)
def test_a_wrong_gateway_is_refused(servers: list[Raw], words: str) -> None:
    message = refusal(GATEWAY, {"servers": servers})
    assert message.startswith(
        'admission webhook "validation.istio.io" denied the request: configuration is invalid: '
    )
    assert words in message


@pytest.mark.parametrize(
    "servers",
    [
        pytest.param([server()], id="plain"),
        pytest.param([server(tls={"httpsRedirect": True})], id="redirect to https"),
        pytest.param([https({"mode": "SIMPLE", "credentialName": "taco-cat-tls"})], id="secret"),
        pytest.param([https({"mode": "PASSTHROUGH"})], id="passthrough"),
        pytest.param([server(hosts=["default/*.example", "./a"])], id="hosts of a namespace"),
    ],
)
def test_a_right_gateway_passes(servers: list[Raw]) -> None:
    assert refusal(GATEWAY, {"servers": servers}) == ""


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(
            virtual_service(route(), hosts=[]), "must have at least one host", id="no host"
        ),
        pytest.param(
            virtual_service(route(), hosts=["*"], gateways=["mesh"]),
            "wildcard host * is not allowed for virtual services bound to the mesh gateway",
            id="wildcard in the mesh",
        ),
        pytest.param(
            virtual_service(route(), hosts=["*"], gateways=[]),
            "wildcard host * is not allowed",
            id="no gateway means mesh",
        ),
        pytest.param(
            virtual_service(), "http, tcp or tls must be provided in virtual service", id="nothing"
        ),
        pytest.param(
            virtual_service({"route": [{**TO_A, "weight": 40}, {**TO_A, "weight": 50}]}),
            "total destination weight 90 != 100",
            id="weights",
        ),
        pytest.param(
            virtual_service({"route": [{"destination": {}}]}),
            "destination host must be set",
            id="no destination",
        ),
        pytest.param(virtual_service({}), "redirect or direct_response is required", id="empty"),
        pytest.param(
            virtual_service(route(redirect={"uri": "/"})),
            "HTTP route cannot contain both route and redirect",
            id="route and redirect",
        ),
        pytest.param(
            virtual_service(route(match=[{"uri": {"regex": "("}}])), "RE2 style regex", id="regex"
        ),
        pytest.param(
            virtual_service(route(retries={"attempts": 1, "retryOn": "often"})),
            '"often" is not a valid retryOn policy',
            id="retry policy",
        ),
        pytest.param(
            virtual_service(route(timeout="soon")), 'invalid duration "soon"', id="timeout"
        ),
        pytest.param(virtual_service(route(timeout="1us")), "greater than 1ms", id="too short"),
        pytest.param(
            virtual_service(route(), gateways=["a/b/c"]), 'gateway name "a/b/c"', id="gateway name"
        ),
        pytest.param(
            virtual_service(route(), hosts=["a b"]), 'domain name "a b" invalid', id="host"
        ),
    ],
)
def test_a_wrong_virtual_service_is_refused(spec: Raw, words: str) -> None:
    assert words in refusal(VIRTUAL_SERVICE, spec)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(virtual_service(route(retries={})), id="as net-istio writes"),
        pytest.param(
            virtual_service(route(retries={"attempts": 2, "retryOn": "503,reset"})), id="r"
        ),
        pytest.param(virtual_service({"route": [{**TO_A, "weight": 100}]}), id="one of 100"),
        pytest.param(virtual_service({"redirect": {"uri": "/x"}}), id="redirect alone"),
        pytest.param(
            virtual_service(route(match=[{"authority": {"regex": r"^a\.b(?::\d{1,5})?$"}}])),
            id="as kserve writes",
        ),
        pytest.param(virtual_service(route(timeout="0s")), id="no time limit"),
    ],
)
def test_a_right_virtual_service_passes(spec: Raw) -> None:
    assert refusal(VIRTUAL_SERVICE, spec) == ""


def test_several_mistakes_are_listed() -> None:
    message = refusal(VIRTUAL_SERVICE, {})
    assert "2 errors occurred:\n\t* virtual service must" in message


def test_a_denial_is_a_bad_request_without_reason() -> None:
    with pytest.raises(errors.Denied) as caught:
        GATEWAY.validate({"spec": {}}, CREATE)  # type: ignore[misc]  # it is set
    status = caught.value.status()
    assert (status["code"], status["reason"]) == (400, "")


def test_deleting_is_always_allowed() -> None:
    validate = VIRTUAL_SERVICE.validate
    assert validate is not None
    validate({"spec": {}}, AdmissionRequest("DELETE", None, "x"))


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "[a", "a**", "(?<!x)y"])
def test_patterns_that_re2_refuses_are_known(pattern: str) -> None:
    assert regex_problem(pattern)


@pytest.mark.parametrize("pattern", ["^a$", r"\d+", "[[:alpha:]]", r"\pL", r"a\\1", "(?i)x"])
def test_patterns_that_re2_may_take_pass(pattern: str) -> None:
    assert not regex_problem(pattern)
