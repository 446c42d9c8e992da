"""What a schema says a record looks like, as far as values are checked against it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from headgate.model.lake import LakeType

__all__ = ["ANY", "Shape", "shape_of"]

_SCALARS = {
    "boolean": LakeType("boolean"),
    "byte": LakeType("int"),
    "date": LakeType("date"),
    "date-time": LakeType("timestamptz"),
    "int": LakeType("int"),
    "long": LakeType("long"),
    "number": LakeType("double"),
    "short": LakeType("int"),
    "string": LakeType("string"),
}
_DECIMAL = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")


@dataclass(frozen=True, slots=True)
class Shape:
    """One field of a schema. `xdm` is its type's name there; empty when the schema leaves the type open.

    `type` is a scalar's lake type. `fields` are an object's, empty when it is open; `element` is an array's. Values
    are not `checked` where all are known to fit.
    """

    xdm: str = ""
    type: LakeType | None = None
    required: bool = False
    enum: tuple[str, ...] = ()
    fields: Mapping[str, "Shape"] = field(default_factory=dict)
    element: "Shape | None" = None
    checked: bool = True

    def fitting(self) -> "Shape":
        """This shape for records that are known to fit it."""
        fields = {name: inner.fitting() for name, inner in self.fields.items()}
        element = self.element.fitting() if self.element is not None else None
        return replace(self, required=False, fields=fields, element=element, checked=False)


ANY = Shape()


def shape_of(schema: Mapping[str, Any], *, required: bool = False) -> Shape:
    """The shape of a JSON Schema whose `$ref` and `allOf` are resolved, `meta:xdmType` winning over `type`."""
    xdm = _xdm_type(schema)
    if xdm == "object":
        needed = schema.get("required") or ()
        properties: Mapping[str, Any] = schema.get("properties") or {}
        fields = {name: shape_of(inner, required=name in needed) for name, inner in properties.items()}
        return Shape(xdm, required=required, fields=fields)
    if xdm == "array":
        items = schema.get("items")
        return Shape(xdm, required=required, element=shape_of(items) if isinstance(items, Mapping) else ANY)
    type_ = _SCALARS.get(xdm)
    if xdm == "number" and (sizes := _DECIMAL.fullmatch(str(schema.get("meta:sourceType", "")))):
        precision, scale = int(sizes[1]), int(sizes[2])
        if 1 <= precision <= 38 and scale <= precision:
            type_ = LakeType("decimal", precision, scale)
    values = schema.get("enum") or ()
    enum = tuple(str(value) for value in values) if xdm == "string" else ()
    return Shape(xdm, type_, required, enum)


def _xdm_type(schema: Mapping[str, Any]) -> str:
    declared = schema.get("meta:xdmType")
    if isinstance(declared, str) and (declared in _SCALARS or declared in ("object", "array", "map")):
        return declared
    type_, format_ = schema.get("type"), schema.get("format")
    match type_:
        case "string" if format_ in ("date", "date-time"):
            return str(format_)
        case "integer":
            return "long"
        case "object" if isinstance(schema.get("additionalProperties"), Mapping) and not schema.get("properties"):
            return "map"
        case str() if type_ in _SCALARS or type_ in ("object", "array"):
            return type_
    return "object" if "properties" in schema else ""
