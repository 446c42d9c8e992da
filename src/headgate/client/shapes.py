"""What the service answers: its JSON objects, member by member. Times are milliseconds since the epoch."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

__all__ = [
    "Activity",
    "AuditEntry",
    "Batch",
    "Changes",
    "ClientApplication",
    "Column",
    "Connection",
    "ConnectionSpec",
    "Covered",
    "Dataset",
    "Delivery",
    "Entry",
    "Flow",
    "FlowLoad",
    "FlowSpec",
    "Grant",
    "HeldRole",
    "Id",
    "Identified",
    "Load",
    "LogLine",
    "Made",
    "MadeClient",
    "MadeWebhook",
    "MappingSet",
    "Metrics",
    "Moment",
    "Organisation",
    "Person",
    "Preview",
    "Queue",
    "Role",
    "Rotated",
    "Rows",
    "RunDetails",
    "RunEstimate",
    "RunObject",
    "RunProblem",
    "RunState",
    "Sandbox",
    "SignInCode",
    "Snapshot",
    "SourceConnection",
    "Spec",
    "TableSchema",
    "TargetConnection",
    "Tested",
    "Webhook",
    "Window",
    "Worker",
]

Json: TypeAlias = dict[str, Any]

Moment: TypeAlias = datetime | date | str | int
"""A time: a datetime (UTC when it names no zone), a day, a text such as `2026-01-01T06:00Z`, `yesterday` or `-7d`, or a
number of seconds, from 10^11 on milliseconds, since the epoch."""

Window: TypeAlias = tuple[Moment, Moment]
"""`[start, end)`."""

RunState: TypeAlias = Literal["scheduled", "queued", "inProgress", "success", "partialSuccess", "failed", "cancelled"]


class Identified(TypedDict):
    """Whatever has an id."""

    id: str


Id: TypeAlias = str | Identified
"""An id, or an object that has one: what a listing gave, or what was made."""

Changes: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""New values by the member's name (`{"name": "…"}`) or pointer (`{"/params/tableName": "…"}`), or JSON Patch
operations."""


class Made(Identified):
    """What was made, in its first version."""

    etag: str


class SpecReference(Identified):
    """Which spec, in which version."""

    version: NotRequired[str]


class Audited(Identified):
    """What every stored object says of itself."""

    createdAt: int
    updatedAt: int
    createdBy: str
    updatedBy: str
    createdClient: str
    updatedClient: str
    sandboxId: str
    sandboxName: str
    imsOrgId: str
    version: str
    etag: str


class Resource(Audited):
    """What can be made and changed."""

    name: NotRequired[str]
    description: NotRequired[str]
    state: str


class Auth(TypedDict):
    """How a connection signs in; secrets are masked."""

    specName: str
    params: Json


class Connection(Resource):
    """How a system is reached."""

    connectionSpec: SpecReference
    auth: NotRequired[Auth]


class SourceConnection(Resource):
    """Which table or files of a connection are read."""

    connectionSpec: SpecReference
    baseConnectionId: NotRequired[str]
    data: NotRequired[Json]
    params: NotRequired[Json]


class TargetConnection(Resource):
    """Which dataset is written, and how."""

    connectionSpec: SpecReference
    data: NotRequired[Json]
    params: NotRequired[Json]


class Flow(Resource):
    """A source connection, a target connection, what happens between them, and when."""

    flowSpec: SpecReference
    sourceConnectionIds: list[str]
    targetConnectionIds: list[str]
    transformations: list[Json]
    scheduleParams: Json
    options: NotRequired[Json]
    inheritedAttributes: Json
    lastRunDetails: NotRequired[Json]


class RunProblem(TypedDict):
    """Why a run failed, or what it left out."""

    code: str
    message: str


class StatusSummary(TypedDict):
    """How a run stands."""

    status: RunState
    errors: NotRequired[list[RunProblem]]


class RecordSummary(TypedDict, total=False):
    """How many records were read and written."""

    inputRecordCount: int
    outputRecordCount: int
    createdRecordCount: int
    updatedRecordCount: int
    deletedRecordCount: int
    skippedRecordCount: int
    failedRecordCount: int


class Metrics(TypedDict):
    """What a run did so far."""

    statusSummary: StatusSummary
    durationSummary: NotRequired[dict[str, int]]
    recordSummary: NotRequired[RecordSummary]
    sizeSummary: NotRequired[dict[str, int]]
    fileSummary: NotRequired[Json]
    progress: NotRequired[Json]
    schemaChanges: NotRequired[list[Json]]


class RunObject(Audited):
    """A run of a flow over one window."""

    flowId: str
    flowSpec: SpecReference
    params: Json
    metrics: Metrics
    activities: list[Json]
    parentFlowRunId: NotRequired[str]
    childFlowRunIds: NotRequired[list[str]]


class LogLine(TypedDict):
    """A line of a run's log."""

    id: int
    at: int
    level: Literal["info", "warning", "error"]
    text: str


class RunDetails(Identified):
    """What is known of a run besides itself."""

    window: dict[str, int]
    writeMode: str | None
    attempts: list[Json]
    splits: list[Json]
    log: list[LogLine]
    deltaColumn: NotRequired[Json]
    snapshotId: NotRequired[str]


class RunEstimate(TypedDict):
    """What a run would do; what the source did not tell is `missing`, with the reason."""

    flowId: str
    window: dict[str, int]
    windowInWords: str
    earlierRuns: list[Json]
    writeMode: dict[str, str]
    missing: list[dict[str, str]]
    deltaColumn: NotRequired[Json]
    deltaColumns: NotRequired[list[Json]]
    rows: NotRequired[int]
    rowsAre: NotRequired[Literal["counted", "estimated"]]
    files: NotRequired[int]
    bytes: NotRequired[int]
    filesAre: NotRequired[Literal["counted", "at least"]]


class Covered(TypedDict):
    """A span of time, and whether runs of a flow have brought it."""

    windowStartTime: int
    windowEndTime: int
    state: Literal["ingested", "running", "failed", "missing"]


class Spec(Identified):
    """What kinds of connection or flow there are."""

    name: str
    version: str
    providerId: str
    attributes: Json


class ConnectionSpec(Spec):
    """A kind of system, and what a connection to it needs."""

    authSpec: list[Json]
    sourceSpec: NotRequired[Json]
    exploreSpec: NotRequired[Json]


class FlowSpec(Spec):
    """A kind of flow, and the kinds of source and target it joins."""

    sourceConnectionSpecIds: list[str]
    targetConnectionSpecIds: list[str]


class Tested(TypedDict):
    """Whether a connection's system lets it in, and why not."""

    result: bool
    reason: NotRequired[str]


class Entry(TypedDict):
    """A table, folder or file that a connection reaches."""

    type: str
    name: str
    path: str
    canPreview: bool
    canFetchSchema: bool


class Preview(TypedDict):
    """The columns of a table or file, and its first rows."""

    format: str
    schema: Json
    data: NotRequired[list[Json]]
    properties: NotRequired[Json]
    deltaColumns: NotRequired[list[Any]]
    unsupported: NotRequired[list[Any]]


class Dataset(Identified):
    """A table of the lake."""

    name: str
    state: str
    version: str
    created: int
    updated: int
    imsOrg: str
    sandboxId: str
    lastBatchId: NotRequired[str]
    lastBatchStatus: NotRequired[str]
    lastSuccessfulBatch: NotRequired[str]


class Batch(Identified):
    """What a run brought into a dataset."""

    status: str
    created: int
    updated: int
    relatedObjects: list[Json]
    recordCount: int
    failedRecordCount: int
    size: int
    metrics: Json
    tags: Json


class Sandbox(Identified):
    """A part of the organisation that holds its own connections, flows and datasets."""

    name: str
    title: str
    type: str
    state: str
    isDefault: bool


class MappingSet(Identified):
    """Which columns of a source become which fields; of one that was just made only its id and version."""

    version: int
    mappings: NotRequired[list[Json]]


class Webhook(Resource):
    """Who is told how runs begin and end."""

    url: str
    eventTypes: list[str]


class MadeWebhook(Made):
    """A webhook that was made, with the secret its messages are signed with, where none was sent."""

    secret: NotRequired[str]


class Delivery(Identified):
    """A message that a webhook was or will be sent."""

    eventId: str
    eventCode: str
    runId: str
    state: str
    tries: int
    createdAt: int
    updatedAt: int
    nextTryAt: NotRequired[int]
    status: NotRequired[int]
    reason: NotRequired[str]


class Column(TypedDict):
    """A column of rows, and its type in DuckDB."""

    name: str
    type: str


class Rows(TypedDict):
    """What a query answers; `truncated` when there are more rows."""

    columns: list[Column]
    rows: list[list[Any]]
    truncated: bool
    milliseconds: int


class TableSchema(TypedDict):
    """A dataset's table: the name by which queries call it, its columns (none before the first run), its partitions."""

    table: str
    columns: list[Json]
    partitionedBy: list[Json]


class Snapshot(Identified):
    """A state of a dataset's table, and the run that made it, if one did."""

    createdAt: int
    operation: str
    current: bool
    parentId: NotRequired[str]
    runId: NotRequired[str]
    addedRows: NotRequired[int]
    removedRows: NotRequired[int]
    totalRows: NotRequired[int]


class Worker(Identified):
    """A process that executes runs: at most `places` at a time; `runs` are those of the sandbox."""

    host: str
    pid: int
    version: str
    state: Literal["working", "idle", "silent"]
    places: int
    running: int
    runs: list[str]
    startedAt: int
    seenAt: int


class Load(TypedDict):
    """How many runs wait, are put off, and are under way."""

    waiting: int
    later: int
    running: int
    oldestDueAt: int | None
    oldestWaitSeconds: int | None


class FlowLoad(Load):
    """The runs of one flow."""

    flowId: str
    name: str


class Queue(Load):
    """The runs of the sandbox, by flow; and of the organisation, for those who may see its monitoring."""

    flows: list[FlowLoad]
    organisation: NotRequired[Load]


class Activity(TypedDict):
    """The runs of the last hours by state, and which flows are due next."""

    hours: list[Json]
    next: list[Json]


class Organisation(TypedDict):
    """An organisation that the caller may act in."""

    orgId: str
    name: str


class HeldRole(TypedDict):
    """A role, and the sandbox it holds in: None for the whole organisation."""

    role: str
    sandbox: str | None


class Person(Identified):
    """Somebody who was granted a role."""

    roles: list[HeldRole]


class ClientApplication(Person):
    """A client of the service, whose id is also its API key; the `issuer` of its tokens, empty for the built-in one."""

    name: str
    issuer: str


class MadeClient(Identified):
    """A client that was made, with its secret if it has one here."""

    name: str
    clientSecret: NotRequired[str]


class Rotated(Identified):
    """A client's new secret, and how long the last one stays good."""

    clientSecret: str
    overlapSeconds: int


class SignInCode(TypedDict):
    """What a person signs in with, once."""

    code: str
    user: str
    expiresIn: int


class Role(Identified):
    """What those who have it may do."""

    permissions: list[str]
    builtIn: bool


class Grant(Identified, HeldRole):
    """A role that was given to a person (`user`) or a client (`service`)."""

    principal: str
    kind: Literal["user", "service"]


class AuditEntry(Identified):
    """Who did what, or was refused it. `at` is in ISO 8601, UTC."""

    at: str
    sandbox: str
    principal: str
    client: str
    requestId: str
    action: str
    kind: str
    resource: str
    detail: NotRequired[str | None]
