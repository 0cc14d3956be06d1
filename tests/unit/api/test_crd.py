"""A CRD says where a kind is served, how it is printed and what it holds."""

from typing import ClassVar

from stagezero.api.apiextensions import CustomResourceDefinition
from stagezero.api.base import Column, Noun, Object, Resource, from_raw
from stagezero.api.crd import crd_for


class BoxSpec(Noun):
    """What a box is."""

    size: int = 0


class Box(Object):
    """A box."""

    resource: ClassVar[Resource] = Resource(
        "g.dev",
        "v1",
        "Box",
        "boxes",
        short_names=("bx",),
        categories=("all",),
        has_status=True,
        has_scale=True,
        also_served=("v1beta1",),
        columns=(Column("URL", ".status.url"), Column("Size", ".spec.size", "integer", 1, "big?")),
    )
    spec: BoxSpec = BoxSpec()


class Wall(Object):
    """A wall."""

    resource: ClassVar[Resource] = Resource("g.dev", "v1", "Wall", "walls", namespaced=False)


def test_the_name_is_plural_and_group() -> None:
    assert crd_for(Box)["metadata"]["name"] == "boxes.g.dev"


def test_names_are_all_there() -> None:
    assert crd_for(Box)["spec"]["names"] == {
        "plural": "boxes",
        "singular": "box",
        "kind": "Box",
        "listKind": "BoxList",
        "shortNames": ["bx"],
        "categories": ["all"],
    }


def test_the_first_version_is_stored() -> None:
    versions = [(v["name"], v["storage"]) for v in crd_for(Box)["spec"]["versions"]]
    assert versions == [("v1", True), ("v1beta1", False)]


def test_columns_keep_their_priority() -> None:
    columns = crd_for(Box)["spec"]["versions"][0]["additionalPrinterColumns"]
    assert columns[0] == {"name": "URL", "type": "string", "jsonPath": ".status.url"}
    assert (columns[1]["priority"], columns[1]["description"]) == (1, "big?")


def test_subresources_are_declared() -> None:
    assert crd_for(Box)["spec"]["versions"][0]["subresources"].keys() == {"status", "scale"}


def test_a_kind_without_extras_declares_none() -> None:
    version = crd_for(Wall)["spec"]["versions"][0]
    assert "subresources" not in version and "additionalPrinterColumns" not in version


def test_scope_follows_the_resource() -> None:
    assert crd_for(Box)["spec"]["scope"] == "Namespaced"
    assert crd_for(Wall)["spec"]["scope"] == "Cluster"


def test_a_crd_reads_back_as_its_own_kind() -> None:
    crd = from_raw(CustomResourceDefinition, crd_for(Box))
    schema = crd.spec.versions[0].schema
    assert schema is not None and schema.open_api_v3_schema is not None
    assert "size" in schema.open_api_v3_schema["properties"]["spec"]["properties"]
