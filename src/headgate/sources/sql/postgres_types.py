"""PostgreSQL's types as the lake holds them: the table, and how each column is read exactly.

| PostgreSQL | lake | read as, and refused |
|---|---|---|
| boolean | boolean | |
| smallint, integer | int | |
| bigint, oid | long | |
| real, double precision | float, double | NaN and infinity kept |
| numeric(p,s), 0 <= s <= p <= 38 | decimal(p,s) | NaN refused |
| numeric of another shape | string | exact text; or the decimal that `params.columns` declares, never rounded |
| text, varchar, name, citext, "char" | string | |
| char(n) | string | padding stripped, as PostgreSQL's own cast to text does |
| json, jsonb, xml, inet, cidr, macaddr, bit, varbit, money, enums, ranges | string | PostgreSQL's text, C and ISO |
| interval | string | ISO 8601, `P1M2DT3.5S` |
| time with time zone | string | |
| uuid, bytea | uuid, binary | |
| date, timestamp, timestamptz | the same | infinity, BC and years after 9999 refused |
| time | time | 24:00:00 refused |
| arrays of boolean, numbers, text, uuid, dates and times | list | two dimensions, other lower bounds than 1 refused |
| domains | as their base type | |
| composite types, geometry, hstore, anything else | - | UnsupportedType: leave it out with `params.columns` |
"""

from dataclasses import dataclass

from psycopg import sql

from headgate.errors import BadParameter, UnsupportedType
from headgate.model.lake import Column, LakeType
from headgate.sources.guard import reason as reason_for
from headgate.sources.sql.selection import Choice

__all__ = ["CatalogueColumn", "Field", "field_of"]


@dataclass(frozen=True, slots=True)
class CatalogueColumn:
    """A column as pg_catalog describes it, its domains resolved. `element` is an array's element type."""

    name: str
    declared: str
    type: str
    kind: str
    modifier: int
    nullable: bool
    builtin: bool
    element: str | None


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the lake, the expression the server evaluates for it, and the guards that name a bad value.

    `guard` are the server's `WHEN … THEN …` clauses, composed and quoted. `check` is a condition in DuckDB's SQL
    on the arrived value `{v}`, for what arrives unchanged; there it costs nothing. `reason` is what it refuses.
    """

    column: Column
    value: sql.Composable
    guard: sql.Composable
    check: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A lake type, the PostgreSQL type it is read as, and the values it cannot hold.

    `refused` is a condition on `{v}` for the server, `check` the same for DuckDB, where the value still says so;
    a NULL is never refused.
    """

    type: LakeType
    read_as: str
    refused: str | None = None
    reason: str = ""
    check: str | None = None


_BEYOND = "which lies outside the years 1 to 9999 that the lake holds"
_TEXT = _Rule(LakeType("string"), "text")
_RULES = {
    "bool": _Rule(LakeType("boolean"), "bool"),
    "int2": _Rule(LakeType("int"), "int2"),
    "int4": _Rule(LakeType("int"), "int4"),
    "int8": _Rule(LakeType("long"), "int8"),
    "oid": _Rule(LakeType("long"), "int8"),
    "float4": _Rule(LakeType("float"), "float4"),
    "float8": _Rule(LakeType("double"), "float8"),
    "uuid": _Rule(LakeType("uuid"), "uuid"),
    "bytea": _Rule(LakeType("binary"), "bytea"),
    "date": _Rule(
        LakeType("date"),
        "date",
        "{v} NOT BETWEEN '0001-01-01'::date AND '9999-12-31'::date",
        _BEYOND,
        "{v} NOT BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'",
    ),
    "timestamp": _Rule(
        LakeType("timestamp"),
        "timestamp",
        "{v} NOT BETWEEN '0001-01-01'::timestamp AND '9999-12-31 23:59:59.999999'::timestamp",
        _BEYOND,
        "{v} NOT BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999'",
    ),
    "timestamptz": _Rule(
        LakeType("timestamptz"),
        "timestamptz",
        "{v} NOT BETWEEN '0001-01-01 00:00:00+00'::timestamptz AND '9999-12-31 23:59:59.999999+00'::timestamptz",
        _BEYOND,
        "{v} NOT BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00+00' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'",
    ),
    "time": _Rule(
        LakeType("time"),
        "time",
        "{v} = '24:00:00'::time",
        "which the lake's time cannot hold",
        "{v} >= TIME '24:00:00'",
    ),
    # DuckDB strips the padding for less than the server's cast to text does.
    "bpchar": _Rule(LakeType("string"), "bpchar"),
    **dict.fromkeys(("text", "varchar", "name", "char", "json", "jsonb", "xml", "inet", "cidr"), _TEXT),
    **dict.fromkeys(("macaddr", "macaddr8", "bit", "varbit", "money", "interval", "timetz"), _TEXT),
}
_TEXT_KINDS = ("e", "r", "m")  # enums, ranges, multiranges
_TEXT_EXTENSIONS = ("citext",)
_ELEMENTS = (
    *("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bpchar", "name", "uuid"),
    *("date", "timestamp", "timestamptz", "time", "numeric"),
)


def field_of(found: CatalogueColumn, choice: Choice, table: str) -> Field:
    """How `found` lands in the lake. Raises UnsupportedType, or BadParameter for a decimal it cannot take."""
    element = found.element
    if element is not None:
        rule = _rule(element, "b", found.modifier) if element in _ELEMENTS else None
    elif not found.builtin and found.kind == "b":
        rule = _TEXT if found.type in _TEXT_EXTENSIONS else None
    else:
        rule = _rule(found.type, found.kind, found.modifier)
    if rule is None:
        raise UnsupportedType(
            f"The column {found.name!r} of {table} has the type {found.declared}, which the lake cannot hold "
            "without changing its values. Leave it out with params.columns, or cast it in a view.",
            column=found.name,
        )
    if choice.decimal is not None:
        if found.type != "numeric":
            raise BadParameter(
                f"params.columns declares {choice.decimal} for {found.name!r}, whose type is {found.declared}; "
                "a decimal can be declared for a numeric column only.",
                field="columns",
            )
        return _declared_decimal(found, choice.decimal)
    name = sql.Identifier(found.name)
    if element is not None:
        return _array(found, rule)
    value = sql.SQL("{}::" + rule.read_as).format(name)
    if rule.refused and rule.check is None:
        return Field(_column(found, rule.type), value, _guard(found.name, _condition(rule, name), rule.reason))
    return Field(_column(found, rule.type), value, sql.SQL(""), rule.check, rule.reason)


def _rule(type_: str, kind: str, modifier: int) -> _Rule | None:
    if kind in _TEXT_KINDS:
        return _TEXT
    if kind != "b":
        return None
    if type_ != "numeric":
        return _RULES.get(type_)
    precision, scale = _numeric_shape(modifier)
    if not 0 <= scale <= precision <= 38 or precision == 0:
        return _TEXT
    type_of = LakeType("decimal", precision, scale)
    return _Rule(type_of, f"numeric({precision},{scale})", "{v} = 'NaN'::numeric", f"which {type_of} cannot hold")


def _numeric_shape(modifier: int) -> tuple[int, int]:
    """Digits and decimals of a numeric's type modifier; (0, 0) when it has none. Decimals may be negative."""
    if modifier < 4:
        return 0, 0
    packed = modifier - 4
    return packed >> 16 & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024


def _declared_decimal(found: CatalogueColumn, decimal: LakeType) -> Field:
    name = sql.Identifier(found.name)
    unfit = sql.SQL(
        "({v} = 'NaN'::numeric OR abs({v}) >= 1e" + str(decimal.precision - decimal.scale) + "::numeric "
        "OR {v} <> round({v}, " + str(decimal.scale) + "))"
    ).format(v=name)
    read_as = f"numeric({decimal.precision},{decimal.scale})"
    value = sql.SQL("(CASE WHEN {} THEN NULL ELSE {} END)::" + read_as).format(unfit, name)
    return Field(_column(found, decimal), value, _guard(found.name, unfit, f"which {decimal} cannot hold exactly"))


def _array(found: CatalogueColumn, rule: _Rule) -> Field:
    name = sql.Identifier(found.name)
    # More than one dimension must not reach DuckDB, whose own error does not name the column.
    element = "text" if rule.type.kind == "string" else rule.read_as
    flat = sql.SQL("(CASE WHEN array_ndims({0}) > 1 THEN NULL ELSE {0} END)::" + element + "[]").format(name)
    shape = sql.SQL("array_ndims({0}) > 1 OR array_lower({0}, 1) <> 1").format(name)
    guard = _guard(found.name, shape, "which is not a plain list")
    if rule.refused:
        inner = _condition(rule, sql.Identifier("element", "value"))
        held = sql.SQL("EXISTS (SELECT FROM unnest({}) AS element(value) WHERE {})").format(name, inner)
        guard = sql.Composed([guard, _guard(found.name, held, rule.reason)])
    return Field(_column(found, LakeType("list", element=rule.type)), flat, guard)


def _condition(rule: _Rule, value: sql.Composable) -> sql.Composable:
    return sql.SQL(rule.refused or "").format(v=value)


def _guard(column: str, condition: sql.Composable, reason: str) -> sql.Composable:
    before, after = reason_for(column, reason)
    return sql.SQL(" WHEN {} THEN {}::text || left({}::text, 80) || {}::text").format(
        condition, sql.Literal(before), sql.Identifier(column), sql.Literal(after)
    )


def _column(found: CatalogueColumn, type_: LakeType) -> Column:
    return Column(found.name, type_, found.declared, found.nullable)
