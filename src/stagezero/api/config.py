"""What workloads are given: namespaces to live in, configuration, secrets, accounts."""

from typing import Annotated, ClassVar

from stagezero.api.base import Condition, Noun, Object, Resource
from stagezero.api.fields import MERGE_BY_NAME, MERGE_BY_TYPE, MERGE_SET, doc
from stagezero.api.pod import LocalObjectReference, ObjectReference


class NamespaceSpec(Noun):
    """Who must agree before a namespace may go."""

    finalizers: list[str] = []


class NamespaceStatus(Noun):
    """Whether a namespace is Active or Terminating."""

    phase: str = ""
    conditions: Annotated[list[Condition], MERGE_BY_TYPE] = []


class Namespace(Object):
    """A room for objects, with names of its own."""

    resource: ClassVar[Resource] = Resource(
        "", "v1", "Namespace", "namespaces",
        short_names=("ns",), namespaced=False, has_status=True, is_builtin=True,
    )  # fmt: skip
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class ConfigMap(Object):
    """Configuration as keys and values."""

    resource: ClassVar[Resource] = Resource(
        "", "v1", "ConfigMap", "configmaps", short_names=("cm",), is_builtin=True
    )
    data: dict[str, str] = {}
    binary_data: Annotated[dict[str, str], doc("Values in base64.")] = {}
    immutable: bool | None = None


class Secret(Object):
    """Confidential keys and values."""

    resource: ClassVar[Resource] = Resource("", "v1", "Secret", "secrets", is_builtin=True)
    data: Annotated[dict[str, str], doc("Values in base64.")] = {}
    string_data: Annotated[
        dict[str, str], doc("Values as text: moved to `data` on writing, never read back.")
    ] = {}
    type: str = ""
    immutable: bool | None = None


class ServiceAccount(Object):
    """Who a pod is to the API and to storage."""

    resource: ClassVar[Resource] = Resource(
        "", "v1", "ServiceAccount", "serviceaccounts", short_names=("sa",), is_builtin=True
    )
    secrets: Annotated[list[ObjectReference], MERGE_BY_NAME] = []
    image_pull_secrets: Annotated[list[LocalObjectReference], MERGE_SET] = []
    automount_service_account_token: bool | None = None
