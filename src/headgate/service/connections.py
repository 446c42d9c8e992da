"""Connections, and the source and target connections that choose what is read and written through them."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from headgate.config import Settings
from headgate.errors import (
    AuthSpecImmutable,
    BadDelimiter,
    BadFormat,
    BadParameter,
    BaseConnectionForbidden,
    ConnectionInUse,
    ConnectorUnsupported,
    DatasetIdMissing,
    FilterNotOffered,
    MissingExtra,
    NotFound,
    ParameterMissing,
    TargetNotLake,
    UnknownAuthSpec,
)
from headgate.model.lake import PROVENANCE, key_path
from headgate.model.lifecycle import ResourceState
from headgate.model.patch import Operation, apply
from headgate.model.query import Field
from headgate.model.resources import Kind, Resource, SpecRef, WriteMode
from headgate.model.row_filter import parse_filter
from headgate.model.runs import Json
from headgate.service.bodies import (
    check_id,
    check_known,
    check_schema,
    kept,
    optional_object,
    required_name,
    shown,
    spec_ref,
    text,
)
from headgate.service.exploring import answering, check_selection
from headgate.service.paging import Listings
from headgate.service.resources import Collection, Content, see_published
from headgate.service.specs import connection_spec
from headgate.service.target_layout import LAYOUT, check_layout
from headgate.sources import ConnectionSpec, is_reference, open_source
from headgate.store import ScopedStore, Store
from headgate.targets import Lake

__all__ = ["MASK", "Connections", "SourceConnections", "TargetConnections"]

MASK = "xxxx"  # what every answer shows in place of a secret
_FORMATS = {"table": ("tabular",), "file": ("delimited", "json", "parquet", "avro", "orc"), "rest": ("json",)}

_OF_DATA = ("columnDelimiter", "compressionType", "encoding", "format")

_ON_CONNECTION = {
    "baseConnectionId": Field("body.baseConnectionId"),
    "inheritedAttributes.baseConnection.id": Field("body.baseConnectionId"),
    "inheritedAttributes.baseConnection.connectionSpec.id": Field("body.connectionSpec.id"),
    "data.format": Field("body.data.format"),
    "data": Field("body.data", open=True),
}


class Connections(Collection):
    """Connections: the credentials and the address of a system."""

    kind = Kind.CONNECTION
    fields: ClassVar = {
        "auth.specName": Field("body.auth.specName"),
        "auth": Field("body.auth", open=True),  # as it is shown: secrets are masked in it
    }
    changeable = frozenset({"name", "description", "auth"})
    in_use = ConnectionInUse

    def __init__(self, store: Store, listings: Listings, settings: Settings) -> None:
        super().__init__(store, listings)
        self._settings = settings

    def _content(self, store: ScopedStore, body: Json, before: Resource | None = None) -> Content:
        name, ref = required_name(body), spec_ref(body, "connectionSpec")
        spec = connection_spec(ref.id, store)
        params = _auth_params(body, spec)
        if before is not None and _auth_name(body) != _auth_name(before.body):
            raise AuthSpecImmutable
        if spec.is_source and spec.runnable:
            # Nothing is reached; the source only judges its parameters and where they lead. A library that it lacks may
            # be there when it is used, or where it is: that is said by a test and a run.
            with answering(spec, params or {}), suppress(MissingExtra):
                open_source(spec.id, params or {}, self._settings, self._store.tenants.tenancy(store.scope))
        content = _connection_content(body, ref, spec)
        secret = params if params is not None or before is None else {}
        return Content(name, content, secret=secret)

    def _sketch(self, store: ScopedStore, body: Json) -> Content:
        name, ref = required_name(body), spec_ref(body, "connectionSpec")
        spec = connection_spec(ref.id, store)
        auth = optional_object(body, "auth")
        text(auth, "specName", where="auth.")
        return Content(name, _connection_content(body, ref, spec), secret=optional_object(auth, "params"))

    def _document(self, store: ScopedStore, before: Resource) -> Json:
        return _unmasked(before.body, partial(store.secret, before.id))

    def _patched(self, store: ScopedStore, before: Resource, operations: Sequence[Operation]) -> Content:
        draft = before.state == ResourceState.DRAFT
        if not draft and any(operation.tokens[:2] == ("auth", "specName") for operation in operations):
            raise AuthSpecImmutable
        body = _unmasked(apply(before.body, operations), partial(store.secret, before.id))
        return self._sketch(store, body) if draft else self._content(store, body, before)


class SourceConnections(Collection):
    """Source connections: which table or files of a connection are read."""

    kind = Kind.SOURCE_CONNECTION
    fields: ClassVar = {
        **_ON_CONNECTION,
        "params.tableName": Field("body.params.tableName"),
        "params.path": Field("body.params.path"),
    }
    changeable = frozenset({"name", "description", "data", "params", "baseConnectionId"})

    def __init__(self, store: Store, listings: Listings, settings: Settings) -> None:
        super().__init__(store, listings)
        self._settings = settings

    def _content(self, store: ScopedStore, body: Json, before: Resource | None = None) -> Content:  # noqa: ARG002 - as every kind
        name, ref = required_name(body), spec_ref(body, "connectionSpec")
        spec = _source_spec(store, ref)
        base = _base_connection(store, body, spec)
        if base is not None:
            see_published(base)
        params = _selected(body, spec)
        check_schema(params, spec.params_schema, "params")
        data = _data(body, spec)
        self._check_selection(store, spec, base, params, data)
        content = {
            **kept(body, "name", "description"),
            "connectionSpec": {"id": ref.id, "version": ref.version},
            "data": data,
            "params": params,
        }
        return _with_base(name, content, base)

    def _check_selection(
        self, store: ScopedStore, spec: ConnectionSpec, base: Resource | None, params: Json, data: Json
    ) -> None:
        """See that what is selected can be read, as far as that can be seen now."""
        _check_asked(spec, params)
        if spec.runnable:
            _check_placed(spec, params)
            secret = store.secret(base.id) if base is not None else {}
            with answering(spec, secret), suppress(MissingExtra):
                tenancy = self._store.tenants.tenancy(store.scope)
                source = open_source(spec.id, secret, self._settings, tenancy)
                check_selection(source, spec, secret, params, data)

    def _sketch(self, store: ScopedStore, body: Json) -> Content:
        name, ref = required_name(body), spec_ref(body, "connectionSpec")
        spec = _source_spec(store, ref)
        base = _base_connection(store, body, spec) if body.get("baseConnectionId") else None
        content = {
            **kept(body, "name", "description"),
            "connectionSpec": {"id": ref.id, "version": ref.version},
            "data": optional_object(body, "data"),
            "params": optional_object(body, "params"),
        }
        return _with_base(name, content, base)


class TargetConnections(Collection):
    """Target connections: which dataset is written, and how a repeated window is treated."""

    kind = Kind.TARGET_CONNECTION
    fields: ClassVar = {**_ON_CONNECTION, "params.dataSetId": Field("body.params.dataSetId")}
    changeable = frozenset({"name", "description", "data", "params"})

    def __init__(self, store: Store, listings: Listings, lake: Lake) -> None:
        super().__init__(store, listings)
        self._lake = lake

    def _content(self, store: ScopedStore, body: Json, before: Resource | None = None) -> Content:  # noqa: ARG002 - as every kind
        content, links = _target_content(store, body)
        params = content["params"]
        if connection_spec(content["connectionSpec"]["id"]).kind == "destination":
            return Content(content.get("name", ""), content, links=links)
        id_ = text(params, "dataSetId", where="params.") or text(params, "datasetId", where="params.")
        if not id_:
            raise DatasetIdMissing("params.dataSetId is missing or empty.")
        mode = params.get("writeMode", WriteMode.REPLACE_WINDOW)
        if mode not in list(WriteMode):
            raise BadParameter(
                f"params.writeMode is {shown(mode)}; send {' or '.join(WriteMode)}.",
                parameter="params.writeMode",
            )
        try:
            dataset = store.get(Kind.DATASET, id_)
        except NotFound as error:
            raise DatasetIdMissing(f"params.dataSetId {shown(id_)} names no dataset of this sandbox.") from error
        self._check_key(params, mode, dataset)
        if any(name in params for name in LAYOUT):
            check_layout(params, self._lake.find(tuple(dataset.frozen["table"])))
        content["params"] = {**params, "dataSetId": id_, "writeMode": str(mode)}
        return Content(content.get("name", ""), content, links=[*links, id_])

    def _sketch(self, store: ScopedStore, body: Json) -> Content:
        content, links = _target_content(store, body)
        return Content(content.get("name", ""), content, links=links)

    def _check_key(self, params: Json, mode: str, dataset: Resource) -> None:
        """See that `params.primaryKey` is there when it is used, and names columns of the table if there is one yet."""
        if mode != WriteMode.UPSERT:
            if "primaryKey" in params:
                raise BadParameter(
                    f"params.primaryKey is used by the write mode upsert only, not by {mode}; leave it out, or send "
                    "upsert as params.writeMode.",
                    parameter="params.primaryKey",
                )
            return
        names = params.get("primaryKey")
        if not names:
            raise ParameterMissing(
                "params.primaryKey is missing or empty. The write mode upsert needs the columns that tell rows apart, "
                'such as ["id"].',
                parameter="params.primaryKey",
            )
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise BadParameter(
                f'params.primaryKey is {shown(names)}; send a list of columns, such as ["id"].',
                parameter="params.primaryKey",
            )
        table = self._lake.find(tuple(dataset.frozen["table"]))
        columns = table.columns if table is not None else ()
        for number, name in enumerate(names):
            if name in names[:number] or name in PROVENANCE:
                raise BadParameter(
                    f"params.primaryKey names {shown(name)}, which it has already or which is Headgate's own.",
                    parameter="params.primaryKey",
                )
            if table is not None and key_path(columns, name) is None:
                known = ", ".join(c.name for c in columns if c.name not in PROVENANCE and key_path(columns, c.name))
                raise BadParameter(
                    f"params.primaryKey names {shown(name)}, which is no column of the dataset's table, or one of a "
                    f"type that tells no rows apart. Send some of: {known}.",
                    parameter="params.primaryKey",
                )


def _check_asked(spec: ConnectionSpec, params: Json) -> None:
    """See that the row filter and the change data that are asked for are well formed, and offered."""
    if spec.kind == "custom":
        return
    if params.get("filters") is not None:
        if spec.kind != "table":
            raise FilterNotOffered(f"{spec.title} cannot filter rows; leave params.filters out.", id=spec.id)
        parse_filter(params["filters"])
    offered = "cdcEnabled" in spec.params_schema["properties"]
    if not offered and params.get("cdcEnabled") not in (None, False, "false"):
        raise BadParameter(
            f"{spec.title} offers no change data; leave params.cdcEnabled out.", parameter="params.cdcEnabled"
        )


def _selected(body: Json, spec: ConnectionSpec) -> Json:
    """`params`; a resource of an API may be called as a table is, by who knows of tables only."""
    params = optional_object(body, "params")
    if spec.kind != "rest" or "tableName" not in params or "resourcePath" in params:
        return params
    return {"resourcePath": params["tableName"], **{name: of for name, of in params.items() if name != "tableName"}}


def _check_placed(spec: ConnectionSpec, params: Json) -> None:
    """See that no parameter is one that would be passed over although it was to change what is read."""
    check_known(params, spec.params_schema, "params", free=True)
    for name in params.keys() & set(_OF_DATA) - spec.params_schema["properties"].keys():
        raise BadParameter(f"params.{name} is not looked at; send it as data.{name}.", parameter=f"params.{name}")


def _auth_name(body: Json) -> str | None:
    name: str | None = (body.get("auth") or {}).get("specName")
    return name


def _connection_content(body: Json, ref: SpecRef, spec: ConnectionSpec) -> Json:
    """What is stored of a connection beside its sealed credentials."""
    content = {
        **kept(body, "name", "description"),
        "connectionSpec": {"id": ref.id, "version": ref.version},
    }
    if auth := optional_object(body, "auth"):
        name = auth.get("specName")
        content["auth"] = {
            **({"specName": name} if name is not None else {}),
            "params": _masked(optional_object(auth, "params"), spec, name or ""),
        }
    return content


def _unmasked(body: Json, secret: Callable[[], Json]) -> Json:
    """`body` with the stored credentials where a request sent their mask back; they are opened only then."""
    auth = body.get("auth")
    params = auth.get("params") if isinstance(auth, dict) else None
    if not isinstance(auth, dict) or not isinstance(params, dict):
        return body
    if MASK not in params.values():
        return body
    stored = secret()
    clear = {name: stored.get(name, value) if value == MASK else value for name, value in params.items()}
    return {**body, "auth": {**auth, "params": clear}}


def _source_spec(store: ScopedStore, ref: SpecRef) -> ConnectionSpec:
    spec = connection_spec(ref.id, store)
    if not spec.is_source:
        raise ConnectorUnsupported(f"{spec.title} is a target; it cannot be read.", id=spec.id)
    return spec


def _with_base(name: str, content: Json, base: Resource | None) -> Content:
    if base is None:
        return Content(name, content)
    return Content(name, {**content, "baseConnectionId": base.id}, links=[base.id])


def _target_content(store: ScopedStore, body: Json) -> tuple[Json, list[str]]:
    """What is stored of a target connection, and the connection that it is on, which the lake has none of."""
    ref = spec_ref(body, "connectionSpec")
    spec = connection_spec(ref.id, store)
    if spec.is_source:
        raise TargetNotLake(
            f"{spec.title} is a source; the target must use the connection spec `datalake`.", id=spec.id
        )
    if body.get("name") is not None:
        required_name(body)
    content = {
        **kept(body, "name", "description"),
        "connectionSpec": {"id": ref.id, "version": ref.version},
        "data": optional_object(body, "data"),
        "params": optional_object(body, "params"),
    }
    id_ = text(body, "baseConnectionId") if spec.kind == "destination" else None
    if not id_:
        return content, []
    return {**content, "baseConnectionId": store.get(Kind.CONNECTION, check_id(id_, Kind.CONNECTION)).id}, [id_]


def _auth_params(body: Json, spec: ConnectionSpec) -> Json | None:
    """The complete `auth.params`, checked; None for a connection without an account."""
    auth = optional_object(body, "auth")
    if not auth:
        if spec.auth_specs and not spec.auth_optional:
            raise ParameterMissing(
                f"auth is missing; {spec.title} needs auth.specName and auth.params.", parameter="auth"
            )
        return None
    name = text(auth, "specName", where="auth.")
    if not name:
        raise ParameterMissing("auth.specName is missing or empty.", parameter="auth.specName")
    found = spec.auth_spec(name)
    if found is None:
        known = ", ".join(repr(auth.name) for auth in spec.auth_specs) or "none"
        raise UnknownAuthSpec(f"auth.specName is {shown(name)}; {spec.title} has: {known}.", specName=name[:80])
    params: Any = auth.get("params", {})
    if not isinstance(params, dict):
        raise BadParameter("auth.params is not an object.", parameter="auth.params")
    if spec.kind != "custom":
        # First, for a name that is not known may be the misspelling of one that is missing.
        if spec.runnable:
            check_known(params, found.schema, "auth.params")
        check_schema(params, found.schema, "auth.params", hidden=True)
    return params


def _masked(params: Json, spec: ConnectionSpec, auth_name: str) -> Json:
    """`params` with everything masked but what the auth spec declares to be no secret, and references to secrets."""
    auth = spec.auth_spec(auth_name)
    declared = auth.properties if auth else {}
    secrets = auth.secrets if auth else frozenset()
    shown = {
        name
        for name, value in params.items()
        if is_reference(value) or (name not in secrets and not isinstance(value, dict | list) and not _signed(value))
    }
    return {name: value if name in declared and name in shown else MASK for name, value in params.items()}


def _signed(value: object) -> bool:
    """Whether a text holds an address with something behind its `?`, which may be a signature."""
    return isinstance(value, str) and re.search(r"://[^?\s]*\?", value) is not None


def _base_connection(store: ScopedStore, body: Json, spec: ConnectionSpec) -> Resource | None:
    """`baseConnectionId`, seen to exist in this sandbox and to be a connection of `spec`."""
    id_ = text(body, "baseConnectionId")
    if not id_:
        if spec.auth_specs and not spec.auth_optional:
            raise ParameterMissing("baseConnectionId is missing or empty.", parameter="baseConnectionId")
        return None
    if not spec.auth_specs:
        raise BaseConnectionForbidden(
            f"{spec.title} needs no account, so baseConnectionId must be left out.", id=id_[:80]
        )
    base = store.get(Kind.CONNECTION, check_id(id_, Kind.CONNECTION))
    if base.spec.id != spec.id:
        raise BadParameter(
            f"baseConnectionId names a connection of the spec {base.spec.id}, not of {spec.id}.",
            parameter="baseConnectionId",
        )
    return base


def _data(body: Json, spec: ConnectionSpec) -> Json:
    """`data` with its format, which tables need not give. What is never read is taken as it comes."""
    data = optional_object(body, "data")
    if spec.kind not in _FORMATS:
        return data
    formats = _FORMATS[spec.kind]
    asked = data.get("format", formats[0] if len(formats) == 1 else None)
    format_ = asked.lower() if isinstance(asked, str) else None
    if format_ not in formats:
        raise BadFormat(f"data.format is {shown(asked)}; {spec.title} has: {', '.join(formats)}.")
    properties = optional_object(data, "properties")
    for holder, where in ((data, "data"), (properties, "data.properties")):
        delimiter = holder.get("columnDelimiter")
        if delimiter not in (None, "\\t") and (not isinstance(delimiter, str) or len(delimiter) != 1):
            raise BadDelimiter(f"{where}.columnDelimiter is {shown(delimiter)}; send exactly one character.")
    return {**data, "format": format_}
