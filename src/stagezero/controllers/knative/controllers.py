"""The controllers of Knative Serving, for `compose`."""

from stagezero.controllers.knative import (
    autoscalers,
    configurations,
    revisions,
    routes,
    services,
)
from stagezero.controllers.knative.configuration_source import ConfigurationSource
from stagezero.runtime.controller import AnyController


def knative_controllers() -> tuple[AnyController, ...]:
    """Every controller of Knative Serving; they share one reader of the config maps."""
    source = ConfigurationSource()
    return (
        services.controller(),
        configurations.controller(source.read),
        revisions.controller(source.read),
        autoscalers.autoscaler_controller(source.read),
        autoscalers.serverless_controller(),
        routes.controller(source.read),
        routes.label_controller(),
    )
