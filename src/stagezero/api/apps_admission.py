"""Defaulting and validation of Deployments and ReplicaSets, as Kubernetes' own server does it."""

from collections.abc import Iterator
from typing import Any

import msgspec

from stagezero.api import mistakes
from stagezero.api.admission import Admission, AdmissionRequest
from stagezero.api.apps import Deployment, ReplicaSet
from stagezero.api.base import LabelSelector, Object, Raw
from stagezero.api.mistakes import FieldError
from stagezero.api.pod_checks import pod_spec_mistakes
from stagezero.api.pod_defaults import changed_part, default_template
from stagezero.api.raw_fields import integer, part, parts, text, texts

_GROUP = "apps"
_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")
_STRATEGIES = ("Recreate", "RollingUpdate")
_NOT_NEGATIVE = "must be greater than or equal to 0"
_DEPLOYMENT: Raw = {
    "replicas": 1,
    "revisionHistoryLimit": 10,
    "progressDeadlineSeconds": 600,
}
_ROLLING: Raw = {"maxUnavailable": "25%", "maxSurge": "25%"}


def default_deployment(raw: Raw, _: AdmissionRequest) -> Raw:
    """A Deployment with everything that Kubernetes fills in."""

    def spec(given: Raw) -> Raw:
        full = {**_DEPLOYMENT, "strategy": {}, **given}
        full = changed_part(full, "strategy", _strategy)
        return changed_part(full, "template", default_template)

    return changed_part(raw, "spec", spec)


def _strategy(strategy: Raw) -> Raw:
    full = {**strategy, "type": strategy.get("type") or "RollingUpdate"}
    if full["type"] != "RollingUpdate":
        return full
    full.setdefault("rollingUpdate", {})
    return changed_part(full, "rollingUpdate", lambda given: {**_ROLLING, **given})


def default_replica_set(raw: Raw, _: AdmissionRequest) -> Raw:
    """A ReplicaSet with everything that Kubernetes fills in."""

    def spec(given: Raw) -> Raw:
        return changed_part({"replicas": 1, **given}, "template", default_template)

    return changed_part(raw, "spec", spec)


def validate_deployment(raw: Raw, request: AdmissionRequest) -> None:
    """Refuse a Deployment that Kubernetes would refuse."""
    if request.operation == "DELETE":
        return
    spec = part(raw, "spec")
    found = [*_workload(spec, request, "deployment"), *_rollout(spec)]
    if found:
        raise mistakes.invalid("Deployment", _GROUP, raw["metadata"]["name"], found)


def validate_replica_set(raw: Raw, request: AdmissionRequest) -> None:
    """Refuse a ReplicaSet that Kubernetes would refuse."""
    if request.operation == "DELETE":
        return
    found = list(_workload(part(raw, "spec"), request, "replicaset"))
    if found:
        raise mistakes.invalid("ReplicaSet", _GROUP, raw["metadata"]["name"], found)


def _workload(spec: Raw, request: AdmissionRequest, kind: str) -> Iterator[FieldError]:
    for name in ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        number = integer(spec, name)
        if number is not None and number < 0:
            yield mistakes.invalid_value(f"spec.{name}", number, _NOT_NEGATIVE)
    yield from _selector(spec, kind)
    if request.old is not None:
        before = part(request.old, "spec", "selector")
        if before != part(spec, "selector"):
            selector = part(spec, "selector")
            yield mistakes.invalid_value("spec.selector", selector, "field is immutable")
    template = part(spec, "template", "spec")
    policy = text(template, "restartPolicy")
    if policy and policy != "Always":
        yield mistakes.unsupported("spec.template.spec.restartPolicy", policy, ("Always",))
    yield from pod_spec_mistakes(template, "spec.template.spec")


def _selector(spec: Raw, kind: str) -> Iterator[FieldError]:
    selector = part(spec, "selector")
    if spec.get("selector") is None:
        yield mistakes.required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        problem = f"empty selector is invalid for {kind}"
        yield mistakes.invalid_value("spec.selector", selector, problem)
    wrong = [
        mistakes.unsupported(
            f"spec.selector.matchExpressions[{index}].operator", found.get("operator"), _OPERATORS
        )
        for index, found in enumerate(parts(selector, "matchExpressions"))
        if found.get("operator") not in _OPERATORS
    ]
    yield from wrong
    labels = texts(part(spec, "template", "metadata"), "labels")
    if not wrong and not msgspec.convert(selector, LabelSelector).matches(labels):
        problem = "`selector` does not match template `labels`"
        yield mistakes.invalid_value("spec.template.metadata.labels", labels, problem)


def _rollout(spec: Raw) -> Iterator[FieldError]:
    strategy = part(spec, "strategy")
    kind = text(strategy, "type")
    if kind not in _STRATEGIES:
        yield mistakes.unsupported("spec.strategy.type", kind, _STRATEGIES)
    if kind == "Recreate" and strategy.get("rollingUpdate") is not None:
        problem = "may not be specified when strategy `type` is 'Recreate'"
        yield mistakes.forbidden("spec.strategy.rollingUpdate", problem)
    if kind == "RollingUpdate":
        yield from _bounds(part(strategy, "rollingUpdate"))
    ready_s, deadline_s = (
        integer(spec, name) or 0 for name in ("minReadySeconds", "progressDeadlineSeconds")
    )
    if ready_s and ready_s >= deadline_s:
        problem = "must be greater than minReadySeconds"
        yield mistakes.invalid_value("spec.progressDeadlineSeconds", deadline_s, problem)


def _bounds(rolling: Raw) -> Iterator[FieldError]:
    path = "spec.strategy.rollingUpdate"
    for name in ("maxUnavailable", "maxSurge"):
        yield from _amount(rolling.get(name), f"{path}.{name}")
    if all(rolling.get(name) in (0, "0%") for name in ("maxUnavailable", "maxSurge")):
        problem = "may not be 0 when `maxSurge` is 0"
        yield mistakes.invalid_value(f"{path}.maxUnavailable", rolling["maxUnavailable"], problem)


def _amount(value: Any, path: str) -> Iterator[FieldError]:
    if isinstance(value, int) and value < 0:
        yield mistakes.invalid_value(path, value, _NOT_NEGATIVE)
    if isinstance(value, str) and not (value.endswith("%") and value[:-1].isdigit()):
        problem = (
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%', "
            " or '93%', regex used for validation is '[0-9]+%')"
        )
        yield mistakes.invalid_value(path, value, problem)


DEPLOYMENT = Admission(default_deployment, validate_deployment)
REPLICA_SET = Admission(default_replica_set, validate_replica_set)

APPS_ADMISSIONS: tuple[tuple[type[Object], Admission], ...] = (
    (Deployment, DEPLOYMENT),
    (ReplicaSet, REPLICA_SET),
)
"""The rules of each kind of the apps group."""
