"""The schema that can be observed in a table: its columns as JSON Schema with the Experience Data Model's types."""

from headgate.model.lake import Column, LakeType
from headgate.model.runs import Json

__all__ = ["observable_schema"]

_TYPES: dict[str, tuple[str, str, str | None]] = {  # lake type: JSON type, XDM type, format
    "boolean": ("boolean", "boolean", None),
    "int": ("integer", "int", None),
    "long": ("integer", "long", None),
    "float": ("number", "double", None),
    "double": ("number", "double", None),
    "decimal": ("number", "double", None),
    "string": ("string", "string", None),
    "binary": ("string", "string", None),
    "date": ("string", "date", "date"),
    "time": ("string", "string", "time"),
    "timestamp": ("string", "date-time", "date-time"),
    "timestamptz": ("string", "date-time", "date-time"),
    "uuid": ("string", "string", "uuid"),
}


def observable_schema(columns: tuple[Column, ...]) -> Json:
    """An object schema with one property per column."""
    return {"type": "object", "properties": {column.name: _shape(column.name, column.type) for column in columns}}


def _shape(name: str, type_: LakeType) -> Json:
    title = {"title": name} if name else {}
    if type_.kind == "list" and type_.element is not None:
        return {**title, "type": "array", "meta:xdmType": "array", "items": _shape("", type_.element)}
    if type_.kind == "struct":
        members = {member: _shape(member, inner) for member, inner in type_.fields}
        return {**title, "type": "object", "meta:xdmType": "object", "properties": members}
    json_type, xdm_type, format_ = _TYPES[type_.kind]
    return {**title, "type": json_type, "meta:xdmType": xdm_type, **({"format": format_} if format_ else {})}
