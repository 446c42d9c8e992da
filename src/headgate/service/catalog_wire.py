"""Datasets and batches in the shape the Catalog shows them."""

from headgate.errors import RunError
from headgate.model.catalog import BatchStatus, Grammar
from headgate.model.resources import Resource
from headgate.model.runs import Json, Run, RunState

__all__ = ["SINGLE", "batch", "dataset", "errors_of", "status_of"]

SINGLE = Grammar(members={}, aliases={}, ignored=frozenset({"requestDataSource"}))  # of a request for one object

_STATUSES = {
    "scheduled": BatchStatus.QUEUED,
    "queued": BatchStatus.QUEUED,
    "success": BatchStatus.SUCCESS,
    "partialSuccess": BatchStatus.SUCCESS,
    "failed": BatchStatus.FAILED,
    "cancelled": BatchStatus.ABORTED,
}


def dataset(item: Resource, last: Run | None = None, last_good: Run | None = None) -> Json:
    """A dataset, with its newest batch and its newest successful one."""
    shape = {
        "version": "1.0.0",
        **item.body,
        "state": item.state.upper(),
        "imsOrg": item.scope.org_id,
        "sandboxId": item.scope.sandbox_id,
        "created": item.created_at,
        "updated": item.updated_at,
        "createdUser": item.created_by,
        "updatedUser": item.updated_by,
        "createdClient": item.created_client,
        "updatedClient": item.updated_client,
        "viewId": item.id,
        "files": f"@/dataSetFiles?dataSetId={item.id}",
        "statsCache": {},
        "dule": {},
    }
    if last is not None:
        shape |= {"lastBatchId": last.id, "lastBatchStatus": status_of(last).value}
    if last_good is not None:
        shape["lastSuccessfulBatch"] = last_good.id
    return shape


def batch(run: Run) -> Json:
    """A run as the batch that it is: what it brought into its dataset, or why it brought nothing."""
    duration = run.metrics.get("durationSummary", {})
    records, sizes = run.metrics.get("recordSummary", {}), run.metrics.get("sizeSummary", {})
    files = run.metrics.get("fileSummary", {})
    source = run.frozen.get("source", {})
    options = run.frozen.get("options", {})
    status = status_of(run)
    shape: Json = {
        "id": run.id,
        "imsOrg": run.scope.org_id,
        "sandboxId": run.scope.sandbox_id,
        "status": status.value,
        "version": "1.0.0",
        "created": run.created_at,
        "updated": run.updated_at,
        **({"started": duration["startedAtUTC"]} if "startedAtUTC" in duration else {}),
        **({"completed": duration["completedAtUTC"]} if "completedAtUTC" in duration else {}),
        "createdUser": run.created_by,
        "createdClient": run.created_client,
        "updatedUser": run.updated_by,
        "relatedObjects": [{"type": "dataSet", "id": run.dataset_id}] if run.dataset_id else [],
        "inputFormat": {"format": source.get("data", {}).get("format", "tabular")},
        "recordCount": records.get("outputRecordCount", 0),
        "failedRecordCount": records.get("failedRecordCount", 0),
        "size": sizes.get("outputBytes", 0),
        "metrics": {
            "inputRecordCount": records.get("inputRecordCount", 0),
            "outputRecordCount": records.get("outputRecordCount", 0),
            "failedRecordCount": records.get("failedRecordCount", 0),
            "invalidRecordCount": records.get("failedRecordCount", 0),
            "inputByteSize": sizes.get("inputBytes", 0),
            "outputByteSize": sizes.get("outputBytes", 0),
            "recordsSize": sizes.get("outputBytes", 0),
            "inputFileCount": files.get("inputFileCount", 0),
            "outputFileCount": files.get("outputFileCount", 0),
        },
        "tags": {
            "flowId": [run.flow_id],
            "flowRunId": [run.id],
            "acp_enableErrorDiagnostics": bool(options.get("errorDiagnosticsEnabled", False)),
            **(
                {"acp_partialIngestionPercent": options["partialIngestionPercent"]}
                if "partialIngestionPercent" in options
                else {}
            ),
        },
    }
    if (errors := errors_of(run)) or status is BatchStatus.FAILED:
        shape["errors"] = errors
    return shape


def status_of(run: Run) -> BatchStatus:
    """Where the batch stands: copying is `loading`, committing `processing`."""
    if run.reverted_at is not None:
        return BatchStatus.INACTIVE
    if run.state is RunState.IN_PROGRESS:
        refs = run.metrics.get("statusSummary", {}).get("activityRefs", [])
        return BatchStatus.PROCESSING if "promotionActivity" in refs else BatchStatus.LOADING
    return _STATUSES[run.state.value]


def errors_of(run: Run) -> list[Json]:
    """What went wrong; a failed run always says something."""
    summary = run.metrics.get("statusSummary", {})
    errors = [
        {
            "code": error["code"],
            "description": error["message"],
            **({"recordCount": error["recordCount"]} if "recordCount" in error else {}),
        }
        for error in summary.get("errors", [])
    ]
    if not errors and run.state is RunState.FAILED:
        unknown = RunError()
        return [{"code": unknown.code, "description": unknown.detail}]
    return errors
