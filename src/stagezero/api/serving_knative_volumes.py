"""Checks of a revision's volumes and of what its containers mount."""

import posixpath

from stagezero.api import name_rules
from stagezero.api.base import Raw
from stagezero.api.config_knative_defaults import FeaturesConfig
from stagezero.api.field_error import (
    Errors,
    FieldError,
    disallowed_fields,
    invalid_value,
    missing_field,
    missing_one_of,
    multiple_one_of,
    via_index,
)
from stagezero.api.raw_fields import is_set, part, parts, text

_RESERVED_PATHS = frozenset({"/", "/dev", "/dev/log", "/tmp", "/var", "/var/log"})
_SOURCES = ("secret", "configMap", "projected", "emptyDir", "persistentVolumeClaim")
_PROJECTED = ("secret", "configMap", "serviceAccountToken")
_WRITABLE = ("emptyDir", "persistentVolumeClaim")
_MOUNT_FIELDS = frozenset({"name", "readOnly", "mountPath", "subPath"})


def check_volumes(spec: Raw, features: FeaturesConfig) -> Errors:
    """Check `volumes`: sources, names, and that each is mounted; paths begin with `volumes`."""
    containers = parts(spec, "initContainers") + parts(spec, "containers")
    mounted = {text(mount, "name") for one in containers for mount in parts(one, "volumeMounts")}
    seen: set[str] = set()
    errors: Errors = ()
    for index, volume in enumerate(parts(spec, "volumes")):
        name = text(volume, "name")
        found: Errors = ()
        if name in seen:
            found += (FieldError(f'duplicate volume name "{name}"', ("name",)),)
        if name not in mounted:
            found += (FieldError(f'volume with name "{name}" not mounted', ("name",)),)
        found += _volume(volume, features)
        seen.add(name)
        errors += via_index(found, "volumes", index)
    return errors


def _volume(volume: Raw, features: FeaturesConfig) -> Errors:
    name = text(volume, "name")
    errors = _gated(volume, features)
    if not name:
        errors = (missing_field("name"),)
    elif name_rules.dns_1123_label(name):
        errors = (invalid_value(name, "name"),)
    disallowed = [key for key in volume if key != "name" and key not in _SOURCES]
    if disallowed:
        errors += (disallowed_fields(*disallowed),)
    return errors + _sources(volume, features) + _items(volume)


def _gated(volume: Raw, features: FeaturesConfig) -> Errors:
    errors: Errors = ()
    if "persistentVolumeClaim" in volume:
        claim = part(volume, "persistentVolumeClaim")
        name = text(claim, "claimName")
        if not features.is_enabled("kubernetes.podspec-persistent-volume-claim"):
            errors += (
                FieldError(
                    "Persistent volume claim support is disabled, "
                    f"but found persistent volume claim {name}",
                    (),
                ),
            )
        if not claim.get("readOnly") and not features.is_enabled(
            "kubernetes.podspec-persistent-volume-write"
        ):
            errors += (
                FieldError(
                    "Persistent volume write support is disabled, "
                    f"but found persistent volume claim {name} that is not read-only",
                    (),
                ),
            )
    if "emptyDir" in volume and not features.is_enabled("kubernetes.podspec-volumes-emptydir"):
        name = text(volume, "name")
        errors += (
            FieldError(
                f"EmptyDir volume support is disabled, but found EmptyDir volume {name}", ()
            ),
        )
    return errors


def _sources(volume: Raw, features: FeaturesConfig) -> Errors:
    given = [source for source in _SOURCES if source in volume]
    if len(given) > 1:
        return (multiple_one_of(*given),)
    if given:
        return ()
    possible = ["secret", "configMap", "projected"]
    if features.is_enabled("kubernetes.podspec-volumes-emptydir"):
        possible.append("emptyDir")
    if features.is_enabled("kubernetes.podspec-persistent-volume-claim"):
        possible.append("persistentVolumeClaim")
    return (missing_one_of(*possible),)


def _items(volume: Raw) -> Errors:
    errors: Errors = ()
    for source in ("secret", "configMap"):
        errors += _keys_to_paths(part(volume, source))
    for index, projection in enumerate(parts(part(volume, "projected"), "sources")):
        errors += via_index(_projection(projection), "projected", index)
    empty = part(volume, "emptyDir")
    if text(empty, "medium") not in ("", "Memory"):
        errors += (invalid_value(text(empty, "medium"), "emptyDir.medium"),)
    return errors


def _projection(projection: Raw) -> Errors:
    given = [source for source in _PROJECTED if source in projection]
    disallowed = [key for key in projection if key not in _PROJECTED]
    errors: Errors = (disallowed_fields(*disallowed),) if disallowed else ()
    if not given:
        errors += (missing_one_of(*_PROJECTED),)
    if len(given) > 1:
        errors += (multiple_one_of(*given),)
    for source in given:
        inner = part(projection, source)
        needed = "path" if source == "serviceAccountToken" else "name"
        if not text(inner, needed):
            errors += (missing_field(f"{source}.{needed}"),)
        errors += tuple(error.via(source) for error in _keys_to_paths(inner))
    return errors


def _keys_to_paths(source: Raw) -> Errors:
    errors: Errors = ()
    for index, item in enumerate(parts(source, "items")):
        found = tuple(missing_field(name) for name in ("key", "path") if not text(item, name))
        errors += via_index(found, "items", index)
    return errors


def check_mounts(container: Raw, spec: Raw) -> Errors:
    """Check `volumeMounts` of a container against the volumes; paths begin with the field."""
    volumes = {text(volume, "name"): volume for volume in parts(spec, "volumes")}
    seen: set[str] = set()
    errors: Errors = ()
    for index, mount in enumerate(parts(container, "volumeMounts")):
        found: Errors = ()
        disallowed = [
            key for key, value in mount.items() if key not in _MOUNT_FIELDS and is_set(value)
        ]
        if disallowed:
            found += (disallowed_fields(*disallowed),)
        volume = volumes.get(text(mount, "name"))
        if volume is None:
            found += (FieldError("volumeMount has no matching volume", ("name",)),)
        found += _mount_path(mount, seen) + _read_only(mount, volume or {})
        errors += via_index(found, "volumeMounts", index)
    return errors


def _mount_path(mount: Raw, seen: set[str]) -> Errors:
    path = text(mount, "mountPath")
    clean = posixpath.normpath(path) if path else ""
    is_taken = clean in seen
    seen.add(clean)
    if not path:
        return (missing_field("mountPath"),)
    if clean in _RESERVED_PATHS:
        return (FieldError(f'mountPath "{clean}" is a reserved path', ("mountPath",)),)
    if not path.startswith("/"):
        return (invalid_value(path, "mountPath"),)
    if is_taken:
        return (invalid_value(f'"{path}" must be unique', "mountPath"),)
    return ()


def _read_only(mount: Raw, volume: Raw) -> Errors:
    is_read_only = bool(mount.get("readOnly"))
    if is_read_only:
        return ()
    if not any(source in volume for source in _WRITABLE):
        message = "volume mount should be readOnly for this type of volume"
        return (FieldError(message, ("readOnly",)),)
    if part(volume, "persistentVolumeClaim").get("readOnly"):
        return (FieldError("volume is readOnly but volume mount is not", ("readOnly",)),)
    return ()
