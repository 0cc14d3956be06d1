"""Amounts of resources: `100m`, `2Gi`, `1e3` as exact numbers, and in their canonical text form."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from stagezero.api.fields import Quantity

_SUFFIXES: dict[str, Decimal] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}
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
    """The amount as a string, as the API keeps it: 1 → "1", 0.5 → "500m", text stays."""
    if isinstance(amount, str):
        return amount
    exact = Decimal(str(amount))
    if exact == exact.to_integral_value():
        return str(int(exact))
    return f"{int((exact * 1000).to_integral_value(rounding='ROUND_CEILING'))}m"


def add_quantities(many: Iterable[Mapping[str, Quantity]]) -> dict[str, Decimal]:
    """The sum of amounts by resource."""
    total: dict[str, Decimal] = {}
    for amounts in many:
        for name, amount in amounts.items():
            total[name] = total.get(name, Decimal(0)) + parse_quantity(amount)
    return total
