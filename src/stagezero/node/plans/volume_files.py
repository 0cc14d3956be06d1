"""What a volume holds: the files that ConfigMaps, Secrets and the pod's fields become.

Pure: paths within the volume with their content and mode; `node.volumes` writes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagezero.api.container import Container
from stagezero.api.pod import Pod
from stagezero.api.volume import (
    DownwardAPIVolumeFile,
    KeyToPath,
    ProjectedVolumeSource,
    Volume,
    VolumeProjection,
)
from stagezero.node.plans.errors import ConfigError, MountFailed
from stagezero.node.plans.references import Place, References, field_value, resource_value

DEFAULT_MODE = 0o644


@dataclass(frozen=True)
class File:
    """One file of a volume."""

    data: bytes
    mode: int = DEFAULT_MODE


Files = dict[str, File]


def volume_files(pod: Pod, volume: Volume, references: References, place: Place) -> Files | None:
    """The files of a volume that holds configuration; None for one that is a plain folder.

    MountFailed says, in Kubernetes' words, what is missing or which kind is not served.
    """
    try:
        return _files(pod, volume, references, place)
    except ConfigError as error:
        raise MountFailed(volume.name, str(error)) from error


def _files(pod: Pod, volume: Volume, references: References, place: Place) -> Files | None:
    if volume.empty_dir is not None:
        return None
    if volume.config_map is not None:
        config = volume.config_map
        found = references.config_map(config.name)
        named = _Named("configmap", "config", config.name, bool(config.optional))
        return _keys(named, found, config.items, _mode(config.default_mode))
    if volume.secret is not None:
        secret = volume.secret
        found = references.secret(secret.secret_name)
        named = _Named("secret", "secret", secret.secret_name, bool(secret.optional))
        return _keys(named, found, secret.items, _mode(secret.default_mode))
    if volume.downward_api is not None:
        downward = volume.downward_api
        return _fields(pod, downward.items, _mode(downward.default_mode), place)
    if volume.projected is not None:
        return _projected(pod, volume.projected, references, place)
    raise ConfigError(_unsupported(volume))


def _unsupported(volume: Volume) -> str:
    names = {
        "host_path": "hostPath",
        "persistent_volume_claim": "persistentVolumeClaim",
        "ephemeral": "ephemeral",
        "nfs": "nfs",
        "csi": "csi",
        "image": "image",
    }
    kind = next((text for name, text in names.items() if getattr(volume, name) is not None), "")
    supported = "emptyDir, configMap, secret, downwardAPI and projected"
    return f"volumes of type {kind or 'unknown'} are not supported here, only {supported}"


def _mode(mode: int | None) -> int:
    return DEFAULT_MODE if mode is None else mode


@dataclass(frozen=True)
class _Named:
    kind: str
    word: str
    name: str
    is_optional: bool


def _keys(
    named: _Named, found: Mapping[str, bytes] | None, items: Sequence[KeyToPath], mode: int
) -> Files:
    if found is None:
        if named.is_optional:
            return {}
        raise ConfigError(f'{named.kind} "{named.name}" not found')
    if not items:
        return {key: File(data, mode) for key, data in found.items()}
    files: Files = {}
    for item in items:
        if item.key not in found:
            if named.is_optional:
                continue
            raise ConfigError(f"references non-existent {named.word} key: {item.key}")
        files[_inside(item.path)] = File(found[item.key], mode if item.mode is None else item.mode)
    return files


def _fields(pod: Pod, items: Sequence[DownwardAPIVolumeFile], mode: int, place: Place) -> Files:
    files: Files = {}
    for item in items:
        text = ""
        if item.field_ref is not None:
            text = field_value(pod, item.field_ref.field_path, place)
        elif item.resource_field_ref is not None:
            text = resource_value(pod, Container(), item.resource_field_ref, place)
        files[_inside(item.path)] = File(text.encode(), mode if item.mode is None else item.mode)
    return files


def _projected(
    pod: Pod, projected: ProjectedVolumeSource, references: References, place: Place
) -> Files:
    files: Files = {}
    mode = _mode(projected.default_mode)
    for source in projected.sources:
        files |= _projection(pod, source, mode, references, place)
    return files


def _projection(
    pod: Pod, source: VolumeProjection, mode: int, references: References, place: Place
) -> Files:
    if source.config_map is not None:
        config = source.config_map
        named = _Named("configmap", "config", config.name, bool(config.optional))
        return _keys(named, references.config_map(config.name), config.items, mode)
    if source.secret is not None:
        secret = source.secret
        named = _Named("secret", "secret", secret.name, bool(secret.optional))
        return _keys(named, references.secret(secret.name), secret.items, mode)
    if source.downward_api is not None:
        return _fields(pod, source.downward_api.items, mode, place)
    if source.service_account_token is not None:
        # Pods have no account at the API server here: a program sees that it is not in a cluster.
        return {}
    raise ConfigError("only configMap, secret and downwardAPI can be projected here")


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ConfigError(f'the path "{path}" leads out of the volume')
    return path
