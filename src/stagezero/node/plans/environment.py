"""A container's environment variables: from ConfigMaps, Secrets, fields and other variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stagezero.api.container import Container, EnvFromSource, EnvVar, EnvVarSource
from stagezero.api.pod import Pod
from stagezero.node.plans.errors import ConfigError
from stagezero.node.plans.expansion import expand
from stagezero.node.plans.references import Place, References, field_value, resource_value

_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


@dataclass(frozen=True)
class _Wanting:
    """Whose variables are resolved, and from what."""

    pod: Pod
    container: Container
    references: References
    place: Place


def container_environment(
    pod: Pod, container: Container, references: References, place: Place
) -> dict[str, str]:
    """The variables that the container's spec asks for; ConfigError in Kubernetes' words."""
    wanting = _Wanting(pod, container, references, place)
    values: dict[str, str] = {}
    for source in container.env_from:
        values |= _from_source(source, references)
    for variable in container.env:
        value = _value(wanting, variable, values)
        if value is not None:
            values[variable.name] = value
    return values


def _from_source(source: EnvFromSource, references: References) -> dict[str, str]:
    found: Mapping[str, bytes] | None = {}
    if source.config_map_ref is not None:
        name, optional = source.config_map_ref.name, source.config_map_ref.optional
        found, kind = references.config_map(name), "configmap"
    elif source.secret_ref is not None:
        name, optional = source.secret_ref.name, source.secret_ref.optional
        found, kind = references.secret(name), "secret"
    if found is None:
        if not optional:
            raise ConfigError(f'{kind} "{name}" not found')
        return {}
    return {
        source.prefix + key: _text(value)
        for key, value in found.items()
        if _NAME.fullmatch(source.prefix + key)  # a key may be no name; it is left out
    }


def _value(wanting: _Wanting, variable: EnvVar, values: Mapping[str, str]) -> str | None:
    source = variable.value_from
    if source is None:
        return expand(variable.value, values)
    if source.field_ref is not None:
        return field_value(wanting.pod, source.field_ref.field_path, wanting.place)
    if source.resource_field_ref is not None:
        return resource_value(
            wanting.pod, wanting.container, source.resource_field_ref, wanting.place
        )
    return _key_value(wanting, source)


def _key_value(wanting: _Wanting, source: EnvVarSource) -> str | None:
    namespace, references = wanting.pod.metadata.namespace, wanting.references
    if source.config_map_key_ref is not None:
        selector = source.config_map_key_ref
        where = ("ConfigMap", namespace, selector.name, selector.key)
        return _selected(references.config_map(selector.name), where, bool(selector.optional))
    if source.secret_key_ref is not None:
        secret = source.secret_key_ref
        where = ("Secret", namespace, secret.name, secret.key)
        return _selected(references.secret(secret.name), where, bool(secret.optional))
    return ""


def _selected(
    found: Mapping[str, bytes] | None, where: tuple[str, str, str, str], is_optional: bool
) -> str | None:
    kind, namespace, name, key = where
    if found is not None and key in found:
        return _text(found[key])
    if is_optional:
        return None
    if found is None:
        raise ConfigError(f'{kind.lower()} "{name}" not found')
    raise ConfigError(f"couldn't find key {key} in {kind} {namespace}/{name}")


def _text(value: bytes) -> str:
    return value.decode(errors="replace").replace("\0", "")
