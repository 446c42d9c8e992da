"""SQL over the lake on the command line: every dataset of a sandbox under its name, read by DuckDB."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.model.query import Place, Query
from headgate.model.resources import Kind
from headgate.model.scope import Scope
from headgate.querying import QueryRefused, View, engine
from headgate.service.local import credentials, settings_for
from headgate.store import Store, open_store
from headgate.targets import Lake

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["QueryRefused", "query", "views_of"]


def query(data: Path | None, statement: str) -> "pa.Table":
    """Run one SQL statement over the datasets of the sandbox that `credentials()` names.

    Each dataset is a view under its SQL-safe name; one that no run has filled yet has no rows. Nothing can
    be written. Raises QueryRefused with DuckDB's reason.
    """
    settings = settings_for(data)
    known = credentials(data, create=False)
    store, lake = open_store(settings), Lake(settings.warehouse)
    try:
        scope = store.tenants.scope(known["orgId"], known["sandbox"])
        if scope is None:
            raise QueryRefused(f"The organisation {known['orgId']} has no sandbox {known['sandbox']}.")
        with engine(views_of(store, lake, scope), statement, locked=False) as connection:
            found = connection.execute(statement).to_arrow_table()
            return found.rename_columns(_unlike(found.column_names))
    finally:
        lake.close()
        store.close()


def views_of(store: Store, lake: Lake, scope: Scope) -> list[View]:
    """The tables of a sandbox's datasets, in their present states. Raises Unavailable, TargetUnavailable."""
    return [View(identifier[-1], lake.metadata_file(identifier)) for identifier in _datasets(store, scope)]


def _datasets(store: Store, scope: Scope) -> Iterator[tuple[str, ...]]:
    after: Place | None = None
    while True:
        page = store.scoped(scope).list(Kind.DATASET, Query(limit=1000, after=after))
        for dataset in page.items:
            yield tuple(dataset.frozen["table"])
        if page.next is None:
            return
        after = page.next


def _unlike(names: list[str]) -> list[str]:
    """The names, those that came before with a number behind them."""
    fresh: list[str] = []
    for name in names:
        number, unlike = 1, name
        while unlike in fresh:
            unlike, number = f"{name}_{number}", number + 1
        fresh.append(unlike)
    return fresh
