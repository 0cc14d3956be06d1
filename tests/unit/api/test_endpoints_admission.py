"""Endpoints are refused as Kubernetes does it: one bad address must not reach the gateway."""

import pytest

from stagezero.api import errors
from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.endpoints_admission import validate_endpoints

CREATE = AdmissionRequest("CREATE", None, "me")


def endpoints(ip: str = "10.1.2.3", *ports: Raw) -> Raw:
    subset = {"addresses": [{"ip": ip}], "ports": list(ports) or [{"port": 80}]}
    return {"metadata": {"name": "e"}, "subsets": [subset]}


@pytest.mark.parametrize("ip", ["10.1.2.3", "127.0.0.1", "2001:db8::1"])
def test_addresses_are_taken(ip: str) -> None:
    validate_endpoints(endpoints(ip), CREATE)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (endpoints("-1"), 'subsets[0].addresses[0].ip: Invalid value: "-1": must be a valid IP'),
        (endpoints(""), 'subsets[0].addresses[0].ip: Invalid value: "": must be a valid IP'),
        (endpoints("10.1.2.3", {"port": 65536}), "subsets[0].ports[0].port: Invalid value: 65536"),
        (
            endpoints("10.1.2.3", {"port": 1}, {"port": 2, "name": "b"}),
            "subsets[0].ports[0].name: Required value",
        ),
        (
            endpoints("10.1.2.3", {"port": 1, "protocol": "x"}),
            'subsets[0].ports[0].protocol: Unsupported value: "x"',
        ),
    ],
    ids=["word", "empty", "port", "unnamed", "protocol"],
)
def test_nonsense_is_refused_with_its_place(raw: Raw, words: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        validate_endpoints(raw, CREATE)
    assert words in caught.value.message
