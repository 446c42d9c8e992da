"""Runs by itself, with arrow-odbc and PyArrow alone: asks one ODBC connection what comes in, and answers in Arrow.

A driver is code of somebody else that may end its process, or hang; it must not be the worker's. A request is a line of
JSON; the answer is an empty object, an Arrow stream, and the number of its rows. What goes wrong is written to the file
that the first argument numbers, and ends the process.
"""

import base64
import json
import os
import sys
from typing import Any

import pyarrow as pa

try:
    import arrow_odbc
except (ImportError, OSError) as missing:  # it is linked with the manager of drivers
    os.write(int(sys.argv[1]), f"unixODBC cannot be loaded ({missing}); it is a package of the system".encode())
    sys.exit(1)

_BATCH_BYTES = 16 << 20  # of the driver's longest possible rows
_LONGEST = 256 << 10  # bytes of a text


def _read_as(type_: pa.DataType) -> pa.DataType:
    return pa.timestamp(type_.unit) if pa.types.is_timestamp(type_) else type_


def _texts(found: pa.Schema) -> pa.Schema:
    """What a driver says of its own columns may cut numbers: they are asked for in more digits, or as texts."""
    return pa.schema([(name, _wide(type_)) for name, type_ in zip(found.names, found.types, strict=True)])


def _wide(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(type_):
        return pa.int64()
    return pa.string() if pa.types.is_floating(type_) or pa.types.is_decimal(type_) else type_


def _answer(connection: Any, request: dict[str, Any], out: Any) -> None:
    options: dict[str, Any] = {"map_schema": _texts}
    if request["schema"]:
        schema = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(request["schema"])))
        options = {"schema": pa.schema([(field.name, _read_as(field.type)) for field in schema])}
    reader = connection.read_arrow_batches(
        request["query"],
        batch_size=16_384,
        max_bytes_per_batch=_BATCH_BYTES,
        max_text_size=_LONGEST,
        max_binary_size=_LONGEST,
        **options,
    )
    out.write(b"{}\n")
    stream, rows = pa.ipc.new_stream(out, reader.schema), 0
    for batch in reader:
        stream.write_batch(batch)
        rows += batch.num_rows
        out.flush()
    stream.close()  # and not after an error: the stream would look whole
    out.write(json.dumps({"rows": rows}).encode() + b"\n")
    out.flush()


def main() -> None:
    """Connect by the first line, then answer each of the others."""
    out = sys.stdout.buffer
    first = json.loads(sys.stdin.buffer.readline())
    try:
        connection = arrow_odbc.connect(first["connection"], login_timeout_sec=10)
        out.write(b"{}\n")
        out.flush()
        for line in sys.stdin.buffer:
            _answer(connection, json.loads(line), out)
    except arrow_odbc.Error as error:
        os.write(int(sys.argv[1]), str(error).encode()[:60_000])
        sys.exit(1)


main()
