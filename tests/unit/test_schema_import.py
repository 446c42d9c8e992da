"""Which fields of a schema express a source's columns."""

from headgate.model.lake import Column, LakeType
from headgate.service.schema_import import fields_of

STRING = LakeType("string")


def test_names_become_names_of_fields_and_stay_apart() -> None:
    names = ["Full Name", "full.name", "_id", "Ünï", "7x", "---", "Full_Name"]
    fields, paths, left_out = fields_of([Column(name, STRING) for name in names])
    assert list(fields) == ["Full_Name", "full_name_2", "id", "n_", "7x", "field", "Full_Name_3"]
    assert list(paths.values()) == ["Full Name", r"full\.name", "_id", "Ünï", "7x", "---", "Full_Name"]
    assert [field["title"] for field in fields.values()] == names
    assert left_out == []


def test_types_are_expressed_or_left_out() -> None:
    decimal = LakeType("decimal", 10, 2)
    nested = LakeType("struct", fields=(("a", STRING), ("b", LakeType("list", element=decimal))))
    odd = LakeType("struct", fields=(("a b", STRING),))
    columns = {"m": decimal, "o": nested, "x": odd, "y": LakeType("binary"), "z": LakeType("list", element=odd)}
    fields, _, left_out = fields_of([Column(name, type_) for name, type_ in columns.items()])
    number = {"type": "number", "meta:sourceType": "decimal(10,2)"}
    assert fields == {
        "m": {"title": "m", **number},
        "o": {
            "title": "o",
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": number}},
        },
    }
    assert left_out == ["x", "y", "z"]
