"""Deployments and ReplicaSets are defaulted and refused as Kubernetes does it."""

from typing import Any

import pytest

from stagezero.api import errors
from stagezero.api.admission import AdmissionRequest
from stagezero.api.apps_admission import (
    default_deployment,
    default_replica_set,
    validate_deployment,
    validate_replica_set,
)
from stagezero.api.base import Raw

CREATE = AdmissionRequest("CREATE", None, "me")


def workload(**spec: Any) -> Raw:
    template = {
        "metadata": {"labels": {"app": "x"}},
        "spec": {"containers": [{"name": "main", "image": "app:1"}]},
    }
    fields: Raw = {"selector": {"matchLabels": {"app": "x"}}, "template": template}
    return {"metadata": {"name": "d"}, "spec": {**fields, **spec}}


def full(**spec: Any) -> Raw:
    made: Raw = default_deployment(workload(**spec), CREATE)["spec"]
    return made


def refusal(raw: Raw, old: Raw | None = None) -> str:
    with pytest.raises(errors.Invalid) as caught:
        validate_deployment(
            default_deployment(raw, CREATE),
            AdmissionRequest("UPDATE" if old else "CREATE", old, "me"),
        )
    return caught.value.message.removeprefix('Deployment.apps "d" is invalid: ')


@pytest.mark.parametrize(
    ("field", "value"),
    [("replicas", 1), ("revisionHistoryLimit", 10), ("progressDeadlineSeconds", 600)],
)
def test_a_deployment_gets(field: str, value: int) -> None:
    assert full()[field] == value


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {},
            {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
            },
        ),
        (
            {"rollingUpdate": {"maxUnavailable": 0}},
            {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        ),
        ({"type": "Recreate"}, {"type": "Recreate"}),
    ],
    ids=["nothing", "a part", "recreate"],
)
def test_the_strategy_is_completed(given: Raw, expected: Raw) -> None:
    assert full(strategy=given)["strategy"] == expected


def test_zero_replicas_stay() -> None:
    assert full(replicas=0)["replicas"] == 0


def test_the_template_is_a_full_pod() -> None:
    spec = full()["template"]["spec"]
    assert spec["restartPolicy"] == "Always"
    assert spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_a_template_names_no_account() -> None:
    assert "serviceAccountName" not in full()["template"]["spec"]


def test_defaults_settle() -> None:
    once = default_deployment(workload(), CREATE)
    assert default_deployment(once, CREATE) == once


def test_a_replica_set_copies_a_deployments_template_unchanged() -> None:
    template = full()["template"]
    made = default_replica_set(workload(template=template), CREATE)
    assert made["spec"]["template"] == template


def test_good_ones_are_accepted() -> None:
    validate_deployment(default_deployment(workload(), CREATE), CREATE)
    validate_replica_set(default_replica_set(workload(), CREATE), CREATE)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(
            workload(replicas=-1),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            id="replicas",
        ),
        pytest.param(
            workload(selector={}),
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
            id="empty selector",
        ),
        pytest.param(
            workload(selector={"matchLabels": {"app": "y"}}),
            'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match '
            "template `labels`",
            id="selector and labels",
        ),
        pytest.param(
            workload(selector={"matchExpressions": [{"key": "app", "operator": "Is"}]}),
            'spec.selector.matchExpressions[0].operator: Unsupported value: "Is": supported '
            'values: "DoesNotExist", "Exists", "In", "NotIn"',
            id="operator",
        ),
        pytest.param(
            workload(strategy={"type": "Slowly"}),
            'spec.strategy.type: Unsupported value: "Slowly": supported values: "Recreate", '
            '"RollingUpdate"',
            id="strategy",
        ),
        pytest.param(
            workload(strategy={"type": "Recreate", "rollingUpdate": {}}),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is "
            "'Recreate'",
            id="recreate and rolling",
        ),
        pytest.param(
            workload(strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when "
            "`maxSurge` is 0",
            id="both zero",
        ),
        pytest.param(
            workload(minReadySeconds=700),
            "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than "
            "minReadySeconds",
            id="deadline",
        ),
    ],
)
def test_a_bad_deployment_is_refused(raw: Raw, text: str) -> None:
    assert refusal(raw) == text


def test_without_selector_it_is_required() -> None:
    raw = workload()
    del raw["spec"]["selector"]
    assert refusal(raw) == "spec.selector: Required value"


@pytest.mark.parametrize("amount", ["some", "10", "-1%"])
def test_a_bad_percentage_is_refused(amount: str) -> None:
    text = refusal(workload(strategy={"rollingUpdate": {"maxSurge": amount}}))
    assert "a valid percent string must be a numeric string" in text


def test_only_always_restarts() -> None:
    raw = workload()
    raw["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    assert refusal(raw).endswith('Unsupported value: "Never": supported values: "Always"')


def test_mistakes_in_the_template_are_found() -> None:
    raw = workload()
    raw["spec"]["template"]["spec"]["containers"] = []
    assert refusal(raw) == "spec.template.spec.containers: Required value"


def test_the_selector_stays() -> None:
    old = workload(selector={"matchLabels": {"app": "y"}})
    assert refusal(workload(), old).endswith("field is immutable")


def test_the_replica_sets_own_name_is_told() -> None:
    with pytest.raises(errors.Invalid, match=r'ReplicaSet\.apps "d" is invalid'):
        validate_replica_set(workload(replicas=-1), CREATE)
