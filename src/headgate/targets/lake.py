"""The lake: the Iceberg tables of a warehouse folder, and the catalog that knows their present states."""

import shutil
from contextlib import suppress
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog, SqlCatalogBaseTable
from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from headgate.dataplane import Breaking
from headgate.model.lake import PROVENANCE, Column
from headgate.targets.catalog import answering, await_unlocked, metadata_location
from headgate.targets.iceberg import LakeTable, file_uri
from headgate.targets.layout import AS_IT_COMES, Layout
from headgate.targets.schema import schema_of
from headgate.targets.snapshots import PROPERTIES, Retention

__all__ = ["Lake"]

_BUSY_SECONDS = 10


class Lake:
    """The tables of one warehouse folder with its SQL catalog.

    With a `retention`, commits take snapshots out that need not be kept.
    """

    def __init__(self, warehouse: Path, retention: Retention | None = None) -> None:
        warehouse.mkdir(parents=True, exist_ok=True)
        self._retention = retention
        uri = f"sqlite:///{warehouse / 'catalog.db'}?timeout={_BUSY_SECONDS}"
        self._catalog = _Catalog("lake", uri=uri, warehouse=file_uri(warehouse))

    def table(
        self, identifier: tuple[str, ...], columns: tuple[Column, ...], layout: Layout = AS_IT_COMES
    ) -> "LakeTable":
        """The table of this name, made with `columns` when it does not exist yet.

        What it has to change for them is part of the commit. Raises SchemaMismatch when that cannot be, or when it is
        partitioned in another way than `layout` says.
        """
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

    def wait(self, breaking: Breaking) -> None:
        """Wait while another holds the catalog, until `breaking` breaks that off. Raises TargetUnavailable."""
        await_unlocked(self._catalog, breaking)

    def find(self, identifier: tuple[str, ...]) -> "LakeTable | None":
        """The table of this name, None when no run has made it yet."""
        try:
            with answering():
                return LakeTable(self._catalog, identifier, self._catalog.load_table(identifier), self._retention)
        except NoSuchTableError:
            return None

    def version(self, identifier: tuple[str, ...]) -> str | None:
        """The address of the file that describes the table's present state; None when there is no table.

        It is another one after every change, and much cheaper to ask for than the table.
        """
        return metadata_location(self._catalog, identifier)

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
