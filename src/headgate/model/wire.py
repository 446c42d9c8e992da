"""Resources and runs in the shape the API shows them."""

from collections.abc import Sequence

from headgate.model.resources import Kind, Resource
from headgate.model.runs import Json, Run
from headgate.model.scope import Scope

__all__ = ["created", "resource", "resource_superset", "run", "run_superset"]

_OF_PROVIDERS = ("providerRefId", "recordTypes", "predecessors")


def created(made: Resource) -> Json:
    """The answer to a creation."""
    return {"id": made.id, "etag": made.etag}


def resource(item: Resource, last_run: Run | None = None) -> Json:
    """A connection, source connection, target connection or flow; a flow with its newest run."""
    shape = {
        **_audit(item, item.scope),
        **item.body,
        "state": item.state,
        "version": item.etag,
        "etag": item.etag,
    }
    match item.kind:
        case Kind.SOURCE_CONNECTION | Kind.TARGET_CONNECTION if base_id := item.body.get("baseConnectionId"):
            base = {"id": base_id, "connectionSpec": item.body["connectionSpec"]}
            shape["inheritedAttributes"] = {"baseConnection": base}
        case Kind.FLOW:
            shape |= _flow(item, last_run)
    return shape


def resource_superset(shown: Json) -> Json:
    """A resource that is at once the whole object, `{id, etag}` and a list of itself: the answer to a change."""
    return {**shown, "items": [shown], "_links": {}}


def run(item: Run, children: Sequence[str] = ()) -> Json:
    """A run; `children` are the runs that repeat it."""
    extra = item.extra
    status = {**item.metrics.get("statusSummary", {}), "status": item.state.value}
    if item.reverted_at is not None:  # the run stays the success that it was; its batch is not active any more
        reverted = {"batchStatus": "inactive", "revertedAtUTC": item.reverted_at}
        status["extensions"] = {**status.get("extensions", {}), **reverted}
    shape = {
        **_audit(item, item.scope),
        "flowId": item.flow_id,
        "flowSpec": item.flow_spec,
        "params": item.params,
        "version": item.etag,
        "etag": item.etag,
        "eTag": item.etag,  # the spelling that generated clients look for
        "metrics": {**extra.get("metrics", {}), **item.metrics, "statusSummary": status},
        "activities": [*item.activities, *extra.get("activities", ())],
    }
    if item.parent_id is not None:
        shape["parentFlowRunId"] = item.parent_id
    if children:
        shape["childFlowRunIds"] = list(children)
    return shape | {name: extra[name] for name in _OF_PROVIDERS if name in extra}


def run_superset(shown: Json) -> Json:
    """A run that is at once the whole object, `{id, etag}` and `{items: [{id, etag}]}`.

    Three published descriptions of this answer differ; this one satisfies all of them.
    """
    return {**shown, "items": [{"id": shown["id"], "etag": shown["etag"]}]}


def _audit(item: Resource | Run, scope: Scope) -> Json:
    return {
        "id": item.id,
        "createdAt": item.created_at,
        "updatedAt": item.updated_at,
        "createdBy": item.created_by,
        "updatedBy": item.updated_by,
        "createdClient": item.created_client,
        "updatedClient": item.updated_client,
        "sandboxId": scope.sandbox_id,
        "sandboxName": scope.sandbox_name,
        "imsOrgId": scope.org_id,
    }


def _flow(item: Resource, last_run: Run | None) -> Json:
    source, target = item.frozen["source"], item.frozen["target"]
    source_spec = {"id": source["specId"], "version": "1.0"}
    of_source: Json = {"id": source["sourceConnectionId"], "connectionSpec": source_spec}
    if source["connectionId"] is not None:
        of_source["baseConnection"] = {"id": source["connectionId"], "connectionSpec": source_spec}
    shape: Json = {
        "inheritedAttributes": {
            "properties": {"isSourceFlow": True, "isDestinationFlow": False},
            "sourceConnections": [of_source],
            "targetConnections": [
                {
                    "id": target["targetConnectionId"],
                    "connectionSpec": {"id": target["specId"], "version": "1.0"},
                }
            ],
        },
        "runs": f"/runs?property=flowId=={item.id}",
        "lastOperation": {
            "started": item.updated_at,
            "updated": item.updated_at,
            "percentCompleted": 100.0,
            "status": {"value": "completed", "errors": []},
            "ops": [],
            "operation": "create" if item.updated_at == item.created_at else "update",
        },
    }
    if last_run is not None:
        duration = last_run.metrics.get("durationSummary", {})
        times = {name: duration[name] for name in ("startedAtUTC", "completedAtUTC") if name in duration}
        shape["lastRunDetails"] = {"id": last_run.id, "state": last_run.state.value, **times}
    return shape
