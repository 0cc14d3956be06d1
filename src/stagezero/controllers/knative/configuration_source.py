"""Where the controllers read Knative's configuration: the config maps, parsed once a version.

Edits are live. A map that cannot be read (admission keeps such edits out, a restored backup may
not) leaves its last good values in force and is said once in the log.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from stagezero.api import config_knative
from stagezero.api.base import Key, Object
from stagezero.api.config import ConfigMap
from stagezero.api.config_knative import KnativeConfig
from stagezero.api.config_map_values import ConfigError
from stagezero.client.cache import Caches
from stagezero.runtime.controller import Watch

log = logging.getLogger(__name__)


class ConfigurationSource:
    """Reads the config maps from the caches; shared by the controllers that it configures."""

    def __init__(self) -> None:
        self._config = KnativeConfig()
        self._seen: dict[str, str | None] = dict.fromkeys(config_knative.MAP_NAMES)

    def read(self, caches: Caches) -> KnativeConfig:
        """The configuration as it is now."""
        for name, (field, parse) in config_knative.PARSERS.items():
            found = caches.get(ConfigMap, Key(config_knative.NAMESPACE, name))
            version = found.metadata.resource_version if found else None
            if version == self._seen[name]:
                continue
            self._seen[name] = version
            try:
                part = parse(found.data if found else {})
            except ConfigError as error:
                log.warning("config map %s is kept as it was: %s", name, error)
                continue
            self._config = replace(self._config, **{field: part})  # type: ignore[arg-type]
        return self._config


def watch(kind: type[Object], *maps: str) -> Watch:
    """Wake every object of a kind when one of these config maps changes."""

    def keys(thing: Object, caches: Caches) -> Iterable[Key]:
        is_one = thing.metadata.namespace == config_knative.NAMESPACE
        return caches.of(kind).keys() if is_one and thing.metadata.name in maps else ()

    return Watch(ConfigMap, keys)


Read = Callable[[Caches], KnativeConfig]
