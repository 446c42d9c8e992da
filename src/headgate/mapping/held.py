"""The types that a source which finds types in its data should take, so that nothing is lost on the way."""

from collections.abc import Mapping, Sequence

from headgate.mapping.rules import Path, Rule, SourceType
from headgate.mapping.shapes import ANY, Shape
from headgate.model.lake import Column, LakeType

__all__ = ["held"]


def held(rules: Sequence[Rule], columns: Sequence[Column], schema: Shape) -> Mapping[str, LakeType]:
    """By name of a source column that is mapped by itself: the type its destination needs it to have.

    That is text or a decimal where the schema declares them, which another type found on the way could not give
    back digit by digit, and the type of the table's `columns` where the schema declares nothing.
    """
    table = LakeType("struct", fields=tuple((column.name, column.type) for column in columns))
    found: dict[str, set[LakeType]] = {}
    for rule in rules:
        if rule.type is not SourceType.ATTRIBUTE or len(path := rule.source_path) != 1:
            continue
        shape = _shape_at(schema, rule.destination_path)
        type_ = shape.type if shape.xdm else _type_at(table, rule.destination_path)
        if type_ is not None and (not shape.xdm or type_.kind in ("string", "decimal")):
            found.setdefault(str(path[0]), set()).add(type_)
    return {name: types.pop() for name, types in found.items() if len(types) == 1}


def _shape_at(shape: Shape, path: Path) -> Shape:
    for step in path:
        shape = shape.fields.get(step, ANY) if isinstance(step, str) else shape.element or ANY
    return shape


def _type_at(type_: LakeType | None, path: Path) -> LakeType | None:
    for step in path:
        if type_ is None:
            return None
        type_ = dict(type_.fields).get(step) if isinstance(step, str) else type_.element
    return type_
