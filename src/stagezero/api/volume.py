"""Volumes of a pod: where the files that containers mount come from.

The sources the node can carry out are typed; the others are kept as they were written, so that the
node can say which one it cannot mount.
"""

from typing import Annotated

from msgspec import field

from stagezero.api.base import Noun, Raw
from stagezero.api.fields import Quantity, doc


class KeyToPath(Noun):
    """One key of a ConfigMap or Secret and the file it becomes."""

    key: str
    path: str
    mode: int | None = None


class SecretVolumeSource(Noun):
    """Files from a Secret."""

    secret_name: str = ""
    items: list[KeyToPath] = []
    default_mode: int | None = None
    optional: bool | None = None


class ConfigMapVolumeSource(Noun):
    """Files from a ConfigMap."""

    name: str = ""
    items: list[KeyToPath] = []
    default_mode: int | None = None
    optional: bool | None = None


class EmptyDirVolumeSource(Noun):
    """An empty folder that lives as long as the pod; `medium: Memory` asks for tmpfs."""

    medium: str = ""
    size_limit: Quantity | None = None


class HostPathVolumeSource(Noun):
    """A file or folder of the machine."""

    path: str
    type: str = ""


class PersistentVolumeClaimVolumeSource(Noun):
    """A claim in the pod's namespace."""

    claim_name: str
    read_only: bool = False


class ObjectFieldSelector(Noun):
    """A field of the pod itself, such as metadata.name."""

    field_path: str
    api_version: str = ""


class ResourceFieldSelector(Noun):
    """A container's resource limit or request."""

    resource: str
    container_name: str = ""
    divisor: Quantity | None = None


class DownwardAPIVolumeFile(Noun):
    """One field of the pod and the file it becomes."""

    path: str
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = None


class DownwardAPIVolumeSource(Noun):
    """Files that hold fields of the pod."""

    items: list[DownwardAPIVolumeFile] = []
    default_mode: int | None = None


class SecretProjection(Noun):
    """A Secret within a projected volume."""

    name: str = ""
    items: list[KeyToPath] = []
    optional: bool | None = None


class ConfigMapProjection(Noun):
    """A ConfigMap within a projected volume."""

    name: str = ""
    items: list[KeyToPath] = []
    optional: bool | None = None


class DownwardAPIProjection(Noun):
    """Fields of the pod within a projected volume."""

    items: list[DownwardAPIVolumeFile] = []


class ServiceAccountTokenProjection(Noun):
    """A token of the pod's service account within a projected volume."""

    path: str
    audience: str = ""
    expiration_seconds: int | None = None


class VolumeProjection(Noun):
    """One source of a projected volume."""

    secret: SecretProjection | None = None
    config_map: ConfigMapProjection | None = None
    downward_api: Annotated[DownwardAPIProjection | None, doc("Fields of the pod.")] = field(
        name="downwardAPI", default=None
    )
    service_account_token: ServiceAccountTokenProjection | None = None
    cluster_trust_bundle: Raw | None = None


class ProjectedVolumeSource(Noun):
    """Several sources in one folder."""

    sources: list[VolumeProjection] = []
    default_mode: int | None = None


class Volume(Noun):
    """A named volume of a pod; exactly one source is set."""

    name: str
    secret: SecretVolumeSource | None = None
    config_map: ConfigMapVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    downward_api: Annotated[DownwardAPIVolumeSource | None, doc("Fields of the pod.")] = field(
        name="downwardAPI", default=None
    )
    ephemeral: Raw | None = None
    nfs: Raw | None = None
    csi: Raw | None = None
    image: Raw | None = None


class VolumeMount(Noun):
    """Where a container sees a volume."""

    name: str
    mount_path: Annotated[str, doc("Absolute path within the container.")]
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False
    recursive_read_only: str = ""
    mount_propagation: str = ""


class VolumeDevice(Noun):
    """Where a container sees a raw block volume."""

    name: str
    device_path: str
