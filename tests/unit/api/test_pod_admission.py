"""Pods are defaulted and refused as Kubernetes does it."""

from copy import deepcopy
from typing import Any

import pytest

from stagezero.api import errors
from stagezero.api.admission import AdmissionRequest
from stagezero.api.base import Raw
from stagezero.api.core_admission import default_pod, qos_class, validate_pod
from stagezero.api.pod_defaults import default_pod_spec, pull_policy

CREATE = AdmissionRequest("CREATE", None, "me")


def pod(**container: Any) -> Raw:
    first = {"name": "main", "image": "app:1", **container}
    return {"metadata": {"name": "p"}, "spec": {"containers": [first]}}


def with_spec(**spec: Any) -> Raw:
    raw = pod()
    raw["spec"] |= spec
    return raw


def full(raw: Raw) -> Raw:
    return default_pod(raw, CREATE)


def first(raw: Raw) -> Raw:
    found: Raw = full(raw)["spec"]["containers"][0]
    return found


def refusal(raw: Raw, old: Raw | None = None) -> str:
    operation = "UPDATE" if old else "CREATE"
    with pytest.raises(errors.Invalid) as caught:
        validate_pod(raw, AdmissionRequest(operation, old, "me"))
    return caught.value.message.removeprefix('Pod "p" is invalid: ')


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
        ("dnsPolicy", "ClusterFirst"),
        ("schedulerName", "default-scheduler"),
        ("serviceAccountName", "default"),
        ("enableServiceLinks", True),
    ],
)
def test_a_pod_gets(field: str, value: object) -> None:
    assert full(pod())["spec"][field] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("terminationMessagePath", "/dev/termination-log"),
        ("terminationMessagePolicy", "File"),
        ("imagePullPolicy", "IfNotPresent"),
        ("resources", {}),
    ],
)
def test_a_container_gets(field: str, value: object) -> None:
    assert first(pod())[field] == value


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("app", "Always"),
        ("app:latest", "Always"),
        ("app:v1", "IfNotPresent"),
        ("host:5000/app", "Always"),
        ("host:5000/app:v1", "IfNotPresent"),
        ("app@sha256:0", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_probes_get_their_numbers() -> None:
    probe = first(pod(readinessProbe={"httpGet": {"port": 8080}}))["readinessProbe"]
    assert probe == {
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
        "httpGet": {"scheme": "HTTP", "port": 8080, "path": "/"},
    }


def test_ports_are_tcp() -> None:
    assert first(pod(ports=[{"containerPort": 80}]))["ports"][0]["protocol"] == "TCP"


def test_fields_are_of_version_one() -> None:
    env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    assert first(pod(env=env))["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({}, {"emptyDir": {}}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
        ({"configMap": {"defaultMode": 256}}, {"configMap": {"defaultMode": 256}}),
        ({"hostPath": {"path": "/"}}, {"hostPath": {"path": "/", "type": ""}}),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "projected": {
                    "defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                }
            },
        ),
    ],
    ids=["none", "secret", "mode is kept", "host path", "projected"],
)
def test_volumes_get(volume: Raw, expected: Raw) -> None:
    made = full(with_spec(volumes=[{"name": "v", **volume}]))["spec"]["volumes"][0]
    assert made == {"name": "v", **expected}


def test_what_is_limited_is_asked_for() -> None:
    limits = {"cpu": "1", "memory": "1Gi"}
    made = first(pod(resources={"limits": limits, "requests": {"cpu": "100m"}}))
    assert made["resources"]["requests"] == {"cpu": "100m", "memory": "1Gi"}


def test_what_is_given_stays() -> None:
    assert full(with_spec(restartPolicy="Never"))["spec"]["restartPolicy"] == "Never"


def test_defaults_change_nothing_in_place() -> None:
    raw = pod(ports=[{"containerPort": 80}])
    before = deepcopy(raw)
    full(raw)
    assert raw == before


def test_defaults_settle() -> None:
    once = full(pod(readinessProbe={"tcpSocket": {"port": 1}}))
    assert default_pod(once, CREATE) == once


@pytest.mark.parametrize("spec", [{"containers": "x"}, {"containers": ["x"]}, {"volumes": {}}])
def test_wrong_types_are_passed_on(spec: Raw) -> None:
    assert default_pod_spec(spec).items() >= spec.items()


def test_a_new_pod_is_pending() -> None:
    assert full(pod())["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1", "memory": "1"}}],
         "Guaranteed"),
        ([{"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1", "memory": "1"}}, {}],
         "Burstable"),
    ],
)  # fmt: skip
def test_the_class_of_service(resources: list[Raw], expected: str) -> None:
    assert qos_class({"containers": [{"resources": found} for found in resources]}) == expected


def test_a_good_pod_is_accepted() -> None:
    validate_pod(full(pod()), CREATE)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(
            with_spec(containers=[]), "spec.containers: Required value", id="no container"
        ),
        pytest.param(pod(name=""), "spec.containers[0].name: Required value", id="no name"),
        pytest.param(pod(image=""), "spec.containers[0].image: Required value", id="no image"),
        pytest.param(
            pod(imagePullPolicy="Often"),
            'spec.containers[0].imagePullPolicy: Unsupported value: "Often": supported values: '
            '"Always", "IfNotPresent", "Never"',
            id="pull policy",
        ),
        pytest.param(
            with_spec(containers=[{"name": "a", "image": "i"}, {"name": "a", "image": "i"}]),
            'spec.containers[1].name: Duplicate value: "a"',
            id="same name",
        ),
        pytest.param(
            pod(ports=[{"containerPort": 70000}]),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 "
            "and 65535, inclusive",
            id="port range",
        ),
        pytest.param(
            pod(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
            'spec.containers[0].ports[1].name: Duplicate value: "a"',
            id="port names",
        ),
        pytest.param(
            pod(ports=[{"containerPort": 1, "protocol": "HTTP"}]),
            'spec.containers[0].ports[0].protocol: Unsupported value: "HTTP": supported values: '
            '"SCTP", "TCP", "UDP"',
            id="protocol",
        ),
        pytest.param(
            pod(env=[{"name": ""}]), "spec.containers[0].env[0].name: Required value", id="env name"
        ),
        pytest.param(
            pod(env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {}}}]),
            'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when '
            "`value` is not empty",
            id="env twice",
        ),
        pytest.param(
            pod(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
            id="no such volume",
        ),
        pytest.param(
            with_spec(volumes=[{"name": "v", "emptyDir": {}, "secret": {}}]),
            "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type",
            id="two sources",
        ),
        pytest.param(
            with_spec(restartPolicy="Sometimes"),
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", '
            '"Never", "OnFailure"',
            id="restart policy",
        ),
        pytest.param(
            pod(livenessProbe={}),
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
            id="no handler",
        ),
        pytest.param(
            pod(readinessProbe={"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}),
            "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 "
            "handler type",
            id="two handlers",
        ),
        pytest.param(
            pod(livenessProbe={"tcpSocket": {"port": 1}, "successThreshold": 2}),
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            id="liveness threshold",
        ),
        pytest.param(
            pod(readinessProbe={"tcpSocket": {"port": 1}, "periodSeconds": -1}),
            "spec.containers[0].readinessProbe.periodSeconds: Invalid value: -1: must be greater "
            "than or equal to 0",
            id="negative period",
        ),
        pytest.param(
            pod(readinessProbe={"tcpSocket": {"port": 0}}),
            "spec.containers[0].readinessProbe.tcpSocket.port: Invalid value: 0: must be between "
            "1 and 65535, inclusive",
            id="probe port",
        ),
        pytest.param(
            pod(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
            'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal '
            "to cpu limit of 1",
            id="more than the limit",
        ),
        pytest.param(
            pod(resources={"limits": {"cpu": "lots"}}),
            'spec.containers[0].resources.limits[cpu]: Invalid value: "lots": quantities must '
            "match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            id="no quantity",
        ),
        pytest.param(
            with_spec(terminationGracePeriodSeconds=-1),
            "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal "
            "to 0",
            id="negative grace",
        ),
    ],
)
def test_a_bad_pod_is_refused(raw: Raw, text: str) -> None:
    assert refusal(raw) == text


def test_the_same_mount_path_twice() -> None:
    raw = pod(volumeMounts=[{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/v"}])
    raw["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    assert refusal(raw) == (
        'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique'
    )


def test_a_sub_path_stays_inside() -> None:
    raw = pod(volumeMounts=[{"name": "v", "mountPath": "/v", "subPath": "../x"}])
    raw["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    assert refusal(raw).endswith("must not contain '..'")


def test_several_mistakes_are_told_together() -> None:
    text = refusal(pod(name="", image=""))
    assert (
        text
        == "[spec.containers[0].name: Required value, spec.containers[0].image: Required value]"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"activeDeadlineSeconds": 5},
        {"tolerations": [{"operator": "Exists"}]},
        {"nodeName": "n"},
        {"containers": [{"name": "main", "image": "app:2"}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_these_changes_are_allowed(change: Raw) -> None:
    validate_pod(with_spec(**change), AdmissionRequest("UPDATE", pod(), "me"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (pod(), pod(command=["sh"])),
        (pod(), with_spec(restartPolicy="Never")),
        (with_spec(nodeName="n"), with_spec(nodeName="m")),
        (with_spec(nodeName="n"), pod()),
    ],
    ids=["command", "restart policy", "another node", "no node"],
)
def test_other_changes_are_refused(old: Raw, new: Raw) -> None:
    assert refusal(new, old).startswith("spec: Forbidden: pod updates may not change fields")


def test_deleting_is_never_refused() -> None:
    validate_pod({"metadata": {"name": "p"}}, AdmissionRequest("DELETE", None, "me"))
