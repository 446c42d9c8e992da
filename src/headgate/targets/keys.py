"""Rows that take the place of those with the same key: the write mode `upsert`.

The keys of a run's staged rows stand in a DuckDB of their own, which spills into the run's staging folder; with
them the files of the table are found that may hold one, and read for those rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import duckdb
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    GreaterThanOrEqual,
    LessThanOrEqual,
    Reference,
)
from pyiceberg.expressions.literals import literal as constant
from pyiceberg.types import NestedField, PrimitiveType

from headgate import dataplane
from headgate.dataplane import Breaking, literal, quote, value_at
from headgate.model.lake import FLOW_ID, RUN_ID, Kind
from headgate.targets.removal import Removal
from headgate.targets.schema import lake_type

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema

__all__ = ["Keys", "Upsert", "keys_of"]

_REPEATED = "FROM keys WHERE times > 1"

# How a bound in a file's figures, `?`, is written in DuckDB, and how DuckDB gives a value in Iceberg's form. Keys of
# other types are compared row by row only.
_FORMS: dict[Kind, tuple[str, str]] = {
    "int": ("?", "{}"),
    "long": ("?", "{}"),
    "string": ("?", "{}"),
    "decimal": ("?", "{}"),
    "date": ("DATE '1970-01-01' + CAST(? AS INTEGER)", "datediff('day', DATE '1970-01-01', {})"),
    "timestamp": ("make_timestamp(?)", "epoch_us({})"),
    "timestamptz": ("make_timestamptz(?)", "epoch_us({})"),
}


@dataclass(frozen=True, slots=True)
class Upsert:
    """A run whose rows replace those of the same `key`, whichever run brought them.

    `key` are the paths of columns, through the members of structs. Of the run's own rows with one key the one with
    the highest value in the column `order` counts; of several such, the one whose other columns are greater, compared
    in their order, NULL being the least.
    """

    key: tuple[tuple[str, ...], ...]
    order: str


class Keys:
    """The keys of staged files. Use `keys_of()`."""

    def __init__(self, upsert: Upsert, connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
        self.connection = connection
        self._upsert = upsert
        self._rows = f"read_parquet([{', '.join(literal(str(file)) for file in files)}])"
        self._files: dict[str, int] = {}
        chosen = ", ".join(f"{value_at(path, 'r')} AS k{number}" for number, path in enumerate(upsert.key))
        names = ", ".join(f"k{number}" for number in range(len(upsert.key)))
        connection.execute(
            f"CREATE TEMP TABLE keys AS SELECT {names}, count(*) AS times, row_number() OVER () AS number "
            f"FROM (SELECT {chosen} FROM {self._rows} AS r) GROUP BY {names} ORDER BY {names}"
        )
        connection.execute("CREATE TEMP TABLE matched (file INTEGER, number BIGINT)")
        self.repeated = bool(self._one("SELECT count(*) FROM keys WHERE times > 1"))

    # -- rows of the run with the same key -------------------------------------------------------

    def repeats(self, rows: str) -> bool:
        """Whether there are rows with a key that others of the run have, too."""
        return bool(self._one(f"SELECT count(*) FROM {self._joined('SEMI', rows, _REPEATED)}"))

    def single(self, rows: str) -> str:
        """A FROM clause for those rows whose key no other has."""
        return self._joined("ANTI", rows, _REPEATED)

    def last(self, names: Sequence[str]) -> str:
        """A query for the row that counts of each key that several have; `names` are all columns."""
        others = [name for name in names if name not in (FLOW_ID, RUN_ID, self._upsert.order)]
        order = ", ".join(f"r.{quote(name)} DESC NULLS LAST" for name in (self._upsert.order, *others))
        key = ", ".join(value_at(path, "r") for path in self._upsert.key)
        return (
            f"SELECT {', '.join(f'r.{quote(name)}' for name in names)} "
            f"FROM {self._joined('SEMI', self._rows, _REPEATED)} "
            f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {order}) = 1"
        )

    # -- rows of the table with these keys -------------------------------------------------------

    def removal(self, schema: "Schema") -> Removal | None:
        """The rows of a table of `schema` that have one of the keys; None when it lacks a column of them."""
        fields: list[NestedField] = []
        for path in self._upsert.key:
            try:
                fields.append(schema.find_field(".".join(path)))
            except ValueError:
                return None
        return _Keyed(self, schema, fields)

    def updated(self, names: Iterable[str]) -> int:
        """How many of the keys were found in the files that `count()` knows by `names`."""
        files = ", ".join(str(self._files[name]) for name in names if name in self._files) or "NULL"
        return self._one(f"SELECT count(*) FROM (SELECT number FROM matched WHERE file IN ({files}) GROUP BY number)")

    def any(self, within: "Within") -> bool:
        """Whether one of the keys lies in there."""
        found = self.connection.execute(f"SELECT 1 FROM keys WHERE {within.condition} LIMIT 1", within.bounds)
        return found.fetchone() is not None

    def count(self, name: str, rows: str, within: "Within") -> int:
        """How many of the rows of a file have one of the keys that lie in there; it is remembered which."""
        file = self._files.setdefault(name, len(self._files))
        self.connection.execute(f"DELETE FROM matched WHERE file = {file}")
        found = self._joined("INNER", rows, f"FROM keys WHERE {within.condition}")
        query = f"INSERT INTO matched SELECT {file}, keys.number FROM {found}"
        return int(self.connection.execute(query, within.bounds).fetchall()[0][0])

    def kept(self, name: str, rows: str) -> str:
        """A FROM clause for the rows of a file that `count()` did not count."""
        counted = f"SELECT number FROM matched WHERE file = {self._files[name]}"
        return self._joined("ANTI", rows, f"FROM keys WHERE number IN ({counted})")

    def ends(self, number: int, form: str) -> tuple[Any, Any]:
        """The least and the greatest value of one column of the keys, as `form` writes it."""
        ends = ", ".join(form.format(f"{end}(k{number})") for end in ("min", "max"))
        least, greatest = self.connection.execute(f"SELECT {ends} FROM keys").fetchall()[0]
        return least, greatest

    def _joined(self, kind: str, rows: str, keys: str) -> str:
        on = " AND ".join(f"{value_at(path, 'r')} = keys.k{number}" for number, path in enumerate(self._upsert.key))
        return f"(SELECT * FROM {rows}) AS r {kind} JOIN ({keys}) AS keys ON {on}"

    def _one(self, query: str) -> int:
        return int(self.connection.execute(query).fetchall()[0][0])


@dataclass(frozen=True, slots=True)
class Within:
    """A condition on keys, with what is bound to it."""

    condition: str
    bounds: list[Any]


class _Keyed:
    """The rows that have one of the keys, in tables of `schema`, in which `fields` hold them."""

    def __init__(self, keys: Keys, schema: "Schema", fields: Sequence[NestedField]) -> None:
        self._keys = keys
        self._known = [  # columns whose figures tell files apart
            (number, field, *_FORMS[kind])
            for number, field in enumerate(fields)
            if (kind := lake_type(field.field_type).kind) in _FORMS
        ]
        self.expression: BooleanExpression = AlwaysTrue()
        for number, field, _, form in self._known:
            term = Reference(str(schema.find_column_name(field.field_id)))
            least, greatest = keys.ends(number, form)
            self.expression = And(
                self.expression,
                GreaterThanOrEqual(term=term, value=constant(least)),
                LessThanOrEqual(term=term, value=constant(greatest)),
            )

    def opened(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return nullcontext(self._keys.connection)

    def takes_all(self, _file: "DataFile") -> bool:
        return False

    def takes_none(self, file: "DataFile") -> bool:
        return not self._keys.any(self._within(file))

    def count(self, _connection: duckdb.DuckDBPyConnection, name: str, rows: str, file: "DataFile") -> int:
        return self._keys.count(name, rows, self._within(file))

    def kept(self, name: str, rows: str) -> str:
        return self._keys.kept(name, rows)

    def _within(self, file: "DataFile") -> Within:
        """The keys that the figures of a file leave room for."""
        conditions, bounds = ["true"], []
        for number, field, value, _ in self._known:
            for figures, compared in ((file.lower_bounds, ">="), (file.upper_bounds, "<=")):
                if (figure := (figures or {}).get(field.field_id)) is not None:
                    conditions.append(f"k{number} {compared} {value}")
                    bounds.append(from_bytes(cast(PrimitiveType, field.field_type), figure))
        return Within(" AND ".join(conditions), bounds)


@contextmanager
def keys_of(upsert: Upsert, files: Sequence[Path], folder: Path, breaking: Breaking) -> Iterator[Keys]:
    """The keys of staged `files`; what has no room in memory goes into `folder` for as long as the context is open.

    `breaking` is given what breaks the work off.
    """
    with dataplane.opened() as connection, breaking(connection.interrupt):
        connection.execute(f"SET temp_directory = {literal(str(folder))}")
        yield Keys(upsert, connection, files)
