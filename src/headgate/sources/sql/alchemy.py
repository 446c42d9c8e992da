"""Any database that SQLAlchemy has a dialect for: the last resort, row by row, with what its reflection tells."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import types

from headgate.errors import HeadgateError, SourceUnreachable
from headgate.model.lake import Column, LakeType
from headgate.sources.context import Context
from headgate.sources.interface import Entry
from headgate.sources.sql.alchemy_address import AlchemyAddress
from headgate.sources.sql.dialect import CatalogueColumn, Dialect, Rule, Table, decimal_rule, rule_of
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind, Value
from headgate.sources.sql.reader import SqlSource
from headgate.sources.sql.rows import batches_of
from headgate.sources.sql.selection import Name, path_of
from headgate.sources.sql.words import kind_of_refusal

__all__ = ["AlchemyDialect", "AlchemyDriver", "open_sqlalchemy"]

_BUFFERED = 2_000  # rows that SQLAlchemy itself fetches at a time, at most
_SYSTEM_SCHEMAS = frozenset(
    ("information_schema", "pg_catalog", "sys", "mysql", "performance_schema", "system", "pg_toast")
)
_CONSTANTS: Mapping[Kind, types.TypeEngine[Any]] = {
    "boolean": sa.Boolean(),
    "integer": sa.BigInteger(),
    "float": sa.Float(),
    "double": sa.Float(),
    "decimal": sa.Numeric(),
    "text": sa.String(),
    "date": sa.Date(),
    "time": sa.Time(),
    "timestamp": sa.DateTime(),
    "timestamptz": sa.DateTime(timezone=True),
    "uuid": sa.Uuid(),
}
_MARGIN = timedelta(seconds=1)
_ORDERING = re.compile(r"(?i).*(INT|CHAR|TEXT|CLOB|STRING).*")
_Day = TypeVar("_Day", date, datetime)


class AlchemyDialect(Dialect):
    """What SQLAlchemy's compiler writes for the system, and its reflection tells of it."""

    widens = True

    def __init__(self, dialect: sa.Dialect) -> None:
        # Nothing is sent with parameters, so a percent sign must stand alone: as in a style that does not use it.
        make: Any = type(dialect)
        own = make(paramstyle="named")
        if hasattr(dialect, "_backslash_escapes"):
            own._backslash_escapes = dialect._backslash_escapes
        self._own: sa.Dialect = own
        self.title = f"{dialect.name} (SQLAlchemy)"  # type: ignore[misc]
        self._is_sqlite = dialect.name == "sqlite"

    def quote(self, name: str) -> str:
        """`name` as an identifier."""
        return str(self._own.identifier_preparer.quote_identifier(name))

    def text(self, value: str) -> str:
        """`value` as a constant of text."""
        return self._compiled(sa.literal(value, sa.String()))

    def constant(self, value: Value, kind: Kind, column: CatalogueColumn) -> str:  # noqa: ARG002 - as every dialect
        """`value` as a constant that the system reads in the type of what it is compared with."""
        # An integer is compared with a number that has decimals as it is, not rounded.
        return self._compiled(sa.literal(value, _CONSTANTS["decimal" if isinstance(value, Decimal) else kind]))

    def fold(self, name: str) -> str:
        """SQLAlchemy speaks of names that are not quoted in lower case, whatever the system does."""
        return name.lower()

    def limited(self, values: str, source: str, where: str | None, rows: int) -> str:
        """The query for the first `rows` rows."""
        pieces = {"headgate_values": values, "headgate_source": source, "headgate_where": where or ""}
        query: sa.Select[Any] = sa.select(sa.literal_column("headgate_values")).select_from(sa.text("headgate_source"))
        query = query.where(sa.literal_column("headgate_where")) if where else query
        shape = self._compiled(query.limit(rows))
        return re.sub("|".join(pieces), lambda found: pieces[found[0]], shape)

    def shortened(self, expression: str, kind: str, length: int) -> str:
        """The whole: what cuts a text is not the same anywhere, and few rows are shown."""
        del kind, length
        return expression

    def within(self, column: CatalogueColumn, kind: Kind, lower: Value, upper: Value) -> str:
        """The window, widened by what a system may round: what is too much is left out later."""
        if isinstance(lower, datetime) and isinstance(upper, datetime):
            if self._is_sqlite:  # spellings of one time share only their day
                name = self.quote(column.name)
                first, last = lower.date(), _shifted(upper.date(), timedelta(days=2))
                return f"{name} >= {self.text(first.isoformat())} AND {name} < {self.text(last.isoformat())}"
            lower, upper = _shifted(lower, -_MARGIN), _shifted(upper, _MARGIN)
        return super().within(column, kind, lower, upper)

    def rule(self, column: CatalogueColumn) -> Rule | None:
        """How the column is read, by its reflected type."""
        return self._rule(column.about)

    def declared_decimal(self, column: CatalogueColumn, decimal: LakeType) -> Rule | None:
        """Offered for numbers without a fixed number of digits; a value with others is refused."""
        type_ = column.about
        free = isinstance(type_, sa.Numeric) and not isinstance(type_, sa.Float) and type_.precision is None
        return decimal_rule(decimal.precision, decimal.scale) if free else None

    def orders(self, column: Column) -> bool:
        """Whether a column of integers or text may stand for times: not one that only comes as text."""
        return _ORDERING.fullmatch(column.source_type) is not None

    def entries(self, session: Session, path: str | None) -> Sequence[Entry] | None:
        """The tables and views of every schema but the system's."""
        if path is not None:
            return None
        inspector = _inspector(session)
        found = []
        for schema in _schemas(inspector):
            names = {*inspector.get_table_names(schema), *inspector.get_view_names(schema)}
            found += [Entry("table", f"{schema}.{name}", path_of(name, schema)) for name in sorted(names)]
        return found

    def table(self, session: Session, name: Name) -> Table | None:
        """The table or view of that name; the system's own schemas have none."""
        inspector = _inspector(session)
        if name.schema is not None and name.schema not in _schemas(inspector):
            return None
        try:
            columns = inspector.get_columns(name.table, schema=name.schema)
        except sa.exc.NoSuchTableError:
            return None
        found = []
        for column in columns:
            declared = str(column["type"].compile(dialect=self._own)) if _is_known(column["type"]) else "unknown"
            nullable, type_ = bool(column.get("nullable", True)), column["type"]
            found.append(CatalogueColumn(column["name"], declared.lower(), declared, nullable, about=type_))
        return Table(name, tuple(found))

    def _compiled(self, expression: Any) -> str:
        return str(expression.compile(dialect=self._own, compile_kwargs={"literal_binds": True}))

    @cached_property
    def _as_text(self) -> Rule:
        value = self._compiled(sa.cast(sa.literal_column("{c}"), sa.String()))
        return Rule(LakeType("string"), pa.string(), value=value)

    def _rule(self, type_: object) -> Rule | None:
        match type_:
            case sa.Boolean():
                return rule_of("boolean")
            case sa.Enum() | sa.JSON() | sa.Uuid():
                return self._as_text
            case sa.Integer():
                small = isinstance(type_, sa.SmallInteger) or type(type_) in (sa.INTEGER, sa.SMALLINT)
                return rule_of("int" if small and not self._is_sqlite else "long")
            case sa.Float():
                return rule_of("double")
            case sa.Numeric():
                return self._number(type_)
            case sa.DateTime():
                return rule_of("timestamptz" if type_.timezone else "timestamp")
            case sa.Date():
                return rule_of("date")
            case sa.Time():
                return rule_of("time")
            case sa.LargeBinary():
                return rule_of("binary")
            case sa.String():
                return rule_of("string")
        return None

    def _number(self, type_: sa.Numeric[Any]) -> Rule | None:
        if type_.precision is None:
            return self._as_text
        scale = type_.scale or 0
        return decimal_rule(type_.precision, scale) if 0 <= scale <= type_.precision <= 38 else self._as_text


class AlchemyDriver:
    """Connections of one SQLAlchemy engine."""

    errors = (Exception,)  # what a dialect does not offer, or its driver lets through, may be any

    def __init__(self, address: AlchemyAddress) -> None:
        self._address = address
        self.engine = address.engine()
        if address.dialect in ("mysql", "mariadb"):
            # Before SQLAlchemy asks for it, too.
            sa.event.listen(self.engine, "connect", _in_plain_mode, insert=True)

    @property
    def secrets(self) -> Sequence[str]:
        """The password, in every spelling that a driver may repeat."""
        return self._address.secrets

    def connect(self) -> "AlchemySession":
        """A new connection, read-only where SQLAlchemy knows how. Raises SQLAlchemyError, SourceUnreachable."""
        self._address.reachable()
        options = {"postgresql_readonly": True} if self._address.dialect == "postgresql" else {}
        connection = self.engine.connect().execution_options(**options)
        if self._address.dialect in ("mysql", "mariadb"):
            connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
            connection.exec_driver_sql("SET time_zone = '+00:00'")
        return AlchemySession(connection)

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, with the driver's words and not the statement."""
        if isinstance(error, HeadgateError):
            return error
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, UnicodeEncodeError):  # whose words hold a character of what may be the password
            words = f"a text of the connection or the query has a character that {cause.encoding} has not"
        else:
            words = " ".join(str(cause).split()) or type(cause).__name__
        return kind_of_refusal(words)(f"{self._address.dialect}: {words}")


class AlchemySession:
    """One connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._stopped = False

    @cached_property
    def inspector(self) -> sa.Inspector:
        """What reflects the catalogue."""
        return sa.inspect(self._connection)

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """The whole answer."""
        return [tuple(row) for row in self._sent(query)]

    def batches(self, query: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The answer, with a cursor on the server's side where the dialect has one."""
        result = self._sent(query, stream_results=True, max_row_buffer=_BUFFERED)
        try:
            yield from batches_of(self._fetching(result), schema)
        finally:
            result.close()

    def cancel(self) -> None:
        """Stop what runs, where the driver offers that; else it ends with the rows that are being fetched."""
        self._stopped = True
        if self._connection.closed:
            return
        driver: Any = self._connection.connection.driver_connection
        for name in ("cancel_safe", "cancel", "interrupt"):
            stop = getattr(driver, name, None)
            if callable(stop):
                stop()
                return

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _fetching(self, result: sa.CursorResult[Any]) -> Callable[[int], Sequence[Sequence[Any]]]:
        def fetch(rows: int) -> Sequence[Sequence[Any]]:
            if self._stopped:
                raise SourceUnreachable("The read was stopped.")
            return result.fetchmany(rows)

        return fetch

    def _sent(self, query: str, **options: Any) -> sa.CursorResult[Any]:
        return self._connection.exec_driver_sql(query, execution_options={"no_parameters": True, **options})


def open_sqlalchemy(auth_params: Mapping[str, Any], context: Context) -> SqlSource:
    """The source of the spec `sqlalchemy`."""
    driver = AlchemyDriver(AlchemyAddress.of(auth_params, context))
    return SqlSource(driver, AlchemyDialect(driver.engine.dialect))


def _in_plain_mode(connection: Any, _: object) -> None:
    """Have MySQL take backslashes and quotes as the constants have them that are sent, whatever the server's mode."""
    cursor = connection.cursor()
    cursor.execute("SET SESSION sql_mode = ''")
    cursor.close()


def _inspector(session: Session) -> sa.Inspector:
    if not isinstance(session, AlchemySession):
        raise TypeError(session)
    return session.inspector


def _schemas(inspector: sa.Inspector) -> list[str]:
    return [schema for schema in inspector.get_schema_names() if schema.lower() not in _SYSTEM_SCHEMAS]


def _is_known(type_: types.TypeEngine[Any]) -> bool:
    return not isinstance(type_, types.NullType)


def _shifted(at: _Day, margin: timedelta) -> _Day:
    try:
        return at + margin
    except OverflowError:
        return at
