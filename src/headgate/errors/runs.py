"""Why a run failed. Never an HTTP answer, but while the lake does not answer."""

from headgate.errors.root import HeadgateError

__all__ = [
    "RECORD_ERROR",
    "REJECTED",
    "AttemptLost",
    "CommitConflict",
    "MappingFailed",
    "MissingExtra",
    "RunCancelled",
    "RunError",
    "SchemaMismatch",
    "SnapshotGone",
    "SourceAccessDenied",
    "SourceChanged",
    "SourceError",
    "SourceObjectMissing",
    "SourcePathForbidden",
    "SourceUnreachable",
    "TargetError",
    "TargetUnavailable",
    "TooManyAttempts",
    "TooManyRejects",
    "UnholdableValue",
    "UnreadableRecord",
    "UnsupportedType",
]


class RunError(HeadgateError):
    """The run failed."""

    code = "CONNECTOR-2001-500"
    title = "Run failed"


class SourceError(RunError):
    """The source could not be read."""

    code = "CONNECTOR-1001-500"
    passing = False  # whether the same read of the same state may succeed a moment later


class SourceUnreachable(SourceError):
    """The source cannot be reached just now."""

    retryable = True
    passing = True


class SnapshotGone(SourceUnreachable):
    """The state of the source that the run was reading is gone; another attempt reads a new one."""

    passing = False


class SourceAccessDenied(SourceError):
    """The source refused the credentials or the permission. Test the connection; let its account read what is named."""

    code = "CONNECTOR-1002-403"


class SourceObjectMissing(SourceError):
    """The source has no such table, column, file or folder. Explore the connection to see what there is."""

    code = "CONNECTOR-1003-404"


class SourcePathForbidden(SourceError):
    """The path lies outside the folders this service may read. The operator names them in HEADGATE_FILE_ROOTS."""

    code = "CONNECTOR-1002-403"


class UnsupportedType(SourceError):
    """A column's type is one the lake cannot hold without changing values. Leave it out by `params.columns`."""

    code = "CONNECTOR-1330-400"


RECORD_ERROR = "CONNECTOR-2001-400"  # the code of what is about one record, and names it


class UnholdableValue(SourceError):
    """A value cannot be held by its column in the lake. Mend it, or let the flow leave bad records out."""

    code = RECORD_ERROR


class UnreadableRecord(SourceError):
    """A file holds something that its format does not allow. Mend it, or let the flow leave bad records out."""

    code = RECORD_ERROR


class MappingFailed(RunError):
    """The flow's mapping set cannot be carried out on what the source gives. `/mappingSets/preview` tries it."""

    code = "DPMAPPER-3700-400"
    title = "Mapping failed"


class SourceChanged(SourceError):
    """The source changed while it was being read."""

    code = "CONNECTOR-1013-412"
    retryable = True


class MissingExtra(SourceError):
    """A library that this source needs is not installed. Install it where the service and its workers run."""

    code = "CONNECTOR-1100-500"


class TargetError(RunError):
    """The lake table could not be written."""


class SchemaMismatch(TargetError):
    """The source's columns do not fit the lake table's. Declare them by `params.columns`, or use another dataset."""

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


REJECTED = "INGEST-1212-400"  # the code of what a run says that ingested the good records only


class TooManyRejects(RunError):
    """More records were rejected than the flow allows. Mend them, or raise `options.partialIngestionPercent`."""


class TooManyAttempts(RunError):
    """The run's worker died every time it was tried. Look for its death in the system's log: memory, most often."""

    code = "CONNECTOR-2003-500"
