"""The bodies and bytes that rows of the table send."""

import base64
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.integration.face import LOCAL_FILES, POSTGRESQL, SQLITE, TABLES, WINDOW, Json

JSON = {"content-type": "application/json"}
XML = {"content-type": "application/xml"}
ANY = {"if-match": "*"}
SCHEDULE = {"startTime": "4000000000", "frequency": "minute", "interval": 15}
DEEP = b'{"name":' + b"[" * 100_000
LONG = b'{"name": ' + b"9" * 5000 + b"}"
_NESTED = b"".join(b'<!ENTITY a%d "%s">' % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 10))
BOMB = b'<!DOCTYPE a [<!ENTITY a0 "ha">%s]><a>&a9;</a>' % _NESTED
WIDE = b",".join(b"c%d" % n for n in range(20_000)) + b"\n"
NEST = b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}\n"


def flow(**changes: Any) -> Json:
    """A body that makes a flow, changed; None leaves a member out."""
    body = {
        "name": "flow",
        "flowSpec": {"id": TABLES, "version": "1.0"},
        "sourceConnectionIds": ["{source}"],
        "targetConnectionIds": ["{target}"],
        "scheduleParams": {"startTime": "1612310466", "frequency": "once"},
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def postgresql(**params: Any) -> Json:
    """A body that makes a connection to PostgreSQL."""
    server = {"server": "db.example", "database": "shop", "username": "etl", "password": "secret", **params}
    return {
        "name": "shop",
        "connectionSpec": {"id": POSTGRESQL},
        "auth": {"specName": "Basic Authentication", "params": server},
    }


def string(text: str) -> Json:
    """A body that makes a connection by its connection string."""
    auth = {"specName": "Connection String Based Authentication", "params": {"connectionString": text}}
    return {"name": "shop", "connectionSpec": {"id": POSTGRESQL}, "auth": auth}


def files(path: str, **data: Any) -> Json:
    """A body that makes a source connection on local files."""
    data = {"format": "delimited", **data}
    return {"name": "files", "connectionSpec": {"id": LOCAL_FILES}, "data": data, "params": {"path": path}}


def database(path: str) -> Json:
    """A body that makes a connection to a SQLite file."""
    return {
        "name": "file",
        "connectionSpec": {"id": SQLITE},
        "auth": {"specName": "Database File", "params": {"path": path}},
    }


def run(flow_id: str = "{flow}", **params: Any) -> Json:
    """A body that makes a run over a window, with `params` beside or in place of its own; None leaves one out."""
    given = {**WINDOW, **params}
    return {"flowId": flow_id, "params": {name: value for name, value in given.items() if value is not None}}


def pql(operator: str, column: str, value: Any) -> str:
    """A row filter that compares one column, in Base64."""
    compared = [{"nodeType": "fieldLookup", "fieldName": column}, {"nodeType": "literal", "value": value}]
    node = {"nodeType": "fnApply", "fnName": operator, "params": compared}
    return base64.b64encode(json.dumps({"type": "PQL", "format": "pql/json", "value": node}).encode()).decode()


def patch(op: str, path: str, value: Any = None) -> list[Json]:
    """A body that changes a resource."""
    return [{"op": op, "path": path, "value": value}]


def parquet(column: pa.Array | None = None) -> bytes:
    """A Parquet file of one column."""
    buffer = io.BytesIO()
    table = pa.table({"a": column if column is not None else pa.array(range(1000))})
    pq.write_table(table, buffer, write_page_checksum=True, compression="none", use_dictionary=False)
    return buffer.getvalue()


def flipped(content: bytes, at: int) -> bytes:
    """`content` with one bit of the byte at `at` changed."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def pipe(folder: Path) -> None:
    """A named pipe beside a file: opening it would wait for ever."""
    os.mkfifo(folder / "pipe.csv")
    (folder / "x.csv").write_bytes(b"a\n1\n")


def folder_named_like_a_file(folder: Path) -> None:
    (folder / "y.csv").mkdir()
    (folder / "x.csv").write_bytes(b"a\n1\n")


def link_out_of_the_roots(folder: Path) -> None:
    (folder / "x.csv").symlink_to("/etc/passwd")


def with_password(packed: bytes) -> bytes:
    """A zip file that says of its only entry that it is encrypted."""
    at, entry = packed.index(b"PK\x01\x02"), bytearray(packed)
    entry[6] |= 1
    entry[at + 8] |= 1
    return bytes(entry)


def archive(*names: str, link: str = "", text: bytes = b"a\n1\n") -> bytes:
    """A zip file with an entry for each of `names`, and one that is a link to `link`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            packed.writestr(name, text)
        if link:
            entry = zipfile.ZipInfo("link.csv")
            entry.external_attr = 0o120777 << 16
            packed.writestr(entry, link)
    return buffer.getvalue()
