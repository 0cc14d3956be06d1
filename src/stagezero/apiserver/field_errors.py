"""Field errors under the name by which this room knows them; they live with the nouns."""

from stagezero.api.mistakes import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    invalid_value,
    required,
    show,
    too_long,
    too_many,
    unsupported,
    wrong_type,
)

__all__ = [
    "FieldError",
    "duplicate",
    "forbidden",
    "invalid",
    "invalid_value",
    "required",
    "show",
    "too_long",
    "too_many",
    "unsupported",
    "wrong_type",
]
