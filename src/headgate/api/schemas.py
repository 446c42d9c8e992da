"""What request bodies look like, for the OpenAPI description: the service judges them, these describe."""

from typing import Any

__all__ = [
    "CONNECTION",
    "CONNECTION_SPEC",
    "DOCUMENT",
    "EXPRESSION",
    "FLOW",
    "FLOW_SPEC",
    "MAPPING",
    "MAPPING_SET",
    "MODE",
    "PATCH",
    "POLICIES",
    "PREVIEW",
    "PROVIDED_RUN",
    "RUN",
    "SANDBOX",
    "SANDBOX_ACTION",
    "SANDBOX_TITLE",
    "SEARCH",
    "SOURCE_CONNECTION",
    "SPEC_SEARCH",
    "TARGET_CONNECTION",
    "Schema",
    "action",
    "body",
    "versioned_body",
]

Schema = dict[str, Any]


def body(schema: Schema) -> Schema:
    """The OpenAPI part of a route that takes a JSON body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def versioned_body(schema: Schema) -> Schema:
    """The OpenAPI part of a route that takes a JSON body under the version in If-Match."""
    version = {
        "name": "If-Match",
        "in": "header",
        "required": True,
        "schema": {"type": "string"},
        "description": "The etag of what is changed, as it was read; * for any.",
    }
    return {**body(schema), "parameters": [version]}


def action(*ops: str) -> Schema:
    """The OpenAPI part of a route that takes an action."""
    return {
        "parameters": [
            {"name": "op", "in": "query", "required": True, "schema": {"type": "string", "enum": list(ops)}},
            {"name": "subOp", "in": "query", "schema": {"type": "string", "enum": ["apply", "rollback", "progress"]}},
        ],
        "requestBody": {"required": False, "content": {"application/json": {"schema": _REPORT}}},
    }


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


_REPORT: Schema = {
    "type": "object",
    "description": "What a provider says of its action.",
    "properties": {
        "percentCompleted": {"type": "number"},
        "status": {"type": "object", "properties": {"value": {"type": "string"}}},
        "recordTypes": {"type": "array"},
    },
}
_TEXT: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}
_TIME: Schema = {
    "type": ["integer", "string"],
    "description": "Unix seconds, or milliseconds from 10^11 on; as a number or a text of digits.",
}
_SPEC = _object(["id"], id=_TEXT, version={"type": "string", "const": "1.0"})
_IDS: Schema = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 1}
_DELTA = _object(["name"], name=_NAME, dateFormat=_TEXT, timezone=_TEXT)

MODE: Schema = {"parameters": [{"name": "mode", "in": "query", "schema": {"type": "string", "enum": ["draft"]}}]}
PATCH: Schema = {
    "type": "array",
    "minItems": 1,
    "items": _object(["op", "path"], op={"type": "string", "enum": ["add", "replace", "remove"]}, path=_TEXT, value={}),
}
SANDBOX = _object(
    ["name", "title", "type"],
    name={"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,63}$"},
    title={"type": "string", "minLength": 1, "maxLength": 255},
    type={"type": "string", "enum": ["production", "development"]},
)
SANDBOX_TITLE: Schema = {
    **_object(["title"], title={"type": "string", "minLength": 1, "maxLength": 255}),
    "additionalProperties": False,
}
SANDBOX_ACTION = _object(["action"], action={"type": "string", "const": "reset"})
POLICIES: Schema = {"type": "array", "items": {"type": "string", "example": "/permissions/manage-datasets"}}
CONNECTION = _object(
    ["name", "connectionSpec"],
    name=_NAME,
    description=_TEXT,
    connectionSpec=_SPEC,
    auth=_object(["specName"], specName=_TEXT, params={"type": "object"}),
)
SOURCE_CONNECTION = _object(
    ["name", "connectionSpec", "params"],
    name=_NAME,
    description=_TEXT,
    connectionSpec=_SPEC,
    baseConnectionId=_TEXT,
    data=_object([], format={"type": "string", "enum": ["tabular", "delimited", "json", "parquet"]}),
    params=_object([], tableName=_TEXT, path=_TEXT),
)
TARGET_CONNECTION = _object(
    ["connectionSpec", "params"],
    name=_NAME,
    description=_TEXT,
    connectionSpec=_SPEC,
    data={"type": "object"},
    params=_object(
        ["dataSetId"],
        dataSetId=_TEXT,
        writeMode={"type": "string", "enum": ["replaceWindow", "append"], "default": "replaceWindow"},
    ),
)
FLOW = _object(
    ["name", "flowSpec", "sourceConnectionIds", "targetConnectionIds", "scheduleParams"],
    name=_NAME,
    description=_TEXT,
    flowSpec=_SPEC,
    sourceConnectionIds=_IDS,
    targetConnectionIds=_IDS,
    transformations={"type": "array", "items": _object(["name"], name=_TEXT, params={"type": "object"})},
    scheduleParams=_object(
        ["startTime", "frequency"],
        startTime=_TIME,
        frequency={"type": "string", "enum": ["once", "minute", "hour", "day", "week"]},
        interval={"type": ["integer", "string"]},
        backfill={"enum": [True, False, "true", "false"]},
    ),
    options=_object(
        [],
        errorDiagnosticsEnabled={"type": "boolean"},
        partialIngestionPercent={"type": "number", "exclusiveMinimum": 0},
    ),
)
RUN = _object(
    ["flowId"],
    flowId=_TEXT,
    params=_object(
        ["windowStartTime", "windowEndTime"],
        startTime=_TIME,
        windowStartTime=_TIME,
        windowEndTime=_TIME,
        deltaColumn=_DELTA,
    ),
)
PROVIDED_RUN = _object(
    [],
    providerRefId=_TEXT,
    parentFlowRunId=_TEXT,
    recordTypes={"type": "array", "items": _TEXT},
    predecessors={"type": "array", "items": _object(["flowId", "flowRunId"], flowId=_TEXT, flowRunId=_TEXT)},
    metrics={"type": "object"},
    activities={"type": "array", "items": _object(["id"], id=_TEXT)},
)
_PART = _object([], name=_TEXT, type=_TEXT, spec={"type": "object"})
_PARTS: Schema = {"type": "array", "items": {**_PART, "required": ["name"]}}
_ABOUT_SPEC: dict[str, Schema] = {
    "name": _NAME,
    "providerId": {"type": "string", "minLength": 1},
    "type": _TEXT,
    "description": _TEXT,
    "attributes": {"type": "object"},
}
CONNECTION_SPEC = _object(
    ["name", "providerId"],
    **_ABOUT_SPEC,
    authSpec=_PARTS,
    encryptionSpecs=_PARTS,
    sourceSpec=_PART,
    targetSpec=_PART,
    exploreSpec=_PART,
)
FLOW_SPEC = _object(
    ["name", "providerId"],
    **_ABOUT_SPEC,
    sourceConnectionSpecIds={"type": "array", "items": _TEXT},
    targetConnectionSpecIds={"type": "array", "items": _TEXT},
    optionSpec=_PART,
    scheduleSpec=_PART,
    runSpec=_PART,
    transformationSpec=_PARTS,
)
SEARCH = _object(
    [],
    queryString={**_TEXT, "description": "What follows `?` in a listing: property=state==enabled&property=name==x"},
    limit={"type": "integer", "minimum": 1, "maximum": 1000},
    orderby=_TEXT,
    count={"type": "boolean"},
    projectionFields={"type": "array", "items": _TEXT},
)
SPEC_SEARCH = {**SEARCH, "properties": {**SEARCH["properties"], "groupByProperty": _TEXT}}
DOCUMENT: Schema = {
    "type": "object",
    "description": "A JSON Schema with XDM's members; a descriptor has @type and xdm:sourceSchema instead of a title.",
    "properties": {
        "title": _NAME,
        "description": _TEXT,
        "type": {"type": "string", "const": "object"},
        "definitions": {"type": "object"},
        "properties": {"type": "object"},
        "allOf": {"type": "array", "items": {"type": "object"}},
        "required": {"type": "array", "items": _TEXT},
        "@type": _TEXT,
        "xdm:sourceSchema": _TEXT,
    },
}
MAPPING = _object(
    ["source", "destination"],
    sourceType={"type": "string", "enum": ["ATTRIBUTE", "STATIC", "EXPRESSION"], "default": "ATTRIBUTE"},
    source=_TEXT,
    destination=_TEXT,
    name=_TEXT,
    description=_TEXT,
)
_SCHEMA_REF = _object(["id"], id=_TEXT, contentType=_TEXT)
MAPPING_SET = _object(
    ["mappings"],
    name=_TEXT,
    outputSchema=_object(["schemaRef"], schemaRef=_SCHEMA_REF),
    mappings={"type": "array", "items": MAPPING, "maxItems": 1000},
)
PREVIEW = _object(
    ["data", "mappingSet"],
    data={"type": ["object", "array"], "description": "A record, or a list of at most 100."},
    mappingSet=MAPPING_SET,
)
EXPRESSION = _object(["expression"], expression={**_TEXT, "minLength": 1})
