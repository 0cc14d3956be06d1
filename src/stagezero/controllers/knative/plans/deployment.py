"""The Deployment of a revision, and the labels that all its children carry.

There is no queue-proxy here: the user's container keeps its readiness probe, its port is named
`user-port`, and PORT and the K_ variables tell the program where it is.
"""

import msgspec

from stagezero.api import names_knative as names
from stagezero.api import networking_knative as networking
from stagezero.api.apps import (
    Deployment,
    DeploymentSpec,
    DeploymentStrategy,
    RollingUpdateDeployment,
)
from stagezero.api.base import LabelSelector, ObjectMeta, controlled_by
from stagezero.api.config_knative import KnativeConfig
from stagezero.api.container import Container, ContainerPort, EnvVar, Probe
from stagezero.api.go_values import SECOND_NS, parse_duration
from stagezero.api.pod import PodSpec, PodTemplateSpec
from stagezero.api.serving_knative import Revision, RevisionSpec
from stagezero.controllers.knative.plans import children

_NOT_FOR_PODS = (names.ROUTING_STATE_MODIFIED, names.ROUTES)
_OWN_FIELDS = frozenset(RevisionSpec.__struct_fields__) - frozenset(PodSpec.__struct_fields__)


def labels(revision: Revision) -> dict[str, str]:
    """The labels of a revision's Deployment, pods, autoscaler and Services."""
    meta = revision.metadata
    inherited = children.without(meta.labels, names.ROUTING_STATE)
    return {
        "app": meta.name,
        **inherited,
        names.REVISION: meta.name,
        names.REVISION_UID: meta.uid,
    }


def annotations(revision: Revision) -> dict[str, str]:
    """The annotations of a revision's children: its own, but those that routing changes."""
    return children.without(revision.metadata.annotations, *_NOT_FOR_PODS)


def protocol(revision: Revision) -> str:
    """http1, or h2c if the serving port says so."""
    container = serving_container(revision)
    is_h2c = bool(container and container.ports and container.ports[0].name == networking.H2C)
    return networking.H2C if is_h2c else networking.HTTP1


def serving_container(revision: Revision) -> Container | None:
    """The container that answers requests: the only one, or the one with a port."""
    containers = revision.spec.containers
    if len(containers) == 1:
        return containers[0]
    return next((one for one in containers if one.ports), None)


def make_deployment(revision: Revision, replicas: int | None, config: KnativeConfig) -> Deployment:
    """The Deployment of a revision; `replicas` is None once the autoscaler decides."""
    meta = revision.metadata
    return Deployment(
        metadata=ObjectMeta(
            name=names.deployment(meta.name),
            namespace=meta.namespace,
            labels=labels(revision),
            annotations=annotations(revision),
            owner_references=[controlled_by(revision)],
        ),
        spec=DeploymentSpec(
            replicas=replicas,
            selector=LabelSelector(match_labels={names.REVISION_UID: meta.uid}),
            template=PodTemplateSpec(
                metadata=ObjectMeta(labels=labels(revision), annotations=annotations(revision)),
                spec=_pod_spec(revision),
            ),
            strategy=DeploymentStrategy(
                "RollingUpdate", RollingUpdateDeployment(max_unavailable=0)
            ),
            progress_deadline_seconds=progress_deadline_s(revision, config),
        ),
    )


def progress_deadline_s(revision: Revision, config: KnativeConfig) -> int:
    """How long the Deployment may take: the revision's annotation, or config-deployment."""
    text = names.PROGRESS_DEADLINE.read(revision.metadata.annotations)
    try:
        return parse_duration(text) // SECOND_NS
    except ValueError:
        return config.deployment.progress_deadline_s


def _pod_spec(revision: Revision) -> PodSpec:
    spec = revision.spec
    fields = {
        name: getattr(spec, name) for name in spec.__struct_fields__ if name not in _OWN_FIELDS
    }
    fields["containers"] = [_container(revision, one) for one in spec.containers]
    fields["termination_grace_period_seconds"] = spec.timeout_seconds
    return PodSpec(**fields)


def _container(revision: Revision, container: Container) -> Container:
    is_serving = container is serving_container(revision)
    env = [*container.env, *_environment(revision)]
    if not is_serving:
        return msgspec.structs.replace(
            container, env=env, termination_message_policy=_message_policy(container)
        )
    port = container.ports[0].container_port if container.ports else 0
    port = port or names.DEFAULT_PORT
    return msgspec.structs.replace(
        container,
        env=[*env, EnvVar("PORT", str(port))],
        ports=[ContainerPort(port, name=names.USER_PORT, protocol="TCP")],
        readiness_probe=_probe(container.readiness_probe, port),
        liveness_probe=_probe(container.liveness_probe, port),
        termination_message_policy=_message_policy(container),
    )


def _environment(revision: Revision) -> list[EnvVar]:
    given = revision.metadata.labels
    return [
        EnvVar("K_REVISION", revision.metadata.name),
        EnvVar("K_CONFIGURATION", given.get(names.CONFIGURATION, "")),
        EnvVar("K_SERVICE", given.get(names.SERVICE, "")),
    ]


def _message_policy(container: Container) -> str:
    return container.termination_message_policy or "FallbackToLogsOnError"


def _probe(probe: Probe | None, port: int) -> Probe | None:
    """The probe on the real port; Knative's "as often as possible" is once a second here."""
    if probe is None:
        return None
    changes: dict[str, object] = {}
    for name in ("http_get", "tcp_socket"):
        action = getattr(probe, name)
        if action is not None and (isinstance(action.port, str) or not action.port):
            changes[name] = msgspec.structs.replace(action, port=port)
    if not probe.period_seconds:
        changes["period_seconds"] = 1
    return msgspec.structs.replace(probe, **changes)
