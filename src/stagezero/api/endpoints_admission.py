"""Validation of Endpoints, as Kubernetes does it: what a gateway takes must be addresses and ports.

Loopback addresses are taken, unlike there: pods that share the machine's network have them.
"""

import ipaddress
from collections.abc import Iterator

from stagezero.api import mistakes
from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.container_checks import PROTOCOLS, port_number
from stagezero.api.mistakes import FieldError
from stagezero.api.raw_fields import parts, text


def validate_endpoints(raw: Raw, request: AdmissionRequest) -> None:
    """Refuse Endpoints that Kubernetes would refuse."""
    if request.operation == "DELETE":
        return
    found = [
        mistake
        for index, subset in enumerate(parts(raw, "subsets"))
        for mistake in _subset(subset, f"subsets[{index}]")
    ]
    if found:
        raise mistakes.invalid("Endpoints", "", raw["metadata"]["name"], found)


def _subset(subset: Raw, at: str) -> Iterator[FieldError]:
    for field in ("addresses", "notReadyAddresses"):
        for index, address in enumerate(parts(subset, field)):
            yield from _address(text(address, "ip"), f"{at}.{field}[{index}].ip")
    ports = parts(subset, "ports")
    for index, port in enumerate(ports):
        where, protocol = f"{at}.ports[{index}]", text(port, "protocol")
        if not text(port, "name") and len(ports) > 1:
            yield mistakes.required(f"{where}.name")
        yield from port_number(port.get("port", 0), f"{where}.port")
        if protocol and protocol not in PROTOCOLS:
            yield mistakes.unsupported(f"{where}.protocol", protocol, PROTOCOLS)


def _address(address: str, at: str) -> Iterator[FieldError]:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        problem = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        yield mistakes.invalid_value(at, address, problem)


ENDPOINTS = Admission(validate=validate_endpoints)
