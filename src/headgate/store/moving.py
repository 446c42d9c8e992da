"""Moves the metadata of a folder from SQLite to PostgreSQL: all of it, or nothing.

Nobody else may have the old database open meanwhile, and nobody opens it afterwards. The new one gets everything in one
transaction, which also reads it back: each table must have as many rows as the old one, with the same checksum.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from headgate.config import Settings
from headgate.errors import HeadgateError, OutcomeUnknown, Unavailable
from headgate.store import tables
from headgate.store.engines import engine_of, is_embedded
from headgate.store.migrating import MOVED, migrate, newest, revision, take_time

__all__ = ["MoveRefused", "move"]

_Row = tuple[Any, ...]
_TABLES = tables.metadata.sorted_tables  # those that others refer to go first
_POSTGRESQL = ("postgresql+psycopg://", "postgresql://")
_WAIT_SECONDS = 1.0
_AT_A_TIME = 1000


class MoveRefused(HeadgateError):
    """The metadata cannot be moved as it is."""

    status = 409
    title = "Move refused"


class _Tally:
    """How many rows there were, and what they held, in whichever order they came."""

    def __init__(self) -> None:
        self.rows = self.digest = 0

    def counted(self, rows: Iterable[_Row]) -> Iterator[_Row]:
        """The rows, each counted as it is taken."""
        for row in rows:
            self.rows += 1
            self.digest += int.from_bytes(blake2b(repr(row).encode(), digest_size=16).digest())
            yield row

    def of(self, rows: Iterable[_Row]) -> "_Tally":
        """This, with all the rows counted."""
        for _ in self.counted(rows):
            pass
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Tally) and (self.rows, self.digest) == (other.rows, other.digest)

    __hash__ = None  # type: ignore[assignment]  # it changes


def move(settings: Settings, to: str) -> dict[str, int]:
    """Move the metadata of `settings` to the empty PostgreSQL database at `to`; how many rows each table has.

    Broken off, it has moved nothing or all of it: to repeat it is right either way. Raises MoveRefused, MetadataMoved,
    MetadataNewer, OutcomeUnknown, Unavailable.
    """
    old = sa.make_url(settings.metadata)
    if not is_embedded(old):
        raise MoveRefused("The metadata is in PostgreSQL already, as HEADGATE_METADATA_URL says; nothing was changed.")
    if not to.startswith(_POSTGRESQL):  # it may hold a password, and is not quoted
        raise MoveRefused("Metadata is moved to PostgreSQL only: name postgresql+psycopg://USER@HOST/DATABASE.")
    engine = engine_of(sa.make_url(to))
    try:
        with _alone_with(old) as source:
            moved = _moved(source, engine)
            _mark(source)
    finally:
        engine.dispose()
    return moved


@contextmanager
def _alone_with(address: sa.URL) -> Iterator[sqlite3.Connection]:
    """The old database at its newest revision, in a transaction, with everybody else kept out."""
    if not Path(address.database or "").exists():
        raise MoveRefused(f"There is no metadata at {address.database}: there is nothing to move.")
    engine = engine_of(address)
    try:
        found = revision(engine)
    except sa.exc.DBAPIError as error:
        raise Unavailable(f"The metadata {address.database} cannot be read: {error.orig}.") from error
    finally:
        engine.dispose()
    if found != newest():
        raise MoveRefused(
            f"The metadata has the revision {found}: run `headgate db upgrade` first. Nothing was changed."
        )
    with closing(sqlite3.connect(str(address.database), timeout=_WAIT_SECONDS, isolation_level=None)) as source:
        try:
            source.execute("PRAGMA locking_mode = EXCLUSIVE")  # with WAL: refused while anybody has it open
            source.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise MoveRefused(
                f"The metadata {address.database} is in use: {error}. Stop the service and every worker of this folder "
                "first; nothing was changed."
            ) from error
        try:
            yield source
            source.execute("COMMIT")
        except sqlite3.Error as error:
            raise Unavailable(f"The metadata {address.database} cannot be read or marked: {error}.") from error


def _mark(source: sqlite3.Connection) -> None:
    """Have every Headgate, older ones too, refuse to open the old database."""
    source.execute("UPDATE alembic_version SET version_num = ? || version_num", (MOVED,))


def _moved(source: sqlite3.Connection, target: sa.Engine) -> dict[str, int]:
    """Copy all tables in one transaction, unless an earlier move has; how many rows each has."""
    driver = target.dialect.loaded_dbapi
    try:
        with target.connect() as connection:
            transaction = connection.begin()
            take_time(connection)
            names = set(sa.inspect(connection).get_table_names()) & {table.name for table in _TABLES}
            given = _moved_before(source, connection) if names else _copied(source, connection)
            found = {table.name: _Tally().of(_stored(connection, table)) for table in _TABLES}
            if differing := [name for name, tally in given.items() if tally != found[name]]:
                raise MoveRefused(
                    f"The database holds metadata already, and not this folder's: {', '.join(differing)} differ. "
                    "Name an empty one; nothing was changed."
                    if names
                    else f"PostgreSQL gives other rows than it was given: {', '.join(differing)}. Nothing was moved."
                )
            try:
                transaction.commit()
            except sa.exc.DBAPIError as error:
                raise OutcomeUnknown("PostgreSQL went away over the commit. Run the same command again.") from error
    except (sa.exc.DataError, driver.DataError) as error:
        raise MoveRefused(f"PostgreSQL refuses a value: {_reason(error)}. Nothing was moved.") from error
    except (sa.exc.DBAPIError, driver.Error) as error:
        raise Unavailable(f"PostgreSQL cannot take the metadata: {_reason(error)}. Nothing was moved.") from error
    return {name: tally.rows for name, tally in found.items()}


def _moved_before(source: sqlite3.Connection, connection: sa.Connection) -> dict[str, _Tally]:
    """What the old database holds, if the new one may have it by an earlier move. Raises MoveRefused."""
    has = sa.inspect(connection).has_table("alembic_version")
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() if has else None
    if found != newest():
        raise MoveRefused(f"The database has tables already, of the revision {found}. Name an empty one.")
    return {table.name: _Tally().of(_rows(source, table)) for table in _TABLES}


def _copied(source: sqlite3.Connection, connection: sa.Connection) -> dict[str, _Tally]:
    """Make the tables and fill them; what they were given."""
    migrate(connection)
    for table in reversed(_TABLES):
        connection.execute(sa.delete(table))  # what some revisions put there
    given = {}
    for table in _TABLES:
        given[table.name] = tally = _Tally()
        _copy(connection, table, tally.counted(_rows(source, table)))
        if table.autoincrement_column is not None and tally.rows:
            last = sa.select(sa.func.max(table.autoincrement_column)).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(table.name, table.autoincrement_column.name)
            connection.execute(sa.select(sa.func.setval(sequence, last)))
        connection.exec_driver_sql(f"ANALYZE {_quoted(connection, table.name)}")
    return given


def _copy(connection: sa.Connection, table: sa.Table, rows: Iterable[_Row]) -> None:
    into = f"{_quoted(connection, table.name)} ({', '.join(_quoted(connection, each.name) for each in table.c)})"
    driver: Any = connection.connection.dbapi_connection  # psycopg's own: only that has COPY
    with driver.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN") as copy:
        for row in rows:
            try:
                copy.write_row(row)
            except connection.dialect.loaded_dbapi.DataError as error:  # such as a zero byte in a text
                raise MoveRefused(f"Row {row[0]} of {table.name}: {error}. Nothing was moved.") from error


def _rows(source: sqlite3.Connection, table: sa.Table) -> Iterator[_Row]:
    """The rows of a table of SQLite: booleans as such, and JSON as the text that is stored."""
    of_type = {
        name: [n for n, each in enumerate(table.c) if isinstance(each.type, name)] for name in (sa.Boolean, sa.JSON)
    }
    for row in source.execute(str(sa.select(*table.c))):
        values = list(row)
        for number in of_type[sa.Boolean]:
            values[number] = None if values[number] is None else bool(values[number])
        for number in of_type[sa.JSON]:  # SQLite keeps a text that is a number as one
            if isinstance(values[number], int | float):
                values[number] = json.dumps(values[number])
        yield tuple(values)


def _stored(connection: sa.Connection, table: sa.Table) -> Iterator[_Row]:
    """The rows of a table of PostgreSQL, in the same form."""
    columns = [sa.cast(each, sa.Text) if isinstance(each.type, sa.JSON) else each for each in table.c]
    chosen = sa.select(*columns).execution_options(yield_per=_AT_A_TIME)
    return (tuple(row) for row in connection.execute(chosen))


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)


def _reason(error: Exception) -> str:
    """What PostgreSQL says, and of which row, without the row's values."""
    said = getattr(error, "orig", None) or error
    about = getattr(said, "diag", None)
    where = re.match(r"COPY \w+, line \d+(, column \w+)?", getattr(about, "context", None) or "")
    text = getattr(about, "message_primary", None) or str(said).strip()
    return f"{text} ({where[0]})" if where else str(text)
