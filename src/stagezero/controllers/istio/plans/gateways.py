"""Which Istio gateways carry Knative's traffic, from inside and outside: config-istio.

Keys are `gateway.NAMESPACE.NAME` and `local-gateway.NAMESPACE.NAME`, values the gateway's Service.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from stagezero.api import names_knative as names

MESH = "mesh"


@dataclass(frozen=True)
class Gateways:
    """Gateways as `namespace/name` and the host of the Service that fronts them."""

    public: tuple[str, ...] = ("knative-serving/knative-ingress-gateway",)
    local: tuple[str, ...] = ("knative-serving/knative-local-gateway",)
    public_host: str = names.PUBLIC_GATEWAY_HOST
    local_host: str = names.LOCAL_GATEWAY_HOST


def parse(data: Mapping[str, str]) -> Gateways:
    """Read config-istio; a side that it leaves out keeps Knative's own gateway."""
    default = Gateways()
    public, local = _side(data, "gateway."), _side(data, "local-gateway.")
    return Gateways(
        public=tuple(public) or default.public,
        local=tuple(local) or default.local,
        public_host=next(iter(public.values()), default.public_host),
        local_host=next(iter(local.values()), default.local_host),
    )


def _side(data: Mapping[str, str], prefix: str) -> dict[str, str]:
    found = {}
    for key in sorted(data):
        namespace, dot, name = key.removeprefix(prefix).partition(".")
        if key.startswith(prefix) and dot:
            found[f"{namespace}/{name}"] = data[key].strip()
    return found
