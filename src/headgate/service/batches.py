"""Batches: runs as the Catalog shows them. The id of a batch is the id of its run."""

from headgate.errors import BatchNotFound, IllegalTransition, NotFound, UnknownAction
from headgate.model.catalog import BatchStatus, CatalogQuery, Grammar, Member
from headgate.model.runs import Json, Run
from headgate.model.scope import Caller
from headgate.service import catalog_wire
from headgate.service.bodies import check_id, shown
from headgate.service.paging import Parameters, known_parameters
from headgate.store import CatalogStore, Store
from headgate.targets import Lake

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

    def __init__(self, store: Store, lake: Lake) -> None:
        self._store = store
        self._lake = lake

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """`{id: batch}` of one page, newest first. Raises InvalidRequest."""
        query = _GRAMMAR.read(parameters)
        runs = self._store.catalog(caller).batches(query)
        return {run.id: _chosen(run, query) for run in runs}

    def get(self, caller: Caller, id_: str, parameters: Parameters = ()) -> Json:
        """`{id: batch}`. Raises BatchNotFound, InvalidRequest."""
        query = catalog_wire.SINGLE.read(parameters)
        return {id_: _chosen(batch_of(self._store.catalog(caller), id_), query)}

    def act(self, caller: Caller, id_: str, parameters: Parameters) -> Json:
        """Do what the parameter `action` says to a batch: REVERT takes its rows out of the table, for good.

        What the batch had replaced does not come back. A batch that is reverted stays so. Raises BatchNotFound,
        UnknownAction, IllegalTransition, TargetUnavailable, CommitConflict.
        """
        _, single = known_parameters(parameters, ("action",))
        if (action := single.get("action", "")).upper() != "REVERT":
            raise UnknownAction(f"The action {shown(action)} is not known. Batches take action=REVERT.")
        store = self._store.catalog(caller)
        run = batch_of(store, id_)
        status = catalog_wire.status_of(run)
        if status not in (BatchStatus.SUCCESS, BatchStatus.INACTIVE):
            raise IllegalTransition(f"A batch that is {status} has no rows to take out.", state=status.value)
        table = self._lake.find(tuple(run.frozen["target"]["table"]))
        if table is not None:
            table.revert(run.id)
        return {id_: catalog_wire.batch(store.mark_reverted(run.id))}


def batch_of(store: CatalogStore, id_: str) -> Run:
    """The run that is the batch `id_`. Raises BatchNotFound."""
    try:
        return store.run(check_id(id_, "batches"))
    except NotFound as error:
        raise BatchNotFound(f"No batch {shown(id_)} exists in this sandbox.", id=id_[:80]) from error


def _chosen(run: Run, query: CatalogQuery) -> Json:
    shape = catalog_wire.batch(run)
    return {name: shape[name] for name in query.properties if name in shape} if query.properties else shape
