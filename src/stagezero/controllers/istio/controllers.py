"""Knative's Istio layer, for `compose`: KIngresses become VirtualServices."""

from collections.abc import Iterable

from stagezero.api.base import Key, Object
from stagezero.api.config import ConfigMap
from stagezero.api.istio import VirtualService
from stagezero.api.networking_knative import Ingress
from stagezero.client.cache import Caches
from stagezero.controllers.istio.plans import gateways, ingress
from stagezero.controllers.istio.plans.virtual_service import ingress_name, mesh_name
from stagezero.runtime.controller import AnyController, Controller, Watch, owner_keys

CONFIG_ISTIO = Key("knative-serving", "config-istio")


def gather(primary: Ingress, caches: Caches) -> ingress.Observed:
    """The KIngress's VirtualServices and the gateways that config-istio names."""
    config = caches.get(ConfigMap, CONFIG_ISTIO)
    namespace = primary.metadata.namespace
    return ingress.Observed(
        ingress=primary,
        for_gateways=caches.get(VirtualService, Key(namespace, ingress_name(primary))),
        for_mesh=caches.get(VirtualService, Key(namespace, mesh_name(primary))),
        gateways=gateways.parse(config.data if config else {}),
    )


def config_keys(thing: Object, caches: Caches) -> Iterable[Key]:
    """Every KIngress, when the gateways in use change."""
    return caches.of(Ingress).keys() if thing.key == CONFIG_ISTIO else ()


def istio_controllers() -> tuple[AnyController, ...]:
    """The controller of KIngresses."""
    return (
        Controller(
            "knative-istio-ingress",
            Ingress,
            gather,
            ingress.plan,
            watches=(
                Watch(VirtualService, owner_keys(Ingress)),
                Watch(ConfigMap, config_keys),
            ),
        ),
    )
