"""The lake: the Iceberg tables of a warehouse folder, and the catalog that knows their present states.

PyIceberg is loaded when a table is first needed. Who asks for a table that no run has made yet, or which state one is
in, does not wait for that.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.dataplane import Breaking
from headgate.model.lake import Column
from headgate.targets.catalog import await_unlocked, local_path, metadata_location
from headgate.targets.holdings import tables_in
from headgate.targets.loading import load_iceberg
from headgate.targets.retention import Retention

if TYPE_CHECKING:
    from headgate.targets.iceberg import LakeTable
    from headgate.targets.layout import Layout
    from headgate.targets.tables import Tables

__all__ = ["Lake"]


class Lake:
    """The tables of one warehouse folder with its SQL catalog.

    With a `retention`, commits take snapshots out that need not be kept.
    """

    def __init__(self, warehouse: Path, retention: Retention | None = None) -> None:
        warehouse.mkdir(parents=True, exist_ok=True)
        self._retention = retention
        self._database = warehouse / "catalog.db"
        self._opened: Tables | None = None
        self._opening = threading.Lock()

    def table(
        self, identifier: tuple[str, ...], columns: tuple[Column, ...], layout: "Layout | None" = None
    ) -> "LakeTable":
        """The table of this name, made with `columns` when it does not exist yet.

        What it has to change for them is part of the commit. Raises SchemaMismatch when that cannot be, or when it is
        partitioned in another way than `layout` says; TargetUnavailable.
        """
        return self._tables.table(identifier, columns, layout)

    def wait(self, breaking: Breaking) -> None:
        """Wait while another holds the catalog, until `breaking` breaks that off. Raises TargetUnavailable."""
        await_unlocked(self._database, breaking)

    def find(self, identifier: tuple[str, ...]) -> "LakeTable | None":
        """The table of this name, None when no run has made it yet. Raises TargetUnavailable."""
        return self._tables.find(identifier) if self.version(identifier) is not None else None

    def version(self, identifier: tuple[str, ...]) -> str | None:
        """The address of the file that describes the table's present state; None when there is no table.

        It is another one after every change, and much cheaper to ask for than the table. Raises TargetUnavailable.
        """
        return metadata_location(self._database, identifier)

    def metadata_file(self, identifier: tuple[str, ...]) -> Path | None:
        """That file's path; None when there is no table. Raises TargetUnavailable."""
        version = self.version(identifier)
        return local_path(version) if version is not None else None

    def names(self) -> list[tuple[str, ...]]:
        """The names of all tables, in their order. Raises TargetUnavailable."""
        return sorted(tables_in(self._database)) if self._database.exists() else []

    def drop(self, identifier: tuple[str, ...]) -> None:
        """Take the table and all its files away; nothing happens when there is none. Raises TargetUnavailable."""
        if self.version(identifier) is not None:
            self._tables.drop(identifier)

    def close(self) -> None:
        """Close the catalog's connections."""
        if self._opened is not None:
            self._opened.close()

    @property
    def _tables(self) -> "Tables":
        with self._opening:
            if self._opened is None:
                load_iceberg()
                from headgate.targets.tables import Tables

                self._opened = Tables(self._database, self._retention)
            return self._opened
