"""Label and field selectors as kubectl writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagezero.api import errors
from stagezero.apiserver import selectors

LABELS = {"app": "web", "tier": "front", "empty": "", "size": "7"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier=front", True),
        ("app=web,tier=back", False),
        ("app!=web", False),
        ("absent!=web", True),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("!app", False),
        ("app in (web, db)", True),
        ("app in (db)", False),
        ("app notin (db)", True),
        ("absent notin (db)", True),
        ("app notin (web)", False),
        ("empty=", True),
        ("app=", False),
        ("empty in (,x)", True),
        ("size>6", True),
        ("size<7", False),
        ("app>1", False),
        ("in=1", False),
    ],
)
def test_a_label_selector_selects(text: str, expected: bool) -> None:
    needs = selectors.parse_labels(text)
    assert all(need.matches(LABELS) for need in needs) is expected


@pytest.mark.parametrize(
    "text", ["=", "a=b=c", "a in", "a in b", "a in (b", "(a)", "a,,b", "a=b,", "a b", "-x=1"]
)
def test_a_broken_label_selector_is_refused(text: str) -> None:
    with pytest.raises(errors.BadRequest, match="unable to parse label selector"):
        selectors.parse_labels(text)


@given(st.text(alphabet="ab=!,() in<>", max_size=12))
def test_any_label_selector_is_read_or_refused(text: str) -> None:
    try:
        selectors.parse_labels(text)
    except errors.BadRequest as error:
        assert text in error.message or repr(text) in error.message


POD = {
    "metadata": {"name": "p", "namespace": "a"},
    "spec": {"nodeName": "n1"},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metadata.name=p", True),
        ("metadata.name==q", False),
        ("metadata.namespace=a,status.phase!=Failed", True),
        ("spec.nodeName=n1", True),
        ("spec.nodeName!=n1", False),
        ("status.podIP=", True),
    ],
)
def test_a_field_selector_selects(text: str, expected: bool) -> None:
    terms = selectors.parse_fields(text, "pods")
    assert all(term.matches(POD) for term in terms) is expected


def test_a_field_that_a_kind_does_not_offer_is_named() -> None:
    with pytest.raises(errors.BadRequest, match=r"field label not supported: spec\.nodeName"):
        selectors.parse_fields("spec.nodeName=n1", "configmaps")


def test_a_custom_kind_offers_the_fields_of_its_definition() -> None:
    terms = selectors.parse_fields("spec.color=red", "things.g", frozenset({"spec.color"}))
    assert terms[0].matches({"spec": {"color": "red"}})


def test_an_events_object_is_selected_by_what_it_is_about() -> None:
    event = {"involvedObject": {"name": "p", "kind": "Pod"}, "type": "Warning"}
    terms = selectors.parse_fields(
        "involvedObject.name=p,involvedObject.kind=Pod,type=Warning", "events"
    )
    assert all(term.matches(event) for term in terms)
