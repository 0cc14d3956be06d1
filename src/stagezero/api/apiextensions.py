"""CustomResourceDefinition: how a kind is made known to an API server."""

from typing import Annotated, ClassVar

from msgspec import field

from stagezero.api.base import Condition, Noun, Object, Raw, Resource
from stagezero.api.fields import MERGE_BY_TYPE, doc


class CustomResourceDefinitionNames(Noun):
    """What a kind is called."""

    plural: str
    kind: str
    singular: str = ""
    short_names: list[str] = []
    list_kind: str = ""
    categories: list[str] = []


class CustomResourceColumnDefinition(Noun):
    """A column that kubectl prints."""

    name: str
    type: str
    json_path: Annotated[str, doc("Path of the value, such as .status.url")]
    format: str = ""
    description: str = ""
    priority: int = 0


class CustomResourceValidation(Noun):
    """The schema of a version."""

    open_api_v3_schema: Raw | None = field(name="openAPIV3Schema", default=None)


class CustomResourceSubresourceScale(Noun):
    """Where a kind keeps its scale."""

    spec_replicas_path: str
    status_replicas_path: str
    label_selector_path: str | None = None


class CustomResourceSubresources(Noun):
    """Which subresources a version has."""

    status: Raw | None = None
    scale: CustomResourceSubresourceScale | None = None


class CustomResourceDefinitionVersion(Noun):
    """One version of a kind."""

    name: str
    served: bool
    storage: bool
    deprecated: bool = False
    deprecation_warning: str | None = None
    schema: CustomResourceValidation | None = None
    subresources: CustomResourceSubresources | None = None
    additional_printer_columns: list[CustomResourceColumnDefinition] = []
    selectable_fields: list[Raw] = []


class CustomResourceDefinitionSpec(Noun):
    """The names, the scope and the versions of a kind."""

    group: str
    names: CustomResourceDefinitionNames
    scope: str
    versions: list[CustomResourceDefinitionVersion]
    conversion: Raw | None = None
    preserve_unknown_fields: bool = False


class CustomResourceDefinitionStatus(Noun):
    """Whether the names were free and the kind is served."""

    conditions: Annotated[list[Condition], MERGE_BY_TYPE] = []
    accepted_names: CustomResourceDefinitionNames | None = None
    stored_versions: list[str] = []


class CustomResourceDefinition(Object):
    """Makes a kind known to the API server."""

    resource: ClassVar[Resource] = Resource(
        "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
        short_names=("crd", "crds"), namespaced=False, has_status=True, is_builtin=True,
    )  # fmt: skip
    spec: CustomResourceDefinitionSpec = CustomResourceDefinitionSpec(
        group="", names=CustomResourceDefinitionNames("", ""), scope="", versions=[]
    )
    status: CustomResourceDefinitionStatus = CustomResourceDefinitionStatus()
