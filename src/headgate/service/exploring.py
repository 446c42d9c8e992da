"""Looking into what a connection reaches: a test of it, its tables or folders, and their columns and first rows."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from headgate.config import Settings
from headgate.errors import (
    AccountNeeded,
    BadFormat,
    BadObjectType,
    BadParameter,
    ConnectorUnsupported,
    DetectionExclusive,
    DetectionNotOffered,
    FileTypeMissing,
    FilterNotOffered,
    InvalidRequest,
    NoColumns,
    NotFound,
    ObjectMissing,
    ObjectTypeMissing,
    ProviderRefusal,
    RunError,
    SourceError,
    SourceNotOnDemand,
    SourceObjectMissing,
    SourceObjectNotFound,
    SourcePathForbidden,
    SourceRefused,
    SourceUnreachable,
    UnknownParameter,
    UnknownSpec,
    UnsupportedType,
)
from headgate.model.lake import Column, LakeType
from headgate.model.observable import observable_schema
from headgate.model.query import parse_limit, whole_number
from headgate.model.resources import Kind
from headgate.model.row_filter import decode_base64, parse_filter
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.bodies import check_id, shown
from headgate.service.delta_columns import delta_columns
from headgate.service.paging import Parameters, truth
from headgate.service.specs import connection_spec
from headgate.sources import LONGEST_SHOWN, ConnectionSpec, Entry, Preview, Selection, Source, open_source
from headgate.store import ScopedStore, Store
from headgate.telemetry import redact

__all__ = ["Exploring", "answering", "check_selection"]

T = TypeVar("T")
MOST_ROWS = 100
SECONDS = 10.0

_EXPLORE = (
    "objectType",
    "object",
    "fileType",
    "preview",
    "columnDelimiter",
    "compressionType",
    "encoding",
    "determineProperties",
    "filters",
    "sourceParams",
)
_CONFIGS = ("objectType", "object", "fileType", "outputType", "outputField", "limit", "start")
_OBJECT_TYPES = {
    "table": ("root", "table"),
    "file": ("root", "folder", "file"),
    "rest": ("root", "rest", "table"),
    "target": (),
}
_FILE_TYPES = ("delimited", "json", "parquet", "avro", "orc")
_OF_FILES = ("columnDelimiter", "compressionType", "encoding")
_WORDS = {"int": "integer", "date": "string", "timestamp": "string", "timestamptz": "string", "list": "array"}


class Exploring:
    """Tests and explores connections, and the specs that need no account."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def test(self, caller: Caller, id_: str) -> Json:
        """Whether the connection's system lets it in, and if not, why. Raises NotFound."""
        store = self._store.scoped(caller)
        connection = store.get(Kind.CONNECTION, check_id(id_, Kind.CONNECTION))
        spec = connection_spec(connection.spec.id, store)
        secret = store.secret(id_)
        try:
            source = open_source(spec.id, secret, self._settings, self._store.tenants.tenancy(caller.scope))
            _within(SECONDS, source.check)
        except (InvalidRequest, RunError) as error:
            return {"result": False, "reason": redact(error.detail, _secrets(spec, secret))}
        return {"result": True}

    def connection(self, caller: Caller, id_: str, parameters: Parameters) -> Any:
        """What the query parameters ask for of a connection: a list of entries, or a schema with rows.

        Raises NotFound, InvalidRequest.
        """
        asked = _asked(parameters, _EXPLORE)
        with self._of_connection(caller, id_) as (source, spec):
            return _within(SECONDS, lambda: _explored(source, spec, asked))

    def spec(self, caller: Caller, id_: str, parameters: Parameters) -> Any:
        """The same of a spec that needs no account. Raises NotFound, InvalidRequest."""
        asked = _asked(parameters, _EXPLORE)
        with self._of_spec(caller, id_) as (source, spec):
            return _within(SECONDS, lambda: _explored(source, spec, asked))

    def connection_configs(self, caller: Caller, id_: str, parameters: Parameters) -> Json:
        """The columns of the table or file `object` of a connection; none when it is not given."""
        asked = _asked(parameters, _CONFIGS)
        with self._of_connection(caller, id_) as (source, spec):
            return _within(SECONDS, lambda: _configs(source, spec, asked))

    def spec_configs(self, caller: Caller, id_: str, parameters: Parameters) -> Json:
        """The same of a spec that needs no account. Without `object`, every spec has an empty list."""
        asked = _asked(parameters, _CONFIGS)
        if not asked.get("object"):
            _spec(id_, self._store.scoped(caller))
            return {"items": [], "pageInfo": {"hasNext": False}, "_links": {}}  # nothing can be exported from here
        with self._of_spec(caller, id_) as (source, spec):
            return _within(SECONDS, lambda: _configs(source, spec, asked))

    def columns(self, caller: Caller, source_id: str) -> tuple[str, tuple[Column, ...]]:
        """The name of a source connection, and the columns it reads. Raises NotFound, InvalidRequest."""
        store = self._store.scoped(caller)
        found = store.get(Kind.SOURCE_CONNECTION, check_id(source_id, Kind.SOURCE_CONNECTION))
        spec = connection_spec(found.spec.id, store)
        connection_id = found.body.get("baseConnectionId")
        secret = store.secret(connection_id) if connection_id else {}
        with answering(spec, secret):
            source = self._opened(caller, spec, secret)
            selection = Selection(found.params, found.body["data"])
            return found.name, _within(SECONDS, lambda: source.describe(selection)).columns

    @contextmanager
    def _of_connection(self, caller: Caller, id_: str) -> Iterator[tuple[Source, ConnectionSpec]]:
        store = self._store.scoped(caller)
        connection = store.get(Kind.CONNECTION, check_id(id_, Kind.CONNECTION))
        spec = connection_spec(connection.spec.id, store)
        secret = store.secret(id_)
        with answering(spec, secret):
            yield self._opened(caller, spec, secret), spec

    @contextmanager
    def _of_spec(self, caller: Caller, id_: str) -> Iterator[tuple[Source, ConnectionSpec]]:
        spec = _spec(id_, self._store.scoped(caller))
        if spec.runnable and spec.auth_specs and not spec.auth_optional:
            raise AccountNeeded(
                f"{spec.title} needs an account. Make a connection, then GET /connections/{{id}}/explore.", id=spec.id
            )
        with answering(spec, {}):
            yield self._opened(caller, spec, {}), spec

    def _opened(self, caller: Caller, spec: ConnectionSpec, secret: Json) -> Source:
        if not spec.is_source:
            raise ConnectorUnsupported(f"{spec.title} is a target; it cannot be explored.", id=spec.id)
        if spec.kind == "custom":
            raise SourceNotOnDemand(f"{spec.title} is only described; this service cannot explore it.", id=spec.id)
        return open_source(spec.id, secret, self._settings, self._store.tenants.tenancy(caller.scope))


def check_selection(
    source: Source, spec: ConnectionSpec, secret: Json, params: Mapping[str, Any], data: Mapping[str, Any]
) -> None:
    """See that a source connection can be read: by its form and, of a table that can be reached, by its columns.

    Raises InvalidRequest. What cannot be looked at now is left for the run to judge.
    """
    selection = Selection(params, data)
    with answering(spec, secret):
        source.validate(selection)
        if spec.kind != "table" or not (params.get("filters") or params.get("columns")):
            return
        try:
            _within(SECONDS, lambda: source.describe(selection))
        except SourceObjectMissing as error:
            if "column" in error.report:
                raise BadParameter(error.detail, parameter="params.columns") from error
        except UnsupportedType as error:
            raise BadParameter(error.detail, parameter="params.columns") from error
        except SourceError:
            return


@contextmanager
def answering(spec: ConnectionSpec, secret: Json) -> Iterator[None]:
    """Turn what a source says into answers, without the connection's secrets."""
    try:
        yield
    except SourceError as error:
        text = redact(error.detail, _secrets(spec, secret))
        match error:
            case SourceObjectMissing():
                raise SourceObjectNotFound(text) from error
            case SourcePathForbidden():
                raise BadParameter(text) from error
        raise SourceRefused(text, reason=error.code) from error


def _secrets(spec: ConnectionSpec, secret: Json) -> list[str]:
    return [str(value) for name, value in secret.items() if name in spec.secrets]


def _spec(id_: str, store: ScopedStore) -> ConnectionSpec:
    try:
        return connection_spec(id_, store)
    except UnknownSpec as error:
        raise NotFound(f"No connectionSpecs entry {shown(id_)} exists.", id=id_[:80], type="connectionSpecs") from error


def _within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` gives, if it does so in time; else its thread is left to its own time limits."""
    done: list[T] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            done.append(call())
        except Exception as error:  # noqa: BLE001 - raised again where somebody waits for it
            failed.append(error)

    thread = threading.Thread(target=work, name="explore", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise SourceUnreachable(f"The source did not answer within {seconds:g} seconds.")
    return done[0]


def _asked(parameters: Parameters, known: tuple[str, ...]) -> dict[str, str]:
    """The query parameters by their usual names; letter case and underscores do not count in them."""
    names = {name.lower(): name for name in known}
    asked = {}
    for given, value in parameters:
        name = names.get(given.replace("_", "").lower())
        if name is None:
            raise UnknownParameter(
                f"The query parameter {given[:40]!r} is not known here. Known: {', '.join(known)}.",
                parameter=given[:40],
            )
        if "\0" in value:
            raise BadParameter(f"{name} holds the character NUL.", parameter=name)
        asked[name] = value
    return asked


def _explored(source: Source, spec: ConnectionSpec, asked: Mapping[str, str]) -> Any:
    object_type = _object_type(spec, asked)
    preview = truth(asked.get("preview"), "preview")
    determine = truth(asked.get("determineProperties"), "determineProperties")
    source_params = _source_params(asked.get("sourceParams"))
    if determine and object_type != "file":
        raise DetectionNotOffered
    if object_type == "root":
        return [_entry(entry) for entry in source.explore(None)]
    path = asked.get("object")
    if not path:
        raise ObjectMissing(f"object is missing; objectType={object_type} needs it.", parameter="object")
    if object_type == "folder":
        return [_entry(entry) for entry in source.explore(path)]
    params: Json = {}
    if asked.get("filters"):
        params["filters"] = decode_base64(asked["filters"])
        parse_filter(params["filters"])
        if spec.kind != "table":
            raise FilterNotOffered
    if object_type == "rest":
        if path.lower() != "json":
            raise BadParameter(f"object is {path[:40]!r}; of a resource it is json.", parameter="object")
        resource = source.preview(Selection(source_params), MOST_ROWS if preview else 0)
        return {**_shown(resource, preview, nested=True), "deltaColumns": delta_columns(source, resource)}
    if object_type == "table":
        table = source.preview(Selection({**params, "tableName": path}), MOST_ROWS if preview else 0)
        return {**_shown(table, preview), "deltaColumns": delta_columns(source, table)}
    data = _file_data(source, path, asked, determine=determine)
    found = source.preview(Selection({"path": path, "type": "file"}, data), MOST_ROWS if preview else 0)
    shape = _shown(found, preview)
    if determine:
        shape["properties"] = {("fileType" if name == "format" else name): value for name, value in data.items()}
    return shape


def _object_type(spec: ConnectionSpec, asked: Mapping[str, str]) -> str:
    given = asked.get("objectType")
    if not given:
        raise ObjectTypeMissing
    allowed = (*_OBJECT_TYPES[spec.kind], *(("folder",) if spec.folders else ()))
    if given.lower() not in allowed:
        raise BadObjectType(
            f"objectType is {given[:40]!r}; {spec.title} has: {', '.join(allowed) or 'none'}.", parameter="objectType"
        )
    return given.lower()


def _file_data(source: Source, path: str, asked: Mapping[str, str], *, determine: bool) -> Mapping[str, str]:
    """The `data` that describes a file: what is asked, or else what is found in it."""
    explicit = {name: asked[name] for name in _OF_FILES if asked.get(name)}
    file_type = asked.get("fileType", "").lower()
    if file_type and file_type not in _FILE_TYPES:
        raise BadFormat(f"fileType is {asked['fileType'][:40]!r}; send {', '.join(_FILE_TYPES)}.", parameter="fileType")
    if determine:
        if explicit:
            raise DetectionExclusive(f"determineProperties does not go with {', '.join(explicit)}.")
        return source.detect(path)
    if not file_type:
        raise FileTypeMissing
    return {**explicit, "format": file_type}


def _configs(source: Source, spec: ConnectionSpec, asked: Mapping[str, str]) -> Json:
    path = asked.get("object")
    limit, start = parse_limit(asked.get("limit")), whole_number("start", asked.get("start", "0"))
    columns: tuple[Column, ...] = ()
    if path and spec.kind in ("table", "rest"):
        columns = source.preview(Selection({"tableName": path}), 0).columns
    elif path:
        data = _file_data(source, path, asked, determine=not asked.get("fileType"))
        columns = source.preview(Selection({"path": path, "type": "file"}, data), 0).columns
    page = columns[start : start + limit]
    return {
        "items": [{"columnName": column.name, "columnType": _word(column)} for column in page],
        "pageInfo": {"hasNext": start + limit < len(columns)},
        "_links": {},
    }


def _source_params(text: str | None) -> Json:
    """What `sourceParams` says, as a source connection's params do. Raises BadParameter."""
    if not text:
        return {}
    try:
        value = decode_base64(text)
    except ProviderRefusal:
        value = None
    if not isinstance(value, dict):
        raise BadParameter("sourceParams must be the Base64 of a JSON object.", parameter="sourceParams")
    return value


def _entry(entry: Entry) -> Json:
    return {
        "type": entry.type,
        "name": entry.name,
        "path": entry.path,
        "canPreview": entry.readable,
        "canFetchSchema": entry.described,
    }


def _shown(found: Preview, preview: bool, *, nested: bool = False) -> Json:
    """The schema of what was found, flat unless something is `nested`, with its rows if they were asked for.

    Raises NoColumns.
    """
    if not found.columns and not found.unsupported:
        raise NoColumns
    nested = nested or any(
        _nested(column.type) or (column.source_type == "json" and column.type.kind == "list")
        for column in found.columns
    )
    shape: Json = (
        {"format": "hierarchical", "schema": observable_schema(found.columns)}
        if nested
        else {"format": "flat", "schema": {"columns": [_column(column) for column in found.columns]}}
    )
    if preview:
        names = [column.name for column in found.columns]
        shape["data"] = [dict(zip(names, map(_cut, row), strict=True)) for row in found.rows]
    if found.unsupported:
        shape["unsupported"] = [{"name": name, "reason": reason} for name, reason in found.unsupported.items()]
    return shape


def _cut(value: Any) -> Any:
    match value:
        case str() if len(value) > LONGEST_SHOWN:
            return f"{value[:LONGEST_SHOWN]}…"
        case list():
            return [_cut(part) for part in value]
        case dict():
            return {name: _cut(part) for name, part in value.items()}
    return value


def _nested(type_: LakeType) -> bool:
    return type_.kind == "struct" or (type_.element is not None and _nested(type_.element))


def _column(column: Column) -> Json:
    xdm: Json = observable_schema((column,))["properties"][column.name]
    del xdm["title"]
    return {"name": column.name, "type": _word(column), "meta:xdmType": xdm.pop("meta:xdmType"), "xdm": xdm}


def _word(column: Column) -> str:
    """A column's type as `params.columns` of a source connection may declare it."""
    kind = column.type.kind
    return str(column.type) if kind == "decimal" else _WORDS.get(kind, "object" if kind == "struct" else kind)
