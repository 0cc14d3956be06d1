"""Which runtime serves a model, and the container that results from both (KServe 0.8, spec §1.3).

A named runtime is taken if it knows the format; else the first one, namespace before cluster, by
name, that may be selected automatically. The runtime's container, and where its pods may run, are
overlaid by the predictor's.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msgspec import convert
from msgspec.structs import replace

from stagezero.api.base import ObjectMeta, Raw, part_to_raw
from stagezero.api.container import Container
from stagezero.api.serving_kserve import (
    CONTAINER_NAME,
    ModelSpec,
    PredictorSpec,
    ServingRuntimeSpec,
    SupportedModelFormat,
)

_NOT_CONTAINER = (
    "storageUri", "runtimeVersion", "protocolVersion", "storage", "modelFormat", "runtime", "name",
)  # fmt: skip
_PLACEHOLDER = re.compile(r"\{\{\s*\.(Name|Namespace|(Labels|Annotations)\.([\w.-]+))\s*\}\}")


@dataclass(frozen=True)
class Candidate:
    """A runtime by name; those of the namespace come before those of the cluster."""

    name: str
    spec: ServingRuntimeSpec


class NoRuntime(Exception):
    """No runtime can serve the model; `reason` as KServe names it since 0.9."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def select(model: ModelSpec, candidates: Iterable[Candidate]) -> Candidate:
    """Choose the runtime of a model; NoRuntime says what was asked and which runtimes exist."""
    known = tuple(candidates)
    if model.runtime:
        return _named(model.runtime, model, known)
    for candidate in known:
        spec = candidate.spec
        if not spec.disabled and not spec.multi_model and _serves(spec, model, _may_be_chosen):
            return _checked(candidate)
    wanted = model.model_format
    version = f" {wanted.version}" if wanted.version else ""
    raise NoRuntime(
        "NoSupportingRuntime",
        f"no runtime found to support predictor with model type: {{{wanted.name}{version}}}; "
        f"{_offers(known)}",
    )


def _named(name: str, model: ModelSpec, known: tuple[Candidate, ...]) -> Candidate:
    found = next((candidate for candidate in known if candidate.name == name), None)
    if found is None:
        raise NoRuntime(
            "RuntimeNotRecognized",
            f"No ServingRuntimes or ClusterServingRuntimes with the name: {name}; {_names(known)}",
        )
    if found.spec.disabled:
        raise NoRuntime("RuntimeDisabled", f"specified runtime {name} is disabled")
    if not _serves(found.spec, model, lambda _: True):
        raise NoRuntime(
            "NoSupportingRuntime",
            f"specified runtime {name} does not support specified framework/version; "
            f"{_offers((found,))}",
        )
    return _checked(found)


def _checked(candidate: Candidate) -> Candidate:
    if not candidate.spec.containers:
        raise NoRuntime(
            "InvalidPredictorSpec", "no container configuration found in selected serving runtime"
        )
    return candidate


def _may_be_chosen(offer: SupportedModelFormat) -> bool:
    return bool(offer.auto_select)


def _serves(
    spec: ServingRuntimeSpec, model: ModelSpec, counts: Callable[[SupportedModelFormat], bool]
) -> bool:
    wanted = model.model_format
    return any(
        offer.name == wanted.name and (not wanted.version or offer.version == wanted.version)
        for offer in spec.supported_model_formats
        if counts(offer)
    )


def _names(known: Iterable[Candidate]) -> str:
    names = ", ".join(candidate.name for candidate in known)
    return f"there are: {names}" if names else "there are none"


def _offers(known: Iterable[Candidate]) -> str:
    offers = "; ".join(
        f"{candidate.name} ({_formats(candidate.spec.supported_model_formats)})"
        for candidate in known
        if not candidate.spec.disabled
    )
    return f"what the runtimes offer: {offers}" if offers else "there are no runtimes"


def _formats(offers: Iterable[SupportedModelFormat]) -> str:
    return ", ".join(
        f"{offer.name}{f' {offer.version}' if offer.version else ''}"
        f"{'' if offer.auto_select else ' if named'}"
        for offer in offers
    )


def container_of(model: ModelSpec, runtime: Candidate, metadata: ObjectMeta) -> Container:
    """The container that serves `model`: the runtime's, overlaid, with placeholders filled in."""
    base = part_to_raw(runtime.spec.containers[0])
    given = part_to_raw(model)
    overlay = {name: value for name, value in given.items() if name not in _NOT_CONTAINER}
    merged = _merge(base, overlay)
    merged["name"] = CONTAINER_NAME
    merged = json.loads(_fill(json.dumps(merged), metadata))
    if model.runtime_version:
        image = str(merged.get("image", "")).split(":", 1)[0]
        merged["image"] = f"{image}:{model.runtime_version}"
    return convert(merged, Container)


def placed(predictor: PredictorSpec, runtime: Candidate) -> PredictorSpec:
    """The predictor with the runtime's node selector, affinity and tolerations below its own."""
    base = runtime.spec
    affinity = predictor.affinity
    if base.affinity is not None:
        affinity = _overlaid(base.affinity, affinity or {})
    return replace(
        predictor,
        node_selector={**base.node_selector, **predictor.node_selector},
        affinity=affinity,
        tolerations=predictor.tolerations or base.tolerations,
    )


def _merge(base: Raw, overlay: Raw) -> Raw:
    merged = _overlaid(base, overlay)
    for name in ("args", "env"):
        joined = [*base.get(name, []), *overlay.get(name, [])]
        if joined:
            merged[name] = joined
    return merged


def _overlaid(base: Raw, overlay: Raw) -> Raw:
    """JSON over JSON, as Go decodes one into the other: objects key by key, all else replaced."""
    merged = {**base, **overlay}
    for name in base.keys() & overlay.keys():
        if isinstance(base[name], dict) and isinstance(overlay[name], dict):
            merged[name] = _overlaid(base[name], overlay[name])
    return merged


def _fill(text: str, metadata: ObjectMeta) -> str:
    def value(match: re.Match[str]) -> str:
        field, table, key = match[1], match[2], match[3]
        if table:
            values = metadata.labels if table == "Labels" else metadata.annotations
            found = values.get(key, "")
        else:
            found = metadata.name if field == "Name" else metadata.namespace
        return json.dumps(found)[1:-1]

    return _PLACEHOLDER.sub(value, text)
