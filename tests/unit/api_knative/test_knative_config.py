"""Knative's config maps: what they mean, in either spelling, and which edits are refused."""

import pytest

from stagezero.api import config_knative, config_knative_domain, config_knative_network
from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw, to_raw
from stagezero.api.config_knative import KnativeConfig, parse
from stagezero.api.config_map_values import ConfigError
from stagezero.api.core import ConfigMap
from stagezero.api.errors import Denied
from stagezero.api.presets.knative import config_maps
from stagezero.api.serving_knative_admission import validate_config_map

LOCAL = {"networking.knative.dev/visibility": "cluster-local"}
REQUEST = AdmissionRequest("UPDATE", None, "ann")


@pytest.mark.parametrize(
    ("data", "labels", "domain"),
    [
        pytest.param({}, {}, "example.com", id="nothing said"),
        pytest.param({"a.com": ""}, {}, "a.com", id="one default"),
        pytest.param({"b.com": "", "a.com": ""}, {}, "a.com", id="two defaults"),
        pytest.param({"localhost": "", "taco-cat.xyz": ""}, {}, "taco-cat.xyz", id="yields"),
        pytest.param({"localhost": ""}, {}, "localhost", id="shipped alone"),
        pytest.param({"a.com": "selector:\n  x: y"}, {}, "example.com", id="selector only"),
        pytest.param({"a.com": "selector:\n  x: y"}, {"x": "y"}, "a.com", id="selector matches"),
        pytest.param(
            {"a.com": "", "b.com": "selector: {x: y}", "c.com": "selector: {x: y, z: w}"},
            {"x": "y", "z": "w"},
            "c.com",
            id="most labels win",
        ),
        pytest.param({"a.com": ""}, LOCAL, "svc.cluster.local", id="cluster-local"),
        pytest.param(
            {"a.com": ""},
            {"serving.knative.dev/visibility": "cluster-local"},
            "svc.cluster.local",
            id="cluster-local, old label",
        ),
        pytest.param({"_example": "junk: [", "a.com": ""}, {}, "a.com", id="example left aside"),
    ],
)
def test_a_domain_is_chosen_by_labels(
    data: dict[str, str], labels: dict[str, str], domain: str
) -> None:
    assert config_knative_domain.parse(data).domain_for(labels) == domain


@pytest.mark.parametrize(
    ("data", "field", "value"),
    [
        ({"ingress-class": "x"}, "ingress_class", "x"),
        ({"ingress.class": "x"}, "ingress_class", "x"),
        ({"ingress-class": "new", "ingress.class": "old"}, "ingress_class", "new"),
        ({"certificate.class": "x"}, "certificate_class", "x"),
        ({"autoTLS": "Enabled"}, "auto_tls", True),
        ({"auto-tls": "enabled"}, "auto_tls", True),
        ({"auto-tls": "Disabled"}, "auto_tls", False),
        ({"httpProtocol": "redirected"}, "http_protocol", "Redirected"),
        ({"http-protocol": "Enabled"}, "http_protocol", "Enabled"),
        ({"rolloutDuration": "30"}, "rollout_duration_s", 30),
        ({"rollout-duration": "30"}, "rollout_duration_s", 30),
        ({"autocreateClusterDomainClaims": "true"}, "autocreate_cluster_domain_claims", True),
        ({"defaultExternalScheme": "https"}, "default_external_scheme", "https"),
        ({"mesh-compatibility-mode": "Enabled"}, "mesh_compatibility_mode", "enabled"),
        ({}, "ingress_class", "istio.ingress.networking.knative.dev"),
        ({}, "http_protocol", "Enabled"),
    ],
)
def test_config_network_is_read_in_either_spelling(
    data: dict[str, str], field: str, value: object
) -> None:
    assert getattr(config_knative_network.parse(data), field) == value


@pytest.mark.parametrize(
    "source",
    [
        "{{.Name}}-{{.Namespace}}.{{.Domain}}",
        "{{ .Name }}.{{.Domain}}",
        '{{.Name}}.{{ index .Annotations "sub" }}.{{.Domain}}',
        "{{.Name}}.{{.Labels.team}}.{{.Domain}}",
        "{{.Name | lower}}.{{.Domain}}",
        "{{- .Name -}}.x.com",
    ],
)
def test_a_good_domain_template_is_taken(source: str) -> None:
    assert config_knative_network.parse({"domainTemplate": source}).domain_template.source == source


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("config-network", {"domain-template": "{{.Nmae}}"}, "can't evaluate field Nmae"),
        ("config-network", {"domain-template": "{{.Name"}, "unclosed or unexpected action"),
        ("config-network", {"domain-template": "{{printf 1}}"}, "beyond what is supported"),
        ("config-network", {"domain-template": "{{.Name | shout}}"}, '"shout" not defined'),
        ("config-network", {"domain-template": "{{}}"}, "missing value for command"),
        ("config-network", {"domain-template": ""}, "empty hostname"),
        ("config-network", {"domain-template": "x.com/{{.Name}}"}, "has url path: /foo"),
        ("config-network", {"domain-template": "{{.Name}} x"}, "is no host name"),
        ("config-network", {"domain-template": "{{.Name}}:80"}, "is no host name"),
        ("config-network", {"tag-template": "{{.Domain}}"}, "can't evaluate field Domain"),
        ("config-network", {"httpProtocol": "off"}, "httpProtocol off in config-network"),
        ("config-network", {"rollout-duration": "-1"}, "positive integer, but was -1"),
        ("config-network", {"rollout-duration": "soon"}, '"soon" is not a whole number'),
        ("config-network", {"default-external-scheme": "ftp"}, "http or https"),
        ("config-domain", {"a.com": "selector: ["}, 'domain "a.com" is not YAML'),
        ("config-domain", {"a.com": "x"}, 'must be empty or "selector: ..."'),
        ("config-domain", {"a.com": "selector: {a: 1}"}, "must map labels to texts"),
        ("config-defaults", {"revision-timeout-seconds": "900"}, "(900) cannot be greater than"),
        ("config-defaults", {"container-concurrency": "1001"}, "expected 0 <= 1001 <= 1000"),
        ("config-defaults", {"container-concurrency-max-limit": "0"}, "expected 1 <= 0 <="),
        ("config-defaults", {"allow-container-concurrency-zero": "maybe"}, "true or false"),
        ("config-deployment", {"progress-deadline": "0s"}, "non-positive duration, was 0s"),
        ("config-deployment", {"progress-deadline": "1500ms"}, "whole second, was: 1.5s"),
        ("config-gc", {"min-non-active-revisions": "-1"}, "must be non-negative, was: -1"),
        ("config-gc", {"max-non-active-revisions": "5"}, "(20) must be <="),
        ("config-autoscaler", {"scale-to-zero-grace-period": "0s"}, "must be positive, was: 0s"),
        ("config-autoscaler", {"scale-down-delay": "-1s"}, "cannot be negative, was: -1s"),
        ("config-autoscaler", {"scale-down-delay": "1500ms"}, "at most second precision"),
        (
            "config-autoscaler",
            {"scale-to-zero-pod-retention-period": "-4s"},
            "cannot be negative, was: -4s",
        ),
        ("config-autoscaler", {"target-burst-capacity": "-2"}, "was: -2.000000"),
        (
            "config-autoscaler",
            {"container-concurrency-target-percentage": "101"},
            "= 101.000000 is outside of valid range of (0, 100]",
        ),
        (
            "config-autoscaler",
            {"container-concurrency-target-default": "0.01"},
            "yield target concurrency of 0.006999999999999999, can't be less than 0.01",
        ),
        ("config-autoscaler", {"requests-per-second-target-default": "0"}, "at least 0.01, was: 0"),
        ("config-autoscaler", {"activator-capacity": "0.5"}, "= 0.5, must be at least 1"),
        ("config-autoscaler", {"max-scale-up-rate": "1"}, "= 1, must be greater than 1.0"),
        ("config-autoscaler", {"max-scale-down-rate": "1.0"}, "= 1, must be greater than 1.0"),
        ("config-autoscaler", {"stable-window": "5s"}, "= 5s, must be in [6s; 1h0m0s] range"),
        ("config-autoscaler", {"stable-window": "6500ms"}, "at most second precision"),
        ("config-autoscaler", {"panic-window-percentage": "0.5"}, "= 0.5, must be in ["),
        ("config-autoscaler", {"initial-scale": "0"}, "initial-scale = 0, must be at least 0"),
        ("config-autoscaler", {"min-scale": "-1"}, "min-scale = -1, must be at least 0"),
        ("config-autoscaler", {"max-scale-limit": "-1"}, "max-scale-limit = -1"),
        (
            "config-autoscaler",
            {"max-scale-limit": "5"},
            "max-scale = 0, must be in [1, max-scale-limit(5)] range",
        ),
        (
            "config-autoscaler",
            {"min-scale": "6", "max-scale": "5"},
            "min-scale (6) must be less than max-scale (5)",
        ),
        ("config-autoscaler", {"stable-window": "long"}, '"long" is not a duration'),
        ("config-autoscaler", {"max-scale-up-rate": "x"}, '"x" is not a number'),
    ],
)
def test_a_broken_edit_is_denied(name: str, data: dict[str, str], text: str) -> None:
    raw: Raw = {"metadata": {"name": name, "namespace": "knative-serving"}, "data": data}
    with pytest.raises(Denied) as denied:
        validate_config_map(raw, REQUEST)
    assert text in denied.value.message
    assert denied.value.message.startswith(
        'admission webhook "config.webhook.serving.knative.dev" denied the request: '
        "validation failed: "
    )


@pytest.mark.parametrize("config_map", config_maps(), ids=lambda one: str(one.metadata.name))
def test_what_is_shipped_is_admitted(config_map: ConfigMap) -> None:
    validate_config_map(to_raw(config_map), REQUEST)


def test_an_edit_of_the_example_is_denied() -> None:
    shipped = to_raw(config_maps()[0])
    shipped["data"]["_example"] += "stable-window: 90s\n"
    with pytest.raises(Denied, match='modifies a key in "_example"'):
        validate_config_map(shipped, REQUEST)


@pytest.mark.parametrize("namespace", ["default", "kserve"])
def test_config_maps_of_others_are_left_alone(namespace: str) -> None:
    raw: Raw = {
        "metadata": {"name": "config-domain", "namespace": namespace},
        "data": {"a.com": "selector: ["},
    }
    validate_config_map(raw, REQUEST)


def test_an_unknown_config_map_of_the_namespace_is_free() -> None:
    raw: Raw = {
        "metadata": {"name": "config-logging", "namespace": "knative-serving"},
        "data": {"loglevel.controller": "debug"},
    }
    validate_config_map(raw, REQUEST)


def test_percentages_may_be_written_as_fractions() -> None:
    by_fraction = parse({"config-autoscaler": {"container-concurrency-target-percentage": "0.5"}})
    by_percent = parse({"config-autoscaler": {"container-concurrency-target-percentage": "50"}})
    assert by_fraction == by_percent


def test_every_config_map_has_a_field() -> None:
    assert {field for field, _ in config_knative.PARSERS.values()} == set(
        KnativeConfig.__dataclass_fields__
    )


def test_empty_config_maps_are_the_defaults() -> None:
    assert parse({name: {} for name in config_knative.MAP_NAMES}) == KnativeConfig()


@pytest.mark.parametrize("value", ["disabled", "Disabled"])
def test_garbage_collection_can_be_disabled(value: str) -> None:
    config = parse({"config-gc": {"retain-since-create-time": value}})
    assert config.gc.retain_since_create_s is None


def test_a_flag_that_is_none_keeps_its_default() -> None:
    config = parse({"config-features": {"multi-container": "perhaps"}})
    assert config.features.is_enabled("multi-container")


def test_config_errors_are_value_errors() -> None:
    assert issubclass(ConfigError, ValueError)
