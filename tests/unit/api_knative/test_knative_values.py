"""Small values: field errors, Go's durations, names, host templates, differences."""

import pytest

from stagezero.api import go_template, go_values, name_rules, short_diff, unknown_fields
from stagezero.api import names_knative as names
from stagezero.api import serving_knative as serving
from stagezero.api.base import Raw
from stagezero.api.field_error import FieldError, missing_field, render, via, via_index


def test_errors_of_the_same_message_share_a_line() -> None:
    errors = (missing_field("b"), missing_field("a"), FieldError("bad", ("c",), "why"))
    assert render(errors) == "bad: c\nwhy\nmissing field(s): a, b"


def test_the_same_error_twice_is_said_once() -> None:
    assert render((missing_field("a"), missing_field("a"))) == "missing field(s): a"


@pytest.mark.parametrize(
    ("error", "prefix", "path"),
    [
        (missing_field("image"), ("spec", "containers"), "spec.containers.image"),
        (missing_field(""), ("spec",), "spec"),
        (missing_field("[0]"), ("spec", "containers"), "spec.containers[0]"),
        (missing_field("a.dev/b"), ("metadata", "annotations"), "metadata.annotations.a.dev/b"),
        (missing_field("containers[*].ports"), ("spec",), "spec.containers[*].ports"),
    ],
)
def test_paths_join_without_dots_before_an_index(
    error: FieldError, prefix: tuple[str, ...], path: str
) -> None:
    assert error.via(*prefix).paths == (path,)


def test_a_path_can_be_prefixed_in_steps() -> None:
    inner = via_index((missing_field("name"),), "env", 2)
    assert via(inner, "spec", "containers[0]")[0].paths == ("spec.containers[0].env[2].name",)


def test_an_error_without_paths_keeps_none() -> None:
    assert render(via((FieldError("too many", ()),), "spec")) == "too many: "


@pytest.mark.parametrize(
    ("text", "nanoseconds", "printed"),
    [
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
        ("6s", 6 * 10**9, "6s"),
        ("90s", 90 * 10**9, "1m30s"),
        ("1h", 3600 * 10**9, "1h0m0s"),
        ("1h1m1s", 3661 * 10**9, "1h1m1s"),
        ("1.5s", 1_500_000_000, "1.5s"),
        ("250ms", 250_000_000, "250ms"),
        ("10us", 10_000, "10µs"),
        ("3ns", 3, "3ns"),
        ("-5s", -5 * 10**9, "-5s"),
        ("+2m", 120 * 10**9, "2m0s"),
        (".5h", 1800 * 10**9, "30m0s"),
    ],
)
def test_durations_are_gos(text: str, nanoseconds: int, printed: str) -> None:
    assert go_values.parse_duration(text) == nanoseconds
    assert go_values.format_duration(nanoseconds) == printed


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "5 s", "1h x", "--5s", "1s1"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        go_values.parse_duration(text)


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.5, "0.5"), (100.0, "100"), (-1.0, "-1")]
)
def test_floats_print_without_a_point_of_zero(value: float, text: str) -> None:
    assert go_values.format_float(value) == text


@pytest.mark.parametrize("text", ["1_000", " 1", "x", ""])
def test_what_go_reads_as_no_float_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # Python's own words for some
        go_values.parse_float(text)


def test_large_integers_overflow() -> None:
    with pytest.raises(OverflowError):
        go_values.parse_int32("2147483648")


def test_revision_names_count_generations() -> None:
    assert names.revision("hello", 1) == "hello-00001"
    assert names.revision("hello", 123456) == "hello-123456"


@pytest.mark.parametrize("length", [40, 52, 53, 63, 80])
@pytest.mark.parametrize("suffix", ["-deployment", "-private", "-00001", "x" * 40])
def test_child_names_fit_into_63_characters(length: int, suffix: str) -> None:
    name = names.child_name("a" * length, suffix)
    assert len(name) <= 63
    if length + len(suffix) <= 63:
        assert name == "a" * length + suffix


def test_long_parents_have_different_children() -> None:
    first, second = (names.child_name("a" * 60 + end, "-deployment") for end in "bc")
    assert first != second
    assert first.endswith("-deployment")


@pytest.mark.parametrize(
    ("annotations", "value"),
    [
        ({}, "none"),
        ({"autoscaling.knative.dev/min-scale": "1"}, "1"),
        ({"autoscaling.knative.dev/minScale": "2"}, "2"),
        (
            {"autoscaling.knative.dev/minScale": "2", "autoscaling.knative.dev/min-scale": "1"},
            "1",
        ),
    ],
)
def test_annotations_are_read_in_either_spelling(annotations: dict[str, str], value: str) -> None:
    assert names.MIN_SCALE.read(annotations, "none") == value


SCOPE: go_template.Scope = {
    "Name": "foo",
    "Labels": {"team": "blue"},
    "Annotations": {"a.b/c": "x"},
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{.Name}}", "foo"),
        ("a-{{ .Name }}-b", "a-foo-b"),
        ("{{.Labels.team}}", "blue"),
        ("{{.Labels.none}}", ""),
        ('{{index .Annotations "a.b/c"}}', "x"),
        ("{{.Name | upper}}", "FOO"),
        ("{{.Name | upper | lower}}", "foo"),
        ('{{"lit"}}', "lit"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_templates_are_filled_in(source: str, text: str) -> None:
    assert go_template.parse(source).render(SCOPE) == text


@pytest.mark.parametrize("source", ["{{.Name", "x}}", "{{}}", "{{range .X}}", "{{.Name|x}}"])
def test_templates_beyond_the_subset_are_refused(source: str) -> None:
    with pytest.raises(go_template.TemplateError):
        go_template.parse(source)


@pytest.mark.parametrize("source", ["{{.Other}}", "{{.Name.x}}", "{{.Labels}}", "{{.Labels.a.b}}"])
def test_fields_that_are_not_there_are_refused(source: str) -> None:
    with pytest.raises(go_template.TemplateError, match="can't evaluate field"):
        go_template.parse(source).render(SCOPE)


@pytest.mark.parametrize("name", ["a", "a-b", "a1", "a" * 63])
def test_labels_are_taken(name: str) -> None:
    assert name_rules.dns_1035_label(name) == []


@pytest.mark.parametrize("name", ["", "1a", "-a", "a-", "A", "a.b", "a_b"])
def test_what_is_no_label_is_told(name: str) -> None:
    assert name_rules.dns_1035_label(name)[0].startswith("a DNS-1035 label must consist of")


def test_long_labels_are_told() -> None:
    assert name_rules.dns_1035_label("a" * 64) == ["must be no more than 63 characters"]


@pytest.mark.parametrize("prefix", ["svc-", "svc", "a-b-"])
def test_prefixes_may_end_with_a_dash(prefix: str) -> None:
    assert name_rules.dns_1035_prefix(prefix) == []


@pytest.mark.parametrize("name", ["a/b", "a.b/C_d", "x"])
def test_qualified_names_are_taken(name: str) -> None:
    assert name_rules.qualified_name(name) == []


@pytest.mark.parametrize("name", ["/a", "a/", "a b", "A/b"])
def test_unqualified_names_are_told(name: str) -> None:
    assert name_rules.qualified_name(name)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ({"timeoutSeconds": 1}, {"timeoutSeconds": 1}, ""),
        (
            {"timeoutSeconds": 1},
            {"timeoutSeconds": 2},
            '{v1.RevisionSpec}.TimeoutSeconds:\n\t-: "1"\n\t+: "2"\n',
        ),
        (
            {"containers": [{"image": "a"}]},
            {"containers": [{"image": "b"}]},
            '{v1.RevisionSpec}.PodSpec.Containers[0].Image:\n\t-: "a"\n\t+: "b"\n',
        ),
        (
            {"containers": [{"image": "a"}]},
            {"containers": [{"image": "a"}, {"image": "b"}]},
            '{v1.RevisionSpec}.PodSpec.Containers[?->1].Image:\n\t-: ""\n\t+: "b"\n',
        ),
        (
            {"enableServiceLinks": False},
            {},
            '{v1.RevisionSpec}.PodSpec.EnableServiceLinks:\n\t-: "false"\n\t+: ""\n',
        ),
    ],
    ids=["same", "own field", "pod field", "one more", "gone"],
)
def test_differences_read_as_knatives(old: Raw, new: Raw, text: str) -> None:
    assert short_diff.of_revision(old, new) == text


@pytest.mark.parametrize(
    ("value", "unknown"),
    [
        ({"template": {"spec": {"containers": [{"image": "a"}]}}}, None),
        ({"tempalte": {}}, "tempalte"),
        ({"template": {"spec": {"container": []}}}, "container"),
        ({"template": {"spec": {"containers": [{"img": "a"}]}}}, "img"),
        ({"template": {"spec": {"affinity": {"anything": 1}}}}, None),
        ({"template": {"metadata": {"labels": {"any": "x"}}}}, None),
        ({"traffic": [{"percnt": 1}]}, "percnt"),
        ("no object", None),
        ({"template": {"spec": {"containers": "no list"}}}, None),
    ],
)
def test_the_first_unknown_field_is_found(value: object, unknown: str | None) -> None:
    assert unknown_fields.first_unknown(value, serving.ServiceSpec) == unknown
