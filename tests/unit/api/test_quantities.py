"""Quantities are exact and keep their text."""

from decimal import Decimal

import pytest

from stagezero.api.fields import Quantity
from stagezero.api.quantities import (
    add_quantities,
    parse_quantity,
    quantity_text,
    with_quantity_texts,
)


@pytest.mark.parametrize(
    ("amount", "number"),
    [
        (1, "1"),
        (0.5, "0.5"),
        ("100m", "0.1"),
        ("2Gi", "2147483648"),
        ("1k", "1000"),
        ("1e3", "1000"),
        ("1E", "1000000000000000000"),
        ("1Ei", "1152921504606846976"),
        ("12E2", "1200"),
        ("-5", "-5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("250u", "0.00025"),
    ],
)
def test_amounts_are_exact(amount: Quantity, number: str) -> None:
    assert parse_quantity(amount) == Decimal(number)


@pytest.mark.parametrize("amount", ["", "one", "1 Gi", "1GB", "1ki", "m", "1.2.3"])
def test_other_text_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        parse_quantity(amount)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (1, "1"),
        (0.1, "100m"),
        (2.25, "2250m"),
        (0, "0"),
        ("0Mi", "0"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1000", "1k"),
        ("2Gi", "2Gi"),
        ("1024Mi", "1Gi"),
        ("1000Ki", "1000Ki"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1e3", "1e3"),
        ("10e4", "100e3"),
        ("0.1n", "1n"),
        ("-0.5", "-500m"),
    ],
)
def test_amounts_become_canonical_text(amount: Quantity, text: str) -> None:
    assert quantity_text(amount) == text
    assert quantity_text(text) == text


def test_container_s_amounts_become_text_and_nonsense_stays() -> None:
    container = {"resources": {"requests": {"cpu": 0.1}, "limits": {"cpu": "lots", "memory": None}}}
    assert with_quantity_texts(container)["resources"] == {
        "requests": {"cpu": "100m"}, "limits": {"cpu": "lots", "memory": None},
    }  # fmt: skip


@pytest.mark.parametrize("resources", [None, 5, {}, {"requests": []}])
def test_container_without_amounts_stays(resources: object) -> None:
    assert with_quantity_texts({"resources": resources}) == {"resources": resources}


def test_sums_are_by_resource() -> None:
    total = add_quantities([{"cpu": "500m", "memory": "1Gi"}, {"cpu": 1}])
    assert total == {"cpu": Decimal("1.5"), "memory": Decimal(2**30)}
