"""The schema says what the types say."""

# ruff: noqa: RUF012  # nouns write their empty defaults plainly

import enum
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import pytest

from stagezero.api.base import Noun, Object, Raw, Resource
from stagezero.api.builtin import BUILTIN_KINDS
from stagezero.api.core import Container, Pod, Service, Volume
from stagezero.api.fields import IntOrString, Quantity, doc, merge_by
from stagezero.api.schema import Dialect, metadata_schema, object_schema, part_schema


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(Noun):
    """A part of   something."""

    name: str


class Sample(Noun):
    needed: str
    text: str = ""
    number: int = 0
    maybe: int | None = None
    ratio: float = 0.0
    flag: bool = False
    amount: Quantity = 0
    port: IntOrString = 0
    raw: Raw = {}
    anything: Any = None
    words: list[str] = []
    labels: dict[str, str] = {}
    parts: dict[str, Part] = {}
    part: Part | None = None
    colour: Colour = Colour.RED
    mode: Literal["all", "none"] = "all"
    bounded: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1
    open: Annotated[int, msgspec.Meta(gt=1, lt=9)] = 2
    shaped: Annotated[str, msgspec.Meta(pattern="^a", min_length=1, max_length=3)] = "a"
    sized: Annotated[list[str], msgspec.Meta(min_length=1, max_length=2)] = []
    said: Annotated[Part | None, doc("Said here.")] = None
    odd: str = msgspec.field(name="ODD", default="")


class Custom(Object):
    """A custom kind."""

    resource: ClassVar[Resource] = Resource("g.dev", "v1", "Custom", "customs")
    parts: Annotated[list[Part], merge_by("name")] = []
    containers: Annotated[list[Container], merge_by("name")] = []


PROPERTIES = part_schema(Sample, Dialect.CRD)["properties"]


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        ("text", {"type": "string"}),
        ("number", {"type": "integer", "format": "int64"}),
        ("maybe", {"type": "integer", "format": "int64"}),
        ("ratio", {"type": "number", "format": "double"}),
        ("flag", {"type": "boolean"}),
        (
            "port",
            {
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "x-kubernetes-int-or-string": True,
            },
        ),
        ("raw", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        ("anything", {"x-kubernetes-preserve-unknown-fields": True}),
        ("words", {"type": "array", "items": {"type": "string"}}),
        ("labels", {"type": "object", "additionalProperties": {"type": "string"}}),
        ("colour", {"type": "string", "enum": ["red", "blue"]}),
        ("mode", {"type": "string", "enum": ["all", "none"]}),
        ("bounded", {"type": "integer", "format": "int64", "minimum": 1, "maximum": 9}),
        ("shaped", {"type": "string", "pattern": "^a", "minLength": 1, "maxLength": 3}),
        (
            "sized",
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        ),
        ("ODD", {"type": "string"}),
    ],
)
def test_a_type_becomes_its_schema(field: str, schema: Raw) -> None:
    assert PROPERTIES[field] == schema


def test_open_bounds_are_exclusive() -> None:
    assert PROPERTIES["open"]["exclusiveMinimum"] is True
    assert PROPERTIES["open"]["minimum"] == 1


def test_a_struct_is_described_by_its_docstring() -> None:
    assert PROPERTIES["part"]["description"] == "A part of something."


def test_a_description_at_the_field_wins() -> None:
    assert PROPERTIES["said"]["description"] == "Said here."
    assert PROPERTIES["part"]["description"] != "Said here."


def test_fields_without_default_are_required() -> None:
    assert part_schema(Sample, Dialect.CRD)["required"] == ["needed"]


def test_equal_parts_share_one_dict() -> None:
    assert PROPERTIES["part"] is PROPERTIES["parts"]["additionalProperties"]


def test_a_quantity_of_a_builtin_kind_may_be_a_fraction() -> None:
    amount = part_schema(Sample, Dialect.BUILTIN)["properties"]["amount"]
    assert amount == {"oneOf": [{"type": "string"}, {"type": "number"}]}


def test_a_quantity_of_a_crd_is_int_or_string() -> None:
    assert PROPERTIES["amount"]["x-kubernetes-int-or-string"] is True


def test_metadata_of_a_crd_is_a_bare_object() -> None:
    assert object_schema(Custom)["properties"]["metadata"] == {"type": "object"}


def test_metadata_of_a_builtin_kind_is_spelled_out() -> None:
    labels = object_schema(Pod)["properties"]["metadata"]["properties"]["labels"]
    assert labels == {"type": "object", "additionalProperties": {"type": "string"}}
    assert object_schema(Pod)["properties"]["metadata"] is metadata_schema()


def test_a_builtin_list_tells_how_patches_merge_it() -> None:
    ports = part_schema(Container, Dialect.BUILTIN)["properties"]["ports"]
    assert ports["x-kubernetes-patch-merge-key"] == "containerPort"
    assert ports["x-kubernetes-patch-strategy"] == "merge"
    assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]


def test_a_crd_says_nothing_of_patches() -> None:
    assert "x-kubernetes-patch" not in str(object_schema(Custom))


def test_a_crd_keeps_map_keys_that_items_must_have() -> None:
    properties = object_schema(Custom)["properties"]
    assert properties["parts"]["x-kubernetes-list-map-keys"] == ["name"]
    assert "x-kubernetes-list-type" not in properties["containers"]


@pytest.mark.parametrize("kind", BUILTIN_KINDS, ids=lambda kind: kind.__name__)
def test_every_builtin_kind_has_a_schema(kind: type[Object]) -> None:
    schema = object_schema(kind)
    assert {"apiVersion", "kind", "metadata"} <= schema["properties"].keys()
    assert schema["description"]


@pytest.mark.parametrize(
    ("part", "field"),
    [(Volume, "downwardAPI"), (Container, "livenessProbe"), (Container, "env")],
    ids=["downwardAPI", "livenessProbe", "env"],
)
def test_names_are_as_kubernetes_spells_them(part: type[Noun], field: str) -> None:
    assert field in part_schema(part, Dialect.BUILTIN)["properties"]


def test_service_spells_cluster_ip() -> None:
    spec = object_schema(Service)["properties"]["spec"]["properties"]
    assert {"clusterIP", "clusterIPs", "externalIPs", "loadBalancerIP"} <= spec.keys()


def test_a_type_that_json_lacks_is_refused() -> None:
    class Odd(Noun):
        when: complex

    with pytest.raises(TypeError, match="complex"):
        part_schema(Odd, Dialect.CRD)
