"""Testing connections and exploring what they reach, as the API answers it."""

import base64
import gzip
import json
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from headgate.model.resources import Kind
from headgate.sources import connection_specs
from tests.integration.driver_systems import SYSTEMS
from tests.integration.face import DATALAKE, LOCAL_FILES, NOBODY, POSTGRESQL, SQLITE, Face, refused
from tests.unit.test_row_filter import call, field, literal, pql
from tests.wire import serving

LANDING_ZONE = "26f526f2-58f4-4712-961d-e41bf1ccc0e8"
UPLOAD = "1f87a31a-fa4c-5419-ac45-137946d004de"
HOSTILE = ['a"; drop table x;--', "100%", "🐘 emoji", "b.c", "UPPER", "it's", "x" * 63, " ", "{0}:n", "new\nline"]

Json = Any


@pytest.fixture(scope="module")
def connections(face: Face, postgres: str) -> Iterator[dict[str, str]]:
    """The ids of connections to a PostgreSQL database, a SQLite file and a folder of files."""
    _make_files(face.folder / "drop")
    with psycopg.connect(postgres, autocommit=True) as server:
        name = "explored"
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    address = postgres.replace("/postgres?", f"/{name}?")
    with psycopg.connect(address, autocommit=True) as server:
        _make_tables(server)
    auth = {"specName": "Connection String Based Authentication", "params": {"connectionString": address}}
    folder = {"specName": "Folder", "params": {"folder": str(face.folder / "drop")}}
    yield {
        "postgresql": face.made("/connections", {"name": "pg", "connectionSpec": {"id": POSTGRESQL}, "auth": auth}),
        "sqlite": face.connection(),
        "files": face.made("/connections", {"name": "drop", "connectionSpec": {"id": LOCAL_FILES}, "auth": folder}),
    }
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute("DROP DATABASE explored WITH (FORCE)")


def _make_tables(server: psycopg.Connection[Any]) -> None:
    server.execute("CREATE SCHEMA shop")
    server.execute(
        "CREATE TABLE shop.orders (id int, big bigint, total numeric(10,2), ratio float8, paid boolean, note text, "
        "day date, at timestamp, seen timestamptz, clock time, raw bytea, key uuid, tags text[], doc jsonb)"
    )
    server.execute(
        "INSERT INTO shop.orders VALUES (1, 9007199254740993, 12.10, 'NaN', true, 'a', 'infinity', "
        "'2024-01-31 10:00:00.5', '2024-01-31 10:00:00+02', '10:00', '\\xff00', "
        "'123e4567-e89b-42d3-a456-426614174000', '{x,NULL}', '{\"k\": 1}'), "
        "(2, NULL, NULL, 0.1, NULL, NULL, '2024-02-29', NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
    )
    server.execute("CREATE TABLE shop.many AS SELECT n FROM generate_series(1, 250) AS n")
    server.execute("CREATE TABLE shop.long AS SELECT repeat('é', 20000) AS t, repeat('x', 20000)::bytea AS b")
    server.execute("CREATE TABLE shop.shapes (id int, place point)")
    server.execute("INSERT INTO shop.shapes VALUES (1, '(1,2)')")
    server.execute("CREATE TABLE shop.empty ()")
    server.execute("CREATE VIEW shop.paid AS SELECT id FROM shop.orders WHERE paid")
    for at, name in enumerate(HOSTILE):
        table = sql.Identifier("shop", name)
        server.execute(sql.SQL("CREATE TABLE {} ({} int)").format(table, sql.Identifier(name)))
        server.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(table, sql.Literal(at)))


def _make_files(folder: Path) -> None:
    folder.mkdir()
    (folder / ".hidden").write_text("x")
    (folder / "in side").mkdir()
    (folder / "in side" / "é.csv").write_text("id,name\n1,é\n")
    (folder / "orders.csv").write_text('id,name,at,total\n1,"a, b",2024-01-31 10:00:00,1.5\n2,,2024-02-01 00:00:00,2\n')
    (folder / "latin.txt").write_bytes("id\tname\n1\tcafé\n".encode("latin-1"))
    (folder / "pipes.gz").write_bytes(gzip.compress(b"id|note\n1|x,y\n2|z,\n"))
    (folder / "flat.json").write_text('{"id": 1, "ok": true}\n{"id": 2, "ok": null}\n')
    (folder / "nested.json").write_text('[{"id": 1, "who": {"name": "a", "tags": ["x"]}}]')
    rows = "".join(f'{n};"{"x;" * 9}\n";{n}.5\n' for n in range(20_000))
    (folder / "long.csv").write_text(f"id;note;price\n{rows}")
    (folder / "empty.csv").write_text("")
    (folder / "many.csv").write_text("n\n" + "\n".join(map(str, range(30_000))) + "\n")
    (folder / "packed.zip").write_bytes(b"PK\x03\x04rest")
    (folder / "noise.bin").write_bytes(b"\0\1\2")
    table = pa.table({"id": pa.array([1, 2], pa.int32()), "price": pa.array([None, "1.10"]).cast(pa.decimal128(5, 2))})
    pq.write_table(table, folder / "table.parquet")
    (folder / "way out").symlink_to("/etc")


def encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def explore(face: Face, id_: str, **parameters: Any) -> Json:
    answer = face.get(f"/connections/{id_}/explore", **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- test ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["postgresql", "sqlite", "files"])
def test_a_connection_that_works(face: Face, connections: dict[str, str], kind: str) -> None:
    answer = face.get(f"/connections/{connections[kind]}/test")
    assert (answer.status_code, answer.json()) == (200, {"result": True})


def test_a_connection_that_does_not_work_says_why_without_its_password(face: Face, postgres: str) -> None:
    gone = {"specName": "Database File", "params": {"path": str(face.folder / "gone.db")}}
    id_ = face.made("/connections", {"name": "gone", "connectionSpec": {"id": SQLITE}, "auth": gone})
    answer = face.get(f"/connections/{id_}/test")
    assert answer.status_code == 200
    assert answer.json()["result"] is False
    assert "gone.db" in answer.json()["reason"]

    params = {"server": "127.0.0.1", "port": 1, "database": "d", "username": "u", "password": "s3cr3t-canary"}
    auth = {"specName": "Basic Authentication", "params": params}
    id_ = face.made("/connections", {"name": "dead", "connectionSpec": {"id": POSTGRESQL}, "auth": auth})
    answer = face.get(f"/connections/{id_}/test")
    assert (answer.status_code, answer.json()["result"]) == (200, False)
    assert "refused" in answer.json()["reason"]
    assert "canary" not in answer.text
    message = refused(face.get(f"/connections/{id_}/explore", objectType="root"), 400, "FLOW-1100-400")
    assert "refused" in message


def test_schemas_that_are_folders_are_looked_into(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    system = SYSTEMS["databricks"]
    params = {"domain": "adb-1.azuredatabricks.net", "clusterId": "0131-100000-abcdefgh", "accessToken": "s3cret"}
    auth = {"specName": "Access Token Authentication", "params": {**params, "database": "shop"}}
    spec = next(spec.id for spec in connection_specs() if spec.name == "azure-databricks")
    id_ = face.made("/connections", {"name": "lakehouse", "connectionSpec": {"id": spec}, "auth": auth})
    with serving(system.wire(system.answer)) as wire:
        source = system.source(wire.port, "s3cret")
        monkeypatch.setattr("headgate.service.exploring.open_source", lambda *_: source)
        root = explore(face, id_, objectType="root")
        assert sorted((entry["type"], entry["path"]) for entry in root) == [("folder", "other"), ("folder", "shop")]
        tables = explore(face, id_, objectType="folder", object="shop")
        assert {entry["type"] for entry in tables} == {"table"}
        refused(face.get(f"/connections/{id_}/explore", objectType="file", object="x"), 400, "CONNECTOR-1358-400")


def test_a_silent_server_is_not_waited_for(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.service.exploring.SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        params = {"server": "127.0.0.1", "port": port, "database": "d", "username": "u", "password": "p"}
        auth = {"specName": "Basic Authentication", "params": params}
        id_ = face.made("/connections", {"name": "silent", "connectionSpec": {"id": POSTGRESQL}, "auth": auth})
        answer = face.get(f"/connections/{id_}/test").json()
        assert answer["result"] is False
        assert "did not answer" in answer["reason"]
        message = refused(face.get(f"/connections/{id_}/explore", objectType="root"), 400, "FLOW-1100-400")
        assert "did not answer" in message
        filters = pql(call("isNull", field("nope")))
        assert _source(face, POSTGRESQL, id_, {"tableName": "t", "filters": filters}).status_code == 201


def test_what_is_not_there_is_not_found(face: Face) -> None:
    for path in ("test", "explore?objectType=root", "configs"):
        refused(face.get(f"/connections/{NOBODY}/{path}"), 404, "FLOW-1439-404")
        refused(face.get(f"/connections/nonsense/{path}"), 404, "FLOW-1439-404")
    for path in ("explore?objectType=root", "configs"):
        refused(face.get(f"/connectionSpecs/{NOBODY}/{path}"), 404, "FLOW-1439-404")


# -- tables ----------------------------------------------------------------------------------------


def test_the_tables_of_postgresql(face: Face, connections: dict[str, str]) -> None:
    entries = explore(face, connections["postgresql"], objectType="ROOT")
    assert {entry["name"] for entry in entries} == {
        *(f"shop.{name}" for name in ("orders", "many", "long", "shapes", "empty", "paid", *HOSTILE))
    }
    assert {frozenset(entry) for entry in entries} == {
        frozenset({"type", "name", "path", "canPreview", "canFetchSchema"})
    }
    assert all(entry["type"] == "table" and entry["canPreview"] and entry["canFetchSchema"] for entry in entries)


def test_the_tables_of_sqlite(face: Face, connections: dict[str, str]) -> None:
    [entry] = explore(face, connections["sqlite"], objectType="root")
    assert entry == {"type": "table", "name": "orders", "path": "orders", "canPreview": True, "canFetchSchema": True}
    found = explore(face, connections["sqlite"], objectType="table", object="orders", preview="true")
    assert [column["name"] for column in found["schema"]["columns"]] == [
        "id",
        "updated_at",
        "created",
        "payload",
        "total",
    ]
    assert len(found["data"]) == 50
    assert found["data"][0]["created"] == "2024-03-01"


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_lead_to_their_own_table(face: Face, connections: dict[str, str], name: str) -> None:
    [path] = [
        entry["path"]
        for entry in explore(face, connections["postgresql"], objectType="root")
        if entry["name"] == f"shop.{name}"
    ]
    found = explore(face, connections["postgresql"], objectType="table", object=path, preview="true")
    assert found["data"] == [{name: HOSTILE.index(name)}]
    node = encoded(pql(call("=", field(name), literal(HOSTILE.index(name)))))
    filtered = explore(face, connections["postgresql"], objectType="table", object=path, preview="true", filters=node)
    assert filtered["data"] == found["data"]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_in_sqlite(face: Face, name: str, tmp_path: Path) -> None:
    path = face.folder / f"hostile-{HOSTILE.index(name)}.db"
    quoted = '"' + name.replace('"', '""') + '"'
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE TABLE {quoted} ({quoted} INTEGER)")
        database.execute(f"INSERT INTO {quoted} VALUES (7)")
        database.commit()
    auth = {"specName": "Database File", "params": {"path": str(path)}}
    id_ = face.made("/connections", {"name": "hostile", "connectionSpec": {"id": SQLITE}, "auth": auth})
    [entry] = explore(face, id_, objectType="root")
    if name == " ":
        return  # a blank `object` is no name
    found = explore(face, id_, objectType="table", object=entry["path"], preview="true")
    assert (entry["name"], found["data"]) == (name, [{name: 7}])


def test_columns_that_could_order_by_time_are_named_as_a_run_takes_them(face: Face) -> None:
    path = face.folder / "deltas.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE t (id INTEGER, day DATE, s INTEGER, ms INTEGER, at TIMESTAMP, iso TEXT, mixed TEXT, n TEXT)"
        )
        database.execute(
            "INSERT INTO t VALUES (1, '2024-01-31', 1704103200, 1704103200000, '2024-01-31 10:00:00', "
            "'2024-01-31T10:00:00Z', '2024-01-31', NULL), (2, '2024-02-01', 1704103201, 1704103201000, "
            "'2024-02-01 10:00:00', '2024-02-01T10:00:00.5Z', 'soon', NULL)"
        )
    auth = {"specName": "Database File", "params": {"path": str(path)}}
    id_ = face.made("/connections", {"name": "deltas", "connectionSpec": {"id": SQLITE}, "auth": auth})
    sure = [{"name": "at"}, {"name": "day"}]
    assert explore(face, id_, objectType="table", object="t")["deltaColumns"] == sure
    assert explore(face, id_, objectType="table", object="t", preview="true")["deltaColumns"] == [
        *sure,
        {"name": "s", "dateFormat": "epoch_s"},
        {"name": "ms", "dateFormat": "epoch_ms"},
        {"name": "iso", "dateFormat": "yyyy-MM-ddTHH:mm:ss"},
    ]


def test_every_type_in_the_shapes_of_the_contract(face: Face, connections: dict[str, str]) -> None:
    found = explore(face, connections["postgresql"], objectType="table", object="shop.orders", preview="True")
    assert found["format"] == "flat"
    columns = {column.pop("name"): column for column in found["schema"]["columns"]}
    moment = {"type": "string", "meta:xdmType": "date-time", "xdm": {"type": "string", "format": "date-time"}}
    assert columns == {
        "id": {"type": "integer", "meta:xdmType": "int", "xdm": {"type": "integer"}},
        "big": {"type": "long", "meta:xdmType": "long", "xdm": {"type": "integer"}},
        "total": {"type": "decimal(10,2)", "meta:xdmType": "double", "xdm": {"type": "number"}},
        "ratio": {"type": "double", "meta:xdmType": "double", "xdm": {"type": "number"}},
        "paid": {"type": "boolean", "meta:xdmType": "boolean", "xdm": {"type": "boolean"}},
        "note": {"type": "string", "meta:xdmType": "string", "xdm": {"type": "string"}},
        "day": {"type": "string", "meta:xdmType": "date", "xdm": {"type": "string", "format": "date"}},
        "at": moment,
        "seen": moment,
        "clock": {"type": "time", "meta:xdmType": "string", "xdm": {"type": "string", "format": "time"}},
        "raw": {"type": "binary", "meta:xdmType": "string", "xdm": {"type": "string"}},
        "key": {"type": "uuid", "meta:xdmType": "string", "xdm": {"type": "string", "format": "uuid"}},
        "tags": {
            "type": "array",
            "meta:xdmType": "array",
            "xdm": {"type": "array", "items": {"type": "string", "meta:xdmType": "string"}},
        },
        "doc": {"type": "string", "meta:xdmType": "string", "xdm": {"type": "string"}},
    }
    first, second = sorted(found["data"], key=lambda row: row["id"])
    assert first == {
        "id": 1,
        "big": 9007199254740993,
        "total": "12.10",
        "ratio": "NaN",
        "paid": True,
        "note": "a",
        "day": "infinity",
        "at": "2024-01-31T10:00:00.5",
        "seen": "2024-01-31T08:00:00+00:00",
        "clock": "10:00:00",
        "raw": "ff00",
        "key": "123e4567-e89b-42d3-a456-426614174000",
        "tags": ["x", None],
        "doc": '{"k": 1}',
    }
    assert {name for name, value in second.items() if value is not None} == {"id", "ratio", "day"}


def test_at_most_a_hundred_rows_and_none_without_preview(face: Face, connections: dict[str, str]) -> None:
    id_ = connections["postgresql"]
    assert len(explore(face, id_, objectType="table", object="shop.many", preview="true")["data"]) == 100
    assert "data" not in explore(face, id_, objectType="table", object="shop.many")
    assert "data" not in explore(face, id_, objectType="table", object="shop.many", preview="False")


def test_a_column_that_the_lake_cannot_hold_is_named_beside_the_others(face: Face, connections: dict[str, str]) -> None:
    found = explore(face, connections["postgresql"], objectType="table", object="shop.shapes", preview="true")
    assert [column["name"] for column in found["schema"]["columns"]] == ["id"]
    assert found["data"] == [{"id": 1}]
    [unsupported] = found["unsupported"]
    assert unsupported["name"] == "place"
    assert "point" in unsupported["reason"]


def test_long_texts_are_cut(face: Face, connections: dict[str, str], tmp_path: Path) -> None:
    found = explore(face, connections["postgresql"], objectType="table", object="shop.long", preview="true")
    assert found["data"] == [{"t": "é" * 10_000 + "…", "b": "78" * 5_000 + "…"}]

    with closing(sqlite3.connect(face.folder / "long.db")) as database:
        database.execute("CREATE TABLE t (t TEXT, b BLOB, short TEXT)")
        database.execute("INSERT INTO t VALUES (?, ?, ?)", ("é" * 20_000, b"x" * 20_000, "é" * 10_000))
        database.commit()
    auth = {"specName": "Database File", "params": {"path": str(face.folder / "long.db")}}
    id_ = face.made("/connections", {"name": "long", "connectionSpec": {"id": SQLITE}, "auth": auth})
    found = explore(face, id_, objectType="table", object="t", preview="true")
    assert found["data"] == [{"t": "é" * 10_000 + "…", "b": "78" * 5_000 + "…", "short": "é" * 10_000}]


def test_rows_of_a_preview_are_filtered(face: Face, connections: dict[str, str]) -> None:
    node = encoded(pql(call("in", field("n"), literal([3, 200, 999]))))
    found = explore(
        face, connections["postgresql"], objectType="table", object="shop.many", preview="true", filters=node
    )
    assert [row["n"] for row in found["data"]] == [3, 200]


# -- files -----------------------------------------------------------------------------------------


def test_folders_and_files(face: Face, connections: dict[str, str]) -> None:
    entries = {entry["name"]: entry for entry in explore(face, connections["files"], objectType="root")}
    assert set(entries) == {
        "in side",
        "orders.csv",
        "latin.txt",
        "pipes.gz",
        "flat.json",
        "nested.json",
        "empty.csv",
        "many.csv",
        "long.csv",
        "packed.zip",
        "noise.bin",
        "table.parquet",
    }
    assert entries["in side"] == {
        "type": "folder",
        "name": "in side",
        "path": "in side",
        "canPreview": False,
        "canFetchSchema": False,
    }
    [inner] = explore(face, connections["files"], objectType="folder", object="in side/")
    assert (inner["type"], inner["name"], inner["path"]) == ("file", "é.csv", "in side/é.csv")
    found = explore(
        face, connections["files"], objectType="file", object=inner["path"], fileType="delimited", preview="true"
    )
    assert found["data"] == [{"id": 1, "name": "é"}]


@pytest.mark.parametrize("spelling", ["fileType", "FileType", "FILE_TYPE", "filetype"])
def test_a_delimited_file_in_every_spelling_of_the_parameters(
    face: Face, connections: dict[str, str], spelling: str
) -> None:
    found = explore(
        face,
        connections["files"],
        **{spelling: "DELIMITED", "OBJECT_TYPE": "File", "object": "orders.csv", "Preview": "TRUE"},
    )
    assert found == {
        "format": "flat",
        "schema": {
            "columns": [
                {"name": "id", "type": "long", "meta:xdmType": "long", "xdm": {"type": "integer"}},
                {"name": "name", "type": "string", "meta:xdmType": "string", "xdm": {"type": "string"}},
                {
                    "name": "at",
                    "type": "string",
                    "meta:xdmType": "date-time",
                    "xdm": {"type": "string", "format": "date-time"},
                },
                {"name": "total", "type": "double", "meta:xdmType": "double", "xdm": {"type": "number"}},
            ]
        },
        "data": [
            {"id": 1, "name": "a, b", "at": "2024-01-31T10:00:00", "total": 1.5},
            {"id": 2, "name": None, "at": "2024-02-01T00:00:00", "total": 2.0},
        ],
    }


@pytest.mark.parametrize(
    ("parameters", "rows"),
    [
        (
            {"object": "latin.txt", "fileType": "delimited", "columnDelimiter": "\\t", "encoding": "ISO-8859-1"},
            [{"id": 1, "name": "café"}],
        ),
        (
            {"object": "latin.txt", "fileType": "delimited", "columnDelimiter": "\t", "encoding": "latin-1"},
            [{"id": 1, "name": "café"}],
        ),
        (
            {"object": "pipes.gz", "fileType": "delimited", "columnDelimiter": "|", "compressionType": "GZip"},
            [{"id": 1, "note": "x,y"}, {"id": 2, "note": "z,"}],
        ),
        ({"object": "flat.json", "fileType": "json"}, [{"id": 1, "ok": True}, {"id": 2, "ok": None}]),
        ({"object": "table.parquet", "fileType": "parquet"}, [{"id": 1, "price": None}, {"id": 2, "price": "1.10"}]),
    ],
)
def test_files_as_they_are_described(
    face: Face, connections: dict[str, str], parameters: dict[str, str], rows: list[Json]
) -> None:
    found = explore(face, connections["files"], objectType="file", preview="true", **parameters)
    assert (found["format"], found["data"]) == ("flat", rows)


def test_nested_json_is_hierarchical(face: Face, connections: dict[str, str]) -> None:
    found = explore(
        face, connections["files"], objectType="file", object="nested.json", fileType="json", preview="true"
    )
    assert found["format"] == "hierarchical"
    properties = found["schema"]["properties"]
    assert found["schema"]["type"] == "object"
    assert properties["who"]["properties"]["tags"] == {
        "title": "tags",
        "type": "array",
        "meta:xdmType": "array",
        "items": {"type": "string", "meta:xdmType": "string"},
    }
    assert found["data"] == [{"id": 1, "who": {"name": "a", "tags": ["x"]}}]


@pytest.mark.parametrize(
    ("name", "properties"),
    [
        ("orders.csv", {"fileType": "delimited", "columnDelimiter": ",", "encoding": "UTF-8"}),
        ("latin.txt", {"fileType": "delimited", "columnDelimiter": "\t", "encoding": "ISO-8859-1"}),
        (
            "pipes.gz",
            {"fileType": "delimited", "columnDelimiter": "|", "encoding": "UTF-8", "compressionType": "gzip"},
        ),
        ("many.csv", {"fileType": "delimited", "columnDelimiter": ",", "encoding": "UTF-8"}),
        ("long.csv", {"fileType": "delimited", "columnDelimiter": ";", "encoding": "UTF-8"}),
        ("flat.json", {"fileType": "json"}),
        ("nested.json", {"fileType": "json"}),
        ("table.parquet", {"fileType": "parquet"}),
    ],
)
def test_properties_are_found(face: Face, connections: dict[str, str], name: str, properties: dict[str, str]) -> None:
    found = explore(
        face, connections["files"], objectType="file", object=name, preview="True", determineProperties="True"
    )
    assert found["properties"] == properties
    assert 1 <= len(found["data"]) <= 100


# -- specs without an account ----------------------------------------------------------------------


def test_local_files_are_explored_without_an_account(face: Face, connections: dict[str, str]) -> None:
    answer = face.get(f"/connectionSpecs/{LOCAL_FILES}/explore", objectType="root")
    assert {"drop"} <= {entry["name"] for entry in answer.json()}
    assert "data" not in {entry["name"] for entry in answer.json() if entry["type"] == "file"}
    answer = face.get(
        f"/connectionSpecs/{LOCAL_FILES}/explore",
        objectType="file",
        object="drop/flat.json",
        preview="True",
        determineProperties="True",
    )
    assert answer.json()["data"][0] == {"id": 1, "ok": True}


def test_the_files_of_the_service_itself_are_not_shown(face: Face) -> None:
    answer = face.get(f"/connectionSpecs/{LOCAL_FILES}/explore", objectType="folder", object="data")
    assert {entry["name"] for entry in answer.json()} & {"keys", "metadata.db", "warehouse"} == set()
    path = f"/connectionSpecs/{LOCAL_FILES}/explore?objectType=folder&object=data/keys"
    refused(face.get(path), 400, "CONNECTOR-1312-400")


def test_specs_that_cannot_be_explored_say_why(face: Face) -> None:
    message = refused(face.get(f"/connectionSpecs/{POSTGRESQL}/explore?objectType=root"), 400, "CONNECTOR-1372-400")
    assert "connection" in message
    message = refused(face.get(f"/connectionSpecs/{UPLOAD}/explore?objectType=root"), 400, "CONNECTOR-1385-400")
    assert "Local file upload" in message
    refused(face.get(f"/connectionSpecs/{DATALAKE}/explore?objectType=root"), 400, "CONNECTOR-1305-400")


# -- configs ---------------------------------------------------------------------------------------


def test_configs_are_columns(face: Face, connections: dict[str, str]) -> None:
    path = f"/connections/{connections['postgresql']}/configs"
    assert face.get(path).json() == {"items": [], "pageInfo": {"hasNext": False}, "_links": {}}
    answer = face.get(path, object="shop.orders", limit=2, start=1).json()
    assert answer == {
        "items": [
            {"columnName": "big", "columnType": "long"},
            {"columnName": "total", "columnType": "decimal(10,2)"},
        ],
        "pageInfo": {"hasNext": True},
        "_links": {},
    }
    answer = face.get(f"/connectionSpecs/{LOCAL_FILES}/configs", object="drop/flat.json").json()
    assert answer["items"] == [
        {"columnName": "id", "columnType": "long"},
        {"columnName": "ok", "columnType": "boolean"},
    ]
    exportable = {"outputType": "activationDatasets", "outputField": "datasets", "limit": 100, "start": 0}
    answer = face.get(f"/connectionSpecs/{LANDING_ZONE}/configs", **exportable).json()
    assert answer == {"items": [], "pageInfo": {"hasNext": False}, "_links": {}}


# -- refusals --------------------------------------------------------------------------------------

T, F = {"objectType": "table", "object": "shop.orders"}, {"objectType": "file", "object": "orders.csv"}
CSV = {**F, "fileType": "delimited"}
NAME = encoded(pql(call("=", field("note"), literal("x"))))


@pytest.mark.parametrize(
    ("kind", "parameters", "status", "code"),
    [
        ("postgresql", {}, 400, "CONNECTOR-1334-400"),
        ("postgresql", {"objectType": "galaxy"}, 400, "CONNECTOR-1358-400"),
        ("postgresql", {"objectType": "folder", "object": "shop"}, 400, "CONNECTOR-1358-400"),
        ("files", T, 400, "CONNECTOR-1358-400"),
        ("files", {"objectType": "rest", "object": "json"}, 400, "CONNECTOR-1358-400"),
        ("postgresql", {"objectType": "table"}, 400, "CONNECTOR-1337-400"),
        ("files", {"objectType": "file", "preview": "True", "determineProperties": "True"}, 400, "CONNECTOR-1337-400"),
        ("files", F, 400, "CONNECTOR-1335-400"),
        ("files", {**F, "fileType": "excel"}, 400, "CONNECTOR-1327-400"),
        ("files", {**CSV, "columnDelimiter": ";;"}, 400, "CONNECTOR-1331-400"),
        ("files", {**CSV, "columnDelimiter": "\\n"}, 400, "CONNECTOR-1331-400"),
        ("files", {**CSV, "encoding": "EBCDIC"}, 400, "CONNECTOR-1312-400"),
        ("files", {**CSV, "compressionType": "lzma"}, 400, "CONNECTOR-1312-400"),
        ("files", {**F, "determineProperties": "true", "encoding": "utf-8"}, 400, "CONNECTOR-1374-400"),
        ("postgresql", {**T, "determineProperties": "true"}, 400, "CONNECTOR-1371-400"),
        (
            "files",
            {"objectType": "file", "object": "packed.zip", "determineProperties": "true"},
            400,
            "CONNECTOR-1376-400",
        ),
        (
            "files",
            {"objectType": "file", "object": "noise.bin", "determineProperties": "true"},
            400,
            "CONNECTOR-1376-400",
        ),
        (
            "files",
            {"objectType": "file", "object": "empty.csv", "determineProperties": "true"},
            400,
            "CONNECTOR-1376-400",
        ),
        (
            "files",
            {"objectType": "file", "object": "empty.csv", "fileType": "delimited"},
            400,
            "CONNECTOR-1330-400",
        ),
        ("postgresql", {"objectType": "table", "object": "shop.empty"}, 400, "CONNECTOR-1330-400"),
        ("postgresql", {"objectType": "table", "object": 't"; DROP TABLE shop.orders; --'}, 404, "FLOW-1101-404"),
        ("postgresql", {"objectType": "table", "object": "a.b.c.d"}, 404, "FLOW-1101-404"),
        ("postgresql", {"objectType": "table", "object": "n" * 10_000}, 404, "FLOW-1101-404"),
        ("postgresql", {"objectType": "table", "object": "shop." + "x" * 64}, 404, "FLOW-1101-404"),
        ("postgresql", {"objectType": "table", "object": "a\0b"}, 400, "CONNECTOR-1312-400"),
        ("files", {"objectType": "file", "object": "gone.csv", "fileType": "json"}, 404, "FLOW-1101-404"),
        ("files", {"objectType": "folder", "object": "gone"}, 404, "FLOW-1101-404"),
        ("files", {"objectType": "folder", "object": "orders.csv"}, 404, "FLOW-1101-404"),
        ("files", {"objectType": "folder", "object": "../.."}, 400, "CONNECTOR-1312-400"),
        ("files", {"objectType": "folder", "object": "/etc"}, 400, "CONNECTOR-1312-400"),
        ("files", {"objectType": "folder", "object": "way out"}, 400, "CONNECTOR-1312-400"),
        ("files", {**CSV, "object": "way out/passwd"}, 400, "CONNECTOR-1312-400"),
        ("files", {**CSV, "object": "nested.json", "fileType": "parquet"}, 400, "FLOW-1100-400"),
        ("postgresql", {**T, "filters": "%%%"}, 400, "CONNECTOR-1389-400"),
        ("postgresql", {**T, "filters": encoded("text")}, 400, "CONNECTOR-1349-400"),
        ("postgresql", {**T, "filters": encoded(pql(call("=", field("x"), literal(1))))}, 400, "CONNECTOR-1378-400"),
        ("postgresql", {**T, "filters": encoded(pql(call("=", field("id"), literal("x"))))}, 400, "CONNECTOR-1379-400"),
        ("files", {**CSV, "filters": NAME}, 400, "CONNECTOR-1353-400"),
        ("postgresql", {**T, "preview": "perhaps"}, 400, "FLOW-1452-400"),
        ("postgresql", {**T, "sourceParams": "%%%"}, 400, "CONNECTOR-1312-400"),
        ("postgresql", {**T, "limit": "5"}, 400, "FLOW-1451-400"),
    ],
)
def test_what_is_wrong_has_its_code(
    face: Face, connections: dict[str, str], kind: str, parameters: dict[str, str], status: int, code: str
) -> None:
    message = refused(face.get(f"/connections/{connections[kind]}/explore", **parameters), status, code)
    assert len(message) < 600
    assert len(explore(face, connections["postgresql"], **T)["schema"]["columns"]) == 14


# -- source connections ----------------------------------------------------------------------------


def _source(face: Face, spec: str, base: str | None, params: Json, data: Json = None) -> Any:
    body = {"name": "s", "connectionSpec": {"id": spec}, "params": params, "data": data or {}}
    return face.post("/sourceConnections", body if base is None else {**body, "baseConnectionId": base})


def test_a_selection_is_judged_when_it_is_made(face: Face, connections: dict[str, str]) -> None:
    base, good = connections["postgresql"], pql(call("=", field("note"), literal("x")))

    def made(**params: Json) -> Any:
        return _source(face, POSTGRESQL, base, {"tableName": "shop.orders", **params})

    assert made(filters=good, columns=[{"name": "id"}, {"name": "total", "type": "decimal(10,2)"}]).status_code == 201
    assert made(cdcEnabled=False).status_code == 201
    for wrong, code in (
        ({"filters": {}}, "CONNECTOR-1355-400"),
        ({"filters": pql(call("=", field("nope"), literal("x")))}, "CONNECTOR-1378-400"),
        ({"filters": pql(call("=", field("note"), literal(5)))}, "CONNECTOR-1379-400"),
        ({"columns": [{"name": "nope"}]}, "CONNECTOR-1312-400"),
        ({"columns": [{"name": "id", "type": "decimal(99,2)"}]}, "CONNECTOR-1312-400"),
        ({"columns": [{"name": "note", "type": "decimal(9,2)"}]}, "CONNECTOR-1312-400"),
        ({"columns": [{"name": "id"}, {"name": "id"}]}, "CONNECTOR-1312-400"),
        ({"tableName": "shop.shapes", "columns": [{"name": "place"}]}, "CONNECTOR-1312-400"),
        ({"cdcEnabled": True}, "CONNECTOR-1312-400"),
        ({"cdcEnabled": "true"}, "CONNECTOR-1312-400"),
    ):
        refused(made(**wrong), 400, code)


def test_what_exploring_shows_may_be_declared(face: Face, connections: dict[str, str]) -> None:
    columns = explore(face, connections["postgresql"], **T)["schema"]["columns"]
    answer = _source(face, POSTGRESQL, connections["postgresql"], {"tableName": "shop.orders", "columns": columns})
    assert answer.status_code == 201, answer.text
    for name, format_ in (("orders.csv", "delimited"), ("table.parquet", "parquet"), ("nested.json", "json")):
        found = explore(face, connections["files"], objectType="file", object=name, fileType=format_)
        columns = found["schema"].get("columns", [])
        params = {"path": name, "columns": columns}
        answer = _source(face, LOCAL_FILES, connections["files"], params, {"format": format_})
        assert answer.status_code == 201, answer.text


def test_what_cannot_be_reached_is_left_for_the_run_to_judge(face: Face, connections: dict[str, str]) -> None:
    params = {"server": "127.0.0.1", "port": 1, "database": "d", "username": "u", "password": "p"}
    auth = {"specName": "Basic Authentication", "params": params}
    dead = face.made("/connections", {"name": "dead", "connectionSpec": {"id": POSTGRESQL}, "auth": auth})
    filters = pql(call("=", field("nope"), literal("x")))
    assert _source(face, POSTGRESQL, dead, {"tableName": "t", "filters": filters}).status_code == 201
    later = {"tableName": "not.there.yet", "columns": [{"name": "id"}]}
    assert _source(face, POSTGRESQL, connections["postgresql"], later).status_code == 201


@pytest.mark.parametrize(
    ("params", "data", "code"),
    [
        ({"path": "/etc/passwd"}, {"format": "delimited"}, "CONNECTOR-1312-400"),
        ({"path": "../../etc/*"}, {"format": "delimited"}, "CONNECTOR-1312-400"),
        ({"path": "x[.csv"}, {"format": "delimited"}, "CONNECTOR-1312-400"),
        ({"path": "*.csv"}, {"format": "delimited", "encoding": "EBCDIC"}, "CONNECTOR-1312-400"),
        ({"path": "*.csv"}, {"format": "delimited", "properties": {"encoding": "utf-7"}}, "CONNECTOR-1312-400"),
        ({"path": "*.csv"}, {"format": "delimited", "compressionType": "zipDeflated"}, "CONNECTOR-1312-400"),
        ({"path": "*.json"}, {"format": "json", "encoding": "latin-1"}, "CONNECTOR-1312-400"),
        (
            {"path": "*.csv", "columns": [{"name": "a", "type": "galaxy"}]},
            {"format": "delimited"},
            "CONNECTOR-1312-400",
        ),
        ({"path": "*.csv", "filters": pql(call("isNull", field()))}, {"format": "delimited"}, "CONNECTOR-1353-400"),
        ({"path": "*.csv", "cdcEnabled": True}, {"format": "delimited"}, "CONNECTOR-1312-400"),
    ],
)
def test_files_that_no_run_could_read_are_refused_at_once(face: Face, params: Json, data: Json, code: str) -> None:
    refused(_source(face, LOCAL_FILES, None, params, data), 400, code)


def test_a_path_outside_the_roots_is_refused_when_the_connection_is_made(face: Face) -> None:
    for spec, name, params in (
        (SQLITE, "Database File", {"path": "/etc/other.db"}),
        (SQLITE, "Database File", {"path": str(face.folder / "data" / "keys" / "any.db")}),
        (LOCAL_FILES, "Folder", {"folder": "/etc"}),
        (LOCAL_FILES, "Folder", {"folder": str(face.folder / ".." / "..")}),
    ):
        auth = {"specName": name, "params": params}
        answer = face.post("/connections", {"name": "out", "connectionSpec": {"id": spec}, "auth": auth})
        refused(answer, 400, "CONNECTOR-1312-400")


def test_a_flow_freezes_the_filter(face: Face) -> None:
    filters = pql(call(">", field("id"), literal(10)))
    source = _source(face, SQLITE, face.connection(), {"tableName": "orders", "filters": filters}).json()["id"]
    flow = face.flow(sourceConnectionIds=[source])
    assert face.scoped().get(Kind.FLOW, flow).frozen["source"]["params"]["filters"] == filters


def test_specs_say_that_they_filter_rows(face: Face) -> None:
    for spec, filters in ((POSTGRESQL, True), (SQLITE, True), (LOCAL_FILES, False), (DATALAKE, False)):
        attributes = face.get(f"/connectionSpecs/{spec}").json()["attributes"]
        assert ("filterAtSource" in attributes) is filters
    about = face.get(f"/connectionSpecs/{SQLITE}").json()["attributes"]["filterAtSource"]
    assert (about["enabled"], about["queryLanguage"]) == (True, "SQL")


def test_the_folder_may_be_gone(face: Face, tmp_path: Path) -> None:
    folder = face.folder / "soon gone"
    folder.mkdir()
    auth = {"specName": "Folder", "params": {"folder": str(folder)}}
    id_ = face.made("/connections", {"name": "gone", "connectionSpec": {"id": LOCAL_FILES}, "auth": auth})
    shutil.rmtree(folder)
    refused(face.get(f"/connections/{id_}/explore?objectType=root"), 404, "FLOW-1101-404")
