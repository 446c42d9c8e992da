"""Batches: runs as the Catalog shows them. The id of a batch is the id of its run."""

from headgate.errors import BatchNotFound, NotFound
from headgate.model.catalog import BatchStatus, CatalogQuery, Grammar, Member
from headgate.model.runs import Json, Run
from headgate.model.scope import Caller
from headgate.service import catalog_wire
from headgate.service.bodies import check_id, shown
from headgate.service.paging import Parameters
from headgate.store import CatalogStore, Store

__all__ = ["Batches", "batch_of"]

_GRAMMAR = Grammar(
    members={
        "id": Member("id"),
        "status": Member("status", choices=frozenset(BatchStatus)),
        "created": Member("created_at", "number"),
        "updated": Member("updated_at", "number"),
        "started": Member("started_at", "number"),
        "completed": Member("completed_at", "number"),
        "createdUser": Member("created_by"),
        "updatedUser": Member("updated_by"),
        "createdClient": Member("created_client"),
        "imsOrg": Member("org_id"),
        "sandboxId": Member("sandbox_id"),
        "dataSet": Member("dataset_id"),
        "recordCount": Member("metrics.recordSummary.outputRecordCount", "number"),
        "failedRecordCount": Member("metrics.recordSummary.failedRecordCount", "number"),
        "size": Member("metrics.sizeSummary.outputBytes", "number"),
        "errors": Member("metrics.statusSummary.errors", "object"),
        "tags": Member("flow_id", "object"),
    },
    aliases={"batch": "id", "dataSetId": "dataSet", "lastBatchStatus": "status"},
)


class Batches:
    """The batches of a sandbox."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """`{id: batch}` of one page, newest first. Raises InvalidRequest."""
        query = _GRAMMAR.read(parameters)
        runs = self._store.catalog(caller).batches(query)
        return {run.id: _chosen(run, query) for run in runs}

    def get(self, caller: Caller, id_: str, parameters: Parameters = ()) -> Json:
        """`{id: batch}`. Raises BatchNotFound, InvalidRequest."""
        query = catalog_wire.SINGLE.read(parameters)
        return {id_: _chosen(batch_of(self._store.catalog(caller), id_), query)}


def batch_of(store: CatalogStore, id_: str) -> Run:
    """The run that is the batch `id_`. Raises BatchNotFound."""
    try:
        return store.run(check_id(id_, "batches"))
    except NotFound as error:
        raise BatchNotFound(f"No batch {shown(id_)} exists in this sandbox.", id=id_[:80]) from error


def _chosen(run: Run, query: CatalogQuery) -> Json:
    shape = catalog_wire.batch(run)
    return {name: shape[name] for name in query.properties if name in shape} if query.properties else shape
