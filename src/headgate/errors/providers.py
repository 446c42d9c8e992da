"""What source providers refuse: the codes that begin with `CONNECTOR-`."""

from headgate.errors.root import InvalidRequest

__all__ = [
    "AccountNeeded",
    "ActionUnsupported",
    "BackfillForbidden",
    "BackfillTooLate",
    "BadDelimiter",
    "BadFormat",
    "BadFrequency",
    "BadObjectType",
    "BadParameter",
    "BadPatchPath",
    "BadRowFilter",
    "BadRunParams",
    "BadSchedule",
    "BadTime",
    "BaseConnectionForbidden",
    "ConnectorUnsupported",
    "DatasetIdMissing",
    "DeltaColumnDiffers",
    "DeltaColumnForbidden",
    "DeltaColumnMissing",
    "DeltaColumnRequired",
    "DetectionExclusive",
    "DetectionFailed",
    "DetectionNotOffered",
    "DetectionUnsupported",
    "FileTypeMissing",
    "FilterColumnUnknown",
    "FilterFormatWrong",
    "FilterNegatesOne",
    "FilterNodeUnknown",
    "FilterNotOffered",
    "FilterNullLiteral",
    "FilterOperatorMissing",
    "FilterOperatorMisused",
    "FilterOperatorUnknown",
    "FilterTypeClash",
    "FilterTypeWrong",
    "FilterUndecodable",
    "FilterValueMissing",
    "FrequencyNotOnce",
    "IdMissing",
    "IntervalMissing",
    "IntervalTooSmall",
    "LandingZoneClosed",
    "LimitTooSmall",
    "ModeNotAllowed",
    "NoColumns",
    "NotExactlyOne",
    "ObjectMissing",
    "ObjectTypeMissing",
    "OnceTooLate",
    "ParameterMissing",
    "ProviderRefusal",
    "RetriggerOfFlow",
    "RetriggerOfRun",
    "RunFixed",
    "RunRefused",
    "ScheduleEmpty",
    "SourceNotOnDemand",
    "StartInPast",
    "StartPassed",
    "TargetNotLake",
    "TransformationsUnreadable",
    "UnknownAction",
    "UnknownOperation",
    "WindowReversed",
]


class UnknownAction(InvalidRequest):
    """The action is not known. Runs take `op=cancel` and `op=re-trigger`."""

    code = "CONNECTOR-1401-400"
    title = "Bad Request"


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
    """`fileType` is missing. Send delimited, json, parquet, avro or orc, or determineProperties=true."""

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


class LandingZoneClosed(ProviderRefusal):
    """The operator has not said where others reach the landing zones (HEADGATE_LANDING_ZONE_URL)."""

    code = "CONNECTOR-1700-400"
