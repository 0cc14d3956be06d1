"""Whether a pod may run on a node, and what speaks against it, in the scheduler's words."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from stagezero.api.base import LabelSelector, LabelSelectorRequirement, Raw
from stagezero.api.node import Node, Taint
from stagezero.api.pod import Pod
from stagezero.api.quantities import add_quantities, parse_quantity
from stagezero.controllers.workloads.plans.conditions import is_true
from stagezero.controllers.workloads.plans.pods import ENDED

NOT_READY = Taint("node.kubernetes.io/not-ready", "NoSchedule")
_SHORT_OF_PODS = "Too many pods"


def requests(pod: Pod) -> dict[str, Decimal]:
    """What a pod asks for: its containers together, or an init container if that is more."""
    running = [container.resources.requests for container in pod.spec.containers]
    running += [
        container.resources.requests
        for container in pod.spec.init_containers
        if container.restart_policy == "Always"
    ]
    total = add_quantities(running)
    for container in pod.spec.init_containers:
        for name, amount in container.resources.requests.items():
            total[name] = max(total.get(name, Decimal(0)), parse_quantity(amount))
    for name, amount in pod.spec.overhead.items():
        total[name] = total.get(name, Decimal(0)) + parse_quantity(amount)
    return total


def used(pods: Iterable[Pod]) -> dict[str, Decimal]:
    """What the pods of a node ask for together, and their number."""
    total: dict[str, Decimal] = {"pods": Decimal(0)}
    for pod in pods:
        if pod.status.phase in ENDED:
            continue
        total["pods"] += 1
        for name, amount in requests(pod).items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def free(node: Node, taken: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What a node has left."""
    return {
        name: parse_quantity(amount) - taken.get(name, Decimal(0))
        for name, amount in node.status.allocatable.items()
    }


def objections(pod: Pod, node: Node, left: Mapping[str, Decimal]) -> list[str]:
    """Why the pod may not run on the node; empty if it may."""
    taint = _untolerated(pod, node)
    if taint is not None:
        return [f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"]
    if node.spec.unschedulable and not _tolerates_cordon(pod):
        return ["node(s) were unschedulable"]
    if not _is_chosen(pod, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    short = [] if left.get("pods", Decimal(1)) >= 1 else [_SHORT_OF_PODS]
    for name, amount in sorted(requests(pod).items()):
        if amount > 0 and amount > left.get(name, Decimal(0)):
            short.append(f"Insufficient {name}")
    return short


def _untolerated(pod: Pod, node: Node) -> Taint | None:
    taints = [taint for taint in node.spec.taints if taint.effect != "PreferNoSchedule"]
    if not is_true(node.status.conditions, "Ready"):
        taints.append(NOT_READY)
    return next(
        (
            taint
            for taint in taints
            if not any(_tolerates(toleration, taint) for toleration in pod.spec.tolerations)
        ),
        None,
    )


def _tolerates_cordon(pod: Pod) -> bool:
    cordon = Taint("node.kubernetes.io/unschedulable", "NoSchedule")
    return any(_tolerates(toleration, cordon) for toleration in pod.spec.tolerations)


def _tolerates(toleration: Raw, taint: Taint) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.effect:
        return False
    if toleration.get("key") and toleration["key"] != taint.key:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.value


def _is_chosen(pod: Pod, node: Node) -> bool:
    labels = node.metadata.labels
    if not pod.spec.node_selector.items() <= labels.items():
        return False
    affinity = (pod.spec.affinity or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    terms = required.get("nodeSelectorTerms") or []
    return any(_meets_term(term, node) for term in terms)


def _meets_term(term: Raw, node: Node) -> bool:
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return _matches(expressions, node.metadata.labels) and _matches(
        fields, {"metadata.name": node.metadata.name}
    )


def _matches(expressions: list[Raw], labels: Mapping[str, str]) -> bool:
    plain = [found for found in expressions if found.get("operator") not in ("Gt", "Lt")]
    needs = msgspec.convert(plain, list[LabelSelectorRequirement])
    if not LabelSelector(match_expressions=needs).matches(labels):
        return False
    return all(_compares(found, labels) for found in expressions if found not in plain)


def _compares(expression: Raw, labels: Mapping[str, str]) -> bool:
    value, (bound, *_) = labels.get(expression["key"], ""), expression.get("values") or [""]
    if not value.lstrip("-").isdigit() or not bound.lstrip("-").isdigit():
        return False
    is_greater = int(value) > int(bound)
    return is_greater if expression["operator"] == "Gt" else int(value) < int(bound)
