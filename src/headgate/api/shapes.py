"""What answers look like, for the OpenAPI description: one entry for every route that answers with JSON.

Bodies of requests are in `schemas` and `catalog_schemas`. Listings may project members away, so that only the `id` of
their items is certain.
"""

from headgate.api.json_schema import MAP, TEXT, Schema, list_of, object_of, parameter
from headgate.model import addresses
from headgate.model.runs import RunState
from headgate.model.webhooks import DeliveryState

__all__ = ["ANSWERS", "PARAMETERS"]

_TIME: Schema = {"type": "integer", "description": "Milliseconds since the epoch."}
_COUNT: Schema = {"type": "integer"}


_AUDIT = {
    "id": TEXT,
    "createdAt": _TIME,
    "updatedAt": _TIME,
    "createdBy": TEXT,
    "updatedBy": TEXT,
    "createdClient": TEXT,
    "updatedClient": TEXT,
    "sandboxId": TEXT,
    "sandboxName": TEXT,
    "imsOrgId": TEXT,
    "etag": TEXT,
}
_WHOLE = " ".join(_AUDIT)
_RESOURCE = object_of(f"{_WHOLE} state version", **_AUDIT, state=TEXT, version=TEXT, name=TEXT)
_STATUS = {"type": "string", "enum": ["scheduled", "queued", "inProgress", "success", "failed", "cancelled"]}
_ACTIVITY = object_of("id statusSummary", id=TEXT, statusSummary=MAP)
_RUN = object_of(
    f"{_WHOLE} flowId flowSpec params metrics activities version",
    **_AUDIT,
    version=TEXT,
    flowId=TEXT,
    flowSpec=MAP,
    params=MAP,
    parentFlowRunId=TEXT,
    childFlowRunIds=list_of(TEXT),
    metrics=object_of("statusSummary", statusSummary=object_of("status", status=_STATUS)),
    activities=list_of(_ACTIVITY),
)
_LINE = object_of("id at level text", id=_COUNT, at=_TIME, level={"enum": ["info", "warning", "error"]}, text=TEXT)
_SPLIT = object_of(
    "id attempt startedAtUTC completedAtUTC recordCount outputBytes",
    id=TEXT,
    attempt=_COUNT,
    startedAtUTC=_TIME,
    completedAtUTC=_TIME,
    recordCount=_COUNT,
    outputBytes=_COUNT,
)
_ENDS = {"windowStartTime": _COUNT, "windowEndTime": _COUNT}
_WINDOW = object_of("windowStartTime windowEndTime", **_ENDS)
_DETAILS = object_of(
    "id window writeMode attempts splits log",
    id=TEXT,
    window=_WINDOW,
    deltaColumn=MAP,
    writeMode={"type": ["string", "null"]},
    attempts=list_of(object_of("attempt", attempt=_COUNT, state=_STATUS, error=MAP, worker=TEXT, progress=MAP)),
    splits=list_of(_SPLIT),
    snapshotId=TEXT,
    log=list_of(_LINE),
)
_WEBHOOK = object_of(
    f"{_WHOLE} name url eventTypes secret state version",
    **_AUDIT,
    state=TEXT,
    version=TEXT,
    name=TEXT,
    url=TEXT,
    eventTypes=list_of(TEXT),
    secret={**TEXT, "description": "Masked."},
)
_DELIVERY = object_of(
    "id eventId eventCode runId state tries createdAt updatedAt",
    id=TEXT,
    eventId=TEXT,
    eventCode=TEXT,
    runId=TEXT,
    state={"type": "string", "enum": list(DeliveryState)},
    tries=_COUNT,
    createdAt=_TIME,
    updatedAt=_TIME,
    nextTryAt=_TIME,
    status={"type": "integer", "description": "Of the last answer."},
    reason={**TEXT, "description": "Why the last try failed."},
)
_LINKS = object_of("", next=object_of("href", href=TEXT))
_REFERENCES = list_of(object_of("id etag", id=TEXT, etag=TEXT))
_SPEC = object_of("id name version attributes", id=TEXT, name=TEXT, version=TEXT, attributes=MAP)
_ACTED = object_of("id etag", id=TEXT, etag=TEXT)
_SANDBOX = object_of(
    "id name title state type region isDefault eTag etag createdDate lastModifiedDate createdBy modifiedBy",
    id=TEXT,
    name=TEXT,
    title=TEXT,
    state=TEXT,
    type=TEXT,
    isDefault={"type": "boolean"},
    eTag=_COUNT,
    etag=_COUNT,
)
_BY_ID: Schema = {"type": "object", "additionalProperties": MAP}
_WRITTEN = {"type": "array", "items": {"type": "string", "pattern": "^@/dataSets/[0-9a-f]{24}$"}}
_FILES = object_of("data _page", data=list_of(MAP), _page=MAP)
_SET = object_of("id version", id=TEXT, version=_COUNT)
_MAPPING = object_of("sourceType source destination", sourceType=TEXT, source=TEXT, destination=TEXT)
_PROBLEMS: Schema = {"type": ["array", "null"], "items": MAP}
_STATE = object_of("status", status=TEXT)


def _page(item: Schema) -> Schema:
    listed = {**item, "required": ["id"]}
    page = object_of("items _links", items=list_of(listed), _links=_LINKS)
    return {"anyOf": [page, object_of("count", count={"type": "integer", "minimum": 0})]}


def _listed(item: Schema) -> Schema:
    """A page of items that are shown whole."""
    return object_of("items _links", items=list_of(item), _links=_LINKS)


def _one(item: Schema) -> Schema:
    return object_of("items _links", items={**list_of(item), "minItems": 1, "maxItems": 1}, _links=MAP)


def _listed_beside(item: Schema) -> Schema:
    """The item, and besides a list of itself."""
    return {**item, "properties": {**item["properties"], "items": list_of(MAP)}}


_FILTER = parameter(
    "property",
    "A filter such as state==failed, or a comma list of members to show; several are joined by AND.",
    **list_of(TEXT),
)
_CONTINUATION = parameter("continuationToken", "From the link to the next page.")
_LISTING: tuple[Schema, ...] = (
    _FILTER,
    parameter("orderby", "A field, after - for descending order. Default: -createdAt."),
    parameter("limit", "Items of a page. Default: 100.", type="integer", minimum=1, maximum=1000),
    parameter("count", "Answer only with how many match.", type="boolean"),
    _CONTINUATION,
)

_FLOW_SERVICE = {
    **{
        f"{method} /{kind}{rest}": shape
        for kind in ("connections", "sourceConnections", "targetConnections", "flows")
        for method, rest, shape in (
            ("GET", "", _page(_RESOURCE)),
            ("POST", "", object_of("id etag", id=TEXT, etag=TEXT)),
            ("POST", "/search", _page(_RESOURCE)),
            ("GET", "/{id}", _one(_RESOURCE)),
            ("PATCH", "/{id}", _listed_beside(_RESOURCE)),
            ("POST", "/{id}/action", _ACTED),
        )
    },
    **{
        f"{method} /{kind}{rest}": shape
        for kind in ("connectionSpecs", "flowSpecs")
        for method, rest, shape in (
            ("GET", "", object_of("items _links", items=list_of({**_SPEC, "required": ["id"]}), _links=MAP)),
            ("POST", "", _SPEC),
            ("POST", "/search", MAP),
            ("GET", "/{id}", _listed_beside(_SPEC)),
            ("PUT", "/{id}", _SPEC),
        )
    },
    **{
        f"GET /{kind}/{{id}}/{rest}": shape
        for kind in ("connections", "connectionSpecs")
        for rest, shape in (
            ("explore", {"type": ["array", "object"]}),
            ("configs", object_of("items pageInfo _links", items=list_of(MAP), pageInfo=MAP, _links=MAP)),
        )
    },
    "GET /webhooks": _page(_WEBHOOK),
    "POST /webhooks": object_of("id etag", id=TEXT, etag=TEXT, secret={**TEXT, "description": "When none was sent."}),
    "GET /webhooks/{id}": _one(_WEBHOOK),
    "PATCH /webhooks/{id}": _listed_beside(_WEBHOOK),
    "GET /webhooks/{id}/deliveries": _page(_DELIVERY),
    "GET /connections/{id}/test": object_of("result", result={"type": "boolean"}),
    "GET /runs": _page(_RUN),
    "GET /flows/{id}/runs": _page(_RUN),
    "POST /runs": object_of(f"{_WHOLE} items", **_RUN["properties"], items=_REFERENCES),
    "GET /runs/{id}": _one(_RUN),
    "GET /runs/{id}/details": _DETAILS,
    "GET /flows/{id}/windows": object_of(
        "flowId from to items sinceLastSuccess",
        flowId=TEXT,
        to=_COUNT,
        items=list_of(
            object_of(
                "windowStartTime windowEndTime state",
                **_ENDS,
                state={"type": "string", "enum": ["ingested", "running", "failed", "missing"]},
            )
        ),
        sinceLastSuccess=_WINDOW,
    ),
    "POST /runs:estimate": object_of(
        "flowId window windowInWords earlierRuns writeMode missing",
        flowId=TEXT,
        window=_WINDOW,
        windowInWords=TEXT,
        deltaColumn=object_of("name chosenBy", name=TEXT, chosenBy={"enum": ["flow", "request", "suggestion"]}),
        deltaColumns=list_of(object_of("name", name=TEXT, dateFormat=TEXT)),
        rows=_COUNT,
        rowsAre={"enum": ["counted", "estimated"]},
        files=_COUNT,
        bytes=_COUNT,
        filesAre={"enum": ["counted", "at least"]},
        oldest=TEXT,
        newest=TEXT,
        earlierRuns=list_of(
            object_of("id state createdAt createdBy recordCount", **_ENDS, id=TEXT, state=_STATUS, recordCount=_COUNT)
        ),
        writeMode=object_of("name effect", name=TEXT, effect=TEXT),
        missing=list_of(object_of("what reason", what=TEXT, reason=TEXT)),
    ),
    "PUT /runs/{id}": _RUN,
    "POST /runs/{id}/action": object_of(f"{_WHOLE} items", **_RUN["properties"], items=_REFERENCES),
}
_SANDBOXES = {
    "GET ": object_of("sandboxes _page _links", sandboxes=list_of(_SANDBOX), _page=MAP, _links=MAP),
    "GET /sandboxes": object_of("sandboxes _page _links", sandboxes=list_of(_SANDBOX), _page=MAP, _links=MAP),
    "GET /sandboxTypes": object_of("sandboxTypes", sandboxTypes=list_of(object_of("id title", id=TEXT, title=TEXT))),
    **{
        f"{method} /sandboxes{rest}": _SANDBOX
        for method, rest in (
            ("POST", ""),
            ("GET", "/{name}"),
            ("PATCH", "/{name}"),
            ("PUT", "/{name}"),
            ("DELETE", "/{name}"),
        )
    },
}
_CATALOG = {
    "GET /dataSets": _BY_ID,
    "GET /dataSets/{id}": _BY_ID,
    "GET /batches": _BY_ID,
    "GET /lastBatches": _BY_ID,
    "GET /batches/{id}": _BY_ID,
    **dict.fromkeys(
        (
            "POST /dataSets",
            "PATCH /dataSets/{id}",
            "PUT /dataSets/{id}",
            "DELETE /dataSets/{id}",
            "PATCH /v2/dataSets/{id}",
        ),
        _WRITTEN,
    ),
}
_EXPORT = {
    "GET /batches/{id}/files": _FILES,
    "GET /batches/{id}/meta": _FILES,
    "GET /batches/{id}/failed": _FILES,
    "GET /files/{id}": _FILES,
    "GET /datasets/{id}/preview": object_of("data", data=list_of(MAP)),
}
_REGISTRY = {
    "GET /stats": object_of("imsOrg tenantId counts", imsOrg=TEXT, tenantId=TEXT, counts=MAP),
    "GET /{container}/{collection}": object_of("results _page _links", results=list_of(MAP), _page=MAP, _links=MAP),
    **{
        f"{method} /{{container}}/{{collection}}{rest}": MAP
        for method, rest in (("POST", ""), ("GET", "/{id}"), ("PUT", "/{id}"), ("PATCH", "/{id}"))
    },
}
_CONVERSION = {
    "POST /mappingSets": _SET,
    "GET /mappingSets": object_of("data _page _links", data=list_of(_SET), _page=MAP, _links=MAP),
    "GET /mappingSets/{id}": _SET,
    "PUT /mappingSets/{id}": _SET,
    "POST /mappingSets/validate": object_of(
        "validationResponse", validationResponse=list_of(object_of("status errors", status=TEXT, errors=_PROBLEMS))
    ),
    "POST /mappingSets/preview": object_of("data errors", data={"type": ["array", "object"]}, errors=_PROBLEMS),
    "GET /mappingSets/{id}/mappings": list_of(_MAPPING),
    "POST /mappingSets/{id}/mappings": _MAPPING,
    "GET /mappingSets/{id}/mappings/{mapping_id}": _MAPPING,
    "PUT /mappingSets/{id}/mappings/{mapping_id}": _MAPPING,
    "GET /languages/el/functions": list_of(MAP),
    "GET /languages/el/operators": list_of(MAP),
    "POST /languages/el/validate": {"type": "boolean"},
}
_ROWS = object_of(
    "columns rows truncated milliseconds",
    columns=list_of(object_of("name type", name=TEXT, type={**TEXT, "description": "DuckDB's."})),
    rows=list_of({"type": "array"}),
    truncated={"type": "boolean", "description": "There are more rows."},
    milliseconds=_COUNT,
)
_SNAPSHOT = object_of(
    "id createdAt operation current",
    id=TEXT,
    parentId=TEXT,
    createdAt=_TIME,
    operation=TEXT,
    runId={**TEXT, "description": "Of the run that made it, if one did."},
    current={"type": "boolean"},
    addedRows=_COUNT,
    removedRows=_COUNT,
    totalRows=_COUNT,
)
_ROLE_HELD = object_of("role sandbox", role=TEXT, sandbox={"type": ["string", "null"]})
_ROLE = object_of("id permissions builtIn", id=TEXT, permissions=list_of(TEXT), builtIn={"type": "boolean"})
_GRANT = object_of(
    "id principal kind role sandbox",
    id=TEXT,
    principal=TEXT,
    kind={"type": "string", "enum": ["user", "service"]},
    **_ROLE_HELD["properties"],
)
_LOAD = {
    "waiting": _COUNT,
    "later": {**_COUNT, "description": "Put off to a time to come."},
    "running": _COUNT,
    "oldestDueAt": {"type": ["integer", "null"]},
    "oldestWaitSeconds": {"type": ["integer", "null"]},
}
_HEADGATE = {
    "GET /organisations": _listed(object_of("orgId name", orgId=TEXT, name=TEXT)),
    "POST /queries": _ROWS,
    "GET /datasets/{id}/preview": _ROWS,
    "GET /datasets/{id}/schema": object_of(
        "table columns partitionedBy", table=TEXT, columns=list_of(MAP), partitionedBy=list_of(MAP)
    ),
    "GET /datasets/{id}/snapshots": _listed(_SNAPSHOT),
    "GET /people": _listed(object_of("id roles", id=TEXT, roles=list_of(_ROLE_HELD))),
    "GET /clients": _listed(object_of("id name issuer roles", id=TEXT, name=TEXT, roles=list_of(_ROLE_HELD))),
    "POST /clients": object_of("id name", id=TEXT, name=TEXT, clientSecret={**TEXT, "description": "Only now."}),
    "POST /clients/{id}/rotate": object_of("id clientSecret overlapSeconds", id=TEXT, clientSecret=TEXT),
    "POST /clients/{id}/code": object_of("code user expiresIn", code=TEXT, user=TEXT, expiresIn=_COUNT),
    "GET /roles": _listed(_ROLE),
    "POST /roles": _ROLE,
    "GET /grants": _listed(_GRANT),
    "POST /grants": _GRANT,
    "GET /workers": _listed(
        object_of(
            "id host pid state places running runs startedAt seenAt",
            id=TEXT,
            host=TEXT,
            pid=_COUNT,
            version=TEXT,
            state={"type": "string", "enum": ["working", "idle", "silent"]},
            places={**_COUNT, "description": "Runs that it executes at a time."},
            running=_COUNT,
            runs={**list_of(TEXT), "description": "Those of the sandbox of the call."},
            startedAt=_TIME,
            seenAt=_TIME,
        )
    ),
    "GET /queue": object_of("waiting later running flows", **_LOAD, flows=list_of(MAP), organisation=MAP),
    "GET /activity": object_of(
        "hours next",
        hours=list_of(object_of("start", start=_TIME, **dict.fromkeys(RunState, _COUNT))),
        next=list_of(object_of("flowId name dueAt", flowId=TEXT, name=TEXT, dueAt=_TIME)),
    ),
    "GET /audit": _listed(
        object_of(
            "id at sandbox principal client requestId action kind resource",
            **dict.fromkeys(("id", "at", "sandbox", "principal", "client", "requestId", "action", "kind"), TEXT),
            resource=TEXT,
            detail={"type": ["string", "null"], "description": "The text of a query."},
        )
    ),
}
_PAGE = (
    parameter("limit", "Items of a page. Default: 100.", type="integer", minimum=1, maximum=1000),
    _CONTINUATION,
)
_OF_HEADGATE: dict[str, tuple[Schema, ...]] = {
    "/datasets/{id}/preview": (parameter("limit", "Rows. Default: 100.", type="integer", minimum=1, maximum=1000),),
    "/datasets/{id}/snapshots": _PAGE,
    **dict.fromkeys(("/people", "/clients", "/roles", "/grants", "/workers"), _PAGE),
    "/audit": (
        parameter("since", "From then on: ISO 8601 or milliseconds since the epoch."),
        parameter("until", "Before then."),
        parameter("principal", "Only what this principal did."),
        parameter("action", "Only this action, for instance create, update, delete, query, denied."),
        parameter("resource", "Only of the resource with this id, or of this kind."),
        parameter("sandbox", "Only of the sandbox of this name."),
        *_PAGE,
    ),
}
_IDENTITY = {
    **{
        f"POST /ims/token/v{version}": object_of(
            "access_token expires_in token_type",
            access_token=TEXT,
            expires_in={"type": "integer", "description": "Seconds."},
            token_type=TEXT,
        )
        for version in (1, 2, 3)
    },
    "GET /ims/userinfo/v2": object_of("sub", sub=TEXT),
    "GET /.well-known/openid-configuration": object_of("issuer jwks_uri", issuer=TEXT, jwks_uri=TEXT),
    "GET /ims/keys": object_of("keys", keys=list_of(MAP)),
}

ANSWERS: dict[str, Schema] = {
    f"{method} {prefix}{path}": shape
    for prefix, group in {
        "": {**_IDENTITY, "GET /health/live": _STATE, "GET /health/ready": _STATE},
        addresses.FLOW_SERVICE: _FLOW_SERVICE,
        addresses.SANDBOXES: _SANDBOXES,
        addresses.CATALOG: _CATALOG,
        addresses.EXPORT: _EXPORT,
        addresses.IMPORT: {"POST /batches/{id}": MAP},
        addresses.REGISTRY: _REGISTRY,
        addresses.CONVERSION: _CONVERSION,
        addresses.ACCESS: {
            "GET /acl/reference": object_of("permissions resource-types", permissions=MAP),
            "POST /acl/effective-policies": object_of("policies", policies=MAP),
        },
        addresses.CONNECTORS: {
            "GET /landingzone": object_of("dlzProvider containerName containerTTL", containerTTL=TEXT),
            "GET /landingzone/credentials": object_of(
                "containerName SASUri", SASUri=TEXT, SASToken=TEXT, expiryTime=_COUNT
            ),
        },
        addresses.HEADGATE: _HEADGATE,
        addresses.INSIGHTS: {"POST /metrics": object_of("metricResponses", metricResponses=list_of(MAP))},
    }.items()
    for route, shape in group.items()
    for method, _, path in [route.partition(" ")]
}

PARAMETERS: dict[str, tuple[Schema, ...]] = {
    **{route: _LISTING for route, shape in ANSWERS.items() if route.startswith("GET ") and "anyOf" in shape},
    **{f"GET {addresses.FLOW_SERVICE}/{kind}": (_FILTER,) for kind in ("connectionSpecs", "flowSpecs")},
    **{route: (_CONTINUATION,) for route in ANSWERS if route.endswith("/search")},
    **{f"GET {addresses.HEADGATE}{path}": more for path, more in _OF_HEADGATE.items()},
}
"""The query parameters that listings and searches of the flow service take, by the route."""
