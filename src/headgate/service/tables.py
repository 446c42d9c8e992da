"""The tables behind the datasets: their columns, and the states that can still be read."""

from headgate.model.addresses import HEADGATE
from headgate.model.lake import PROVENANCE
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.model.table_metadata import DescribedSnapshot
from headgate.service.datasets import dataset_of
from headgate.service.paging import Parameters, counted
from headgate.store import Store
from headgate.targets import Lake, TableStates

__all__ = ["Tables"]

_FIGURES = {
    "addedRows": "added-records",
    "removedRows": "deleted-records",
    "addedFiles": "added-data-files",
    "removedFiles": "deleted-data-files",
    "totalRows": "total-records",
    "totalFiles": "total-data-files",
    "totalBytes": "total-files-size",
}


class Tables:
    """Tells of tables what their metadata says; nothing of their rows."""

    def __init__(self, store: Store, lake: Lake) -> None:
        self._store, self._states = store, TableStates(lake)

    def schema(self, caller: Caller, dataset_id: str) -> Json:
        """`{"table","columns":[{"name","type","required","provenance"}],"partitionedBy":[{"column","transform"}]}`.

        `table` is the name that queries call it by; before the first run there are no columns. Raises DatasetNotFound,
        TargetUnavailable.
        """
        identifier = self._table(caller, dataset_id)
        table = self._states.described(identifier)
        return {
            "table": identifier[-1],
            "columns": [
                {
                    "name": column.name,
                    "type": column.type,
                    "required": column.required,
                    "provenance": column.name in PROVENANCE,
                }
                for column in (table.columns if table else ())
            ],
            "partitionedBy": [
                {"column": name, "transform": transform} for name, transform in (table.partitioned_by if table else ())
            ],
        }

    def snapshots(self, caller: Caller, dataset_id: str, parameters: Parameters) -> Json:
        """One page of the table's snapshots, the newest first. Raises DatasetNotFound, InvalidRequest.

        `{"id","parentId","createdAt","operation","runId","current","addedRows",…}`, without what it does not say.
        """
        table = self._states.described(self._table(caller, dataset_id))
        items = [_wire(each, current=each.id == table.current) for each in table.snapshots] if table else []
        return counted(items, parameters, f"{HEADGATE}/datasets/{dataset_id}/snapshots")

    def _table(self, caller: Caller, dataset_id: str) -> tuple[str, ...]:
        return tuple(dataset_of(self._store.catalog(caller), dataset_id).frozen["table"])


def _wire(snapshot: DescribedSnapshot, *, current: bool) -> Json:
    told = {
        "id": snapshot.id,
        "parentId": snapshot.parent_id,
        "createdAt": snapshot.at,
        "operation": snapshot.operation,
        "runId": snapshot.run_id,
        "current": current,
        **{name: snapshot.figures.get(key) for name, key in _FIGURES.items()},
    }
    return {name: value for name, value in told.items() if value is not None}
