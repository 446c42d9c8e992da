"""Trying mappings out: on sample records, and by themselves."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate import dataplane
from headgate.dataplane import quote
from headgate.mapping.compiler import compiled
from headgate.mapping.faults import rejection
from headgate.mapping.rules import EACH, Path, Rule, SourceType, Unmappable, written_path
from headgate.mapping.shapes import ANY, Shape
from headgate.model.lake import Column, LakeType

if TYPE_CHECKING:
    import duckdb

__all__ = ["Preview", "check", "preview", "unmapped"]


@dataclass(frozen=True, slots=True)
class Preview:
    """The records that came out, and the mappings that failed with the reason of each."""

    records: list[dict[str, Any]]
    failed: tuple[tuple[Rule, str], ...]


def check(rules: Sequence[Rule], schema: Shape = ANY) -> list[str | None]:
    """Why each rule cannot be carried out, as far as it can be told without the source; None where it may."""
    optional = _optional(schema)
    with dataplane.opened(memory="64MB") as connection:
        return [_reason(connection, rule, optional) for rule in rules]


def unmapped(rules: Sequence[Rule], schema: Shape) -> str | None:
    """A field that `schema` requires and no rule gives; None when there is none. Copied objects are not looked into."""
    return _lacking([rule.destination_path for rule in rules], schema, ())


def preview(rules: Sequence[Rule], records: Sequence[dict[str, Any]], schema: Shape = ANY) -> Preview:
    """What `rules` make of `records`. A mapping that fails on one of them is left out and named.

    Raises Unmappable for records that no table can hold, as those with members that differ by letter case only.
    """
    import duckdb

    columns = _columns(records)
    optional = _optional(schema)
    failed: list[tuple[Rule, str]] = []
    with dataplane.opened(memory="64MB") as connection:
        try:
            _fill(connection, records, columns)
        except duckdb.Error as error:
            raise Unmappable(f"The records cannot be read: {str(error).splitlines()[0][:200]}") from error
        good: list[Rule] = []
        for rule in rules:
            if (reason := _failure(connection, [rule], columns, optional)) is None:
                good.append(rule)
            else:
                failed.append((rule, reason))
        if good and _failure(connection, good, columns, optional) is not None:
            alone, good = good, []
            for rule in alone:  # some do not go together: the earlier one wins
                if (reason := _failure(connection, [*good, rule], columns, optional)) is None:
                    good.append(rule)
                else:
                    failed.append((rule, reason))
        made = _run(connection, good, columns, optional) if good else [{} for _ in records]
        return Preview(made, tuple(failed))


def _fill(
    connection: "duckdb.DuckDBPyConnection", records: Sequence[dict[str, Any]], columns: Sequence[Column]
) -> None:
    """Make the table `sample` of `records`."""
    structure = "".join(f", {quote(column.name)} {column.type.sql}" for column in columns)
    connection.execute(f"CREATE TABLE sample (_headgate_place INTEGER{structure})")
    if columns:
        form = json.dumps({column.name: _form(column.type) for column in columns})
        connection.executemany(
            "INSERT INTO sample SELECT ?, unnest(from_json(CAST(? AS JSON), ?))",
            [(place, json.dumps(record), form) for place, record in enumerate(records)],
        )


def _reason(connection: "duckdb.DuckDBPyConnection", rule: Rule, schema: Shape) -> str | None:
    import duckdb

    try:
        match rule.type:
            case SourceType.STATIC if EACH in rule.destination_path:
                _see(schema, rule)
            case SourceType.STATIC:
                connection.execute(f"SELECT {compiled([rule], (), schema).sql}").fetchall()
            case SourceType.ATTRIBUTE:
                if rule.source_path.count(EACH) != rule.destination_path.count(EACH):
                    return "source and destination must have equally many [*]."
                _see(schema, rule)
            case SourceType.EXPRESSION:
                compiled([rule], ())
    except Unmappable as error:
        return error.reason
    except duckdb.Error as error:
        return rejection(str(error)) or "the value cannot be converted."
    return None


def _failure(
    connection: "duckdb.DuckDBPyConnection", rules: Sequence[Rule], columns: Sequence[Column], schema: Shape
) -> str | None:
    import duckdb

    try:
        _run(connection, rules, columns, schema)
    except Unmappable as error:
        return error.reason
    except duckdb.Error as error:
        return rejection(str(error)) or "the value cannot be converted."
    return None


def _lacking(paths: Sequence[Path], shape: Shape, place: Path) -> str | None:
    for name, field in shape.fields.items():
        below = [path[1:] for path in paths if path and path[0] == name]
        if not below and field.required:
            return written_path((*place, name))
        if below and all(below) and (found := _lacking(below, field, (*place, name))):
            return found
    return None


def _run(
    connection: "duckdb.DuckDBPyConnection", rules: Sequence[Rule], columns: Sequence[Column], schema: Shape
) -> list[dict[str, Any]]:
    made = compiled(rules, columns, schema)
    query = f"SELECT to_json(mapped) FROM (SELECT {made.sql}, _headgate_place FROM sample) AS mapped"  # noqa: S608 - quoted
    rows = sorted((json.loads(text) for (text,) in connection.execute(query).fetchall()), key=_place)
    return [{name: value for name, value in row.items() if name != "_headgate_place"} for row in rows]


def _place(row: dict[str, Any]) -> int:
    return int(row["_headgate_place"])


def _see(schema: Shape, rule: Rule) -> None:
    """See that the schema has the destination. Raises Unmappable."""
    shape = schema
    for step in rule.destination_path:
        if isinstance(step, str):
            if shape.xdm not in ("", "object"):
                raise Unmappable(f"{step!r} lies below a value of the type {shape.xdm}.", rule)
            if shape.fields and step not in shape.fields:
                raise Unmappable(f"the schema has no field {rule.destination!r}.", rule)
            shape = shape.fields.get(step, ANY)
        else:
            if shape.xdm not in ("", "array"):
                raise Unmappable(f"the schema has a value of the type {shape.xdm} where [ ] stands.", rule)
            shape = shape.element or ANY


def _optional(shape: Shape) -> Shape:
    """`shape` with no field required, for trying one mapping at a time."""
    fields = {name: _optional(field) for name, field in shape.fields.items()}
    return Shape(shape.xdm, shape.type, False, shape.enum, fields, _optional(shape.element) if shape.element else None)


def _columns(records: Iterable[dict[str, Any]]) -> tuple[Column, ...]:
    found = _merged([_type(record) for record in records])
    return tuple(Column(name, _settled(type_)) for name, type_ in found.fields)


_UNKNOWN = LakeType("struct")  # the type of null, of {} and of the elements of []: any other one goes with it


def _type(value: object) -> LakeType:
    match value:
        case None:
            return _UNKNOWN
        case bool():
            return LakeType("boolean")
        case int():
            if not -(2**63) <= value < 2**63:
                raise Unmappable(f"The number {value} has more than 64 bits.")
            return LakeType("long")
        case float():
            return LakeType("double")
        case list():
            return LakeType("list", element=_merged([_type(item) for item in value]))
        case dict():
            return LakeType("struct", fields=tuple((name, _type(member)) for name, member in value.items()))
    return LakeType("string")


def _settled(type_: LakeType) -> LakeType:
    """`type_` with text for what is not known."""
    if type_.element is not None:
        return LakeType("list", element=_settled(type_.element))
    if type_.kind == "struct" and type_.fields:
        return LakeType("struct", fields=tuple((name, _settled(inner)) for name, inner in type_.fields))
    return LakeType("string") if type_ == _UNKNOWN else type_


def _form(type_: LakeType) -> Any:
    """A type as DuckDB's from_json() takes it."""
    if type_.element is not None:
        return [_form(type_.element)]
    return {name: _form(inner) for name, inner in type_.fields} if type_.kind == "struct" else type_.sql


def _merged(types: Sequence[LakeType]) -> LakeType:
    """The type that holds values of all `types`: text when they have nothing in common."""
    types = [type_ for type_ in types if type_ != _UNKNOWN]
    kinds = {type_.kind for type_ in types}
    if not types:
        return _UNKNOWN
    if kinds == {"struct"}:
        members: dict[str, list[LakeType]] = {}
        for type_ in types:
            for name, inner in type_.fields:
                members.setdefault(name, []).append(inner)
        return LakeType("struct", fields=tuple((name, _merged(found)) for name, found in members.items()))
    if kinds == {"list"}:
        return LakeType("list", element=_merged([type_.element for type_ in types if type_.element is not None]))
    if kinds == {"long", "double"}:
        return LakeType("double")
    return types[0] if len(kinds) == 1 else LakeType("string")
