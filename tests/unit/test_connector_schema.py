"""What a program's JSON Schema says of its records, as columns."""

from typing import Any

import pytest

from headgate.sources.child.schema import columns_of

TYPES: list[tuple[Any, str]] = [
    ({"type": "integer"}, "long"),
    ({"type": ["null", "integer"], "maximum": 2**64 - 1}, "decimal(38,0)"),
    ({"type": "integer", "airbyte_type": "big_integer"}, "decimal(38,0)"),
    ({"type": "number"}, "double"),
    ({"type": "number", "airbyte_type": "integer"}, "long"),
    ({"type": ["integer", "number", "null"]}, "double"),
    ({"type": "number", "multipleOf": 0.01}, "decimal(38,2)"),
    ({"type": "number", "multipleOf": 1e-05}, "decimal(38,5)"),
    ({"type": "number", "multipleOf": 10}, "decimal(38,0)"),
    ({"type": "number", "multipleOf": 0.25}, "decimal(38,2)"),
    ({"type": "number", "multipleOf": 0}, "double"),
    ({"type": "number", "multipleOf": 1e-60}, "double"),
    ({"type": "number", "multipleOf": 0.01, "exclusiveMaximum": 1_000_000}, "decimal(8,2)"),
    ({"type": "number", "multipleOf": 0.01, "maximum": 1_000_000, "exclusiveMaximum": True}, "decimal(8,2)"),
    ({"type": "number", "multipleOf": 0.01, "maximum": 1_000_000}, "decimal(38,2)"),
    ({"type": "boolean"}, "boolean"),
    ({"type": "string"}, "string"),
    ({"type": "string", "format": "date-time"}, "timestamptz"),
    ({"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"}, "timestamp"),
    ({"type": "string", "format": "date"}, "date"),
    ({"type": "string", "format": "uuid"}, "string"),
    ({"type": "string", "format": "x-singer.decimal", "precision": 12, "scale": 4}, "decimal(12,4)"),
    ({"type": "string", "format": "singer.decimal"}, "string"),
    ({"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, "date"),
    ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "string"),
    ({"type": ["string", "integer"]}, "string"),
    ({}, "string"),
    (True, "string"),
    ({"type": "array"}, "string"),
    ({"type": "array", "items": {"type": "integer"}}, "list<long>"),
    ({"type": "array", "items": [{"type": "integer"}]}, "string"),
    ({"type": "object"}, "string"),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}}, "struct<a: long, b: string>"),
    ({"properties": {"a": {"type": "string"}}}, "struct<a: string>"),
    ({"type": "object", "properties": {"a": {}, "A": {}}}, "string"),
    ({"$ref": "#/definitions/money"}, "decimal(38,2)"),
    ({"$ref": "#/definitions/none"}, "string"),
    ({"$ref": "https://example.com/a.json"}, "string"),
]


@pytest.mark.parametrize(("about", "kind"), TYPES)
def test_a_column_has_the_type_that_holds_every_value(about: Any, kind: str) -> None:
    schema = {"properties": {"v": about}, "definitions": {"money": {"type": "number", "multipleOf": 0.01}}}
    (column,) = columns_of(schema)
    assert str(column.type) == kind


def test_a_schema_that_names_itself_ends() -> None:
    loop = {"type": "object", "properties": {"next": {"$ref": "#/properties/v"}}}
    (column,) = columns_of({"properties": {"v": loop}})
    assert str(column.type).startswith("struct<next: struct<next: ")
    assert str(columns_of({"properties": {"v": {"$ref": "#/properties/v"}}})[0].type) == "string"
    assert columns_of({}) == ()
