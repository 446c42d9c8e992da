"""SQL over the lake: every table of a sandbox as a view, read by DuckDB."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from headgate import dataplane
from headgate.config import Settings
from headgate.dataplane import literal, quote
from headgate.errors import InvalidRequest
from headgate.model.lake import Column
from headgate.model.query import Place, Query
from headgate.model.resources import Kind
from headgate.model.scope import Scope
from headgate.service.local import credentials, settings_for
from headgate.store import Store, open_store
from headgate.targets import Lake

__all__ = ["QueryRefused", "query"]


class QueryRefused(InvalidRequest):
    """The query cannot be run."""


def query(data: Path | None, statement: str) -> pa.Table:
    """Run one SQL statement over the datasets of the sandbox that `credentials()` names.

    Each dataset is a view under its SQL-safe name; one that no run has filled yet has no rows. Nothing can
    be written. Raises QueryRefused with DuckDB's reason.
    """
    settings = settings_for(data)
    known = credentials(data, create=False)
    store = open_store(settings)
    try:
        scope = store.tenants.scope(known["orgId"], known["sandbox"])
        if scope is None:
            raise QueryRefused(f"The organisation {known['orgId']} has no sandbox {known['sandbox']}.")
        with _views(settings, store, scope) as connection:
            return _run(connection, statement)
    finally:
        store.close()


def _run(connection: duckdb.DuckDBPyConnection, statement: str) -> pa.Table:
    try:
        parsed = duckdb.extract_statements(statement)
        if len(parsed) != 1 or parsed[0].type not in _READING:
            raise QueryRefused("One SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN statement can be run at a time.")
        found = connection.execute(statement).to_arrow_table()
        return found.rename_columns(_unlike(found.column_names))
    except duckdb.Error as error:
        raise QueryRefused(re.sub(r"\s+", " ", str(error)).strip()) from error


def _unlike(names: list[str]) -> list[str]:
    """The names, those that came before with a number behind them."""
    fresh: list[str] = []
    for name in names:
        number, unlike = 1, name
        while unlike in fresh:
            unlike, number = f"{name}_{number}", number + 1
        fresh.append(unlike)
    return fresh


_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}


@contextmanager
def _views(settings: Settings, store: Store, scope: Scope) -> Iterator[duckdb.DuckDBPyConnection]:
    lake = Lake(settings.warehouse)
    connection = dataplane.connect("avro", "iceberg", threads=os.cpu_count() or 1, memory="1GB")
    try:
        for name, identifier in _datasets(store, scope):
            table = lake.find(identifier)
            if table is not None and table.snapshot_id is not None:
                rows = f"SELECT * FROM iceberg_scan({literal(str(table.metadata_file))})"
            elif table is not None:
                rows = _no_rows(table.columns)
            else:
                rows = "SELECT NULL AS no_run_has_filled_this_dataset_yet WHERE false"
            connection.execute(f"CREATE VIEW {quote(name)} AS {rows}")
        yield connection
    finally:
        connection.close()
        lake.close()


def _datasets(store: Store, scope: Scope) -> Iterator[tuple[str, tuple[str, ...]]]:
    after: Place | None = None
    while True:
        page = store.scoped(scope).list(Kind.DATASET, Query(limit=1000, after=after))
        for dataset in page.items:
            identifier = tuple(dataset.frozen["table"])
            yield identifier[-1], identifier
        if page.next is None:
            return
        after = page.next


def _no_rows(columns: tuple[Column, ...]) -> str:
    members = ", ".join(f"CAST(NULL AS {column.type.sql}) AS {quote(column.name)}" for column in columns)
    return f"SELECT {members} WHERE false"
