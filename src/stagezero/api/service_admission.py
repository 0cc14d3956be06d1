"""Defaulting and validation of Services, as Kubernetes does it; a controller gives addresses."""

import ipaddress
from collections.abc import Iterator

from stagezero.api import mistakes
from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.container_checks import PROTOCOLS, port_number, port_reference
from stagezero.api.mistakes import FieldError
from stagezero.api.name_rules import dns_1123_label, dns_1123_subdomain
from stagezero.api.pod_defaults import changed_items, changed_part
from stagezero.api.raw_fields import part, parts, text

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_HEADLESS = "None"


def default_service(raw: Raw, request: AdmissionRequest) -> Raw:
    """A Service with everything that Kubernetes fills in; its address stays what it was."""
    old_spec = part(request.old, "spec") if request.old else {}

    def spec(given: Raw) -> Raw:
        full: Raw = {"type": "ClusterIP", "sessionAffinity": "None", **given}
        kind = full["type"]
        full = changed_items(full, "ports", lambda port: _port(port, kind))
        if kind in ("NodePort", "LoadBalancer"):
            full.setdefault("externalTrafficPolicy", "Cluster")
        if kind != "ExternalName":
            full.setdefault("internalTrafficPolicy", "Cluster")
            full = _with_address(full, old_spec)
        return full

    return changed_part(raw, "spec", spec)


def _port(port: Raw, kind: str) -> Raw:
    full = {"protocol": "TCP", **port}
    if kind != "ExternalName" and full.get("targetPort") in (None, 0, "") and "port" in full:
        full["targetPort"] = full["port"]
    return full


def _with_address(spec: Raw, old: Raw) -> Raw:
    if not spec.get("clusterIP") and old.get("clusterIP"):
        kept = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
        spec = {**spec, **{name: old[name] for name in kept if name in old}}
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec = {**spec, "clusterIPs": [spec["clusterIP"]]}
    return spec


def validate_service(raw: Raw, request: AdmissionRequest) -> None:
    """Refuse a Service that Kubernetes would refuse."""
    if request.operation == "DELETE":
        return
    spec = part(raw, "spec")
    old = part(request.old, "spec") if request.old else {}
    found = [*_ports(spec), *_kind(spec), *_address(spec, old)]
    if found:
        raise mistakes.invalid("Service", "", raw["metadata"]["name"], found)


def _ports(spec: Raw) -> Iterator[FieldError]:
    ports = parts(spec, "ports")
    is_bare = text(spec, "clusterIP") == _HEADLESS or text(spec, "type") == "ExternalName"
    if not ports and not is_bare:
        yield mistakes.required("spec.ports")
    names: set[str] = set()
    numbers: set[tuple[str, object]] = set()
    for index, port in enumerate(ports):
        at, name = f"spec.ports[{index}]", text(port, "name")
        if not name and len(ports) > 1:
            yield mistakes.required(f"{at}.name")
        elif name in names:
            yield mistakes.duplicate(f"{at}.name", name)
        yield from _one_port(port, at)
        number = (text(port, "protocol"), port.get("port"))
        if number in numbers:
            shown = {"protocol": number[0], "port": number[1]}
            yield mistakes.duplicate(at, shown)
        names.add(name)
        numbers.add(number)


def _one_port(port: Raw, at: str) -> Iterator[FieldError]:
    name, protocol = text(port, "name"), text(port, "protocol")
    if name:
        for problem in dns_1123_label(name):
            yield mistakes.invalid_value(f"{at}.name", name, problem)
    yield from port_number(port.get("port", 0), f"{at}.port")
    if protocol not in PROTOCOLS:
        yield mistakes.unsupported(f"{at}.protocol", protocol, PROTOCOLS)
    if port.get("targetPort") is not None:
        yield from port_reference(port["targetPort"], f"{at}.targetPort")


def _kind(spec: Raw) -> Iterator[FieldError]:
    kind = text(spec, "type")
    if kind not in _TYPES:
        yield mistakes.unsupported("spec.type", kind, _TYPES)
    if kind != "ExternalName":
        return
    name = text(spec, "externalName").rstrip(".")
    if not name:
        yield mistakes.required("spec.externalName")
        return
    for problem in dns_1123_subdomain(name):
        yield mistakes.invalid_value("spec.externalName", name, problem)
    if spec.get("clusterIP"):
        problem = "may not be set when `type` is 'ExternalName'"
        yield mistakes.forbidden("spec.clusterIPs[0]", problem)


def _address(spec: Raw, old: Raw) -> Iterator[FieldError]:
    address, before = text(spec, "clusterIP"), text(old, "clusterIP")
    is_named = "ExternalName" in (text(spec, "type"), text(old, "type"))
    if before and address != before and not is_named:
        yield mistakes.invalid_value("spec.clusterIPs[0]", [address], "may not change once set")
    if address in ("", _HEADLESS):
        return
    try:
        ipaddress.ip_address(address)
    except ValueError:
        problem = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        yield mistakes.invalid_value("spec.clusterIPs[0]", address, problem)


SERVICE = Admission(default_service, validate_service)
