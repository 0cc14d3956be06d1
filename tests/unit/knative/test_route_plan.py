"""A Route's plan: targets, hosts, KIngress, placeholder Services, and when it is ready."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from stagezero.api import names_knative as names
from stagezero.api import networking_knative as networking
from stagezero.api import serving_knative as serving
from stagezero.api.config_knative import KnativeConfig, parse
from stagezero.api.container import ContainerPort
from stagezero.api.core import Service
from stagezero.controllers.knative.plans.conditions import Mark
from stagezero.controllers.knative.plans.hosts import GatewayPorts, Namer
from stagezero.controllers.knative.plans.ingress import make_ingress
from stagezero.controllers.knative.plans.route import Observed, plan
from stagezero.controllers.knative.plans.traffic import Traffic, resolve
from stagezero.runtime.plan import NOTHING, Plan
from support.knative_objects import (
    FIRST,
    NAME,
    NOW,
    configuration,
    latest,
    meta,
    pinned,
    ready,
    revision,
    route,
    told,
)

SECOND = f"{NAME}-00002"
DOMAIN = parse({"config-domain": {"taco-cat.xyz": ""}})
REVISIONS = {FIRST: revision(), SECOND: revision(SECOND, generation=2)}
CONFIGURATIONS = {NAME: configuration(latest_ready=FIRST)}
LOCAL = {names.VISIBILITY: names.CLUSTER_LOCAL}


def resolved(*targets: serving.TrafficTarget, **known: Any) -> Traffic | Mark:
    fields: dict[str, Any] = {"configurations": CONFIGURATIONS, "revisions": REVISIONS} | known
    return resolve(route(*targets), **fields)


def shares(found: Traffic | Mark, tag: str = "") -> list[tuple[str, int]]:
    assert isinstance(found, Traffic)
    return [(target.revision, target.percent) for target in found.groups[tag]]


def test_the_latest_revision_gets_everything() -> None:
    assert shares(resolved()) == [(FIRST, 100)]


def test_a_split_keeps_its_shares() -> None:
    found = resolved(latest(90), pinned(SECOND, 10))
    assert shares(found) == [(FIRST, 90), (SECOND, 10)]


def test_the_same_revision_twice_is_one() -> None:
    found = resolved(latest(50), pinned(FIRST, 30), pinned(SECOND, 20))
    assert shares(found) == [(FIRST, 80), (SECOND, 20)]
    assert isinstance(found, Traffic)
    assert len(found.targets) == 3


def test_a_tag_has_a_group_of_its_own() -> None:
    found = resolved(latest(100), pinned(SECOND, tag="old"))
    assert shares(found, "old") == [(SECOND, 100)]
    assert shares(found) == [(FIRST, 100), (SECOND, 0)]


UNREADY = configuration(conditions=ready("Unknown"))
FAILED = configuration(conditions=ready("False", "RevisionFailed", "boom"))
MISSING: dict[str, tuple[tuple[serving.TrafficTarget, ...], dict[str, Any], Mark]] = {
    "no configuration": (
        (latest(100),),
        {"configurations": {}},
        Mark(
            "False",
            "ConfigurationMissing",
            f'Configuration "{NAME}" referenced in traffic not found.',
        ),
    ),
    "nothing ready yet": (
        (latest(100),),
        {"configurations": {NAME: UNREADY}},
        Mark(
            "Unknown",
            "RevisionMissing",
            f'Configuration "{NAME}" is waiting for a Revision to become ready.',
        ),
    ),
    "nothing ready, failed": (
        (latest(100),),
        {"configurations": {NAME: FAILED}},
        Mark(
            "False",
            "RevisionMissing",
            f'Configuration "{NAME}" does not have any ready Revision.',
        ),
    ),
    "no revision": (
        (pinned("x", 100),),
        {},
        Mark("False", "RevisionMissing", 'Revision "x" referenced in traffic not found.'),
    ),
    "revision not ready": (
        (pinned(FIRST, 100),),
        {"revisions": {FIRST: revision(conditions=ready("Unknown"))}},
        Mark("Unknown", "RevisionMissing", f'Revision "{FIRST}" is not yet ready.'),
    ),
    "revision failed": (
        (pinned(FIRST, 100),),
        {"revisions": {FIRST: revision(conditions=ready("False"))}},
        Mark("False", "RevisionMissing", f'Revision "{FIRST}" failed to become ready.'),
    ),
    "a failure trumps waiting": (
        (latest(50), pinned("x", 50)),
        {"configurations": {NAME: UNREADY}},
        Mark("False", "RevisionMissing", 'Revision "x" referenced in traffic not found.'),
    ),
}


@pytest.mark.parametrize(("targets", "known", "mark"), MISSING.values(), ids=MISSING)
def test_a_missing_target_is_told(
    targets: tuple[serving.TrafficTarget, ...], known: dict[str, Any], mark: Mark
) -> None:
    assert resolved(*targets, **known) == mark


def namer(
    data: dict[str, str] | None = None, of: serving.Route | None = None, http: int = 80
) -> Namer:
    config = parse({"config-domain": {"taco-cat.xyz": ""}, "config-network": data or {}})
    return Namer(of or route(), config, GatewayPorts(http))


@pytest.mark.parametrize(
    ("data", "tag", "url"),
    [
        ({}, "", f"http://{NAME}.default.taco-cat.xyz"),
        ({}, "blue", f"http://blue-{NAME}.default.taco-cat.xyz"),
        (
            {"domainTemplate": "{{.Name}}-{{.Namespace}}.{{.Domain}}"},
            "",
            f"http://{NAME}-default.taco-cat.xyz",
        ),
        (
            {"domain-template": "{{.Name}}-{{.Namespace}}.{{.Domain}}"},
            "blue",
            f"http://blue-{NAME}-default.taco-cat.xyz",
        ),
        (
            {"tag-template": "{{.Name}}-{{.Tag}}"},
            "blue",
            f"http://{NAME}-blue.default.taco-cat.xyz",
        ),
        ({"tagTemplate": "{{.Name}}-{{.Tag}}"}, "blue", f"http://{NAME}-blue.default.taco-cat.xyz"),
        ({"default-external-scheme": "https"}, "", f"https://{NAME}.default.taco-cat.xyz"),
    ],
)
def test_urls_follow_the_templates(data: dict[str, str], tag: str, url: str) -> None:
    assert namer(data).url(tag) == url


def test_another_port_is_part_of_the_url() -> None:
    found = namer(http=8080)
    assert found.url("") == f"http://{NAME}.default.taco-cat.xyz:8080"
    assert found.url("blue") == f"http://blue-{NAME}.default.taco-cat.xyz:8080"
    assert found.local_url("") == f"http://{NAME}.default.svc.cluster.local"


def test_a_cluster_local_route_has_no_other_host() -> None:
    found = namer(of=route(labels=LOCAL), http=8080)
    assert found.is_local("")
    assert found.url("") == f"http://{NAME}.default.svc.cluster.local"


def test_labels_and_annotations_may_name_the_host() -> None:
    of = route(labels={"team": "blue"}, annotations={"sub": "x"})
    template = '{{.Name}}.{{.Labels.team}}.{{index .Annotations "sub"}}.{{.Domain}}'
    assert namer({"domain-template": template}, of).host("") == f"{NAME}.blue.x.taco-cat.xyz"


def ingress(*targets: serving.TrafficTarget, of: serving.Route | None = None) -> networking.Ingress:
    found = resolved(*targets)
    assert isinstance(found, Traffic)
    return make_ingress(Namer(of or route(*targets), DOMAIN), found)


def test_the_ingress_has_a_rule_for_each_side() -> None:
    inside, outside = ingress().spec.rules
    assert inside.visibility == "ClusterLocal"
    assert inside.hosts == [
        f"{NAME}.default",
        f"{NAME}.default.svc",
        f"{NAME}.default.svc.cluster.local",
    ]
    assert (outside.visibility, outside.hosts) == ("ExternalIP", [f"{NAME}.default.taco-cat.xyz"])


def test_a_split_names_service_port_share_and_headers() -> None:
    (split,) = ingress().spec.rules[0].http.paths[0].splits
    assert (split.service_name, split.service_port, split.percent) == (FIRST, 80, 100)
    assert split.append_headers == {
        "Knative-Serving-Namespace": "default",
        "Knative-Serving-Revision": FIRST,
    }


def test_h2c_goes_to_its_own_port() -> None:
    of = revision()
    container = replace(of.spec.containers[0], ports=[ContainerPort(81, name="h2c")])
    spoken = replace(of, spec=replace(of.spec, containers=[container]))
    found = resolved(revisions={FIRST: spoken})
    assert isinstance(found, Traffic)
    made = make_ingress(Namer(route(), DOMAIN), found)
    assert made.spec.rules[0].http.paths[0].splits[0].service_port == 81


def test_targets_without_a_share_are_left_out() -> None:
    rules = ingress(latest(100), pinned(SECOND, tag="old")).spec.rules
    assert [[one.percent for one in rule.http.paths[0].splits] for rule in rules] == [[100]] * 4


def test_a_cluster_local_route_has_no_rule_for_outside() -> None:
    assert {rule.visibility for rule in ingress(of=route(labels=LOCAL)).spec.rules} == {
        "ClusterLocal"
    }


def test_the_ingress_says_whose_it_is() -> None:
    made = ingress(of=route(annotations={names.CREATOR: "ann"}))
    assert made.metadata.labels == {names.ROUTE: NAME, names.ROUTE_NAMESPACE: "default"}
    annotations = made.metadata.annotations
    assert annotations["networking.knative.dev/ingress.class"] == (
        "istio.ingress.networking.knative.dev"
    )
    assert annotations[names.CREATOR] == "ann"
    rollout = json.loads(annotations[names.ROLLOUT_STATE])
    assert rollout["configurations"][0]["revisions"] == [{"revisionName": FIRST, "percent": 100}]


@pytest.mark.parametrize(
    ("annotation", "option"), [("", "Enabled"), ("Redirected", "Redirected"), ("junk", "Enabled")]
)
def test_http_may_be_redirected_by_route(annotation: str, option: str) -> None:
    of = route(annotations={names.HTTP_OPTION.key: annotation} if annotation else {})
    assert ingress(of=of).spec.http_option == option


def planned(of: serving.Route | None = None, **observed: Any) -> Plan:
    fields: dict[str, Any] = {
        "configurations": CONFIGURATIONS,
        "revisions": REVISIONS,
        "config": DOMAIN,
    } | observed
    return plan(Observed(of or route(), **fields), NOW)


def existing(status: str = "True", reason: str = "", generation: int = 1) -> networking.Ingress:
    made = ingress()
    balancer = networking.LoadBalancerStatus(
        [networking.LoadBalancerIngressStatus(domain_internal=names.LOCAL_GATEWAY_HOST)]
    )
    return replace(
        made,
        metadata=replace(made.metadata, generation=generation, uid="uid-ingress"),
        status=networking.IngressStatus(
            observed_generation=1,
            conditions=ready(status, reason, "words"),
            private_load_balancer=balancer,
        ),
    )


def service_of(found: Plan) -> Service:
    return next(one for one in found.apply if isinstance(one, Service))


def status_of(found: Plan) -> serving.RouteStatus:
    assert isinstance(found.status, serving.Route)
    return found.status.status


def test_a_new_route_gets_ingress_and_placeholder() -> None:
    found = planned()
    assert [type(one).__name__ for one in found.apply] == ["Service", "Ingress"]
    assert told(found.status) == (
        "Unknown",
        "IngressNotConfigured",
        "Ingress has not yet been reconciled.",
    )
    assert service_of(found).spec.external_name == f"{NAME}.default.taco-cat.xyz"


def test_a_ready_ingress_makes_it_ready() -> None:
    found = planned(ingress=existing())
    assert told(found.status)[0] == "True"
    assert told(found.status, "CertificateProvisioned") == (
        "True",
        "TLSNotEnabled",
        "autoTLS is not enabled",
    )
    assert service_of(found).spec.external_name == names.LOCAL_GATEWAY_HOST
    assert "Ingress" not in [type(one).__name__ for one in found.apply]


def test_url_address_and_traffic_are_shown() -> None:
    status = status_of(planned(ingress=existing()))
    assert status.url == f"http://{NAME}.default.taco-cat.xyz"
    assert status.address == serving.Addressable(f"http://{NAME}.default.svc.cluster.local")
    assert status.traffic == [
        serving.TrafficTarget(revision_name=FIRST, latest_revision=True, percent=100)
    ]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (existing("Unknown", "Uninitialized"), ("Unknown", "Uninitialized", "words")),
        (
            existing("Unknown"),
            ("Unknown", "Uninitialized", "Waiting for load balancer to be ready"),
        ),
        (
            existing(generation=2),
            ("Unknown", "IngressNotConfigured", "Ingress has not yet been reconciled."),
        ),
        (existing("False", "NACK"), ("False", "NACK", "words")),
    ],
    ids=["waiting", "silent", "behind", "refused"],
)
def test_ready_waits_for_the_ingress(
    found: networking.Ingress, words: tuple[str, str, str]
) -> None:
    assert told(planned(ingress=found).status, "IngressReady") == words


def test_a_changed_ingress_must_be_carried_again() -> None:
    old = existing()
    changed = replace(old, spec=networking.IngressSpec())
    found = planned(ingress=changed)
    assert told(found.status, "IngressReady")[1] == "IngressNotConfigured"


def test_without_targets_what_was_configured_stays() -> None:
    before = planned(ingress=existing()).status
    assert isinstance(before, serving.Route)
    found = planned(before, configurations={NAME: UNREADY}, ingress=existing())
    assert found.apply == ()
    assert status_of(found).traffic == before.status.traffic
    assert status_of(found).url == before.status.url
    assert told(found.status)[1] == "RevisionMissing"


def test_a_new_route_shows_its_url_at_once() -> None:
    found = planned(configurations={NAME: UNREADY})
    assert status_of(found).url == f"http://{NAME}.default.taco-cat.xyz"
    assert status_of(found).address is None


def test_a_tag_gets_a_placeholder_and_a_url() -> None:
    of = route(latest(100), pinned(SECOND, tag="old"))
    found = planned(of)
    names_made = [one.metadata.name for one in found.apply if isinstance(one, Service)]
    assert names_made == [NAME, f"old-{NAME}"]
    assert [one.url for one in status_of(found).traffic] == [
        "",
        f"http://old-{NAME}.default.taco-cat.xyz",
    ]


def test_a_tag_that_is_gone_loses_its_placeholder() -> None:
    of = route()
    leftover = Service(metadata=meta(f"old-{NAME}", of))
    assert planned(of, services=[leftover]).delete == (leftover,)


def test_a_service_of_somebody_else_is_in_the_way() -> None:
    foreign = Service(metadata=meta(NAME))
    found = planned(services=[foreign], ingress=existing())
    assert told(found.status, "IngressReady") == (
        "False",
        "NotOwned",
        f'There is an existing placeholder Service "{NAME}" that we do not own.',
    )
    assert not any(isinstance(one, Service) for one in found.apply)


def test_a_placeholder_may_be_kept_inside_by_label() -> None:
    of = route(latest(100), pinned(SECOND, tag="old"))
    hidden = Service(metadata=meta(f"old-{NAME}", of, labels=LOCAL))
    found = planned(of, services=[hidden])
    made = next(one for one in found.apply if isinstance(one, networking.Ingress))
    assert [rule.visibility for rule in made.spec.rules] == [
        "ClusterLocal",
        "ExternalIP",
        "ClusterLocal",
    ]
    assert status_of(found).traffic[1].url == f"http://old-{NAME}.default.svc.cluster.local"


def test_cluster_local_says_so_about_certificates() -> None:
    found = planned(route(labels=LOCAL))
    assert told(found.status, "CertificateProvisioned")[2] == "TLS is not enabled for cluster-local"


def test_auto_tls_says_that_nothing_is_issued() -> None:
    config = parse({"config-network": {"auto-tls": "Enabled"}})
    found = planned(config=config)
    assert told(found.status, "CertificateProvisioned")[1] == "HTTPDowngrade"


def test_a_template_that_gives_no_host_is_told() -> None:
    config = parse({"config-network": {"domain-template": "{{.Name}}.{{.Labels.team}}.x.com"}})
    found = planned(config=config)
    assert told(found.status, "AllTrafficAssigned")[1] == "DomainTemplateFailed"
    assert found.apply == ()


def test_events_tell_what_is_made() -> None:
    assert [event.message for event in planned().events] == [
        f'Created placeholder service "{NAME}"',
        f'Created Ingress "{NAME}"',
    ]


def test_a_route_that_goes_is_left_alone() -> None:
    assert planned(route(deletion_timestamp="2026-01-01T00:00:00Z")) == NOTHING


def test_planning_twice_says_the_same() -> None:
    first = planned(ingress=existing()).status
    assert isinstance(first, serving.Route)
    assert planned(first, ingress=existing()).status == first


def test_the_default_configuration_has_example_com() -> None:
    assert Namer(route(), KnativeConfig()).host("") == f"{NAME}.default.example.com"
