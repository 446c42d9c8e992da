"""Sources whose rows are known: what a run over a window must bring, by the oracle of plain Python."""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import conninfo

from tests.emulators import SmallS3

Row = tuple[Any, ...]
Json = dict[str, Any]
START = datetime(2024, 1, 1)
PASSWORD = "Kanarienvogel-3b1c"  # in every connection to PostgreSQL, where no log may show it


def minute(number: int) -> datetime:
    """The time of that minute."""
    return START + timedelta(minutes=number)


def multiset(rows: Iterable[Row]) -> Counter[str]:
    """Rows as a multiset: equal when each row comes equally often, in any order."""
    return Counter(map(repr, rows))


class Source(Protocol):
    """A source with one row a minute or more. `rows` is what it holds, by their minute."""

    spec: str
    delta: str | None
    rows: list[tuple[int, Row]]

    @property
    def auth(self) -> Json: ...

    @property
    def body(self) -> Json: ...


def within(source: Source, window: tuple[int, int]) -> list[Row]:
    """The rows of the minutes [start, end)."""
    return [row for at, row in source.rows if window[0] <= at < window[1]]


class SqliteTable:
    """A table of a SQLite database, one row a minute."""

    spec = "sqlite"
    delta: str | None = "at"

    def __init__(self, folder: Path, count: int, *, payload: int = 0) -> None:
        self.path = folder / "events.sqlite"
        self.rows = [(n, _row(n, payload)) for n in range(count)]
        connection = self.connect()
        connection.execute("CREATE TABLE events (id INTEGER, at TIMESTAMP, amount DECIMAL(10,2), name TEXT)")
        connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?)",
            [(id_, at.isoformat(" "), float(amount), name) for _, (id_, at, amount, name) in self.rows],
        )
        connection.commit()
        connection.close()

    def connect(self) -> sqlite3.Connection:
        """A connection to the database, to be closed."""
        return sqlite3.connect(self.path, timeout=30)

    @property
    def auth(self) -> Json:
        return {"path": str(self.path)}

    @property
    def body(self) -> Json:
        return {}


class PostgresTable:
    """A table of a PostgreSQL database, one row a minute. `slow` seconds pass before each row that is read."""

    spec = "postgresql"
    delta: str | None = "at"

    def __init__(self, address: str, count: int, *, slow: float = 0.0, payload: int = 0) -> None:
        self.address = conninfo.make_conninfo(address, password=PASSWORD)
        self.rows = [(n, _row(n, payload)) for n in range(count)]
        with self.connect() as connection:
            connection.execute("CREATE TABLE events (id bigint, at timestamp, amount numeric(10,2), name text)")
            with connection.cursor().copy("COPY events FROM STDIN") as copy:
                for _, row in self.rows:
                    copy.write_row(row)
            if slow:
                connection.execute("ALTER TABLE events RENAME TO quick")
                connection.execute(
                    "CREATE VIEW events AS SELECT id + coalesce(length(pause::text), 0) AS id, at, amount, name "
                    f"FROM quick, LATERAL (SELECT pg_sleep({slow} + 0 * id) AS pause) AS paused"
                )

    def connect(self) -> psycopg.Connection[Any]:
        """A connection to the database, to be closed."""
        return psycopg.connect(self.address, autocommit=True)

    @property
    def auth(self) -> Json:
        return {"connectionString": self.address}

    @property
    def body(self) -> Json:
        return {}


class Files:
    """A folder of CSV files, one a minute with `lines` rows each; so many that a run reads several splits."""

    spec = "local-files"
    delta: str | None = None

    def __init__(self, folder: Path, count: int, *, lines: int = 20) -> None:
        self.folder = folder / "events"
        self.folder.mkdir()
        self.rows: list[tuple[int, Row]] = []
        for number in range(count):
            self.put(number, [(number * 1000 + line, f"{number}.{line}") for line in range(lines)])

    def put(self, number: int, rows: list[Row]) -> None:
        """Have the file of that minute hold these rows, whatever it held."""
        path = self.folder / f"{number:04}.csv"
        path.write_text("id,name\n" + "".join(f'{id_},"n{name}"\n' for id_, name in rows))
        os.utime(path, (minute(number).replace(tzinfo=UTC).timestamp(),) * 2)
        self.rows = [(at, row) for at, row in self.rows if at != number]
        self.rows += [(number, (id_, f"n{name}")) for id_, name in rows]

    def drop(self, number: int) -> None:
        """Take the file of that minute away."""
        (self.folder / f"{number:04}.csv").unlink()
        self.rows = [(at, row) for at, row in self.rows if at != number]

    @property
    def auth(self) -> Json:
        return {"folder": str(self.folder.parent)}

    @property
    def body(self) -> Json:
        return {"params": {"path": "events", "type": "folder"}, "data": {"format": "delimited"}}


class Objects:
    """CSV objects in a bucket of a small S3, all of one minute, so many that they are fetched side by side."""

    spec = "amazon-s3"
    delta: str | None = None
    at = (1_700_000_000 - 1_704_067_200) // 60  # what that S3 says of all its objects

    def __init__(self, store: SmallS3, count: int, *, lines: int = 50) -> None:
        self.store = store
        self.rows: list[tuple[int, Row]] = []
        for number in range(count):
            self.put(number, [(number * 1000 + line, f"{number}.{line}") for line in range(lines)])

    def put(self, number: int, rows: list[Row]) -> None:
        """Have that object hold these rows, whatever it held."""
        text = "id,name\n" + "".join(f'{id_},"n{name}"\n' for id_, name in rows)
        self.store.objects[f"events/in/{number:04}.csv"] = text.encode()
        self.rows = [(at, row) for at, row in self.rows if row[0] // 1000 != number]
        self.rows += [(self.at, (id_, f"n{name}")) for id_, name in rows]

    @property
    def auth(self) -> Json:
        return self.store.params(bucketName="events", region="us-east-1")

    @property
    def body(self) -> Json:
        return {"params": {"path": "in", "type": "folder"}, "data": {"format": "delimited"}}


def _row(number: int, payload: int) -> Row:
    name = f"n{number}" + "".join(f"{number * 7919 + part:x}" for part in range(payload // 6))
    return number, minute(number), Decimal(number % 1000).scaleb(-2), name
