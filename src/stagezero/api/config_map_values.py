"""Reading the keys of a config map: numbers, durations and switches, with old spellings of keys.

Any mistake is a `ConfigError` that names the key, the value and what was expected; admission turns
it into a denial, a controller keeps its last good configuration.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from stagezero.api import go_values


class ConfigError(ValueError):
    """A config map says something that cannot be used; the message names key and value."""


@dataclass(frozen=True)
class Values:
    """The data of a config map; every read names the key first, then its old spellings."""

    data: Mapping[str, str]

    def text(self, default: str, *keys: str) -> str:
        """The value of the first key that is there."""
        return next((self.data[key] for key in keys if key in self.data), default)

    def integer(self, default: int, *keys: str) -> int:
        """A whole number."""
        text = self._found(keys)
        if text is None:
            return default
        try:
            return int(text)
        except ValueError:
            raise _failed(keys[0], text, "a whole number") from None

    def number(self, default: float, *keys: str) -> float:
        """A number with or without a fraction."""
        text = self._found(keys)
        if text is None:
            return default
        try:
            return go_values.parse_float(text)
        except ValueError:
            raise _failed(keys[0], text, "a number") from None

    def switch(self, default: bool, *keys: str) -> bool:
        """true or false, in any case."""
        text = self._found(keys)
        if text is None:
            return default
        if text.lower() in ("true", "t", "1"):
            return True
        if text.lower() in ("false", "f", "0"):
            return False
        raise _failed(keys[0], text, "true or false")

    def duration_ns(self, default: int, *keys: str) -> int:
        """A Go duration such as 90s or 1m30s, in nanoseconds."""
        text = self._found(keys)
        if text is None:
            return default
        try:
            return go_values.parse_duration(text)
        except ValueError:
            raise _failed(keys[0], text, "a duration such as 90s or 1m30s") from None

    def _found(self, keys: tuple[str, ...]) -> str | None:
        return next((self.data[key].strip() for key in keys if key in self.data), None)


def _failed(key: str, text: str, wanted: str) -> ConfigError:
    return ConfigError(f'failed to parse "{key}": "{text}" is not {wanted}')
