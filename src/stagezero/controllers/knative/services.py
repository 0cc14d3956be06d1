"""Services: what is gathered for their plan, and what wakes it."""

from stagezero.api.base import Key
from stagezero.api.serving_knative import Configuration, Revision, Route, Service
from stagezero.client.cache import Caches
from stagezero.controllers.knative.plans import service
from stagezero.runtime.controller import Controller, Watch, owner_keys


def gather(primary: Service, caches: Caches) -> service.Observed:
    """The Configuration and Route of the Service's name, and the revision it names."""
    wanted = primary.spec.template.metadata.name
    return service.Observed(
        service=primary,
        configuration=caches.get(Configuration, primary.key),
        route=caches.get(Route, primary.key),
        named_revision=(
            caches.get(Revision, Key(primary.metadata.namespace, wanted)) if wanted else None
        ),
    )


def controller() -> Controller[Service, service.Observed]:
    """The controller of Services."""
    return Controller(
        "knative-service",
        Service,
        gather,
        service.plan,
        watches=(
            Watch(Configuration, owner_keys(Service)),
            Watch(Route, owner_keys(Service)),
        ),
        reads=(Revision,),
    )
