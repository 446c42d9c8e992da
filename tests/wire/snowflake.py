"""Snowflake's HTTP protocol as its Go driver speaks it: a login, statements, results as Arrow in their JSON answers."""

import base64
import gzip
import json
from typing import Any

import pyarrow as pa

from tests.wire import HttpWire, Refusal, ipc


class Snowflake(HttpWire):
    """A Snowflake that knows one password, or takes any token signed with a key. It answers in Snowflake's Arrow."""

    def __init__(self, answer: Any, password: str = "s3cret") -> None:
        super().__init__(answer)
        self.password = password
        self.logins: list[dict[str, Any]] = []
        self.addresses: list[str] = []

    def respond(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        said = json.loads(gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body or b"{}")
        self.addresses.append(path)
        if path.startswith("/session/v1/login-request"):
            return self._json(self._login(said["data"]))
        if path.startswith("/queries/v1/query-request"):
            try:
                return self._json(_result(self.ask(said["sqlText"])))
            except Refusal as refusal:
                code, _, state = str(refusal.code).partition("/")
                data = {"sqlState": state, "errorCode": code, "queryId": "01b2", "internalError": False}
                return self._json({"success": False, "code": code, "message": refusal.words, "data": data})
        if path.startswith("/queries/v1/abort-request"):
            self.cancelled.set()
        return self._json({"success": True, "data": {}, "code": None, "message": None})

    def _login(self, said: dict[str, Any]) -> dict[str, Any]:
        self.logins.append(said)
        if said.get("AUTHENTICATOR") != "SNOWFLAKE_JWT" and said.get("PASSWORD") != self.password:
            words = "Incorrect username or password was specified."
            return {"success": False, "code": "390100", "message": words, "data": {"authnMethod": "USERNAME_PASSWORD"}}
        session = {"databaseName": "SHOP", "schemaName": "PUBLIC", "warehouseName": "WH", "roleName": "READER"}
        data = {
            **{"token": "t", "masterToken": "m", "validityInSeconds": 3600, "masterValidityInSeconds": 14400},
            **{"displayUserName": "ETL", "serverVersion": "9.30", "firstLogin": False, "sessionId": 1},
            "parameters": [{"name": "TIMEZONE", "value": "UTC"}],
            "sessionInfo": session,
        }
        return {"success": True, "code": None, "message": None, "data": data}

    def _json(self, found: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()


def _result(table: pa.Table) -> dict[str, Any]:
    columns, fields, kinds = [], [], []
    for field, column in zip(table.schema, table.columns, strict=True):
        kind, precision, scale, stored = _stored(column)
        meta = {"logicalType": kind.upper(), "precision": str(precision), "scale": str(scale)}
        fields.append(pa.field(field.name, stored.type, metadata=meta))
        columns.append(stored)
        kinds.append(
            {"name": field.name, "type": kind, "precision": precision, "scale": scale, "nullable": True}
            | {"length": 16777216, "byteLength": 16777216}
        )
    stored_table = pa.table(columns, schema=pa.schema(fields))
    data = {
        "parameters": [{"name": "TIMEZONE", "value": "UTC"}],
        "rowtype": kinds,
        "rowsetBase64": base64.b64encode(ipc(stored_table)).decode() if table.num_rows else "",
        **{"total": table.num_rows, "returned": table.num_rows, "queryId": "01b2", "statementTypeId": 4096},
        "queryResultFormat": "arrow",
    }
    return {"success": True, "code": None, "message": None, "data": data}


def _stored(column: pa.ChunkedArray) -> tuple[str, int, int, pa.ChunkedArray]:
    """Snowflake's name of a type, its precision and scale, and the values as Snowflake writes them in Arrow."""
    type_ = column.type
    if pa.types.is_boolean(type_):
        return "boolean", 0, 0, column
    if pa.types.is_integer(type_):
        return "fixed", 38, 0, column.cast(pa.int64())
    if pa.types.is_decimal(type_):
        return "fixed", type_.precision, type_.scale, column
    if pa.types.is_floating(type_):
        return "real", 0, 0, column.cast(pa.float64())
    if pa.types.is_date(type_):
        return "date", 0, 0, column.cast(pa.date32())
    if pa.types.is_binary(type_):
        return "binary", 0, 0, column
    if pa.types.is_time(type_):
        return "time", 0, 6, column.cast(pa.int64())
    if pa.types.is_timestamp(type_):
        shape = pa.struct([("epoch", pa.int64()), ("fraction", pa.int32())])
        counts = column.cast(pa.timestamp("us")).cast(pa.int64()).to_pylist()
        pairs = [c if c is None else {"epoch": c // 10**6, "fraction": c % 10**6 * 1000} for c in counts]
        return "timestamp_ntz", 0, 9, pa.chunked_array([pa.array(pairs, shape)])
    assert pa.types.is_string(type_) or pa.types.is_null(type_), type_
    return "text", 0, 0, column.cast(pa.string())
