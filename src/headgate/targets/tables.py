"""The tables of a warehouse folder, in PyIceberg's catalog."""

import shutil
from contextlib import suppress
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog, SqlCatalogBaseTable
from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from headgate.model.lake import PROVENANCE, Column
from headgate.targets.catalog import BUSY_SECONDS, NAME, answering, file_uri
from headgate.targets.iceberg import LakeTable
from headgate.targets.layout import AS_IT_COMES, Layout
from headgate.targets.retention import Retention
from headgate.targets.schema import schema_of
from headgate.targets.snapshots import PROPERTIES

__all__ = ["Tables"]


class Tables:
    """The tables that the catalog in the file `database` knows; it lies in the warehouse's folder.

    What they do is told at `Lake`. Raises TargetUnavailable.
    """

    def __init__(self, database: Path, retention: Retention | None) -> None:
        self._retention = retention
        with answering():
            uri = f"sqlite:///{database}?timeout={BUSY_SECONDS}"
            self._catalog = _Catalog(NAME, uri=uri, warehouse=file_uri(database.parent))

    def table(self, identifier: tuple[str, ...], columns: tuple[Column, ...], layout: Layout | None) -> LakeTable:
        """The table of this name, made when it does not exist yet."""
        layout = layout or AS_IT_COMES
        if (found := self.find(identifier)) is not None:
            found.fit(columns, layout)
            return found
        schema = schema_of(columns)
        spec, order = layout.spec(schema), layout.order(schema)
        properties = {
            "format-version": "2",
            "commit.retry.num-retries": "0",
            **PROPERTIES,
            **{f"write.metadata.metrics.column.{name}": "full" for name in PROVENANCE},
        }
        try:
            with answering():
                for depth in range(1, len(identifier)):
                    self._catalog.create_namespace_if_not_exists(identifier[:depth])
                made = self._catalog.create_table(
                    identifier, schema, partition_spec=spec, sort_order=order, properties=properties
                )
        except (TableAlreadyExistsError, IntegrityError):  # another run was first, with the table or a namespace
            return self.table(identifier, columns, layout)
        table = LakeTable(self._catalog, identifier, made, self._retention)
        table.fit(columns, layout)
        return table

    def find(self, identifier: tuple[str, ...]) -> LakeTable | None:
        """The table of this name, None when there is none."""
        try:
            with answering():
                return LakeTable(self._catalog, identifier, self._catalog.load_table(identifier), self._retention)
        except NoSuchTableError:
            return None

    def drop(self, identifier: tuple[str, ...]) -> None:
        """Take the table and all its files away; nothing happens when there is none."""
        table = self.find(identifier)
        if table is None:
            return
        with answering(), suppress(NoSuchTableError):  # another request was first
            self._catalog.drop_table(identifier)
        shutil.rmtree(table.location, ignore_errors=True)

    def close(self) -> None:
        """Close the catalog's connections."""
        self._catalog.close()


class _Catalog(SqlCatalog):
    """As PyIceberg's; but several processes may make its tables at the same moment."""

    def create_tables(self) -> None:
        """Make those that are not there."""
        with self.engine.begin() as connection:
            for table in SqlCatalogBaseTable.metadata.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
