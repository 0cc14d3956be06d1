"""Schemas in definitions."""

from typing import Any

import pytest

from stagezero.api.schema import object_schema
from stagezero.apiserver.structural import mistakes
from stagezero.compose.catalogue import custom_kinds


@pytest.mark.parametrize(
    ("schema", "path", "rule"),
    [
        (7, "s", "a schema is an object"),
        ({"type": "text"}, "s.type", "must be one of array, boolean"),
        ({"properties": []}, "s.properties", "a schema is an object"),
        ({"properties": {"a": {"items": 1}}}, "s.properties[a].items", "a schema is an object"),
        ({"properties": {"a": {"minimum": "1"}}}, "s.properties[a].minimum", "must be a number"),
        ({"maxLength": -1}, "s.maxLength", "must be a number not below 0"),
        ({"required": "a"}, "s.required", "must be a list of strings"),
        ({"enum": []}, "s.enum", "must be a list of values"),
        ({"nullable": "yes"}, "s.nullable", "must be true or false"),
        ({"$ref": "#/x"}, "s.$ref", "must be left out"),
        ({"multipleOf": 0}, "s.multipleOf", "must be a number above 0"),
        ({"additionalProperties": 1}, "s.additionalProperties", "a schema is an object"),
        ({"oneOf": [{}, 1]}, "s.oneOf[1]", "a schema is an object"),
        ({"x-kubernetes-list-type": "bag"}, "s.x-kubernetes-list-type", "must be atomic, set"),
    ],
    ids=str,
)
def test_a_mistake_is_named(schema: Any, path: str, rule: str) -> None:
    (mistake,) = mistakes(schema, "s")
    assert mistake.path == path
    assert rule in mistake.message


def test_a_schema_without_end_is_refused() -> None:
    schema: dict[str, Any] = {}
    schema["properties"] = {"a": schema}
    assert any("nested deeper" in mistake.message for mistake in mistakes(schema, "s"))


@pytest.mark.parametrize("kind", custom_kinds(), ids=lambda kind: kind.__name__)
def test_our_own_schemas_are_structural(kind: Any) -> None:
    assert list(mistakes(object_schema(kind), "s")) == []
