"""Rules and the source's columns become one SQL projection, in the lake's types.

Destinations form a tree. Every node is made from the rules that reach into it: one rule alone gives its value,
several make an object of their parts, and a path with `[*]` goes through the elements of a list, keeping their
places. An object copied whole brings its members along; a rule for one of them wins over the copied one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headgate.dataplane import literal, quote
from headgate.mapping.casts import cast
from headgate.mapping.faults import failing, misfit, missing
from headgate.mapping.rules import EACH, Path, Rule, SourceType, Step, Unmappable, rule_of, written_path
from headgate.mapping.shapes import ANY, Shape, shape_of
from headgate.model.lake import Column, LakeType

__all__ = ["Projection", "compiled", "thawed"]

_STRING = LakeType("string")


@dataclass(frozen=True, slots=True)
class Projection:
    """The columns that a mapping makes, and the SQL expression over the source's columns for each.

    `fault` is SQL for what is wrong with a record that makes one of them fail, NULL when nothing is, see `faults`;
    empty when none can fail.
    """

    columns: tuple[Column, ...]
    values: tuple[str, ...]
    fault: str = ""

    @property
    def sql(self) -> str:
        """What stands between SELECT and FROM."""
        pairs = zip(self.values, self.columns, strict=True)
        return ", ".join(f"{value} AS {quote(column.name)}" for value, column in pairs)


@dataclass(frozen=True, slots=True)
class _Value:
    """An SQL expression and its type. `sql` is empty for the record itself, whose members are the columns.

    `fault` is SQL for the reason why `sql` fails, NULL when it does not; empty when it never does.
    """

    sql: str
    type: LakeType
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """What is left of a rule's two paths below a node of the destination. `copied` when a whole object brought it."""

    rule: Rule
    destination: Path
    source: Path
    copied: bool = False

    @property
    def static(self) -> bool:
        return self.rule.type is SourceType.STATIC


def compiled(rules: Sequence[Rule], columns: Sequence[Column], schema: Shape = ANY) -> Projection:
    """The projection that carries `rules` out on `columns`, checked against `schema`. Raises Unmappable."""
    if not rules:
        raise Unmappable("The mapping set has no mappings, so no column would land.")
    parts = []
    taken: dict[Path, Rule] = {}
    for rule in rules:
        if rule.type is SourceType.EXPRESSION:
            raise Unmappable("expressions are not executed by this version; use ATTRIBUTE or STATIC.", rule)
        path = rule.destination_path
        if path in taken:
            raise Unmappable(f"{rule.destination!r} has another mapping already, from {taken[path].source!r}.", rule)
        taken[path] = rule
        parts.append(_Part(rule, path, () if rule.type is SourceType.STATIC else rule.source_path))
    record = _Value("", LakeType("struct", fields=tuple((column.name, column.type) for column in columns)))
    members = _members(record, parts, schema, (), 0)
    return Projection(
        tuple(Column(name, value.type) for name, value in members.items()),
        tuple(value.sql for value in members.values()),
        _first(members.values()),
    )


def thawed(frozen: Mapping[str, Any]) -> tuple[tuple[Rule, ...], Shape]:
    """The rules and the schema of a mapping set as a flow keeps it. Raises Unmappable."""
    return tuple(rule_of(mapping) for mapping in frozen["mappings"]), shape_of(frozen.get("schema") or {})


def _members(scope: _Value, parts: Sequence[_Part], shape: Shape, place: Path, depth: int) -> dict[str, _Value]:
    """The members of the object at `place`, by name."""
    groups: dict[str, list[_Part]] = {}
    for part in parts:
        name = part.destination[0]
        assert isinstance(name, str)  # noqa: S101 - the caller has looked
        groups.setdefault(name, []).append(replace(part, destination=part.destination[1:]))
    folded: dict[str, str] = {}
    for name, group in groups.items():
        if shape.fields and name not in shape.fields:
            raise Unmappable(
                f"the schema has no field {written_path((*place, name))!r}; there it has: "
                f"{', '.join(sorted(shape.fields)[:20])}.",
                group[0].rule,
            )
        if (other := folded.setdefault(name.lower(), name)) != name:
            raise Unmappable(
                f"{written_path((*place, name))!r} differs from {other!r} by letter case only.", group[0].rule
            )
    for name, field in shape.fields.items():
        if field.required and name not in groups:
            raise Unmappable(f"The schema requires {written_path((*place, name))!r}, which no mapping gives.")
    return {
        name: _required(
            _node(scope, group, shape.fields.get(name, ANY), (*place, name), depth),
            shape.fields.get(name, ANY),
            (*place, name),
            group,
        )
        for name, group in groups.items()
    }


def _node(scope: _Value, parts: Sequence[_Part], shape: Shape, place: Path, depth: int) -> _Value:
    """The value at `place` of the destination."""
    whole = [part for part in parts if not part.destination]
    if explicit := [part for part in whole if not part.copied]:
        whole = explicit
    inner = [part for part in parts if part.destination]
    if not inner:
        return _whole(scope, whole[0], shape, depth)
    if whole:
        inner = [*_spread(scope, whole[0], inner, shape), *inner]
    first = [part.destination[0] for part in inner]
    if all(isinstance(step, str) for step in first):
        if shape.xdm not in ("", "object"):
            raise Unmappable(
                f"{written_path(place)!r} is of the type {shape.xdm}, which has no members.", inner[0].rule
            )
        return _packed(_members(scope, inner, shape, place, depth))
    if any(isinstance(step, str) for step in first) or (EACH in first and any(step is not EACH for step in first)):
        raise Unmappable(
            f"{written_path(place)!r} cannot be an object and a list, or [*] and [0], at once.", inner[-1].rule
        )
    if shape.xdm not in ("", "array"):
        raise Unmappable(f"{written_path(place)!r} is of the type {shape.xdm}, no list.", inner[0].rule)
    make = _each if EACH in first else _placed
    return make(scope, [replace(p, destination=p.destination[1:]) for p in inner], first, shape, place, depth)


def _each(
    scope: _Value, parts: Sequence[_Part], _first: Sequence[Step], shape: Shape, place: Path, depth: int
) -> _Value:
    """The list at `place`, made from the elements of the one list that all `parts` go through."""
    lists: dict[Path, Rule] = {}
    for part in parts:
        if EACH in part.source:
            lists.setdefault(part.source[: part.source.index(EACH)], part.rule)
        elif not part.static:
            raise Unmappable("[*] in the destination goes with [*] in the source.", part.rule)
    if len(lists) != 1:
        raise Unmappable(
            f"{written_path((*place, EACH))!r} needs mappings from one list of the source.", parts[-1].rule
        )
    [(path, rule)] = lists.items()
    found = _read(scope, path, rule)
    if found.type.element is None:
        raise Unmappable(f"{written_path(path)!r} is of the type {found.type}, no list.", rule)
    element = _Value(f"_headgate_e{depth}", found.type.element)
    below = [part if part.static else replace(part, source=part.source[len(path) + 1 :]) for part in parts]
    made = _node(element, below, shape.element or ANY, (*place, EACH), depth + 1)
    return _through(found, element, made)


def _through(list_: _Value, element: _Value, made: _Value) -> _Value:
    """`list_` with `made`, an expression over `element`, in place of every element that is not NULL."""
    if made == element:
        return list_

    def each(part: str) -> str:
        present = f"CASE WHEN {element.sql} IS NULL THEN NULL ELSE {part} END"
        return f"list_transform({list_.sql}, lambda {element.sql}: {present})"

    fault = f"list_filter({each(made.fault)}, lambda _headgate_f: _headgate_f IS NOT NULL)[1]" if made.fault else ""
    return _Value(each(made.sql), LakeType("list", element=made.type), fault)


def _placed(
    scope: _Value, parts: Sequence[_Part], first: Sequence[Step], shape: Shape, place: Path, depth: int
) -> _Value:
    """The list at `place`, made of elements that are mapped one by one; those between them are NULL."""
    groups: dict[int, list[_Part]] = {}
    for step, part in zip(first, parts, strict=True):
        assert isinstance(step, int)  # noqa: S101 - the caller has looked
        groups.setdefault(step, []).append(part)
    made = {index: _node(scope, group, shape.element or ANY, (*place, index), depth) for index, group in groups.items()}
    types = {value.type for value in made.values()}
    if len(types) > 1:
        shown = " and ".join(sorted(map(str, types)))
        raise Unmappable(
            f"The elements of {written_path(place)!r} would be of different types: {shown}.", parts[-1].rule
        )
    [type_] = types
    nothing = f"CAST(NULL AS {type_.sql})"
    elements = [made[index].sql if index in made else nothing for index in range(max(made) + 1)]
    return _Value(f"[{', '.join(elements)}]", LakeType("list", element=type_), _first(made.values()))


def _spread(scope: _Value, whole: _Part, inner: Sequence[_Part], shape: Shape) -> list[_Part]:
    """A copied object or list as the parts it consists of, so that `inner` can win over some of them."""
    found = None if whole.static else _read(scope, whole.source, whole.rule)
    if found is not None and found.type.kind == "struct" and isinstance(inner[0].destination[0], str):
        names = [name for name, _ in found.type.fields if not shape.fields or name in shape.fields]
        return [_Part(whole.rule, (name,), (*whole.source, name), copied=True) for name in names]
    if found is not None and found.type.kind == "list" and inner[0].destination[0] is EACH:
        return [_Part(whole.rule, (EACH,), (*whole.source, EACH), copied=True)]
    raise Unmappable("the destination is filled by a value and by mappings of its parts.", inner[0].rule)


def _whole(scope: _Value, part: _Part, shape: Shape, depth: int) -> _Value:
    """The value of one rule."""
    if part.static:
        return _converted(_Value(literal(part.rule.source), _STRING), shape, part.rule, depth)
    if EACH in part.source:
        raise Unmappable("[*] in the source goes with [*] in the destination.", part.rule)
    return _converted(_read(scope, part.source, part.rule), shape, part.rule, depth)


def _read(scope: _Value, path: Path, rule: Rule) -> _Value:
    """What `path` leads to from `scope`."""
    value = scope
    for at, step in enumerate(path):
        if isinstance(step, int):
            if value.type.element is None:
                raise Unmappable(f"{written_path(path[:at])!r} is of the type {value.type}, no list.", rule)
            value = _Value(f"({value.sql})[{step + 1}]", value.type.element)
            continue
        assert isinstance(step, str)  # noqa: S101 - the caller has split the path at every EACH
        if value.type.kind != "struct":
            raise Unmappable(f"{written_path(path[:at])!r} is of the type {value.type}, which has no members.", rule)
        members = dict(value.type.fields)
        if step not in members:
            raise Unmappable(_unknown(path[: at + 1], members, value is scope), rule)
        sql = f"struct_extract({value.sql}, {literal(step)})" if value.sql else quote(step)
        value = _Value(sql, members[step])
    return value


def _unknown(path: Path, members: Mapping[str, LakeType], top: bool) -> str:
    name = written_path(path)
    dotted = next((member for member in members if "." in member and member.split(".")[0] == path[-1]), None)
    hint = f" A dot inside a name is written {written_path((dotted,))}." if dotted else ""
    known = ", ".join(repr(member) for member in list(members)[:20])
    return f"{'the source' if top else 'the record'} has no {name!r}; there it has: {known or 'nothing'}.{hint}"


def _converted(value: _Value, shape: Shape, rule: Rule, depth: int) -> _Value:
    """`value` in the type that `shape` declares."""
    if not shape.xdm:
        return value
    kind = value.type.kind
    if shape.xdm == "object":
        return _converted_object(value, shape, rule, depth)
    if shape.xdm == "array":
        if value.type.element is None:
            raise Unmappable(f"a value of the type {value.type} cannot become a list.", rule)
        element = _Value(f"_headgate_e{depth}", value.type.element)
        made = _converted(element, shape.element or ANY, rule, depth + 1)
        return _through(value, element, made)
    found = None if kind in ("list", "struct") or shape.type is None else cast(value.type, shape)
    if found is None:
        raise Unmappable(f"a value of the type {value.type} cannot become {shape.xdm}.", rule)
    sql, fits = (text.replace("{x}", value.sql) for text in (found.sql, found.fits))
    if shape.enum:
        allowed = f"{sql} IN ({', '.join(map(literal, shape.enum))})"
        fits = f"{fits} AND {allowed}" if fits else allowed
    if not fits or not shape.checked:
        return _Value(sql, found.type)
    fault = misfit(value.sql, rule, "enum" if shape.enum else shape.xdm.replace("-", ""), kind)
    cases = f"CASE WHEN {value.sql} IS NULL THEN NULL WHEN {fits} THEN"
    return _Value(f"{cases} {sql} ELSE {failing(fault)} END", found.type, f"{cases} NULL ELSE {fault} END")


def _converted_object(value: _Value, shape: Shape, rule: Rule, depth: int) -> _Value:
    """An object copied whole: the members that the schema has too come along."""
    if value.type.kind != "struct":
        raise Unmappable(f"a value of the type {value.type} cannot become an object.", rule)
    if not shape.fields:
        return value
    members = {}
    for name, type_ in value.type.fields:
        if name in shape.fields:
            member = _Value(f"struct_extract({value.sql}, {literal(name)})", type_)
            field = shape.fields[name]
            made = _converted(member, field, rule, depth)
            part = _Part(rule, (), ())
            members[name] = _required(made, field, (*rule.destination_path, name), [part])
    lacking = [name for name, field in shape.fields.items() if field.required and name not in members]
    if lacking or not members:
        what = f"no {lacking[0]!r}, which the schema requires" if lacking else "no member that the schema has too"
        raise Unmappable(f"the object has {what}.", rule)
    if tuple((name, made.type) for name, made in members.items()) == value.type.fields and all(
        made.sql == f"struct_extract({value.sql}, {literal(name)})" for name, made in members.items()
    ):
        return value
    packed = _packed(members)
    present = f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE"
    fault = f"{present} {packed.fault} END" if packed.fault else ""
    return _Value(f"{present} {packed.sql} END", packed.type, fault)


def _packed(members: Mapping[str, _Value]) -> _Value:
    pairs = ", ".join(f"{quote(name)} := {value.sql}" for name, value in members.items())
    return _Value(
        f"struct_pack({pairs})",
        LakeType("struct", fields=tuple((name, value.type) for name, value in members.items())),
        _first(members.values()),
    )


def _first(values: Iterable[_Value]) -> str:
    """The first fault of `values`; empty when none can have one."""
    faults = [value.fault for value in values if value.fault]
    return f"coalesce({', '.join(faults)})" if faults else ""


def _required(value: _Value, field: Shape, place: Path, group: Sequence[_Part]) -> _Value:
    if not field.required:
        return value
    rule = group[0].rule if len(group) == 1 else None
    fault = missing(written_path(place), rule)
    absent = f"CASE WHEN {value.sql} IS NULL THEN {fault} END"
    return _Value(
        f"coalesce({value.sql}, CAST({failing(fault)} AS {value.type.sql}))",
        value.type,
        f"coalesce({value.fault}, {absent})" if value.fault else absent,
    )
