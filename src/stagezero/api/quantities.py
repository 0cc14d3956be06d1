"""Amounts of resources: `100m`, `2Gi`, `1e3` as exact numbers, and in their canonical text form."""

import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_UP, Decimal

from stagezero.api.base import Raw
from stagezero.api.fields import Quantity

_SUFFIXES: dict[str, Decimal] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}
_BINARY_BASE = 1024
_BINARY_SUFFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_NANO = Decimal("1e-9")
_DECIMAL_SUFFIXES = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_UNITY = 3  # where in the decimal suffixes the plain number stands
_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?")

BAD_QUANTITY = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def parse_quantity(amount: Quantity) -> Decimal:
    """The exact number that an amount means; ValueError if it is none."""
    match = _FORM.fullmatch(str(amount).strip())
    if match is None:
        raise ValueError(BAD_QUANTITY)
    number, suffix = match[1], match[2] or ""
    if suffix[:1] in ("e", "E") and len(suffix) > 1 and suffix not in _SUFFIXES:
        return Decimal(number + suffix)
    return Decimal(number) * _SUFFIXES[suffix]


def quantity_text(amount: Quantity) -> str:
    """The amount as the API keeps it: 0.1 → "100m", 1 → "1", "1024Mi" → "1Gi", "1000m" → "1".

    Kubernetes' canonical form: no fraction, no more digits than needed, the largest suffix of the
    author's own family (binary, decimal, exponent) that needs none. ValueError if it is no amount.
    """
    exact = parse_quantity(amount)
    suffix = _suffix(str(amount).strip())
    if suffix.endswith("i") and abs(exact) >= _BINARY_BASE:
        whole = exact.to_integral_value(rounding=ROUND_UP)
        number, power = _divided(whole, _BINARY_BASE, len(_BINARY_SUFFIXES) - 1)
        return f"{number}{_BINARY_SUFFIXES[power]}"
    nanos = (exact / _NANO).to_integral_value(rounding=ROUND_UP)
    is_exponent = suffix[:1] in ("e", "E") and suffix not in _SUFFIXES
    number, power = _divided(nanos, 1000, len(_DECIMAL_SUFFIXES) - 1)
    if not is_exponent:
        return f"{number}{_DECIMAL_SUFFIXES[power]}"
    return f"{number}e{power * 3 - 9}" if power != _UNITY else str(number)


def with_quantity_texts(container: Raw) -> Raw:
    """The container with its resources' amounts in canonical form; what is no amount stays."""
    resources = container.get("resources")
    if not isinstance(resources, dict):
        return container
    sides = {
        side: {name: _text_or_same(amount) for name, amount in amounts.items()}
        for side in ("requests", "limits")
        if isinstance(amounts := resources.get(side), dict)
    }
    return {**container, "resources": {**resources, **sides}} if sides else container


def _text_or_same(amount: object) -> object:
    if not isinstance(amount, int | float | str) or isinstance(amount, bool):
        return amount
    try:
        return quantity_text(amount)
    except ValueError:
        return amount


def _suffix(text: str) -> str:
    match = _FORM.fullmatch(text)
    return (match[2] or "") if match else ""


def _divided(number: Decimal, base: int, most: int) -> tuple[int, int]:
    """The number without its factors of `base`, and how many were taken out."""
    whole, power = int(number), 0
    if whole == 0:
        return 0, _UNITY if base == 1000 else 0
    while power < most and whole % base == 0:
        whole, power = whole // base, power + 1
    return whole, power


def add_quantities(many: Iterable[Mapping[str, Quantity]]) -> dict[str, Decimal]:
    """The sum of amounts by resource."""
    total: dict[str, Decimal] = {}
    for amounts in many:
        for name, amount in amounts.items():
            total[name] = total.get(name, Decimal(0)) + parse_quantity(amount)
    return total
