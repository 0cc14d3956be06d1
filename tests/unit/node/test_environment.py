"""Environment variables of containers."""

import base64

import pytest

from stagezero.api.base import ObjectMeta, Raw
from stagezero.api.config import ConfigMap, Secret
from stagezero.node.plans.environment import container_environment
from stagezero.node.plans.errors import ConfigError
from stagezero.node.plans.expansion import expand, expand_all
from stagezero.node.plans.references import Place, References
from support.pods_seen import a_pod

PLACE = Place("node", "127.0.0.1", "10.0.0.9", cpus=2, memory_bytes=1 << 30)
REFERENCES = References(
    {"settings": ConfigMap(data={"mode": "fast", "not a name": "x"})},
    {"keys": Secret(data={"token": base64.b64encode(b"s3cret").decode()})},
)


def _values(container: Raw, **metadata: object) -> dict[str, str]:
    full = {"name": "main", "image": "x", **container}
    pod = a_pod({"containers": [full], "serviceAccountName": "robot"}, **metadata)
    return container_environment(pod, pod.spec.containers[0], REFERENCES, PLACE)


def _value(source: Raw, **more: object) -> str | None:
    return _values({"env": [{"name": "V", "valueFrom": source}], **more}).get("V")


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("$(A)$(B)", "12"),
        ("x$(A)y", "x1y"),
        ("$(NO)", "$(NO)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("", ""),
        ("100%$", "100%$"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_every_word_is_expanded() -> None:
    assert expand_all(["-a", "$(A)"], {"A": "1"}) == ("-a", "1")


def test_a_variable_sees_only_those_before_it() -> None:
    env = [
        {"name": "EARLY", "value": "$(LATE)"},
        {"name": "LATE", "value": "2"},
        {"name": "SEES", "value": "$(LATE)"},
    ]
    values = _values({"env": env})
    assert (values["EARLY"], values["SEES"]) == ("$(LATE)", "2")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "u1"),
        ("metadata.labels['app']", "shop"),
        ("metadata.annotations['note']", "hi"),
        ("metadata.labels['none']", ""),
        ("spec.nodeName", "node"),
        ("spec.serviceAccountName", "robot"),
        ("status.podIP", "10.0.0.9"),
        ("status.hostIP", "127.0.0.1"),
    ],
)
def test_a_field_of_the_pod_becomes_a_value(path: str, value: str) -> None:
    env = [{"name": "V", "valueFrom": {"fieldRef": {"fieldPath": path}}}]
    meta = {"labels": {"app": "shop"}, "annotations": {"note": "hi"}}
    assert _values({"env": env}, **meta)["V"] == value


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", None, "1"),
        ("limits.cpu", "1m", "500"),
        ("limits.memory", "1Mi", "512"),
        ("requests.cpu", "1m", "0"),
        ("requests.memory", None, str(64 << 20)),
    ],
)
def test_a_resource_becomes_a_value(resource: str, divisor: str | None, value: str) -> None:
    resources = {
        "limits": {"cpu": "500m", "memory": "512Mi"},
        "requests": {"memory": "64Mi"},
    }
    source = {"resourceFieldRef": {"resource": resource, "divisor": divisor}}
    assert _value(source, resources=resources) == value


def test_no_limit_means_that_of_the_node() -> None:
    assert _value({"resourceFieldRef": {"resource": "limits.cpu"}}) == "2"


def test_keys_of_objects_become_values() -> None:
    assert _value({"configMapKeyRef": {"name": "settings", "key": "mode"}}) == "fast"
    assert _value({"secretKeyRef": {"name": "keys", "key": "token"}}) == "s3cret"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found'),
        ({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found'),
        (
            {"configMapKeyRef": {"name": "settings", "key": "k"}},
            "couldn't find key k in ConfigMap default/settings",
        ),
        (
            {"secretKeyRef": {"name": "keys", "key": "k"}},
            "couldn't find key k in Secret default/keys",
        ),
        ({"fieldRef": {"fieldPath": "spec.x"}}, "unsupported fieldPath: spec.x"),
    ],
    ids=["no-map", "no-secret", "no-map-key", "no-secret-key", "no-field"],
)
def test_what_is_missing_is_named_as_kubernetes_does(source: Raw, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _value(source)
    assert str(refused.value) == message


@pytest.mark.parametrize("kind", ["configMapKeyRef", "secretKeyRef"])
@pytest.mark.parametrize("name", ["no", "settings", "keys"])
def test_what_is_optional_may_be_missing(kind: str, name: str) -> None:
    assert _value({kind: {"name": name, "key": "none", "optional": True}}) is None


def test_all_keys_of_an_object_become_variables_if_they_are_names() -> None:
    sources = [
        {"configMapRef": {"name": "settings"}, "prefix": "X_"},
        {"secretRef": {"name": "keys"}},
        {"configMapRef": {"name": "no", "optional": True}},
    ]
    assert _values({"envFrom": sources}) == {"X_mode": "fast", "token": "s3cret"}


def test_a_missing_object_of_variables_is_named() -> None:
    with pytest.raises(ConfigError, match='secret "no" not found'):
        _values({"envFrom": [{"secretRef": {"name": "no"}}]})


def test_the_spec_wins_over_whole_objects() -> None:
    container = {
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "env": [{"name": "mode", "value": "slow $(mode)"}],
    }
    assert _values(container)["mode"] == "slow fast"


def test_a_value_holds_no_zero_byte() -> None:
    references = References({"m": ConfigMap(metadata=ObjectMeta(name="m"), data={"k": "a\0b"})})
    pod = a_pod({"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "m"}}]}]})
    found = container_environment(pod, pod.spec.containers[0], references, PLACE)
    assert found == {"k": "ab"}
