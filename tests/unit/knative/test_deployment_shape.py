"""The Deployment of a revision: labels, environment, ports, probes, deadlines."""

from typing import Any

import pytest
from msgspec.structs import replace

from stagezero.api import names_knative as names
from stagezero.api.apps import Deployment
from stagezero.api.config_knative import KnativeConfig, parse
from stagezero.api.container import (
    Container,
    ContainerPort,
    EnvVar,
    ExecAction,
    HTTPGetAction,
    Probe,
    TCPSocketAction,
)
from stagezero.api.serving_knative import Revision
from stagezero.controllers.knative.plans.deployment import (
    labels,
    make_deployment,
    progress_deadline_s,
    protocol,
)
from support.knative_objects import FIRST, NAME, revision

TCP = Probe(tcp_socket=TCPSocketAction(), success_threshold=1)


def with_container(**container: Any) -> Revision:
    of = revision()
    (one,) = of.spec.containers
    return replace(of, spec=replace(of.spec, containers=[replace(one, **container)]))


def made(of: Revision, replicas: int | None = 1) -> Deployment:
    return make_deployment(of, replicas, KnativeConfig())


def container(of: Revision) -> Container:
    return made(of).spec.template.spec.containers[0]


def test_the_deployment_is_the_revisions() -> None:
    found = made(revision())
    assert found.metadata.name == f"{FIRST}-deployment"
    assert found.metadata.owner_references[0].uid == f"uid-{FIRST}"
    assert found.spec.selector.match_labels == {names.REVISION_UID: f"uid-{FIRST}"}
    assert found.spec.progress_deadline_seconds == 600
    assert found.spec.template.spec.termination_grace_period_seconds == 300
    assert found.spec.strategy.rolling_update is not None
    assert found.spec.strategy.rolling_update.max_unavailable == 0


def test_pods_carry_the_revisions_labels_but_its_routing_state() -> None:
    assert labels(revision()) == {
        "app": FIRST,
        names.CONFIGURATION: NAME,
        names.CONFIGURATION_GENERATION: "1",
        names.SERVICE: NAME,
        names.REVISION: FIRST,
        names.REVISION_UID: f"uid-{FIRST}",
    }


def test_the_authors_app_label_stays() -> None:
    of = revision()
    marked = replace(of.metadata, labels={"app": "mine"})
    assert labels(replace(of, metadata=marked))["app"] == "mine"


def test_routing_changes_no_pod() -> None:
    of = revision(state="active")
    routed = {names.ROUTES: "r", names.ROUTING_STATE_MODIFIED: "t"}
    marked = replace(
        of.metadata,
        labels={**of.metadata.labels, names.ROUTING_STATE: "reserve"},
        annotations=routed,
    )
    assert made(replace(of, metadata=marked)) == made(of)


def test_the_program_is_told_where_it_is() -> None:
    env = container(with_container(env=[EnvVar("TARGET", "x")])).env
    assert [(one.name, one.value) for one in env] == [
        ("TARGET", "x"),
        ("K_REVISION", FIRST),
        ("K_CONFIGURATION", NAME),
        ("K_SERVICE", NAME),
        ("PORT", "8080"),
    ]


@pytest.mark.parametrize(
    ("ports", "number"),
    [([], 8080), ([ContainerPort(9000)], 9000), ([ContainerPort(81, name="h2c")], 81)],
    ids=["none", "own", "h2c"],
)
def test_the_port_is_the_user_port(ports: list[ContainerPort], number: int) -> None:
    found = container(with_container(ports=ports))
    assert [(port.name, port.container_port) for port in found.ports] == [("user-port", number)]
    assert found.env[-1] == EnvVar("PORT", str(number))


def test_an_h2c_port_is_the_protocol() -> None:
    assert protocol(with_container(ports=[ContainerPort(81, name="h2c")])) == "h2c"
    assert protocol(revision()) == "http1"


@pytest.mark.parametrize(
    ("probe", "wanted"),
    [
        (None, None),
        (TCP, replace(TCP, tcp_socket=TCPSocketAction(8080), period_seconds=1)),
        (
            Probe(http_get=HTTPGetAction(path="/ok"), period_seconds=7),
            Probe(http_get=HTTPGetAction(8080, "/ok"), period_seconds=7),
        ),
        (
            Probe(http_get=HTTPGetAction(port="http", path="/ok"), period_seconds=7),
            Probe(http_get=HTTPGetAction(8080, "/ok"), period_seconds=7),
        ),
        (
            Probe(http_get=HTTPGetAction(port=8086, path="/ok"), period_seconds=7),
            Probe(http_get=HTTPGetAction(8086, "/ok"), period_seconds=7),
        ),
        (
            Probe(exec=ExecAction(["true"])),
            Probe(exec=ExecAction(["true"]), period_seconds=1),
        ),
    ],
    ids=["none", "tcp", "http", "by name", "own port", "exec"],
)
def test_the_probe_stays_on_the_users_container(probe: Probe | None, wanted: Probe | None) -> None:
    assert container(with_container(readiness_probe=probe)).readiness_probe == wanted


def test_the_last_words_of_a_container_are_kept() -> None:
    assert container(revision()).termination_message_policy == "FallbackToLogsOnError"
    own = with_container(termination_message_policy="File")
    assert container(own).termination_message_policy == "File"


def test_a_sidecar_gets_no_port() -> None:
    of = revision()
    both = [Container(name="a", image="a", ports=[ContainerPort(80)]), Container(name="b")]
    found = made(replace(of, spec=replace(of.spec, containers=both))).spec.template.spec.containers
    assert [env.name for env in found[1].env] == ["K_REVISION", "K_CONFIGURATION", "K_SERVICE"]
    assert found[1].ports == []


@pytest.mark.parametrize(
    ("annotation", "data", "seconds"),
    [
        ("", {}, 600),
        ("90s", {}, 90),
        ("", {"progress-deadline": "2m"}, 120),
        ("90s", {"progress-deadline": "2m"}, 90),
    ],
)
def test_the_deadline_is_the_revisions_or_the_clusters(
    annotation: str, data: dict[str, str], seconds: int
) -> None:
    given = {names.PROGRESS_DEADLINE.key: annotation} if annotation else {}
    of = revision(annotations=given)
    assert progress_deadline_s(of, parse({"config-deployment": data})) == seconds


def test_replicas_are_left_to_the_autoscaler_later() -> None:
    assert made(revision(), None).spec.replicas is None
