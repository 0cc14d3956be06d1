"""Knative's denials, word for word, as a table: what is changed in a good Service, what is said."""

from copy import deepcopy

import pytest

from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.config_knative import parse
from stagezero.api.errors import Denied
from support.knative_services import (
    admit,
    metadata,
    mounted,
    named,
    pod,
    service,
    template,
    traffic,
    two,
)

SPEC = "spec.template.spec"
CONTAINER = f"{SPEC}.containers[0]"
LABEL = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
MIN, MAX = "autoscaling.knative.dev/min-scale", "autoscaling.knative.dev/max-scale"
AUTOSCALING = "autoscaling.knative.dev"
TEMPLATE = "spec.template.metadata.annotations"


DENIALS: dict[str, tuple[Raw, str]] = {
    "no containers": (pod(containers=[]), f"missing field(s): {SPEC}.containers"),
    "no image": (service(image=""), f"missing field(s): {CONTAINER}.image"),
    "bad image": (
        service(image="no good"),
        f"Failed to parse image reference: {CONTAINER}.image\n"
        'image: "no good", error: could not parse reference: no good',
    ),
    "name with capital": (
        metadata(name="Svc"),
        f"not a DNS 1035 label: [{LABEL}]: metadata.name",
    ),
    "no name": (metadata(name=""), "name or generateName is required: metadata.name"),
    "autoscaling annotation on the service": (
        metadata(annotations={MIN: "1"}),
        f'invalid key name "{MIN}": metadata.annotations\n'
        'autoscaling annotations must be put under "spec.template.metadata.annotations" to work',
    ),
    "rollout duration not whole seconds": (
        metadata(annotations={"serving.knative.dev/rollout-duration": "1500ms"}),
        "rollout-duration=1500ms is not at second precision: "
        "metadata.annotations.serving.knative.dev/rollout-duration",
    ),
    "rollout duration negative": (
        metadata(annotations={"serving.knative.dev/rollout-duration": "-5s"}),
        "rollout-duration=-5s must be positive: "
        "metadata.annotations.serving.knative.dev/rollout-duration",
    ),
    "rollout duration no duration": (
        metadata(annotations={"serving.knative.dev/rollout-duration": "soon"}),
        "invalid value: soon: metadata.annotations.serving.knative.dev/rollout-duration",
    ),
    "revision name without prefix": (
        named("foo"),
        'invalid value: "foo" must have prefix "svc-": spec.template.metadata.name',
    ),
    "revision name no label": (
        named("svc-A"),
        f"invalid value: not a DNS 1035 label: [{LABEL}]: spec.template.metadata.name",
    ),
    "time-out too long": (
        pod(timeoutSeconds=601),
        f"expected 0 <= 601 <= 600: {SPEC}.timeoutSeconds",
    ),
    "concurrency too high": (
        pod(containerConcurrency=1001),
        f"expected 0 <= 1001 <= 1000: {SPEC}.containerConcurrency",
    ),
    "concurrency negative": (
        pod(containerConcurrency=-1),
        f"expected 0 <= -1 <= 1000: {SPEC}.containerConcurrency",
    ),
    "traffic short of 100": (
        traffic({"latestRevision": True, "percent": 90}),
        "Traffic targets sum to 90, want 100: spec.traffic",
    ),
    "tag twice": (
        traffic(
            {"latestRevision": True, "percent": 50, "tag": "a"},
            {"revisionName": "svc-00001", "percent": 50, "tag": "a"},
        ),
        'Multiple definitions for "a": spec.traffic[0].tag, spec.traffic[1].tag',
    ),
    "tag no label": (
        traffic({"latestRevision": True, "percent": 100, "tag": "A"}),
        f"invalid value: not a DNS 1035 label: [{LABEL}]: spec.traffic[0].tag",
    ),
    "latest with revision name": (
        traffic({"latestRevision": True, "revisionName": "x", "percent": 100}),
        'may not set revisionName "x" when latestRevision is true: spec.traffic[0].latestRevision',
    ),
    "not latest without revision name": (
        traffic({"latestRevision": False, "percent": 100}),
        'may not set revisionName "" when latestRevision is false: spec.traffic[0].latestRevision',
    ),
    "percent over 100": (
        traffic({"latestRevision": True, "percent": 101}),
        "Traffic targets sum to 101, want 100: spec.traffic\n"
        "expected 0 <= 101 <= 100: spec.traffic[0].percent",
    ),
    "url in spec": (
        traffic({"latestRevision": True, "percent": 100, "url": "http://x"}),
        "must not set the field(s): spec.traffic[0].url",
    ),
    "configuration name in a service": (
        traffic({"configurationName": "x", "percent": 100}),
        "must not set the field(s): spec.traffic[0].configurationName",
    ),
    "queue-proxy is taken": (
        service(name="queue-proxy"),
        f'"queue-proxy" is a reserved container name: {CONTAINER}.name',
    ),
    "container name twice": (
        two({"name": "x", "ports": [{"containerPort": 80}]}, {"name": "x"}),
        f'duplicate container name "x": {SPEC}.containers[1].name',
    ),
    "no port among several": (
        two({}, {}),
        f"missing field(s): {SPEC}.containers[*].ports",
    ),
    "ports on two containers": (
        two({"ports": [{"containerPort": 80}]}, {"ports": [{"containerPort": 81}]}),
        f"more than one container port is set: {SPEC}.containers[*].ports\n"
        "Only a single port is allowed across all containers",
    ),
    "two ports on one container": (
        service(ports=[{"containerPort": 80}, {"containerPort": 81}]),
        f"more than one container port is set: {SPEC}.containers[*].ports\n"
        "Only a single port is allowed across all containers",
    ),
    "port name": (
        service(ports=[{"containerPort": 80, "name": "grpc"}]),
        f"Port name grpc is not allowed: {CONTAINER}.ports\n"
        "Name must be empty, or one of: 'h2c', 'http1'",
    ),
    "reserved port": (
        service(ports=[{"containerPort": 8012}]),
        f"invalid value: 8012 is a reserved port: {CONTAINER}.ports.containerPort",
    ),
    "port out of range": (
        service(ports=[{"containerPort": 65536}]),
        f"expected 0 <= 65536 <= 65535: {CONTAINER}.ports.containerPort",
    ),
    "protocol": (
        service(ports=[{"containerPort": 80, "protocol": "UDP"}]),
        f"invalid value: UDP: {CONTAINER}.ports.protocol",
    ),
    "host port": (
        service(ports=[{"containerPort": 80, "hostPort": 80}]),
        f"must not set the field(s): {CONTAINER}.ports.hostPort",
    ),
    "reserved variable": (
        service(env=[{"name": "PORT", "value": "1"}]),
        f'"PORT" is a reserved environment variable: {CONTAINER}.env[0].name',
    ),
    "variable without name": (
        service(env=[{"name": "", "value": "1"}]),
        f"missing field(s): {CONTAINER}.env[0].name",
    ),
    "field reference": (
        service(env=[{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
        f"must not set the field(s): {CONTAINER}.env[0].valueFrom.fieldRef",
    ),
    "envFrom without source": (
        service(envFrom=[{"prefix": "A"}]),
        f"expected exactly one, got neither: {CONTAINER}.envFrom.configMapRef, "
        f"{CONTAINER}.envFrom.secretRef",
    ),
    "probe port name": (
        service(livenessProbe={"tcpSocket": {"port": "imap"}}),
        f"invalid value: imap: {CONTAINER}.livenessProbe.tcpSocket.port\n"
        "Probe port must match container port",
    ),
    "probe without handler": (
        service(livenessProbe={"periodSeconds": 3}),
        f"expected exactly one, got neither: {CONTAINER}.livenessProbe.exec, "
        f"{CONTAINER}.livenessProbe.httpGet, {CONTAINER}.livenessProbe.tcpSocket",
    ),
    "probe with two handlers": (
        service(livenessProbe={"exec": {"command": ["a"]}, "httpGet": {"path": "/"}}),
        f"expected exactly one, got both: {CONTAINER}.livenessProbe.exec, "
        f"{CONTAINER}.livenessProbe.httpGet",
    ),
    "threshold with the aggressive probe": (
        service(readinessProbe={"httpGet": {"path": "/"}, "failureThreshold": 2}),
        "failureThreshold is disallowed when periodSeconds is zero: "
        f"{CONTAINER}.readinessProbe.failureThreshold",
    ),
    "time-out with the aggressive probe": (
        service(readinessProbe={"httpGet": {"path": "/"}, "timeoutSeconds": 2}),
        "timeoutSeconds is disallowed when periodSeconds is zero: "
        f"{CONTAINER}.readinessProbe.timeoutSeconds",
    ),
    "negative period": (
        service(readinessProbe={"httpGet": {"path": "/"}, "periodSeconds": -1}),
        f"expected 0 <= -1 <= 2147483647: {CONTAINER}.readinessProbe.periodSeconds\n"
        f"expected 1 <= 0 <= 2147483647: {CONTAINER}.readinessProbe.failureThreshold, "
        f"{CONTAINER}.readinessProbe.timeoutSeconds",
    ),
    "negative success threshold": (
        service(readinessProbe={"httpGet": {"path": "/"}, "successThreshold": -1}),
        f"expected 1 <= -1 <= 2147483647: {CONTAINER}.readinessProbe.successThreshold",
    ),
    "sidecar probe": (
        two(
            {"name": "a", "ports": [{"containerPort": 80}]},
            {"name": "b", "livenessProbe": {"exec": {}}},
        ),
        f"must not set the field(s): {SPEC}.containers[1].livenessProbe",
    ),
    "grpc probe": (
        service(livenessProbe={"grpc": {"port": 1}, "exec": {"command": ["a"]}}),
        f"must not set the field(s): {CONTAINER}.livenessProbe.grpc",
    ),
    "lifecycle": (
        service(lifecycle={"preStop": {}}),
        f"must not set the field(s): {CONTAINER}.lifecycle",
    ),
    "startup probe": (
        service(startupProbe={"exec": {}}),
        f"must not set the field(s): {CONTAINER}.startupProbe",
    ),
    "stdin": (service(stdin=True), f"must not set the field(s): {CONTAINER}.stdin"),
    "tty and stdin": (
        service(stdin=True, tty=True),
        f"must not set the field(s): {CONTAINER}.stdin, {CONTAINER}.tty",
    ),
    "privileged": (
        service(securityContext={"privileged": True}),
        f"must not set the field(s): {CONTAINER}.securityContext.privileged",
    ),
    "user id": (
        service(securityContext={"runAsUser": -10}),
        f"expected 0 <= -10 <= 2147483647: {CONTAINER}.securityContext.runAsUser",
    ),
    "termination policy": (
        service(terminationMessagePolicy="Never"),
        f"invalid value: Never: {CONTAINER}.terminationMessagePolicy",
    ),
    "init containers": (
        pod(initContainers=[{"image": "a"}]),
        "pod spec support for init-containers is off, but found 1 init containers: ",
    ),
    "host network": (pod(hostNetwork=True), f"must not set the field(s): {SPEC}.hostNetwork"),
    "node selector": (
        pod(nodeSelector={"a": "b"}),
        f"must not set the field(s): {SPEC}.nodeSelector",
    ),
    "automount": (
        pod(automountServiceAccountToken=True),
        f"must not set the field(s): {SPEC}.automountServiceAccountToken",
    ),
    "volume not mounted": (
        pod(volumes=[{"name": "v", "secret": {"secretName": "s"}}]),
        f'volume with name "v" not mounted: {SPEC}.volumes[0].name',
    ),
    "mount without volume": (
        service(volumeMounts=[{"name": "v", "mountPath": "/data"}]),
        f"volumeMount has no matching volume: {CONTAINER}.volumeMounts[0].name",
    ),
    "reserved path": (
        mounted({"secret": {"secretName": "s"}}, mountPath="/tmp/"),
        f'mountPath "/tmp" is a reserved path: {CONTAINER}.volumeMounts[0].mountPath',
    ),
    "relative path": (
        mounted({"secret": {"secretName": "s"}}, mountPath="data"),
        f"invalid value: data: {CONTAINER}.volumeMounts[0].mountPath",
    ),
    "no mount path": (
        mounted({"secret": {"secretName": "s"}}, mountPath=""),
        f"missing field(s): {CONTAINER}.volumeMounts[0].mountPath",
    ),
    "empty dir": (
        mounted({"emptyDir": {}}),
        "EmptyDir volume support is disabled, but found EmptyDir volume v: ",
    ),
    "claim": (
        mounted({"persistentVolumeClaim": {"claimName": "c", "readOnly": True}}, readOnly=True),
        "Persistent volume claim support is disabled, but found persistent volume claim c: ",
    ),
    "volume without source": (
        mounted({}),
        f"expected exactly one, got neither: {SPEC}.volumes[0].configMap, "
        f"{SPEC}.volumes[0].projected, {SPEC}.volumes[0].secret",
    ),
    "volume with two sources": (
        mounted({"secret": {"secretName": "s"}, "configMap": {"name": "c"}}),
        f"expected exactly one, got both: {SPEC}.volumes[0].configMap, {SPEC}.volumes[0].secret",
    ),
    "host path": (
        mounted({"hostPath": {"path": "/"}, "secret": {"secretName": "s"}}),
        f"must not set the field(s): {SPEC}.volumes[0].hostPath",
    ),
    "item without path": (
        mounted({"secret": {"secretName": "s", "items": [{"key": "k", "path": ""}]}}),
        f"missing field(s): {SPEC}.volumes[0].items[0].path",
    ),
    "max below min": (
        template(min_scale="2", max_scale="1"),
        f"max-scale=1 is less than min-scale=2: {TEMPLATE}.{MAX}, {TEMPLATE}.{MIN}",
    ),
    "min negative": (
        template(min_scale="-1"),
        f"expected 0 <= -1 <= 2147483647: {TEMPLATE}.{MIN}",
    ),
    "min no number": (template(min_scale="foo"), f"invalid value: foo: {TEMPLATE}.{MIN}"),
    "min too large": (
        template(min_scale="2147483648"),
        f"expected 0 <= 2147483648 <= 2147483647: {TEMPLATE}.{MIN}",
    ),
    "old spelling": (
        template(minScale="foo"),
        f"invalid value: foo: {TEMPLATE}.{AUTOSCALING}/minScale",
    ),
    "target small": (
        template(target="0.001"),
        f"target 0.001 should be at least 0.01: {TEMPLATE}.{AUTOSCALING}/target",
    ),
    "target no number": (
        template(target="x"),
        f"invalid value: x: {TEMPLATE}.{AUTOSCALING}/target",
    ),
    "utilization": (
        template(target_utilization_percentage="0"),
        f"expected 1 <= 0 <= 100: {TEMPLATE}.{AUTOSCALING}/target-utilization-percentage",
    ),
    "panic window": (
        template(panic_window_percentage="101"),
        f"expected 1 <= 101 <= 100: {TEMPLATE}.{AUTOSCALING}/panic-window-percentage",
    ),
    "panic threshold": (
        template(panic_threshold_percentage="109"),
        f"expected 110 <= 109 <= 1000: {TEMPLATE}.{AUTOSCALING}/panic-threshold-percentage",
    ),
    "window short": (
        template(window="5s"),
        f"expected 6s <= 5s <= 1h0m0s: {TEMPLATE}.{AUTOSCALING}/window",
    ),
    "window fraction": (
        template(window="6500ms"),
        f"must be specified with at most second precision: {TEMPLATE}.{AUTOSCALING}/window",
    ),
    "window no duration": (
        template(window="long"),
        f"invalid value: long: {TEMPLATE}.{AUTOSCALING}/window",
    ),
    "scale-down delay": (
        template(scale_down_delay="61m"),
        f"expected 0s <= 61m <= 1h0m0s: {TEMPLATE}.{AUTOSCALING}/scale-down-delay",
    ),
    "retention": (
        template(scale_to_zero_pod_retention_period="-1s"),
        "expected 0s <= -1s <= 1h0m0s: "
        f"{TEMPLATE}.{AUTOSCALING}/scale-to-zero-pod-retention-period",
    ),
    "burst capacity": (
        template(target_burst_capacity="-2"),
        f"invalid value: -2: {TEMPLATE}.{AUTOSCALING}/target-burst-capacity",
    ),
    "initial scale zero": (
        template(initial_scale="0"),
        f"invalid value: 0: {TEMPLATE}.{AUTOSCALING}/initial-scale=0 not allowed by cluster",
    ),
    "initial scale negative": (
        template(initial_scale="-1"),
        f"invalid value: -1: {TEMPLATE}.{AUTOSCALING}/initial-scale must be greater than 0",
    ),
    "class": (
        template(**{"class": "x.autoscaling.knative.dev"}),
        f"invalid value: x.autoscaling.knative.dev: {TEMPLATE}.{AUTOSCALING}/class",
    ),
    "metric": (template(metric="cpu"), f"invalid value: cpu: {TEMPLATE}.{AUTOSCALING}/metric"),
    "algorithm": (
        template(**{"class": "kpa.autoscaling.knative.dev"}, metric_aggregation_algorithm="mean"),
        f"invalid value: mean: {TEMPLATE}.{AUTOSCALING}/metric-aggregation-algorithm",
    ),
}


@pytest.mark.parametrize(("raw", "text"), DENIALS.values(), ids=DENIALS)
def test_a_bad_service_is_denied_in_knatives_words(raw: Raw, text: str) -> None:
    with pytest.raises(Denied) as denied:
        admit(raw)
    prefix = 'admission webhook "validation.webhook.serving.knative.dev" denied the request: '
    assert denied.value.message == f"{prefix}validation failed: {text}"
    assert denied.value.status()["reason"] == "BadRequest"
    assert denied.value.status()["code"] == 400


GOOD: dict[str, Raw] = {
    "plain": service(),
    "port by name": service(
        ports=[{"containerPort": 80, "name": "h2c"}], livenessProbe={"tcpSocket": {"port": "h2c"}}
    ),
    "sidecar with PORT": two(
        {"name": "a", "ports": [{"containerPort": 80}]},
        {"name": "b", "env": [{"name": "PORT", "value": "1"}]},
    ),
    "config map volume": mounted({"configMap": {"name": "c"}}),
    "projected token": mounted(
        {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    ),
    "split": traffic(
        {"latestRevision": True, "percent": 90}, {"revisionName": "svc-00001", "percent": 10}
    ),
    "tag only": traffic(
        {"latestRevision": True, "percent": 100}, {"revisionName": "svc-00001", "tag": "old"}
    ),
    "scales": template(min_scale="1", max_scale="3", target="10", window="90s"),
    "old spellings": template(minScale="1", maxScale="3"),
    "unlimited burst": template(target_burst_capacity="-1"),
    "hpa on any metric": template(**{"class": "hpa.autoscaling.knative.dev"}, metric="cpu"),
    "byo name": named("svc-first"),
    "no token": pod(automountServiceAccountToken=False),
    "digest": service(image=f"docker.io/a/b@sha256:{'0' * 64}"),
    "foreign annotation": metadata(annotations={"example.com/x": "y"}),
    "integer probe port": service(readinessProbe={"httpGet": {"port": 8086}}),
}


@pytest.mark.parametrize("raw", GOOD.values(), ids=GOOD)
def test_a_good_service_is_admitted(raw: Raw) -> None:
    assert admit(raw)["spec"]["template"]["spec"]["timeoutSeconds"] == 300


@pytest.mark.parametrize("raw", GOOD.values(), ids=GOOD)
def test_defaulting_twice_changes_nothing(raw: Raw) -> None:
    once = admit(raw)
    assert admit(once, AdmissionRequest("UPDATE", once, "bob")) == once


def test_defaulting_leaves_its_argument_alone() -> None:
    raw = service()
    before = deepcopy(raw)
    admit(raw)
    assert raw == before


def test_defaults_fill_in_what_knative_fills_in() -> None:
    filled = admit(service())
    assert filled["spec"] == {
        "template": {
            "spec": {
                "containerConcurrency": 0,
                "enableServiceLinks": False,
                "timeoutSeconds": 300,
                "containers": [
                    {
                        "name": "user-container",
                        "image": "hello",
                        "readinessProbe": {"tcpSocket": {"port": 0}, "successThreshold": 1},
                    }
                ],
            }
        },
        "traffic": [{"latestRevision": True, "percent": 100}],
    }
    assert filled["metadata"]["annotations"] == {
        "serving.knative.dev/creator": "ann",
        "serving.knative.dev/lastModifier": "ann",
    }


def test_probe_without_a_port_is_stored_with_port_0() -> None:
    spec = admit(service(readinessProbe={"tcpSocket": {}}))["spec"]["template"]["spec"]
    assert spec["containers"][0]["readinessProbe"]["tcpSocket"] == {"port": 0}


def test_defaults_come_from_the_config_map() -> None:
    data = {"revision-timeout-seconds": "120", "revision-memory-limit": "200M"}
    filled = admit(service(), config=parse({"config-defaults": data}))
    spec = filled["spec"]["template"]["spec"]
    assert spec["timeoutSeconds"] == 120
    assert spec["containers"][0]["resources"] == {"limits": {"memory": "200M"}}


def test_several_containers_are_numbered() -> None:
    spec = admit(two({"ports": [{"containerPort": 80}]}, {}))["spec"]["template"]["spec"]
    assert [one["name"] for one in spec["containers"]] == ["user-container-0", "user-container-1"]
    assert "readinessProbe" not in spec["containers"][1]


def test_a_periodic_probe_gets_threshold_and_time_out() -> None:
    spec = admit(service(readinessProbe={"httpGet": {}, "periodSeconds": 5}))["spec"]
    assert spec["template"]["spec"]["containers"][0]["readinessProbe"] == {
        "httpGet": {"port": 0, "path": "/"},
        "periodSeconds": 5,
        "failureThreshold": 3,
        "timeoutSeconds": 1,
        "successThreshold": 1,
    }


def test_a_feature_flag_opens_a_field() -> None:
    config = parse({"config-features": {"kubernetes.podspec-nodeselector": "enabled"}})
    assert admit(pod(nodeSelector={"a": "b"}), config=config)


def test_an_unknown_field_cannot_be_decoded() -> None:
    with pytest.raises(Denied) as denied:
        admit(service(imagePolicy="Always"))
    assert denied.value.message == (
        'admission webhook "webhook.serving.knative.dev" denied the request: mutation failed: '
        'cannot decode incoming new object: json: unknown field "imagePolicy"'
    )
