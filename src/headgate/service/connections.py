"""Connections, and the source and target connections that choose what is read and written through them."""

from collections.abc import Iterable
from typing import Any, ClassVar

from headgate.config import Settings
from headgate.errors import (
    BadDelimiter,
    BadFormat,
    BadParameter,
    BaseConnectionForbidden,
    ConnectionInUse,
    ConnectorUnsupported,
    DatasetIdMissing,
    NotFound,
    ParameterMissing,
    TargetNotLake,
    UnknownAuthSpec,
)
from headgate.model.query import Field
from headgate.model.resources import Kind, Resource, WriteMode
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.bodies import (
    check_id,
    check_schema,
    kept,
    optional_object,
    required_name,
    shown,
    spec_ref,
    text,
)
from headgate.service.paging import Listings
from headgate.service.resources import Collection, new_resource
from headgate.service.specs import connection_spec
from headgate.sources import ConnectionSpec, open_source
from headgate.store import ScopedStore, Store

__all__ = ["MASK", "Connections", "SourceConnections", "TargetConnections"]

MASK = "xxxx"  # what every answer shows in place of a secret
_FORMATS = {"table": ("tabular",), "file": ("delimited", "json", "parquet"), "rest": ("json",)}

_Read = tuple[Resource, Iterable[str], Json | None]


class Connections(Collection):
    """Connections: the credentials and the address of a system."""

    kind = Kind.CONNECTION
    fields: ClassVar = {"auth.specName": Field("body.auth.specName")}
    in_use = ConnectionInUse

    def __init__(self, store: Store, listings: Listings, settings: Settings) -> None:
        super().__init__(store, listings)
        self._settings = settings

    def _read(self, caller: Caller, store: ScopedStore, body: Json) -> _Read:  # noqa: ARG002
        name, ref = required_name(body), spec_ref(body, "connectionSpec")
        spec = connection_spec(ref.id)
        content = {
            **kept(body, "name", "description"),
            "connectionSpec": {"id": ref.id, "version": ref.version},
        }
        params = _auth_params(body, spec)
        if spec.is_source and spec.runnable:
            # Nothing is reached; the source only judges its parameters and where they lead.
            open_source(spec.id, params or {}, self._settings, self._store.tenants.tenancy(caller.scope.org_id))
        if params is not None:
            auth_name = body["auth"]["specName"]
            content["auth"] = {"specName": auth_name, "params": _masked(params, spec, auth_name)}
        return new_resource(self.kind, caller, name, content), (), params


class SourceConnections(Collection):
    """Source connections: which table or files of a connection are read."""

    kind = Kind.SOURCE_CONNECTION
    fields: ClassVar = {
        "baseConnectionId": Field("body.baseConnectionId"),
        "data.format": Field("body.data.format"),
        "params.tableName": Field("body.params.tableName"),
        "params.path": Field("body.params.path"),
    }

    def _read(self, caller: Caller, store: ScopedStore, body: Json) -> _Read:
        name, ref = required_name(body), spec_ref(body, "connectionSpec")
        spec = connection_spec(ref.id)
        if not spec.is_source:
            raise ConnectorUnsupported(f"{spec.title} is a target; it cannot be read.", id=spec.id)
        base_id = _base_connection(store, body, spec)
        params = optional_object(body, "params")
        check_schema(params, spec.params_schema, "params")
        content = {
            **kept(body, "name", "description"),
            "connectionSpec": {"id": ref.id, "version": ref.version},
            "data": _data(body, spec),
            "params": params,
        }
        if base_id is not None:
            content["baseConnectionId"] = base_id
        links = [base_id] if base_id is not None else []
        return new_resource(self.kind, caller, name, content), links, None


class TargetConnections(Collection):
    """Target connections: which dataset is written, and how a repeated window is treated."""

    kind = Kind.TARGET_CONNECTION
    fields: ClassVar = {"params.dataSetId": Field("body.params.dataSetId")}

    def _read(self, caller: Caller, store: ScopedStore, body: Json) -> _Read:
        ref = spec_ref(body, "connectionSpec")
        spec = connection_spec(ref.id)
        if spec.is_source:
            raise TargetNotLake(
                f"{spec.title} is a source; the target must use the connection spec `datalake`.", id=spec.id
            )
        params = optional_object(body, "params")
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
            store.get(Kind.DATASET, id_)
        except NotFound as error:
            raise DatasetIdMissing(f"params.dataSetId {shown(id_)} names no dataset of this sandbox.") from error
        content = {
            **kept(body, "name", "description"),
            "connectionSpec": {"id": ref.id, "version": ref.version},
            "data": optional_object(body, "data"),
            "params": {**params, "dataSetId": id_, "writeMode": str(mode)},
        }
        name = required_name(body) if body.get("name") is not None else ""
        return new_resource(self.kind, caller, name, content), [id_], None


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
    check_schema(params, found.schema, "auth.params", hidden=True)
    return params


def _masked(params: Json, spec: ConnectionSpec, auth_name: str) -> Json:
    """`params` with everything masked but what the auth spec declares to be no secret."""
    auth = spec.auth_spec(auth_name)
    declared = auth.schema["properties"] if auth else {}
    secrets = auth.secrets if auth else frozenset()
    return {name: value if name in declared and name not in secrets else MASK for name, value in params.items()}


def _base_connection(store: ScopedStore, body: Json, spec: ConnectionSpec) -> str | None:
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
    return id_


def _data(body: Json, spec: ConnectionSpec) -> Json:
    """`data` with its format, which tables need not give."""
    data = optional_object(body, "data")
    formats = _FORMATS[spec.kind]
    format_ = data.get("format", formats[0] if len(formats) == 1 else None)
    if format_ not in formats:
        raise BadFormat(f"data.format is {shown(format_)}; {spec.title} has: {', '.join(formats)}.")
    properties = optional_object(data, "properties")
    for holder, where in ((data, "data"), (properties, "data.properties")):
        delimiter = holder.get("columnDelimiter")
        if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1):
            raise BadDelimiter(f"{where}.columnDelimiter is {shown(delimiter)}; send exactly one character.")
    return {**data, "format": format_}
