"""Configurations: what is gathered for their plan, and what wakes it."""

from stagezero.api.base import Key
from stagezero.api.config import ConfigMap
from stagezero.api.serving_knative import Configuration, Revision
from stagezero.client.cache import Caches
from stagezero.controllers.knative.configuration_source import Read, watch
from stagezero.controllers.knative.plans import configuration
from stagezero.runtime.controller import Controller, Watch, owner_keys


def controller(read_config: Read) -> Controller[Configuration, configuration.Observed]:
    """The controller of Configurations."""

    def gather(primary: Configuration, caches: Caches) -> configuration.Observed:
        wanted = primary.spec.template.metadata.name
        named = caches.get(Revision, Key(primary.metadata.namespace, wanted)) if wanted else None
        return configuration.Observed(
            configuration=primary,
            revisions=caches.owned(Revision, primary),
            named_revision=named,
            config=read_config(caches),
        )

    return Controller(
        "knative-configuration",
        Configuration,
        gather,
        configuration.plan,
        watches=(
            Watch(Revision, owner_keys(Configuration)),
            watch(Configuration, "config-gc"),
        ),
        reads=(ConfigMap,),
    )
