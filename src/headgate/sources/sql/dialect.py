"""How a system writes SQL and what its types become: one `Dialect` per system, standard SQL where it says nothing.

A dialect is its differences from the standard: the type table above all, and what it quotes, casts and calls
otherwise. `reader.py` asks it for every piece of SQL that a source is sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import ClassVar, Literal

import pyarrow as pa

from headgate.model.lake import Column, LakeType
from headgate.model.row_filter import Comparison, Op
from headgate.sources.interface import Entry
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.selection import Name, path_of

__all__ = ["CatalogueColumn", "Dialect", "Rule", "SplitBy", "Table", "decimal_rule", "rule_of"]

SplitBy = Literal["keys", "times"]


@dataclass(frozen=True, slots=True)
class CatalogueColumn:
    """A column as the system's catalogue describes it.

    `type` is its type's own word, in lower case and without numbers; `declared` all of it, as a person writes it.
    `about` is what else a dialect found out, for itself.
    """

    name: str
    type: str
    declared: str
    nullable: bool = True
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    about: object = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view: its full name, the columns it has, and what the system knows of its size.

    `key` is an integer that no two rows have the same and that does not change, if there is one, and need not be among
    the columns; `rows` an estimate.
    """

    name: Name
    columns: tuple[CatalogueColumn, ...]
    key: CatalogueColumn | None = None
    rows: int | None = None

    @property
    def label(self) -> str:
        """How errors call it."""
        return ".".join(part for part in (self.name.database, self.name.schema, self.name.table) if part)


@dataclass(frozen=True, slots=True)
class Rule:
    """How the values of a type of the system are read, and which of them the lake cannot hold.

    `value` is the expression the system evaluates for the column `{c}`; `travels` the Arrow type that its answer has,
    or casts to; `cast` DuckDB's expression of the lake's value for what arrived, `{v}`. `refused` is DuckDB's condition
    on `{v}` for a value that the lake cannot hold, and `reason` says why. `kind` is how a row filter compares it, None
    for not at all. Braces in the SQL are doubled.
    """

    lake: LakeType
    travels: pa.DataType
    value: str = "{c}"
    cast: str = "{v}"
    refused: str | None = None
    reason: str = ""
    kind: Kind | None = None


_BEYOND = "which lies outside the years 1 to 9999 that the lake holds"


def _between(type_: str, earliest: str, latest: str) -> str:
    return f"{{v}} NOT BETWEEN {type_} '{earliest}' AND {type_} '{latest}'"


_RULES: Mapping[str, Rule] = {
    rule.lake.kind: rule
    for rule in (
        Rule(LakeType("boolean"), pa.bool_(), kind="boolean"),
        Rule(LakeType("int"), pa.int32(), kind="integer"),
        Rule(LakeType("long"), pa.int64(), kind="integer"),
        Rule(LakeType("float"), pa.float32(), kind="float"),
        Rule(LakeType("double"), pa.float64(), kind="double"),
        Rule(LakeType("string"), pa.string(), kind="text"),
        Rule(LakeType("binary"), pa.binary()),
        Rule(LakeType("uuid"), pa.string(), kind="uuid"),
        Rule(
            LakeType("date"),
            pa.date32(),
            refused=_between("DATE", "0001-01-01", "9999-12-31"),
            reason=_BEYOND,
            kind="date",
        ),
        Rule(
            LakeType("time"),
            pa.time64("us"),
            refused="{v} >= TIME '24:00:00'",
            reason="which the lake's time cannot hold",
            kind="time",
        ),
        Rule(
            LakeType("timestamp"),
            pa.timestamp("us"),
            refused=_between("TIMESTAMP", "0001-01-01", "9999-12-31 23:59:59.999999"),
            reason=_BEYOND,
            kind="timestamp",
        ),
        Rule(
            LakeType("timestamptz"),
            pa.timestamp("us", "UTC"),
            refused=_between("TIMESTAMPTZ", "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"),
            reason=_BEYOND,
            kind="timestamptz",
        ),
    )
}


def rule_of(kind: str) -> Rule:
    """How values are read that the system's driver gives in the Arrow type of the lake's `kind`."""
    return _RULES[kind]


def decimal_rule(precision: int, scale: int) -> Rule:
    """The same for decimals of at most 38 digits."""
    return Rule(LakeType("decimal", precision, scale), pa.decimal128(precision, scale), kind="decimal")


class Dialect:
    """Standard SQL with `information_schema`, double quotes and LIMIT; a system overrides what it has otherwise.

    No name and no value comes into SQL but through `quote()`, `text()` and `constant()`.
    """

    title: ClassVar[str] = "SQL"
    """What a person calls the system."""

    types: ClassVar[Mapping[str, Rule]] = {}
    """How each type is read, by its word in the catalogue; one that is missing is refused by name."""

    parts: ClassVar[int] = 2
    """Of how many parts a table's full name is: 3 where one connection reads several databases."""

    probe: ClassVar[str] = "SELECT 1"
    """The cheapest query that shows that the system answers."""

    splits: ClassVar[tuple[SplitBy, ...]] = ()
    """How a read may be split into several queries, each in a session of its own; the better way first."""

    holds: ClassVar[bool] = False
    """Whether nothing changes as long as a session is open: the planning one then is, until all splits are read."""

    counts: ClassVar[bool] = True
    """Whether counting a window's rows may be done unasked; not where each query is paid by what it looks at."""

    widens: ClassVar[bool] = False
    """Whether `within()` may take rows beside the window, which are left out again later."""

    system_schemas: ClassVar[tuple[str, ...]] = ("information_schema",)
    default_schema: ClassVar[str] = "current_schema()"
    kinds_of_tables: ClassVar[tuple[str, ...]] = ("BASE TABLE", "VIEW")

    casts: ClassVar[Mapping[Kind, str]] = {
        "integer": "bigint",
        "float": "real",
        "double": "double precision",
        "date": "date",
        "time": "time",
        "timestamp": "timestamp",
        "timestamptz": "timestamp with time zone",
    }
    """The type that a constant of each kind is written in; one without an entry stands as it is."""

    def answer(self, session: Session) -> None:
        """Have the system show that it answers."""
        session.rows(self.probe)

    # -- words

    def quote(self, name: str) -> str:
        """`name` as an identifier."""
        return '"' + name.replace('"', '""') + '"'

    def text(self, value: str) -> str:
        """`value` as a constant of text."""
        return "'" + value.replace("'", "''") + "'"

    def constant(self, value: Value, kind: Kind, column: CatalogueColumn) -> str:  # noqa: ARG002 - dialects do
        """`value` as a constant to compare `column` with, exact to the microsecond."""
        written = self.written(value)
        whole = not (kind == "integer" and isinstance(value, Decimal))  # a number with decimals would be rounded
        cast = self.casts.get(kind) if whole else None
        return f"CAST({written} AS {cast})" if cast else written

    def written(self, value: Value) -> str:
        """`value` as a constant of no particular type."""
        match value:
            case bool():
                return "TRUE" if value else "FALSE"
            case int():
                return str(value)
            case float():
                return self.text(repr(value))
            case Decimal():
                return format(value, "f")
            case datetime():
                return self.text(value.isoformat(" "))
            case date() | time():
                return self.text(value.isoformat())
        return self.text(str(value))

    def fold(self, name: str) -> str:
        """What the system takes a name for that is not quoted."""
        return name.lower()

    def named(self, name: Name) -> str:
        """A table's full name, with what it is read as of."""
        return ".".join(self.quote(part) for part in (name.database, name.schema, name.table) if part is not None)

    def limited(self, values: str, source: str, where: str | None, rows: int) -> str:
        """The query for the first `rows` rows."""
        return f"SELECT {values} FROM {source}" + (f" WHERE {where}" if where else "") + f" LIMIT {rows}"

    def shortened(self, expression: str, kind: str, length: int) -> str:
        """`expression`, a text or bytes as `kind` says, of which no more than `length` need be shown."""
        return f"substring({expression} from 1 for {length})" if kind == "string" else expression

    # -- types

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read; None when the lake cannot hold its type."""
        if column.type in ("decimal", "numeric"):
            precision, scale = column.precision or 0, column.scale or 0
            return decimal_rule(precision, scale) if 0 <= scale <= precision <= 38 and precision else None
        return self.types.get(column.type)

    def declared_decimal(self, column: CatalogueColumn, decimal: LakeType) -> Rule | None:  # noqa: ARG002 - dialects do
        """How it is read as the decimal that `params.columns` declares; None when that is not offered for its type."""
        return None

    def orders(self, column: Column) -> bool:  # noqa: ARG002 - dialects do
        """Whether a column of integers or text may stand for times."""
        return True

    # -- conditions

    def within(self, column: CatalogueColumn, kind: Kind, lower: Value, upper: Value) -> str:
        """The rows whose delta value lies in the window, and others perhaps, which are left out again later."""
        name = self.quote(column.name)
        lowest, highest = (self.constant(value, kind, column) for value in (lower, upper))
        return f"{name} >= {lowest} AND {name} < {highest}"

    def comparison(self, comparison: Comparison, column: CatalogueColumn, kind: Kind, values: Sequence[Value]) -> str:
        """One comparison of a row filter, with `values` as its constants; not of isNull."""
        name = self.quote(column.name)
        constants = [self.constant(value, kind, column) for value in values]
        match comparison.op:
            case Op.IN:
                return f"{name} IN ({', '.join(constants)})"
            case Op.LIKE:
                return self.like(name, constants[0])
            case op:
                return f"{name} {'<>' if op is Op.NE else op} {constants[0]}"

    def like(self, name: str, pattern: str) -> str:
        """A comparison with a pattern, in which a backslash takes the meaning from what follows."""
        return f"{name} LIKE {pattern} ESCAPE {self.text(chr(92))}"

    # -- catalogue

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """The tables and views at the root, or in the folder `path`; None when there is no such folder."""
        if path is not None:
            return None
        system = ", ".join(map(self.text, self.system_schemas))
        kinds = ", ".join(map(self.text, self.kinds_of_tables))
        rows = session.rows(
            "SELECT table_schema, table_name FROM information_schema.tables "
            f"WHERE table_schema NOT IN ({system}) AND table_type IN ({kinds}) ORDER BY table_schema, table_name"
        )
        return [Entry("table", f"{schema}.{name}", path_of(name, schema)) for schema, name in rows]

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view that is called exactly `name`, None when there is none."""
        schema = self.text(name.schema) if name.schema is not None else self.default_schema
        rows = session.rows(
            "SELECT table_schema, table_name, column_name, data_type, is_nullable, numeric_precision, numeric_scale, "
            "character_maximum_length FROM information_schema.columns "
            f"WHERE table_name = {self.text(name.table)} AND table_schema = {schema} ORDER BY ordinal_position"
        )
        if not rows:
            return None
        columns = [
            CatalogueColumn(column, type_.lower(), type_, nullable != "NO", precision, scale, length)
            for _, _, column, type_, nullable, precision, scale, length in rows
        ]
        return Table(Name(rows[0][1], rows[0][0], name.database), tuple(columns))

    # -- how a read is planned

    def estimate(self, session: Session, table: Table, query: str) -> int | None:  # noqa: ARG002 - dialects do
        """How many rows `query` may answer, None when the system cannot tell cheaply."""
        return None

    def as_of(self, session: Session) -> str:  # noqa: ARG002 - dialects do
        """What follows a table's name so that every session sees one state of it; empty where that is not offered."""
        return ""
