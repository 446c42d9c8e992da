"""Every error Headgate raises, in one tree.

HeadgateError
├── GatewayError            who calls, and for whom: answered in the gateway's envelope
├── TokenRefused            the token endpoint: answered as OAuth 2.0 says
├── SandboxRefusal          sandbox management, in its own envelope
├── InvalidRequest          400: the request itself is wrong
│   ├── …                   one class per catalogue code
│   └── ProviderRefusal     those of the source providers' table
├── NotFound                404
├── VersionConflict         412
├── Unavailable             503, nothing was stored
│   └── OutcomeUnknown      or nobody can say
└── RunError                why a run failed; never an HTTP answer
    ├── SourceError         reading; `retryable` says whether another attempt may help
    └── TargetError         writing

A class is an HTTP status, a stable code and a promise about retrying. Its docstring is the default
message, so that the text a user sees and the reference page are the same. Codes are those of the
public Flow Service error tables; `CONNECTOR-` marks the table of the source providers.
"""

import math
from typing import ClassVar


class HeadgateError(Exception):
    """Something went wrong inside Headgate. The request id in this answer finds it in the log."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "FLOW-1400-500"
    title: ClassVar[str] = "Internal Error"
    retryable: ClassVar[bool] = False

    retry_after: int = 1  # seconds after which a retryable request may be sent again

    def __init__(self, detail: str | None = None, **report: str) -> None:
        """Raise with `detail` in place of the docstring; `report` names the values it speaks of."""
        self.detail = detail or " ".join((type(self).__doc__ or "").split())
        self.report = report
        super().__init__(self.detail)


class BadSetting(HeadgateError):
    """A setting cannot be read."""

    status = 400
    title = "Bad setting"


class VaultLocked(HeadgateError):
    """The credentials of this connection do not open: they were sealed elsewhere, or with a key that is lost."""

    code = "FLOW-EXT-SECRETS-500"
    title = "Secrets locked"


class SecretsKeyUnusable(HeadgateError):
    """The secrets key cannot be read."""

    code = "FLOW-EXT-SECRETS-500"
    title = "Secrets locked"


# -- the gateway: who calls, for which organisation and sandbox ------------------------------------


class GatewayError(HeadgateError):
    """The request could not be let in."""

    status = 403
    code = "403000"
    title = "Forbidden"


class TokenMissing(GatewayError):
    """The Authorization header is missing. Send `Authorization: Bearer <token>`."""

    code = "403010"


class TokenInvalid(GatewayError):
    """The token is expired or cannot be used here. `headgate credentials` prints a new one."""

    status = 401
    code = "401013"
    title = "Unauthorized"


class ApiKeyMissing(GatewayError):
    """The x-api-key header is missing."""

    code = "403000"


class ApiKeyInvalid(GatewayError):
    """The x-api-key header names no client of this service."""

    code = "403003"


class OrgMissing(GatewayError):
    """The x-gw-ims-org-id header is missing."""

    status = 400
    code = "400003"
    title = "Bad Request"


class OrgForbidden(GatewayError):
    """The token is not entitled to this organisation."""

    code = "403025"


# -- the token endpoint: codes of RFC 6749 -----------------------------------------------------------


class TokenRefused(HeadgateError):
    """The token request is not valid."""

    status = 400
    code = "invalid_request"
    title = "Bad Request"


class ClientRefused(TokenRefused):
    """`client_id` and `client_secret` are not those of a client of this service."""

    status = 401
    code = "invalid_client"
    title = "Unauthorized"


class CodeRefused(TokenRefused):
    """`code` is not valid: it was used, it is too old, or another client's. `headgate login --code` makes one."""

    code = "invalid_grant"


class GrantTypeUnsupported(TokenRefused):
    """`grant_type` must be client_credentials or authorization_code."""

    code = "unsupported_grant_type"


# -- sandbox management: numbers of our own, where the public ones are not known -----------------------


class SandboxRefusal(HeadgateError):
    """The sandbox cannot be managed like this."""

    status = 400
    code = "SMS-2000-400"
    title = "Bad Request"


class BadSandbox(SandboxRefusal):
    """A member of the body is missing or has a value that is not allowed."""

    code = "SMS-2001-400"


class SandboxProtected(SandboxRefusal):
    """The default sandbox can neither be reset nor deleted."""

    code = "SMS-2002-400"


class SandboxUnknown(SandboxRefusal):
    """No sandbox of this name exists in the organisation."""

    status = 404
    code = "SMS-2003-404"
    title = "Not Found"


class SandboxTaken(SandboxRefusal):
    """There is a sandbox of this name already, perhaps a deleted one."""

    status = 409
    code = "SMS-2004-409"
    title = "Conflict"


class SandboxBusy(SandboxRefusal):
    """A run of the sandbox has not ended yet. Send the request again."""

    status = 409
    code = "SMS-2005-409"
    title = "Conflict"


# -- requests --------------------------------------------------------------------------------------


class InvalidRequest(HeadgateError):
    """The request is not valid."""

    status = 400
    code = "FLOW-1100-400"
    title = "Invalid request"


class BadBody(InvalidRequest):
    """The body is not valid JSON."""

    code = "BadRequestError"
    title = "BadRequestError"


class BodyEmpty(InvalidRequest):
    """The request body is empty. Send a JSON object."""

    code = "FLOW-1405-400"


class BodyTooLarge(InvalidRequest):
    """The request body is larger than 1 MiB."""

    status = 413
    code = "FLOW-1100-413"
    title = "Payload too large"


class HostNotAllowed(InvalidRequest):
    """The host may not be reached from here. The operator lists what may be in HEADGATE_ALLOWED_HOSTS."""

    code = "FLOW-EXT-HOST-400"
    title = "Host not allowed"


class LimitWithCount(InvalidRequest):
    """`count=true` and `limit` exclude one another; send one of them."""

    code = "FLOW-1401-400"


class FinalizeForbidden(InvalidRequest):
    """Only a source provider, by a service token, may finalize a transition."""

    code = "FLOW-1402-400"


class VersionMissing(InvalidRequest):
    """The If-Match header is missing. Send the etag of the resource as you read it."""

    code = "FLOW-1403-400"
    title = "Header is missing"


class ProgressCombined(InvalidRequest):
    """The subOp PROGRESS cannot be combined with another."""

    code = "FLOW-1406-400"


class ProgressOfFailure(InvalidRequest):
    """The subOp PROGRESS cannot report a failure."""

    code = "FLOW-1407-400"


class NotFinal(InvalidRequest):
    """A final status needs a percentCompleted of 100."""

    code = "FLOW-1408-400"


class FinalizeInState(InvalidRequest):
    """Nothing is to be finalized in this state."""

    code = "FLOW-1409-400"


class PathNotAllowed(InvalidRequest):
    """No folder of this machine is open to this organisation. The operator names some in HEADGATE_FILE_ROOTS."""

    code = "FLOW-EXT-PATH-400"
    title = "Path not allowed"


class ReferenceRefused(InvalidRequest):
    """The reference `env:NAME` or `file:PATH` in place of a secret leads to nothing that may be used."""

    code = "FLOW-EXT-REFERENCE-400"
    title = "Reference refused"


class HeadersTooLarge(InvalidRequest):
    """The request's header is too large: it may have 100 fields and 16 KiB."""

    status = 431
    code = "FLOW-1100-431"
    title = "Request header too large"


class TooManyRequests(HeadgateError):
    """Too much was asked for in a short time; nothing was stored. Try again after the seconds of Retry-After."""

    status = 429
    code = "FLOW-EXT-LIMIT-429"
    title = "Too many requests"
    retryable = True

    def __init__(self, reason: str, *, after: float) -> None:
        """Refuse because of `reason`; it is worth trying again `after` so many seconds."""
        self.retry_after = max(1, math.ceil(after))
        super().__init__(f"{reason} Nothing was stored. Try again in {self.retry_after} seconds.")


class StateNotAllowed(InvalidRequest):
    """A flow is created without `state`; leave it out of the body."""

    code = "FLOW-1410-400"


class UnknownSpec(InvalidRequest):
    """No connection spec or flow spec has this id."""

    code = "FLOW-1413-400"


class SpecImmutable(InvalidRequest):
    """`connectionSpec` and `flowSpec` cannot be changed. Make a new resource."""

    code = "FLOW-1414-400"


class AuthSpecImmutable(InvalidRequest):
    """`auth.specName` cannot be changed. Make a new connection."""

    code = "FLOW-1415-400"


class UnknownAuthSpec(InvalidRequest):
    """`auth.specName` is not one of this connection spec's authentication specs."""

    code = "FLOW-1415-400"


class ConnectionInUse(InvalidRequest):
    """The connection is used by a flow. Delete the flow first."""

    code = "FLOW-1418-400"


class BadMapping(InvalidRequest):
    """The mapping set is not valid. `POST /mappingSets/validate` says what is wrong with each mapping."""

    code = "FLOW-1419-400"


class ConnectionForbidsUpdate(InvalidRequest):
    """The connection's state does not allow a change."""

    code = "FLOW-1416-400"


class StateForbidsUpdate(InvalidRequest):
    """The state does not allow a change."""

    code = "FLOW-1420-400"


class TransitionUnderWay(InvalidRequest):
    """The state is about to change; wait until it is final."""

    code = "FLOW-1421-400"


class IllegalTransition(InvalidRequest):
    """The state does not allow this."""

    code = "FLOW-1422-400"


class SpecsForbidden(InvalidRequest):
    """Specs are kept by administrators and by service tokens; this token may not change them."""

    code = "FLOW-1426-400"


class SpecOfCatalogue(InvalidRequest):
    """The spec belongs to the catalogue, which all organisations share; describe one of your own instead."""

    code = "FLOW-1426-400"


class TooManySpecs(InvalidRequest):
    """An organisation describes at most 500 connection specs and 500 flow specs."""


class RunUpdateForbidden(InvalidRequest):
    """Only a source provider, by a service token, updates runs. Users make, cancel and re-trigger them."""

    code = "FLOW-1427-400"


class UnknownPredecessorRun(InvalidRequest):
    """No run with this id exists in this organisation and sandbox."""

    code = "FLOW-1428-400"


class UnknownPredecessorFlow(InvalidRequest):
    """No flow with this id exists in this organisation and sandbox."""

    code = "FLOW-1429-400"


class UnknownFlow(InvalidRequest):
    """No flow with this id exists in this organisation and sandbox."""

    code = "FLOW-1430-400"


class PolicyEmpty(InvalidRequest):
    """`policy` names no `enforcementRefs`. Name some, or leave policy out."""

    code = "FLOW-1431-400"


class BadOrderByPrefix(InvalidRequest):
    """`orderby` begins with + or - or with the field's name."""

    code = "FLOW-1432-400"


class BadOrderBy(InvalidRequest):
    """`orderby` names a field that cannot be sorted by."""

    code = "FLOW-1433-400"


class UnknownPatchOperation(InvalidRequest):
    """A patch has the operations add, replace and remove."""

    code = "FLOW-1434-400"


class BadSubAction(InvalidRequest):
    """The subOp is not known."""

    code = "FLOW-1435-400"


class SubActionForbidden(InvalidRequest):
    """This action takes no subOp."""

    code = "FLOW-1436-400"


class BadSubStatus(InvalidRequest):
    """The status of the reported action is not known."""

    code = "FLOW-1437-400"


class BadGrouping(InvalidRequest):
    """`groupByProperty` names what cannot be grouped by."""

    code = "FLOW-1438-400"


class OperatorNotThere(InvalidRequest):
    """This operator of the `property` filter is not implemented. Use ==, !=, <, <=, > or >=."""

    code = "FLOW-1440-400"


class OperatorTakesOneValue(InvalidRequest):
    """This operator compares with one value; several values go with == only."""

    code = "FLOW-1443-400"


class FlowNotEnabled(InvalidRequest):
    """The flow is not in the state `enabled`, so it takes no runs."""

    code = "FLOW-1444-400"


class NotPublished(InvalidRequest):
    """What this refers to is a draft. Publish it first, by `op=publish`."""

    code = "FLOW-1444-400"


class FlowIdMissing(InvalidRequest):
    """`flowId` is missing or empty."""

    code = "FLOW-1446-400"


class UsedByFlow(InvalidRequest):
    """Active flows contain this id. Delete them first."""

    code = "FLOW-1447-400"


class OperatorNotForField(InvalidRequest):
    """This operator cannot be used with this field."""

    code = "FLOW-1448-400"


class UnknownField(InvalidRequest):
    """The `property` filter names a field that cannot be filtered by."""

    code = "FLOW-1449-400"


class UnknownSpecField(UnknownField):
    """The `property` filter names a field of specs that cannot be filtered by."""

    code = "FLOW-1423-400"


class UnknownOperator(InvalidRequest):
    """The `property` filter has no operator that is known here. Use ==, !=, <, <=, > or >=."""

    code = "FLOW-1450-400"


class UnknownParameter(InvalidRequest):
    """The query parameter is not known here."""

    code = "FLOW-1451-400"


class BadFilterValue(InvalidRequest):
    """The value cannot be used here."""

    code = "FLOW-1452-400"


class EmptyFilterValue(InvalidRequest):
    """The `property` filter has no value."""

    code = "FLOW-1453-400"


class PatchFieldMissing(InvalidRequest):
    """The patch names a field that is not there, or lacks one itself."""

    code = "FLOW-1455-400"


class StateForbidsChange(InvalidRequest):
    """The state of the source or target connection does not allow a change."""

    code = "FLOW-1457-400"


class StateForbidsDeletion(InvalidRequest):
    """The state of the source or target connection or of the flow does not allow to delete it."""

    code = "FLOW-1458-400"


class PatchTooLong(InvalidRequest):
    """The patch holds too many operations. Send them in several requests."""


class UnknownAction(InvalidRequest):
    """The action is not known. Runs take `op=cancel` and `op=re-trigger`."""

    code = "CONNECTOR-1401-400"
    title = "Bad Request"


class SandboxMissing(InvalidRequest):
    """The x-sandbox-name header is missing."""

    code = "FLOW-2105-400"


class SandboxNotFound(InvalidRequest):
    """No sandbox of this name exists in the organisation."""

    status = 404
    code = "FLOW-2100-404"
    title = "Resource not found"


class DefaultSandboxMissing(SandboxNotFound):
    """The organisation has no default sandbox here. Name one by x-sandbox-name."""

    code = "FLOW-2106-404"


class SandboxMismatch(InvalidRequest):
    """x-sandbox-id and x-sandbox-name do not name the same sandbox."""

    status = 404
    code = "FLOW-2103-404"
    title = "Resource not found"


class SandboxIdForbidden(InvalidRequest):
    """x-sandbox-id is for service tokens; a user token names its sandbox by x-sandbox-name."""

    code = "FLOW-2110-400"


class CrossSandboxForbidden(InvalidRequest):
    """A user token reads one sandbox at a time; `*` is not allowed in x-sandbox-name."""

    status = 403
    code = "FLOW-2111-403"


class PermissionDenied(InvalidRequest):
    """The caller may not do this in this sandbox. An administrator can grant a role that may."""

    status = 403
    code = "FLOW-2121-403"
    title = "Forbidden"


class BadSchema(InvalidRequest):
    """The document is not one that the schema registry can hold."""

    code = "XDM-1020-400"


class SchemaInUse(InvalidRequest):
    """The document is used by others. Delete those first."""

    code = "XDM-1021-400"


class SchemaReadOnly(InvalidRequest):
    """What every registry has cannot be changed; make a document of your own in `tenant`."""

    status = 403
    code = "XDM-1022-403"
    title = "Read only"


class UnknownMappingVersion(InvalidRequest):
    """The mapping set has no such version."""

    code = "FLOW-1412-400"


class SchemasDiffer(InvalidRequest):
    """The dataset's schema is not the mapping set's output schema."""

    code = "FLOW-1425-400"


class ProviderRefusal(InvalidRequest):
    """The source provider refuses the request."""

    code = "CONNECTOR-1100-400"
    title = "Bad Request"


class ParameterMissing(ProviderRefusal):
    """A mandatory parameter is missing or empty."""

    code = "CONNECTOR-1304-400"


class ConnectorUnsupported(ProviderRefusal):
    """This kind of system cannot be used here."""

    code = "CONNECTOR-1305-400"


class TargetNotLake(ProviderRefusal):
    """The target connection must use the connection spec `datalake`."""

    code = "CONNECTOR-1307-400"


class BadParameter(ProviderRefusal):
    """A parameter has a value that is not allowed."""

    code = "CONNECTOR-1312-400"


class ScheduleEmpty(ProviderRefusal):
    """`scheduleParams` is missing or empty. Send startTime and frequency."""

    code = "CONNECTOR-1317-400"


class IdMissing(ProviderRefusal):
    """`sourceConnectionIds` and `targetConnectionIds` must be given."""

    code = "CONNECTOR-1320-400"


class NotExactlyOne(ProviderRefusal):
    """`sourceConnectionIds` and `targetConnectionIds` must hold exactly one id each."""

    code = "CONNECTOR-1321-400"


class DatasetIdMissing(ProviderRefusal):
    """`params.dataSetId` is missing or names no dataset of this sandbox."""

    code = "CONNECTOR-1325-400"


class BadFormat(ProviderRefusal):
    """`data.format` is not one that this source has."""

    code = "CONNECTOR-1327-400"


class NoColumns(ProviderRefusal):
    """The table or file has no columns."""

    code = "CONNECTOR-1330-400"


class BadDelimiter(ProviderRefusal):
    """`columnDelimiter` must be exactly one character."""

    code = "CONNECTOR-1331-400"


class BaseConnectionForbidden(ProviderRefusal):
    """This source needs no account, so `baseConnectionId` must be left out."""

    code = "CONNECTOR-1332-400"


class ObjectTypeMissing(ProviderRefusal):
    """`objectType` is missing. Send root, table, folder or file."""

    code = "CONNECTOR-1334-400"


class FileTypeMissing(ProviderRefusal):
    """`fileType` is missing. Send delimited, json or parquet, or determineProperties=true."""

    code = "CONNECTOR-1335-400"


class ObjectMissing(ProviderRefusal):
    """`object` is missing. Send the path of a table, folder or file, as exploring gave it."""

    code = "CONNECTOR-1337-400"


class BadTime(ProviderRefusal):
    """A time cannot be read. Send Unix seconds or milliseconds, as an integer or a string of digits."""

    code = "CONNECTOR-1340-400"


class BadRowFilter(ProviderRefusal):
    """The row filter is malformed."""

    code = "CONNECTOR-1349-400"


class FilterOperatorMissing(ProviderRefusal):
    """A part of the row filter has no operator. Send its fnName."""

    code = "CONNECTOR-1350-400"


class FilterOperatorUnknown(ProviderRefusal):
    """The row filter has no such operator."""

    code = "CONNECTOR-1351-400"


class FilterOperatorMisused(ProviderRefusal):
    """An operator of the row filter cannot be used like this."""

    code = "CONNECTOR-1352-400"


class FilterNotOffered(ProviderRefusal):
    """This source cannot filter rows. Leave the row filter out."""

    code = "CONNECTOR-1353-400"


class FilterNodeUnknown(ProviderRefusal):
    """A part of the row filter has a nodeType that is not known here."""

    code = "CONNECTOR-1354-400"


class FilterTypeWrong(ProviderRefusal):
    """The row filter's `type` must be PQL."""

    code = "CONNECTOR-1355-400"


class FilterFormatWrong(ProviderRefusal):
    """The row filter's `format` must be pql/json."""

    code = "CONNECTOR-1356-400"


class FilterValueMissing(ProviderRefusal):
    """The row filter has no `value`."""

    code = "CONNECTOR-1357-400"


class BadObjectType(ProviderRefusal):
    """`objectType` is not one that this source has."""

    code = "CONNECTOR-1358-400"


class StartInPast(ProviderRefusal):
    """`scheduleParams.startTime` lies in the past."""

    code = "CONNECTOR-1360-400"


class BadSchedule(ProviderRefusal):
    """A flow with the frequency `once` has no `interval`."""

    code = "CONNECTOR-1361-400"


class IntervalMissing(ProviderRefusal):
    """A scheduled flow needs `scheduleParams.interval`."""

    code = "CONNECTOR-1362-400"


class IntervalTooSmall(ProviderRefusal):
    """`scheduleParams.interval` is at least 15 for the frequency `minute`, and at least 1 otherwise."""

    code = "CONNECTOR-1363-400"


class BackfillForbidden(ProviderRefusal):
    """A flow with the frequency `once` has no `backfill`."""

    code = "CONNECTOR-1364-400"


class BadPatchPath(ProviderRefusal):
    """The patch's path names nothing that a request may change."""

    code = "CONNECTOR-1365-400"


class TransformationsUnreadable(ProviderRefusal):
    """`transformations` is no list of objects, each with a `name` and `params`."""

    code = "CONNECTOR-1392-400"


class StartPassed(ProviderRefusal):
    """`scheduleParams.startTime` cannot be changed once it has passed."""

    code = "CONNECTOR-1366-400"


class DeltaColumnRequired(ProviderRefusal):
    """A scheduled flow on a table needs a delta column in its `Copy` transformation."""

    code = "CONNECTOR-1367-400"


class ModeNotAllowed(ProviderRefusal):
    """`mode` is `draft` or left out."""

    code = "CONNECTOR-1368-400"


class DeltaColumnForbidden(ProviderRefusal):
    """A flow with the frequency `once` takes its delta column from its first run; leave it out here."""

    code = "CONNECTOR-1369-400"


class DetectionNotOffered(ProviderRefusal):
    """`determineProperties` is for files; leave it out here."""

    code = "CONNECTOR-1371-400"


class AccountNeeded(ProviderRefusal):
    """This kind of system is explored through a connection: GET /connections/{id}/explore."""

    code = "CONNECTOR-1372-400"


class DetectionExclusive(ProviderRefusal):
    """`determineProperties` finds the properties of a file; leave out those you would give yourself."""

    code = "CONNECTOR-1374-400"


class DetectionUnsupported(ProviderRefusal):
    """The file is of a kind whose properties cannot be found. Give them yourself."""

    code = "CONNECTOR-1375-400"


class DetectionFailed(ProviderRefusal):
    """The properties of the file could not be found. Give them yourself."""

    code = "CONNECTOR-1376-400"


class FilterNullLiteral(ProviderRefusal):
    """The row filter compares with null, which no value equals. Use isNull."""

    code = "CONNECTOR-1377-400"


class FilterColumnUnknown(ProviderRefusal):
    """The row filter names a column that the table does not have."""

    code = "CONNECTOR-1378-400"


class FilterTypeClash(ProviderRefusal):
    """The row filter compares a column with a literal of another type."""

    code = "CONNECTOR-1379-400"


class RunRefused(ProviderRefusal):
    """The run could not be created."""

    code = "CONNECTOR-1380-400"


class WindowReversed(ProviderRefusal):
    """`params.windowEndTime` is before `params.windowStartTime`."""

    code = "CONNECTOR-1381-400"


class DeltaColumnDiffers(ProviderRefusal):
    """The delta column is not the one this flow has. Leave it out, or make another flow."""

    code = "CONNECTOR-1382-400"


class DeltaColumnMissing(ProviderRefusal):
    """The first run of a flow on a table must name its delta column in `params.deltaColumn.name`."""

    code = "CONNECTOR-1383-400"


class BadRunParams(ProviderRefusal):
    """`params` is empty or malformed. Send windowStartTime and windowEndTime."""

    code = "CONNECTOR-1384-400"


class RunFixed(ProviderRefusal):
    """This member of a run is read-only."""

    code = "CONNECTOR-1312-400"


class RetriggerOfRun(ProviderRefusal):
    """A run is re-triggered when it failed, or succeeded without a record."""

    code = "CONNECTOR-1387-400"


class RetriggerOfFlow(ProviderRefusal):
    """Runs are re-triggered while their flow is enabled."""

    code = "CONNECTOR-1388-400"


class ActionUnsupported(ProviderRefusal):
    """The source does not support this action."""

    code = "CONNECTOR-1333-400"


class SourceNotOnDemand(ProviderRefusal):
    """This source cannot be read on demand."""

    code = "CONNECTOR-1385-400"


class FrequencyNotOnce(ProviderRefusal):
    """Ad hoc runs are for flows whose `scheduleParams.frequency` is `once`."""

    code = "CONNECTOR-1386-400"


class FilterUndecodable(ProviderRefusal):
    """`filters` must be the Base64 of the row filter's JSON."""

    code = "CONNECTOR-1389-400"


class FilterNegatesOne(ProviderRefusal):
    """`not` takes exactly one comparison. Use the opposite operators to negate a group."""

    code = "CONNECTOR-1390-400"


class LimitTooSmall(ProviderRefusal):
    """`limit` must be at least 1."""

    code = "CONNECTOR-1394-400"


class BadFrequency(ProviderRefusal):
    """`scheduleParams.frequency` must be once, minute, hour, day or week."""

    code = "CONNECTOR-1397-400"


class UnknownOperation(ProviderRefusal):
    """The operation is not known."""

    code = "CONNECTOR-1398-400"


class OnceTooLate(ProviderRefusal):
    """The start has passed, so the frequency cannot become `once`. Make another flow."""

    code = "CONNECTOR-1403-400"


class BackfillTooLate(ProviderRefusal):
    """The start has passed, so `backfill` cannot be changed."""

    code = "CONNECTOR-1404-400"


class KeyTooLong(InvalidRequest):
    """`Idempotency-Key` must have 1 to 255 characters."""

    code = "FLOW-1452-400"


class KeyReused(InvalidRequest):
    """This `Idempotency-Key` came with another body before. Use a new key for a new request."""

    code = "FLOW-1452-400"


class SourceRefused(InvalidRequest):
    """The source could not answer."""


class NotFound(HeadgateError):
    """No resource with this id exists in this organisation and sandbox."""

    status = 404
    code = "FLOW-1439-404"
    title = "Resource not found"


class RouteNotFound(NotFound):
    """There is nothing at this address."""

    code = "FLOW-1101-404"


class SourceObjectNotFound(NotFound):
    """The source has no such table, file or folder."""

    code = "FLOW-1101-404"


class MethodNotAllowed(HeadgateError):
    """This address does not take this method."""

    status = 405
    code = "FLOW-1100-405"
    title = "Method not allowed"


class DatasetNotFound(NotFound):
    """No dataset with this id exists in this organisation and sandbox."""

    title = "NotFoundError"


class DatasetInUse(InvalidRequest):
    """A flow writes to the dataset. Delete the flow first."""

    code = "FLOW-1447-400"


class BatchNotFound(NotFound):
    """No batch with this id exists in this organisation and sandbox."""

    title = "NotFoundError"


class FileNotFound(NotFound):
    """No such file belongs to a batch of this organisation and sandbox."""

    title = "NotFoundError"


class RangeNotSatisfiable(InvalidRequest):
    """The file has none of the bytes that the Range header asks for."""

    status = 416
    code = "FLOW-1100-416"
    title = "Range not satisfiable"


class SchemaNotFound(NotFound):
    """No such document is in this sandbox's schema registry."""

    code = "XDM-1010-404"


class SchemaVersionUnknown(HeadgateError):
    """The document has no such version."""

    status = 406
    code = "XDM-1011-406"
    title = "Version not available"


class MappingSetNotFound(NotFound):
    """No such mapping set, or version of it, exists in this organisation and sandbox."""


class VersionConflict(HeadgateError):
    """The resource has changed since. Read it again and repeat with its new etag."""

    status = 412
    code = "FLOW-1404-412"
    title = "Version not matching"


class ResourceBusy(VersionConflict):
    """The resource kept changing meanwhile; nothing was stored. Try again."""


class Unavailable(HeadgateError):
    """The service cannot store anything just now; nothing was stored. Try again in a moment."""

    status = 503
    code = "FLOW-1103-503"
    title = "Service unavailable"
    retryable = True


class OutcomeUnknown(Unavailable):
    """The metadata database went away while it stored the change; look whether it is there before you send it again."""


# -- runs ------------------------------------------------------------------------------------------


class RunError(HeadgateError):
    """The run failed."""

    code = "CONNECTOR-2001-500"
    title = "Run failed"


class SourceError(RunError):
    """The source could not be read."""

    code = "CONNECTOR-1001-500"


class SourceUnreachable(SourceError):
    """The source cannot be reached just now."""

    retryable = True


class SourceAccessDenied(SourceError):
    """The source refused the credentials or the permission."""

    code = "CONNECTOR-1002-403"


class SourceObjectMissing(SourceError):
    """The source has no such table, column, file or folder."""

    code = "CONNECTOR-1003-404"


class SourcePathForbidden(SourceError):
    """The path lies outside the folders this service may read (HEADGATE_FILE_ROOTS)."""

    code = "CONNECTOR-1002-403"


class UnsupportedType(SourceError):
    """A column of the source has a type the lake cannot hold without changing its values."""

    code = "CONNECTOR-1330-400"


RECORD_ERROR = "CONNECTOR-2001-400"  # the code of what is about one record, and names it


class UnholdableValue(SourceError):
    """A value of the source cannot be held by its column in the lake."""

    code = RECORD_ERROR


class UnreadableRecord(SourceError):
    """A file holds something that its format does not allow."""

    code = RECORD_ERROR


class MappingFailed(RunError):
    """The flow's mapping set cannot be carried out on what the source gives."""

    code = "DPMAPPER-3700-400"
    title = "Mapping failed"


class SourceChanged(SourceError):
    """The source changed while it was being read."""

    code = "CONNECTOR-1013-412"
    retryable = True


class MissingExtra(SourceError):
    """A library that this source needs is not installed."""

    code = "CONNECTOR-1100-500"


class TargetError(RunError):
    """The lake table could not be written."""


class SchemaMismatch(TargetError):
    """The source's columns do not fit the lake table's."""

    code = "CONNECTOR-2002-400"


class TargetUnavailable(TargetError):
    """The lake's catalog does not answer just now."""

    retryable = True


class CommitConflict(TargetError):
    """Other writers kept changing the lake table; the run's rows were not added."""

    retryable = True


class AttemptLost(RunError):
    """Another worker took this run over; what this attempt staged is not used."""


class RunCancelled(RunError):
    """The run was cancelled."""


class TooManyAttempts(RunError):
    """The run's worker died every time it was tried."""

    code = "CONNECTOR-2003-500"
