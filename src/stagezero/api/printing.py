"""The tables that kubectl prints of built-in kinds: columns, and the cells of one object.

Custom kinds print by the JSONPaths of their columns; what is printed here has to be computed. The
texts are those of Kubernetes' own server, because people and scripts read them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stagezero.api.apiextensions import CustomResourceDefinition
from stagezero.api.apps import Deployment, ReplicaSet
from stagezero.api.base import Column, LabelSelector, Object, Raw, T, from_raw
from stagezero.api.config import ConfigMap, Namespace, Secret, ServiceAccount
from stagezero.api.coordination import Lease
from stagezero.api.discovery import EndpointSlice
from stagezero.api.durations import age
from stagezero.api.event import Event
from stagezero.api.node import Node
from stagezero.api.pod import Pod, PodSpec
from stagezero.api.printing_pods import Cell, pod_cells
from stagezero.api.selectors import labels_text, selector_text
from stagezero.api.service import Endpoints, Service, ServicePort

CellsOf = Callable[[Raw, datetime], list[Cell]]
"""The cells of one object as JSON, at a time."""


@dataclass(frozen=True)
class TablePrinter:
    """The columns of a kind, its name among them, and the cells in the same order."""

    columns: tuple[Column, ...]
    cells: CellsOf


def _columns(names: str, wide: str = "") -> tuple[Column, ...]:
    """Columns by name; a word that ends in # holds numbers."""
    found = [(name, 0) for name in names.split()] + [(name, 1) for name in wide.split()]
    return tuple(
        Column(
            name.rstrip("#").replace("_", " "),
            "",
            type="integer" if name.endswith("#") else "string",
            priority=priority,
        )
        for name, priority in found
    )


def _printer(
    kind: type[T], cells: Callable[[T, datetime], list[Cell]], names: str, wide: str = ""
) -> tuple[tuple[str, str], TablePrinter]:
    """A printer whose first column is the name."""

    def with_name(raw: Raw, now: datetime) -> list[Cell]:
        thing = from_raw(kind, raw)
        return [thing.metadata.name, *cells(thing, now)]

    return _key(kind), TablePrinter(_columns(f"Name {names}", wide), with_name)


def _key(kind: type[Object]) -> tuple[str, str]:
    return (kind.resource.group, kind.resource.plural)


def _age(thing: Object, now: datetime) -> str:
    return age(thing.metadata.creation_timestamp, now)


def _template(spec: PodSpec, selector: LabelSelector) -> list[Cell]:
    return [
        ",".join(container.name for container in spec.containers),
        ",".join(container.image for container in spec.containers),
        selector_text(selector) or "<none>",
    ]


def _deployment(thing: Deployment, now: datetime) -> list[Cell]:
    wanted = 1 if thing.spec.replicas is None else thing.spec.replicas
    status = thing.status
    return [
        f"{status.ready_replicas}/{wanted}",
        status.updated_replicas,
        status.available_replicas,
        _age(thing, now),
        *_template(thing.spec.template.spec, thing.spec.selector),
    ]


def _replica_set(thing: ReplicaSet, now: datetime) -> list[Cell]:
    return [
        1 if thing.spec.replicas is None else thing.spec.replicas,
        thing.status.replicas,
        thing.status.ready_replicas,
        _age(thing, now),
        *_template(thing.spec.template.spec, thing.spec.selector),
    ]


def _service(thing: Service, now: datetime) -> list[Cell]:
    spec = thing.spec
    return [
        spec.type or "ClusterIP",
        (spec.cluster_ips[0] if spec.cluster_ips else spec.cluster_ip) or "<none>",
        _external_ip(thing),
        ",".join(_port(port) for port in spec.ports) or "<none>",
        _age(thing, now),
        labels_text(spec.selector) or "<none>",
    ]


def _port(port: ServicePort) -> str:
    node_port = f":{port.node_port}" if port.node_port else ""
    return f"{port.port}{node_port}/{port.protocol or 'TCP'}"


def _external_ip(thing: Service) -> str:
    spec = thing.spec
    if spec.type == "ExternalName":
        return spec.external_name
    if spec.type != "LoadBalancer":
        return ",".join(spec.external_ips) or "<none>"
    found = {entry.ip or entry.hostname for entry in thing.status.load_balancer.ingress}
    addresses = [*sorted(found - {""}), *spec.external_ips]
    return ",".join(addresses) or "<pending>"


_ENDPOINTS_SHOWN = 3


def _endpoints(thing: Endpoints, now: datetime) -> list[Cell]:
    if not thing.subsets:
        return ["<none>", _age(thing, now)]
    found: list[str] = []
    for subset in thing.subsets:
        addresses = [address.ip for address in subset.addresses]
        if subset.ports:
            found += [f"{ip}:{port.port}" for port in subset.ports for ip in addresses]
        else:
            found += addresses
    return [_first_of(found), _age(thing, now)]


def _first_of(found: list[str]) -> str:
    text = ",".join(found[:_ENDPOINTS_SHOWN])
    more = len(found) - _ENDPOINTS_SHOWN
    return f"{text} + {more} more..." if more > 0 else text


def _endpoint_slice(thing: EndpointSlice, now: datetime) -> list[Cell]:
    ports = [str(port.port) if port.port is not None else "*" for port in thing.ports]
    addresses = [address for endpoint in thing.endpoints for address in endpoint.addresses]
    return [
        thing.address_type,
        _first_of(ports) or "<unset>",
        _first_of(addresses) or "<unset>",
        _age(thing, now),
    ]


_ROLE_PREFIX = "node-role.kubernetes.io/"


def _node(thing: Node, now: datetime) -> list[Cell]:
    info = thing.status.node_info
    addresses = {address.type: address.address for address in reversed(thing.status.addresses)}
    return [
        _node_status(thing),
        _roles(thing),
        _age(thing, now),
        info.kubelet_version,
        addresses.get("InternalIP", "<none>"),
        addresses.get("ExternalIP", "<none>"),
        info.os_image or "<unknown>",
        info.kernel_version or "<unknown>",
        info.container_runtime_version or "<unknown>",
    ]


def _node_status(thing: Node) -> str:
    ready = [condition for condition in thing.status.conditions if condition.type == "Ready"]
    word = "Unknown" if not ready else "Ready" if ready[0].status == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if thing.spec.unschedulable else word


def _roles(thing: Node) -> str:
    labels = thing.metadata.labels
    roles = {key.removeprefix(_ROLE_PREFIX) for key in labels if key.startswith(_ROLE_PREFIX)}
    roles.add(labels.get("kubernetes.io/role", ""))
    return ",".join(sorted(roles - {""})) or "<none>"


def _event(raw: Raw, now: datetime) -> list[Cell]:
    event = from_raw(Event, raw)
    first = event.first_timestamp or event.event_time
    last, count = event.last_timestamp or first, event.count or 1
    if event.series is not None:
        last, count = event.series.last_observed_time, event.series.count
    about = event.involved_object
    source = ", ".join(part for part in (event.source.component, event.source.host) if part)
    return [
        age(last, now),
        event.type,
        event.reason,
        f"{about.kind.lower()}/{about.name}" if about.name else about.kind.lower(),
        event.message.strip(),
        about.field_path,
        source or event.reporting_component,
        age(first, now),
        str(count),
        event.metadata.name,
    ]


def _events() -> TablePrinter:
    columns = _columns(
        "Last_Seen Type Reason Object Message", "Subobject Source First_Seen Count Name"
    )
    return TablePrinter(columns, _event)


_TEMPLATE = "Containers Images Selector"

PRINTERS: Mapping[tuple[str, str], TablePrinter] = dict(
    (
        _printer(
            Pod, pod_cells, "Ready Status Restarts Age", "IP Node Nominated_Node Readiness_Gates"
        ),
        _printer(Deployment, _deployment, "Ready Up-to-date# Available# Age", _TEMPLATE),
        _printer(ReplicaSet, _replica_set, "Desired# Current# Ready# Age", _TEMPLATE),
        _printer(Service, _service, "Type Cluster-IP External-IP Port(s) Age", "Selector"),
        _printer(Endpoints, _endpoints, "Endpoints Age"),
        _printer(EndpointSlice, _endpoint_slice, "AddressType Ports Endpoints Age"),
        _printer(
            Node,
            _node,
            "Status Roles Age Version",
            "Internal-IP External-IP OS-Image Kernel-Version Container-Runtime",
        ),
        _printer(Namespace, lambda ns, now: [ns.status.phase, _age(ns, now)], "Status Age"),
        _printer(
            ConfigMap, lambda cm, now: [len(cm.data) + len(cm.binary_data), _age(cm, now)],
            "Data# Age",
        ),
        _printer(
            Secret, lambda secret, now: [secret.type, len(secret.data), _age(secret, now)],
            "Type Data# Age",
        ),
        _printer(
            ServiceAccount, lambda account, now: [len(account.secrets), _age(account, now)],
            "Secrets# Age",
        ),
        _printer(
            Lease, lambda lease, now: [lease.spec.holder_identity or "", _age(lease, now)],
            "Holder Age",
        ),
        _printer(
            CustomResourceDefinition, lambda crd, _: [crd.metadata.creation_timestamp or ""],
            "Created_At",
        ),
        (_key(Event), _events()),
    )
)  # fmt: skip
"""How each built-in kind prints, by group and plural."""


def printed(kind: type[Object], raw: Raw, now: datetime) -> dict[str, Any]:
    """Cells by column name, for those who want one of them."""
    printer = PRINTERS[_key(kind)]
    return dict(
        zip((column.name for column in printer.columns), printer.cells(raw, now), strict=True)
    )
