"""The services beside the flow service: sandbox management, the Catalog, the schema registry, data preparation."""

from headgate.errors.root import HeadgateError, InvalidRequest, NotFound

__all__ = [
    "BadSandbox",
    "BadSchema",
    "BatchNotFound",
    "DatasetInUse",
    "DatasetNotFound",
    "FileNotFound",
    "MappingSetNotFound",
    "RangeNotSatisfiable",
    "SandboxBusy",
    "SandboxProtected",
    "SandboxRefusal",
    "SandboxTaken",
    "SandboxUnknown",
    "SchemaInUse",
    "SchemaNotFound",
    "SchemaReadOnly",
    "SchemaVersionUnknown",
]


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
