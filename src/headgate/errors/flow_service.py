"""The flow service: the codes of its own tables."""

from headgate.errors.root import InvalidRequest, NotFound

__all__ = [
    "AuthSpecImmutable",
    "BadFilterValue",
    "BadGrouping",
    "BadMapping",
    "BadOrderBy",
    "BadOrderByPrefix",
    "BadSubAction",
    "BadSubStatus",
    "ChallengeFailed",
    "ConnectionForbidsUpdate",
    "ConnectionInUse",
    "EmptyFilterValue",
    "FinalizeForbidden",
    "FinalizeInState",
    "FlowIdMissing",
    "FlowNotEnabled",
    "HostNotAllowed",
    "IllegalTransition",
    "KeyReused",
    "KeyTooLong",
    "LimitWithCount",
    "NotFinal",
    "NotPublished",
    "OperatorNotForField",
    "OperatorNotThere",
    "OperatorTakesOneValue",
    "PatchFieldMissing",
    "PatchTooLong",
    "PathNotAllowed",
    "PolicyEmpty",
    "ProgressCombined",
    "ProgressOfFailure",
    "ReferenceRefused",
    "RunUpdateForbidden",
    "SchemasDiffer",
    "SourceObjectNotFound",
    "SourceRefused",
    "SpecImmutable",
    "SpecOfCatalogue",
    "SpecsForbidden",
    "StateForbidsChange",
    "StateForbidsDeletion",
    "StateForbidsUpdate",
    "StateNotAllowed",
    "SubActionForbidden",
    "TooManySpecs",
    "TooManyWebhooks",
    "TransitionUnderWay",
    "UnknownAuthSpec",
    "UnknownField",
    "UnknownFlow",
    "UnknownMappingVersion",
    "UnknownOperator",
    "UnknownParameter",
    "UnknownPatchOperation",
    "UnknownPredecessorFlow",
    "UnknownPredecessorRun",
    "UnknownSpec",
    "UnknownSpecField",
    "UsedByFlow",
    "VersionMissing",
]


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


class ChallengeFailed(InvalidRequest):
    """The receiver of the webhook does not answer the challenge."""

    code = "FLOW-EXT-WEBHOOK-400"
    title = "Webhook refused"


class TooManyWebhooks(InvalidRequest):
    """The sandbox has as many webhooks as it may have. Delete one first."""

    code = "FLOW-EXT-WEBHOOK-400"
    title = "Webhook refused"


class PathNotAllowed(InvalidRequest):
    """No folder of this machine is open to this organisation. The operator names some in HEADGATE_FILE_ROOTS."""

    code = "FLOW-EXT-PATH-400"
    title = "Path not allowed"


class ReferenceRefused(InvalidRequest):
    """The reference `env:NAME` or `file:PATH` in place of a secret leads to nothing that may be used."""

    code = "FLOW-EXT-REFERENCE-400"
    title = "Reference refused"


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


class UnknownMappingVersion(InvalidRequest):
    """The mapping set has no such version."""

    code = "FLOW-1412-400"


class SchemasDiffer(InvalidRequest):
    """The dataset's schema is not the mapping set's output schema."""

    code = "FLOW-1425-400"


class KeyTooLong(InvalidRequest):
    """`Idempotency-Key` must have 1 to 255 characters."""

    code = "FLOW-1452-400"


class KeyReused(InvalidRequest):
    """This `Idempotency-Key` came with another body before. Use a new key for a new request."""

    code = "FLOW-1452-400"


class SourceRefused(InvalidRequest):
    """The source could not answer."""


class SourceObjectNotFound(NotFound):
    """The source has no such table, file or folder."""

    code = "FLOW-1101-404"
