"""Databricks' Thrift service over HTTP, by the driver's own description of it; results as Arrow."""

import threading
from importlib import import_module
from typing import Any

import pyarrow as pa

from tests.wire import HttpWire, Refusal

TCLIService: Any = import_module("databricks.sql.thrift_api.TCLIService.TCLIService")
ttypes: Any = import_module("databricks.sql.thrift_api.TCLIService.ttypes")
TBinaryProtocol: Any = import_module("thrift.protocol.TBinaryProtocol").TBinaryProtocol
TMemoryBuffer: Any = import_module("thrift.transport.TTransport").TMemoryBuffer

_OK = ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)


class Databricks(HttpWire):
    """A SQL warehouse that knows one token."""

    def __init__(self, answer: Any, token: str = "t0ken") -> None:
        super().__init__(answer)
        self.token = token
        self.paths: list[str] = []
        self.sessions: list[dict[str, str]] = []
        self.asked_after = threading.Event()  # from then on the driver has a name for what it waits for
        self._results: dict[bytes, pa.Table] = {}
        self._refusals: dict[bytes, Refusal] = {}
        self._running: dict[bytes, threading.Thread] = {}
        self._processor = TCLIService.Processor(self)

    def respond(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.paths.append(path)
        if headers.get("authorization") != f"Bearer {self.token}":
            return 403, {"x-thriftserver-error-message": "Invalid access token."}, b""
        inward, outward = TMemoryBuffer(body), TMemoryBuffer()
        self._processor.process(TBinaryProtocol(inward), TBinaryProtocol(outward))
        return 200, {"Content-Type": "application/x-thrift"}, outward.getvalue()

    def OpenSession(self, req: Any) -> Any:
        self.sessions.append(
            {
                **(req.configuration or {}),
                "catalog": req.initialNamespace.catalogName if req.initialNamespace else "",
                "schema": req.initialNamespace.schemaName if req.initialNamespace else "",
            }
        )
        return ttypes.TOpenSessionResp(
            status=_OK,
            serverProtocolVersion=ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7,
            sessionHandle=ttypes.TSessionHandle(sessionId=_id(b"session")),
            initialNamespace=req.initialNamespace,
            canUseMultipleCatalogs=True,
        )

    def CloseSession(self, req: Any) -> Any:
        return ttypes.TCloseSessionResp(status=_OK)

    def ExecuteStatement(self, req: Any) -> Any:
        handle = ttypes.TOperationHandle(
            operationId=_id(b"%d" % len(self._running)),
            operationType=ttypes.TOperationType.EXECUTE_STATEMENT,
            hasResultSet=True,
        )
        guid = handle.operationId.guid
        self._running[guid] = threading.Thread(target=self._run, args=(guid, req.statement), daemon=True)
        self._running[guid].start()
        self._running[guid].join(0.5)  # what is quick is told at once, as the server does
        state = self._state(guid)
        described = self._described(guid) if guid in self._results else None
        direct = ttypes.TSparkDirectResults(operationStatus=state, resultSetMetadata=described)
        return ttypes.TExecuteStatementResp(status=_OK, operationHandle=handle, directResults=direct)

    def _run(self, guid: bytes, statement: str) -> None:
        try:
            self._results[guid] = self.ask(statement)
        except Refusal as refusal:
            self._refusals[guid] = refusal

    def _state(self, guid: bytes) -> Any:
        if guid in self._refusals:
            refusal = self._refusals[guid]
            return ttypes.TGetOperationStatusResp(
                status=_OK,
                operationState=ttypes.TOperationState.ERROR_STATE,
                sqlState=str(refusal.code),
                displayMessage=refusal.words,
                errorMessage=refusal.words,
            )
        states = ttypes.TOperationState
        state = states.FINISHED_STATE if guid in self._results else states.RUNNING_STATE
        if self.cancelled.is_set():
            state = states.CANCELED_STATE
        return ttypes.TGetOperationStatusResp(status=_OK, operationState=state)

    def GetOperationStatus(self, req: Any) -> Any:
        self.asked_after.set()
        self._running[req.operationHandle.operationId.guid].join(0.1)
        return self._state(req.operationHandle.operationId.guid)

    def GetResultSetMetadata(self, req: Any) -> Any:
        return self._described(req.operationHandle.operationId.guid)

    def _described(self, guid: bytes) -> Any:
        schema = self._results[guid].schema
        string = ttypes.TTypeEntry(primitiveEntry=ttypes.TPrimitiveTypeEntry(type=ttypes.TTypeId.STRING_TYPE))
        columns = [
            ttypes.TColumnDesc(columnName=name, typeDesc=ttypes.TTypeDesc(types=[string]), position=at)
            for at, name in enumerate(schema.names, 1)
        ]
        return ttypes.TGetResultSetMetadataResp(
            status=_OK,
            schema=ttypes.TTableSchema(columns=columns),
            resultFormat=ttypes.TSparkRowSetType.ARROW_BASED_SET,
            lz4Compressed=False,
            arrowSchema=schema.serialize().to_pybytes(),
        )

    def FetchResults(self, req: Any) -> Any:
        table = self._results[req.operationHandle.operationId.guid]
        batches = [
            ttypes.TSparkArrowBatch(batch=batch.serialize().to_pybytes(), rowCount=batch.num_rows)
            for batch in table.to_batches()
        ]
        rows = ttypes.TRowSet(startRowOffset=0, rows=[], arrowBatches=batches)
        described = self._described(req.operationHandle.operationId.guid)
        return ttypes.TFetchResultsResp(status=_OK, hasMoreRows=False, results=rows, resultSetMetadata=described)

    def CloseOperation(self, req: Any) -> Any:
        return ttypes.TCloseOperationResp(status=_OK)

    def CancelOperation(self, req: Any) -> Any:
        self.cancelled.set()
        return ttypes.TCancelOperationResp(status=_OK)


def _id(guid: bytes) -> Any:
    return ttypes.THandleIdentifier(guid=guid.ljust(16, b"\0"), secret=b"secret".ljust(16, b"\0"))
