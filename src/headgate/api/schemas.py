"""What request bodies look like, for the OpenAPI description: the service judges them, these describe."""

from headgate.api.json_schema import TEXT, Schema, list_of, object_of, parameter
from headgate.model.webhooks import EventCode

__all__ = [
    "CLIENT",
    "CONNECTION",
    "CONNECTION_SPEC",
    "DOCUMENT",
    "EXPRESSION",
    "FLOW",
    "FLOW_SPEC",
    "GRANT",
    "MAPPING",
    "MAPPING_SET",
    "MODE",
    "PATCH",
    "POLICIES",
    "PREVIEW",
    "PROVIDED_RUN",
    "QUERY",
    "ROLE",
    "ROTATION",
    "RUN",
    "SANDBOX",
    "SANDBOX_ACTION",
    "SANDBOX_TITLE",
    "SEARCH",
    "SIGN_IN_CODE",
    "SOURCE_CONNECTION",
    "SPEC_SEARCH",
    "TARGET_CONNECTION",
    "WEBHOOK",
    "action",
    "body",
    "versioned_body",
]


def body(schema: Schema) -> Schema:
    """The OpenAPI part of a route that takes a JSON body."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def versioned_body(schema: Schema) -> Schema:
    """The OpenAPI part of a route that takes a JSON body under the version in If-Match."""
    description = "The etag of what is changed, as it was read; * for any."
    version = parameter("If-Match", description, place="header", required=True)
    return {**body(schema), "parameters": [version]}


def action(*ops: str) -> Schema:
    """The OpenAPI part of a route that takes an action."""
    return {
        "parameters": [
            parameter("op", required=True, enum=list(ops)),
            parameter("subOp", enum=["apply", "rollback", "progress"]),
        ],
        "requestBody": {"required": False, "content": {"application/json": {"schema": _REPORT}}},
    }


_REPORT: Schema = {
    "type": "object",
    "description": "What a provider says of its action.",
    "properties": {
        "percentCompleted": {"type": "number"},
        "status": {"type": "object", "properties": {"value": {"type": "string"}}},
        "recordTypes": {"type": "array"},
    },
}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}
_TIME: Schema = {
    "type": ["integer", "string"],
    "description": "Unix seconds, or milliseconds from 10^11 on; as a number or a text of digits.",
}
_SPEC = object_of("id", id=TEXT, version={"type": "string", "const": "1.0"})
_IDS: Schema = {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 1}
_DELTA = object_of("name", name=_NAME, dateFormat=TEXT, timezone=TEXT)

QUERY: Schema = object_of(
    "sql", sql={"type": "string", "minLength": 1, "maxLength": 100_000, "description": "One statement that reads."}
)
CLIENT: Schema = object_of(
    "name",
    name=TEXT,
    id={**TEXT, "description": "Its id and API key; a new one when absent."},
    issuer={**TEXT, "description": "URL of the issuer whose tokens name it; such a client has no secret here."},
    role=TEXT,
    sandbox={**TEXT, "description": "Where the role is; the whole organisation when absent."},
)
ROTATION: Schema = object_of("", overlapSeconds={"type": "integer", "minimum": 0, "maximum": 2_592_000})
SIGN_IN_CODE: Schema = object_of("user", user=TEXT)
ROLE: Schema = object_of("name permissions", name=TEXT, permissions={**list_of(TEXT), "minItems": 1})
GRANT: Schema = object_of(
    "principal role",
    principal={**TEXT, "description": "User id of a person, or id of a client."},
    kind={"type": "string", "enum": ["user", "service"], "default": "user"},
    role=TEXT,
    sandbox={**TEXT, "description": "The whole organisation when absent."},
)
MODE: Schema = {"parameters": [parameter("mode", enum=["draft"])]}
PATCH: Schema = {
    "type": "array",
    "minItems": 1,
    "items": object_of("op path", op={"type": "string", "enum": ["add", "replace", "remove"]}, path=TEXT, value={}),
}
SANDBOX = object_of(
    "name title type",
    name={"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,63}$"},
    title={"type": "string", "minLength": 1, "maxLength": 255},
    type={"type": "string", "enum": ["production", "development"]},
)
SANDBOX_TITLE: Schema = {
    **object_of("title", title={"type": "string", "minLength": 1, "maxLength": 255}),
    "additionalProperties": False,
}
SANDBOX_ACTION = object_of("action", action={"type": "string", "const": "reset"})
POLICIES: Schema = {"type": "array", "items": {"type": "string", "example": "/permissions/manage-datasets"}}
CONNECTION = object_of(
    "name connectionSpec",
    name=_NAME,
    description=TEXT,
    connectionSpec=_SPEC,
    auth=object_of("specName", specName=TEXT, params={"type": "object"}),
)
SOURCE_CONNECTION = object_of(
    "name connectionSpec params",
    name=_NAME,
    description=TEXT,
    connectionSpec=_SPEC,
    baseConnectionId=TEXT,
    data=object_of("", format={"type": "string", "enum": ["tabular", "delimited", "json", "parquet", "avro", "orc"]}),
    params=object_of("", tableName=TEXT, path=TEXT),
)
TARGET_CONNECTION = object_of(
    "connectionSpec params",
    name=_NAME,
    description=TEXT,
    connectionSpec=_SPEC,
    data={"type": "object"},
    params=object_of(
        "dataSetId",
        dataSetId=TEXT,
        writeMode={"type": "string", "enum": ["replaceWindow", "append", "upsert"], "default": "replaceWindow"},
        primaryKey={"type": "array", "items": TEXT},
        partitionBy={"type": "string", "enum": ["day", "month"]},
        sortBy={"type": "array", "items": TEXT, "minItems": 1},
        targetFileSizeMb={"type": "integer", "minimum": 1, "maximum": 10_000},
    ),
)
FLOW = object_of(
    "name flowSpec sourceConnectionIds targetConnectionIds scheduleParams",
    name=_NAME,
    description=TEXT,
    flowSpec=_SPEC,
    sourceConnectionIds=_IDS,
    targetConnectionIds=_IDS,
    transformations={"type": "array", "items": object_of("name", name=TEXT, params={"type": "object"})},
    scheduleParams=object_of(
        "startTime frequency",
        startTime=_TIME,
        frequency={"type": "string", "enum": ["once", "minute", "hour", "day", "week"]},
        interval={"type": ["integer", "string"]},
        backfill={"enum": [True, False, "true", "false"]},
    ),
    options=object_of(
        "",
        errorDiagnosticsEnabled={"type": "boolean"},
        partialIngestionPercent={"type": "number", "exclusiveMinimum": 0, "maximum": 100},
    ),
)
RUN = object_of(
    "flowId",
    flowId=TEXT,
    params=object_of(
        "windowStartTime windowEndTime",
        startTime=_TIME,
        windowStartTime=_TIME,
        windowEndTime=_TIME,
        deltaColumn=_DELTA,
    ),
)
PROVIDED_RUN = object_of(
    "",
    providerRefId=TEXT,
    parentFlowRunId=TEXT,
    recordTypes=list_of(TEXT),
    predecessors={"type": "array", "items": object_of("flowId flowRunId", flowId=TEXT, flowRunId=TEXT)},
    metrics={"type": "object"},
    activities={"type": "array", "items": object_of("id", id=TEXT)},
)
_PART = object_of("", name=TEXT, type=TEXT, spec={"type": "object"})
_PARTS: Schema = {"type": "array", "items": {**_PART, "required": ["name"]}}
_ABOUT_SPEC: dict[str, Schema] = {
    "name": _NAME,
    "providerId": {"type": "string", "minLength": 1},
    "type": TEXT,
    "description": TEXT,
    "attributes": {"type": "object"},
}
CONNECTION_SPEC = object_of(
    "name providerId",
    **_ABOUT_SPEC,
    authSpec=_PARTS,
    encryptionSpecs=_PARTS,
    sourceSpec=_PART,
    targetSpec=_PART,
    exploreSpec=_PART,
)
FLOW_SPEC = object_of(
    "name providerId",
    **_ABOUT_SPEC,
    sourceConnectionSpecIds=list_of(TEXT),
    targetConnectionSpecIds=list_of(TEXT),
    optionSpec=_PART,
    scheduleSpec=_PART,
    runSpec=_PART,
    transformationSpec=_PARTS,
)
WEBHOOK = object_of(
    "name url",
    name=_NAME,
    description=TEXT,
    url={"type": "string", "format": "uri", "maxLength": 2000},
    eventTypes=list_of({"type": "string", "enum": list(EventCode)}),
    secret={"type": "string", "pattern": "^whsec_[A-Za-z0-9+/]{32,88}$"},
)
SEARCH = object_of(
    "",
    queryString={**TEXT, "description": "What follows `?` in a listing: property=state==enabled&property=name==x"},
    limit={"type": "integer", "minimum": 1, "maximum": 1000},
    orderby=TEXT,
    count={"type": "boolean"},
    projectionFields=list_of(TEXT),
)
SPEC_SEARCH = {**SEARCH, "properties": {**SEARCH["properties"], "groupByProperty": TEXT}}
DOCUMENT: Schema = {
    "type": "object",
    "description": "A JSON Schema with XDM's members; a descriptor has @type and xdm:sourceSchema instead of a title.",
    "properties": {
        "title": _NAME,
        "description": TEXT,
        "type": {"type": "string", "const": "object"},
        "definitions": {"type": "object"},
        "properties": {"type": "object"},
        "allOf": {"type": "array", "items": {"type": "object"}},
        "required": list_of(TEXT),
        "@type": TEXT,
        "xdm:sourceSchema": TEXT,
    },
}
MAPPING = object_of(
    "source destination",
    sourceType={"type": "string", "enum": ["ATTRIBUTE", "STATIC", "EXPRESSION"], "default": "ATTRIBUTE"},
    source=TEXT,
    destination=TEXT,
    name=TEXT,
    description=TEXT,
)
_SCHEMA_REF = object_of("id", id=TEXT, contentType=TEXT)
MAPPING_SET = object_of(
    "mappings",
    name=TEXT,
    outputSchema=object_of("schemaRef", schemaRef=_SCHEMA_REF),
    mappings={"type": "array", "items": MAPPING, "maxItems": 1000},
)
PREVIEW = object_of(
    "data mappingSet",
    data={"type": ["object", "array"], "description": "A record, or a list of at most 100."},
    mappingSet=MAPPING_SET,
)
EXPRESSION = object_of("expression", expression={**TEXT, "minLength": 1})
