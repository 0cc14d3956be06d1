"""Label selectors as text, in the form that kubectl and the `scale` subresource use."""

from collections.abc import Mapping

from stagezero.api.base import LabelSelector, LabelSelectorRequirement


def labels_text(labels: Mapping[str, str]) -> str:
    """`a=1,b=2`, sorted."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def selector_text(selector: LabelSelector) -> str:
    """`a=1,b in (x,y),!c`; empty for a selector that selects everything."""
    terms = [(key, f"{key}={value}") for key, value in selector.match_labels.items()]
    terms += [(need.key, _requirement_text(need)) for need in selector.match_expressions]
    return ",".join(text for _, text in sorted(terms))


def _requirement_text(need: LabelSelectorRequirement) -> str:
    values = ",".join(sorted(need.values))
    texts = {
        "In": f"{need.key} in ({values})",
        "NotIn": f"{need.key} notin ({values})",
        "Exists": need.key,
        "DoesNotExist": f"!{need.key}",
    }
    return texts[need.operator]
