"""Routes, and the labels they put on revisions: what is gathered, and what wakes the plans."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from stagezero.api import names_knative as names
from stagezero.api.base import Key, Object
from stagezero.api.config import ConfigMap
from stagezero.api.networking_knative import Ingress
from stagezero.api.service import Service
from stagezero.api.serving_knative import Configuration, Revision, Route
from stagezero.client.cache import Caches
from stagezero.controllers.knative.configuration_source import Read, watch
from stagezero.controllers.knative.plans import labels, route
from stagezero.controllers.knative.plans.hosts import GatewayPorts, Namer
from stagezero.runtime.controller import Controller, Watch, owner_keys

GATEWAY = Key("istio-system", "istio-ingressgateway")

F = TypeVar("F", bound=Object)


def referring_routes(thing: Object, caches: Caches) -> Iterator[Route]:
    """The Routes that send requests to a Configuration or a Revision.

    What a Service made is served by the Service's own Route; of the others only those that are no
    Service's are looked at, so that a namespace full of Services costs no search.
    """
    meta = thing.metadata
    configuration = meta.labels.get(names.CONFIGURATION, meta.name)
    own = meta.labels.get(names.SERVICE)
    cache = caches.of(Route)
    for key in cache.keys(meta.namespace):
        if key.name != own and names.SERVICE in cache.labels(key):
            continue
        one = cache.get(key)
        if one is not None and _names_either(one, configuration, meta.name):
            yield one


def _names_either(one: Route, configuration: str, name: str) -> bool:
    targets = (*one.spec.traffic, *one.status.traffic)
    return any(
        target.configuration_name == configuration or target.revision_name == name
        for target in targets
    )


def referring_keys(thing: Object, caches: Caches) -> Iterable[Key]:
    """The names of the Routes that a Configuration or a Revision concerns."""
    return [one.key for one in referring_routes(thing, caches)]


def placeholder_keys(thing: Object, caches: Caches) -> Iterable[Key]:
    """The Route that a placeholder Service belongs to, by owner, label or name."""
    yield from owner_keys(Route)(thing, caches)
    namespace, name = thing.key
    label = thing.metadata.labels.get(names.ROUTE, name)
    if caches.of(Route).encoded(Key(namespace, label)) is not None:
        yield Key(namespace, label)


def gateway_keys(thing: Object, caches: Caches) -> Iterable[Key]:
    """Every Route, when the gateway's Service (and with it its port) changes."""
    return caches.of(Route).keys() if thing.key == GATEWAY else ()


def gateway_ports(caches: Caches) -> GatewayPorts:
    """The gateway's ports as its Service says; 80 and 443 if it says nothing."""
    service = caches.get(Service, GATEWAY)
    by_name = {port.name: port.port for port in service.spec.ports} if service else {}
    return GatewayPorts(by_name.get("http2", 80), by_name.get("https", 443))


def controller(read_config: Read) -> Controller[Route, route.Observed]:
    """The controller of Routes."""

    def gather(primary: Route, caches: Caches) -> route.Observed:
        config = read_config(caches)
        namespace = primary.metadata.namespace
        targets = primary.spec.traffic
        configurations = _found(
            Configuration, namespace, {target.configuration_name for target in targets}, caches
        )
        wanted = {target.revision_name for target in targets}
        wanted |= {one.status.latest_ready_revision_name for one in configurations.values()}
        namer = Namer(primary, config)
        names_of_services = {namer.target_name(tag) for tag in {"", *(t.tag for t in targets)}}
        services = {one.metadata.name: one for one in caches.owned(Service, primary)}
        services.update(_found(Service, namespace, names_of_services, caches))
        return route.Observed(
            route=primary,
            configurations=configurations,
            revisions=_found(Revision, namespace, wanted, caches),
            ingress=caches.get(Ingress, primary.key),
            services=tuple(services.values()),
            config=config,
            ports=gateway_ports(caches),
        )

    return Controller(
        "knative-route",
        Route,
        gather,
        route.plan,
        watches=(
            Watch(Configuration, referring_keys),
            Watch(Revision, referring_keys),
            Watch(Ingress, owner_keys(Route)),
            Watch(Service, placeholder_keys),
            Watch(Service, gateway_keys),
            watch(Route, "config-domain", "config-network"),
        ),
        reads=(ConfigMap,),
    )


def _found(kind: type[F], namespace: str, wanted: set[str], caches: Caches) -> dict[str, F]:
    found = (caches.get(kind, Key(namespace, name)) for name in sorted(wanted - {""}))
    return {one.metadata.name: one for one in found if one is not None}


def gather_labels(primary: Revision, caches: Caches) -> labels.Observed:
    """The revision's Configuration and the Routes that refer to it."""
    configuration = primary.metadata.labels.get(names.CONFIGURATION, "")
    key = Key(primary.metadata.namespace, configuration)
    return labels.Observed(
        revision=primary,
        configuration=caches.get(Configuration, key) if configuration else None,
        routes=tuple(referring_routes(primary, caches)),
    )


def routed_revisions(thing: Object, caches: Caches) -> Iterable[Key]:
    """The revisions that a Route names now or named before."""
    if not isinstance(thing, Route):
        return ()
    targets = (*thing.spec.traffic, *thing.status.traffic)
    named = {target.revision_name for target in targets if target.revision_name}
    return [Key(thing.metadata.namespace, name) for name in sorted(named)]


def latest_revisions(thing: Object, caches: Caches) -> Iterable[Key]:
    """The revisions of a Configuration: a newer one takes the waiting one's place."""
    keys = caches.of(Revision).owned_keys(thing.uid)
    return keys


def label_controller() -> Controller[Revision, labels.Observed]:
    """The controller that labels revisions with their routing state."""
    return Controller(
        "knative-labeler",
        Revision,
        gather_labels,
        labels.plan,
        watches=(
            Watch(Route, routed_revisions),
            Watch(Configuration, latest_revisions),
        ),
    )
