"""SQL Server, Snowflake, Databricks, ClickHouse and Trino, as far as their wire protocols go without their servers."""

import dataclasses
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

from headgate import dataplane
from headgate.config import Settings
from headgate.errors import (
    HeadgateError,
    HostNotAllowed,
    MissingExtra,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
    UnholdableValue,
    UnsupportedType,
)
from headgate.model.scope import Tenancy
from headgate.model.windows import DeltaColumn, Window
from headgate.sources import open_source
from headgate.sources.interface import Reading, Selection
from headgate.sources.specs import connection_specs
from headgate.sources.sql.reader import SqlSource
from headgate.sources.sql.snowflake.address import Address as SnowflakeAddress
from headgate.sources.sql.snowflake.dialect import SnowflakeDialect
from headgate.sources.sql.snowflake.driver import SnowflakeDriver
from tests.integration.driver_systems import BIGQUERY, END, INSTANT, START, SYSTEMS, System
from tests.unit.test_row_filter import call, field, literal, pql
from tests.wire import Refusal, Wire, closed_port, serving
from tests.wire.bigquery import certificate
from tests.wire.clickhouse import ClickHouse
from tests.wire.databricks import Databricks
from tests.wire.oracle import Oracle
from tests.wire.snowflake import Snowflake
from tests.wire.tds import Tds
from tests.wire.trino import Trino

DAY = Window(int(START.timestamp()) * 1000, int(END.timestamp()) * 1000)


FAKED = "HEADGATE_TEST_BIGQUERY"  # set in the process that takes a proxy for Google
HERE = {"bigquery": BIGQUERY} if FAKED in os.environ else SYSTEMS


@pytest.fixture(params=HERE)
def system(request: pytest.FixtureRequest) -> System:
    return HERE[request.param]


@pytest.fixture
def wire(system: System) -> Iterator[Wire]:
    with serving(system.wire(system.answer)) as found:
        yield found


def selection(system: System, **params: Any) -> Selection:
    return Selection({"tableName": system.table, **params})


def only(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


def fetched(source: SqlSource, reading: Reading) -> list[dict[str, Any]]:
    (split,) = reading.splits
    connection = dataplane.connect()
    try:
        source.prepare(connection, reading, split)
        return list(connection.execute(split.relation).to_arrow_table().to_pylist())
    finally:
        connection.close()


def refused(source: SqlSource, chosen: Selection) -> HeadgateError:
    """What a read of the whole day fails with."""
    try:
        with source.plan(chosen, DAY, DeltaColumn("at"), parallel=2) as reading:
            (split,) = reading.splits
            connection = dataplane.connect()
            try:
                source.prepare(connection, reading, split)
                connection.execute(split.relation).fetchall()
            except duckdb.Error as error:
                return source.translate(error)
            finally:
                connection.close()
    except HeadgateError as error:
        return error
    raise AssertionError("nothing was refused")


def parsed(system: System, wire: Wire) -> None:
    """Every statement that was sent is one of the system's SQL, to a parser that is not ours."""
    for statement in wire.statements:
        if not statement.startswith((*system.settings, "SHOW", "KILL")):
            sqlglot.parse_one(statement, read=system.sqlglot)


def test_every_type_arrives_exactly_and_the_window_is_half_open(system: System, wire: Wire) -> None:
    source = system.source(wire.port, "s3cret")
    source.check()
    relation = source.describe(selection(system))
    assert [str(column.type) for column in relation.columns[:-1]] == [typed.lake for typed in system.types]
    with source.plan(selection(system), DAY, DeltaColumn("at"), parallel=4) as reading:
        assert [split.id for split in reading.splits] == ["window"]
        assert system.where in str(reading.splits[0].query)
        rows = fetched(source, reading)
    first, at_start = rows  # neither the row at the window's end nor the one a microsecond before its start
    assert str(at_start.pop("at"))[:19] == "2024-02-29 00:00:00"
    assert set(at_start.values()) == {None}
    held = [str(v) if t.lake == "uuid" else v for v, t in zip(first.values(), system.types, strict=False)]
    assert held == [str(t.held) if t.lake == "uuid" else t.held for t in system.types]
    assert str(first["at"]).startswith(str(INSTANT)[:26])
    parsed(system, wire)


def test_a_time_finer_than_the_lakes_is_refused_by_name(system: System) -> None:
    places = {typed.declared: at for at, typed in enumerate(system.types)}
    for declared, sent in system.fine.items():
        name = f"k{places[declared]}"

        def answer(statement: str, sent: str = sent) -> pa.Table:
            found = system.answer(statement)
            return (
                pa.table({"c0": [sent], "c1": found[found.num_columns - 1][:1]}) if system.data in statement else found
            )

        with serving(system.wire(answer)) as wire:
            source = system.source(wire.port, "s3cret")
            error = refused(source, selection(system, columns=only(name, "at")))
            assert isinstance(error, UnholdableValue)
            assert f'"{name}" holds {sent}' in error.detail
            preview = source.preview(selection(system, columns=only(name, "at")), 5)
            assert preview.rows[0][0] == sent  # as the source has it


def test_a_text_of_clickhouse_that_is_not_utf8() -> None:
    system = SYSTEMS["clickhouse"]

    def answer(statement: str) -> pa.Table:
        bad = pa.array([b"\xff\xfe"], pa.binary()).view(pa.binary())
        found = system.answer(statement)
        return pa.table({"c0": bad, "c1": found[found.num_columns - 1][:1]}) if system.data in statement else found

    with serving(system.wire(answer)) as wire:
        error = refused(system.source(wire.port, "s3cret"), selection(system, columns=only("k8", "at")))
    assert isinstance(error, UnholdableValue)
    assert '"k8"' in error.detail


def test_exploring_and_preview(system: System, wire: Wire) -> None:
    source = system.source(wire.port, "s3cret")
    entries = source.explore(None)
    if entries[0].type == "folder":
        assert sorted(entry.path for entry in entries) == ["other", "shop"]
        entries = source.explore("shop")
        with pytest.raises(HeadgateError):
            source.explore("no such")
    assert [entry.path.rpartition(".")[2] for entry in entries] == ["Orders", 'name"']
    preview = source.preview(selection(system, columns=only("k0", "at")), 100)
    assert [column.name for column in preview.columns] == ["k0", "at"]
    assert len(preview.rows) == 4
    (asked,) = [statement for statement in wire.statements if system.data in statement]
    assert any(form in asked for form in ("LIMIT 100", "TOP (100)", "FETCH FIRST 100 ROWS ONLY"))
    parsed(system, wire)


def test_row_filters_are_sent_in_the_systems_own_words(system: System, wire: Wire) -> None:
    source = system.source(wire.port, "s3cret")
    values = {
        "text": ("=", 'it\'s 100 % \\ "ż" 🐢'),
        "like": ("like", "[a]%"),
        "decimal": ("=", "123456789012345678901234567890123456.78"),
        "moment": ("<=", "2024-02-29T10:00:00.003"),
    }
    for kind, expected in system.filters.items():
        name = "k" + "".join(sign for sign in expected.split("k", 1)[1][:2] if sign.isdigit())
        op, value = values[kind]
        chosen = selection(system, filters=pql(call(op, field(name), literal(value))), columns=only("at", "k0"))
        with source.plan(chosen, DAY, DeltaColumn("at"), parallel=1) as reading:
            assert str(reading.splits[0].query).endswith(f"WHERE {system.where} AND (({expected}))"), kind
    parsed(system, wire)


def test_hostile_names_stay_names(system: System, wire: Wire) -> None:
    source = system.source(wire.port, "s3cret")
    for name in ('a"b', "a`b", "a]b", "a'b; DROP TABLE t; --", "a\\", "ż🐢"):
        with pytest.raises(SourceObjectMissing):
            source.describe(Selection({"tableName": f'"{name.replace(chr(34), chr(34) * 2)}"."x"'}))
    parsed(system, wire)


def test_what_the_server_refuses(system: System) -> None:
    for refusal, kind in (
        (system.missing, SourceObjectMissing),
        (system.denied, SourceAccessDenied),
        (system.busy, SourceUnreachable),
    ):

        def answer(statement: str, refusal: Refusal = refusal) -> pa.Table:
            if system.data in statement:
                raise refusal
            return system.answer(statement)

        with serving(system.wire(answer)) as wire:
            error = refused(system.source(wire.port, "s3cret"), selection(system, columns=only("at")))
        assert type(error) is kind, error
        assert refusal.words.split("\n")[0] in error.detail


@pytest.mark.parametrize("name", [name for name in HERE if name != "trino"])  # which takes none without TLS
def test_a_wrong_password_is_refused_and_not_repeated(name: str) -> None:
    system = HERE[name]
    with serving(system.wire(system.answer)) as wire, pytest.raises(SourceAccessDenied) as caught:
        system.source(wire.port, "wr0ng-one").check()
    assert "wr0ng-one" not in caught.value.detail


@pytest.mark.skipif(FAKED in os.environ, reason="this is that process")
def test_bigquery_in_a_process_of_its_own(tmp_path: Path) -> None:
    # Its driver reads where Google is, and whom to trust, from the environment, and once.
    environment = {
        **os.environ,
        FAKED: "1",
        "HTTPS_PROXY": f"http://127.0.0.1:{closed_port(given_out=False)}",
        "SSL_CERT_FILE": str(certificate(tmp_path)),
    }
    chosen = "[bigquery] and not nothing_listens"  # its driver goes on trying for the ten seconds that it is given
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", chosen]
    command = [sys.executable, "-m", "pytest", *options, __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert int(done.stdout.rsplit(" passed", 1)[0].split()[-1]) >= 9


def test_a_session_begins_as_it_should() -> None:
    with serving(Tds(SYSTEMS["sqlserver"].answer)) as tds:
        SYSTEMS["sqlserver"].source(tds.port, "s3cret").check()
    assert "SET TRANSACTION ISOLATION LEVEL SNAPSHOT" in tds.statements[0]
    assert (tds.logins[0]["database"], tds.logins[0]["user"]) == ("shop", "etl")
    with serving(Tds(SYSTEMS["sqlserver"].answer)) as synapse:
        text = f"Server=127.0.0.1,{synapse.port};Database=pool;UID=etl;PWD=s3cret;Encrypt=no"
        (spec,) = [spec for spec in connection_specs() if spec.name == "azure-synapse-analytics"]
        open_source(spec.id, {"connectionString": text}, Settings(), Tenancy("ORG", shared=False)).check()
    assert synapse.statements == ["SELECT 1"]
    with serving(Snowflake(SYSTEMS["snowflake"].answer)) as snowflake:
        SYSTEMS["snowflake"].source(snowflake.port, "s3cret").check()
    assert snowflake.statements == ["SELECT 1"]
    assert "databaseName=SHOP" in snowflake.addresses[0]
    assert "warehouse=WH" in snowflake.addresses[0]
    with serving(Databricks(SYSTEMS["databricks"].answer)) as databricks:
        SYSTEMS["databricks"].source(databricks.port, "s3cret").check()
    assert databricks.sessions[0]["schema"] == "shop"
    assert set(databricks.paths) == {"/sql/1.0/warehouses/0123456789abcdef"}


def test_sql_server_is_waited_for_without_holding_the_interpreter() -> None:
    # The stand-in is in this process: were the lock held, it could not send what is waited for, and this would not end.
    system, count = SYSTEMS["sqlserver"], 20_000
    moments = ["2024-02-29 10:30:00.0000000"] * count
    many = pa.table({"c0": ["x" * 200] * count, "c1": moments})

    def answer(statement: str) -> pa.Table:
        return many if system.data in statement else system.answer(statement)

    with serving(Tds(answer)) as wire:
        source = system.source(wire.port, "s3cret")
        with source.plan(selection(system, columns=only("k8", "at")), DAY, DeltaColumn("at"), parallel=1) as reading:
            assert len(fetched(source, reading)) == count


def test_oracle_reads_in_one_transaction_and_learns_nothing_of_this_machine() -> None:
    with serving(Oracle(SYSTEMS["oracle"].answer)) as wire:
        SYSTEMS["oracle"].source(wire.port, "s3cret").check()
        other = f"Host=127.0.0.1;Port={wire.port};Sid=other;User Id=etl;Password=s3cret"
        (spec,) = [spec for spec in connection_specs() if spec.name == "oracle"]
        with pytest.raises(SourceObjectMissing, match="other"):
            open_source(spec.id, {"connectionString": other}, Settings(), Tenancy("ORG", shared=False)).check()
    assert wire.statements[1:] == ["SET TRANSACTION READ ONLY", "SELECT 1 FROM dual"]
    assert "(CID=(PROGRAM=headgate)(HOST=headgate)(USER=headgate))" in wire.descriptors[0]


def test_clickhouse_is_asked_in_a_way_that_cannot_write() -> None:
    with serving(ClickHouse(SYSTEMS["clickhouse"].answer)) as wire:
        SYSTEMS["clickhouse"].source(wire.port, "s3cret").check()
    assert wire.methods == ["GET"]  # by which the server itself only reads
    assert wire.asked[0]["database"] == "default"


def test_trino_is_followed_nowhere_else() -> None:
    with serving(Trino(SYSTEMS["trino"].answer, elsewhere="http://169.254.169.254")) as wire:
        SYSTEMS["trino"].source(wire.port, "s3cret").check()
    assert {headers["x-trino-catalog"] for headers in wire.headers} == {"hive"}


class _Stray(Trino):
    """Something else that listens there, and gives one answer to everything."""

    def __init__(self, body: bytes) -> None:
        super().__init__(None)
        self._body = body

    def respond(self, *_: object) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, self._body


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"null", b'{"data":[[1]]}', b'{"id":"q","stats":{},"data":1}', b"[" * 100_000, b" " * (257 << 20)],
    ids=["empty", "list", "null", "no id", "no rows", "deep", "257 MB"],
)
def test_an_answer_that_is_none_of_trinos_is_no_empty_one(body: bytes) -> None:
    with serving(_Stray(body)) as wire, pytest.raises(SourceError, match=r"none of Trino's|a page has more than"):
        SYSTEMS["trino"].source(wire.port, "s3cret").check()


def test_snowflake_is_let_in_by_a_key() -> None:
    key = rsa.generate_private_key(65537, 2048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    pair = {"account": "myorg-acct", "username": "etl", "database": "SHOP", "privateKey": text, "warehouse": "WH"}
    address = dataclasses.replace(SnowflakeAddress.of(pair), host="127.0.0.1")
    with serving(Snowflake(SYSTEMS["snowflake"].answer)) as wire:
        driver = SnowflakeDriver(address, ("127.0.0.1",), protocol="http", port=wire.port)
        SqlSource(driver, SnowflakeDialect()).check()
    token = wire.logins[0]["TOKEN"]
    claims = jwt.decode(token, RSAKey.import_key(text), algorithms=["RS256"]).claims
    assert str(claims["sub"]) == "MYORG-ACCT.ETL"


AUTH: list[tuple[str, dict[str, Any], str]] = [
    ("microsoft-sql-server", {"connectionString": "Server=db.example.org;Database=a;UID=b;PWD=c"}, "db.example.org"),
    ("oracle", {"connectionString": "Host=ora.example.org;Sid=X;User Id=a;Password=b"}, "ora.example.org"),
    ("azure-synapse-analytics", {"connectionString": "Server=x.sql.azuresynapse.net;Database=a;UID=b;PWD=c"}, "x.sql.azuresynapse.net"),  # noqa: E501
    ("snowflake", {"connectionString": "jdbc:snowflake://ab12.snowflakecomputing.com/?user=a&password=b&db=c&warehouse=d"}, "ab12.snowflakecomputing.com"),  # noqa: E501
    ("azure-databricks", {"domain": "adb-1.2.azuredatabricks.net", "clusterId": "0131-100000-a", "accessToken": "t", "database": "d"}, "adb-1.2.azuredatabricks.net"),  # noqa: E501
    ("google-big-query", {"project": "my-project", "clientId": "a", "clientSecret": "b", "refreshToken": "c"}, "bigquery.googleapis.com"),  # noqa: E501
    ("clickhouse", {"host": "ch.example.org", "username": "u"}, "ch.example.org"),
    ("trino", {"host": "trino.example.org", "username": "u", "catalog": "c"}, "trino.example.org"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "params", "host"), AUTH, ids=[name for name, _, _ in AUTH])
def test_every_spec_judges_its_host_before_it_is_reached(
    name: str, params: dict[str, Any], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])  # no name is known
    (spec,) = [spec for spec in connection_specs() if spec.name == name]
    assert (spec.runnable, spec.verified, spec.filters_rows) == (True, "interface", True)
    closed = Settings(allowed_hosts="other.example.org")  # type: ignore[arg-type] # as the environment has it
    with pytest.raises(HostNotAllowed, match=re.escape(host)):
        open_source(spec.id, params, closed, Tenancy("ORG", shared=False))
    source = open_source(spec.id, params, Settings(), Tenancy("ORG", shared=False))
    source.validate(Selection({"tableName": "a.b"}))


@pytest.mark.parametrize(
    ("name", "place", "extra"),
    [
        ("sqlserver", "headgate.sources.sql.sqlserver.driver.mssql_python", "sqlserver"),
        ("snowflake", "headgate.sources.sql.snowflake.driver.snowflake", "snowflake"),
        ("databricks", "headgate.sources.sql.databricks.driver.sql", "databricks"),
        ("oracle", "headgate.sources.sql.oracle.driver.oracledb", "oracle"),
        ("bigquery", "headgate.sources.sql.bigquery.driver.bigquery", "bigquery"),
    ],
)
def test_an_extra_that_is_not_installed(name: str, place: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, None)
    with pytest.raises(MissingExtra, match=re.escape(f"pip install 'headgate[{extra}]'")):
        {**SYSTEMS, "bigquery": BIGQUERY}[name].source(1, "s3cret").check()


def test_a_port_where_nothing_listens(system: System) -> None:
    with pytest.raises(SourceUnreachable) as caught:
        system.source(closed_port(), "s3cret").check()
    assert "s3cret" not in caught.value.detail


def test_a_type_that_the_lake_cannot_hold_is_refused_by_name(system: System) -> None:
    odd = {
        "oracle": "LONG",
        "sqlserver": "geography",
        "databricks": "void",
        "snowflake": "GEOGRAPHY",
        "trino": "hyperloglog",
    }
    declared = odd.get(system.name, "AggregateFunction(sum, UInt8)")

    def answer(statement: str) -> pa.Table:
        for part, table in system.catalogue([("where", declared), ("at", system.delta)]).items():
            if part in statement:
                return table
        return system.answer(statement)

    with serving(system.wire(answer)) as wire:
        source = system.source(wire.port, "s3cret")
        with pytest.raises(UnsupportedType, match="'where'"):
            source.describe(selection(system))
        assert list(source.preview(selection(system), 0).unsupported) == ["where"]


def test_a_read_is_cancelled_where_it_waits(system: System) -> None:
    waiting, over = threading.Event(), threading.Event()
    served: list[Wire] = []

    def answer(statement: str) -> pa.Table:
        if system.data in statement and "at" in statement:
            waiting.set()
            over.wait(20)
            if served[0].cancelled.is_set():
                raise system.busy
        return system.answer(statement)

    with serving(system.wire(answer)) as wire:
        served.append(wire)
        source = system.source(wire.port, "s3cret")
        with source.plan(selection(system, columns=only("at")), DAY, DeltaColumn("at"), parallel=1) as reading:
            connection = dataplane.connect()
            source.prepare(connection, reading, reading.splits[0])
            failed: list[Exception] = []

            def run() -> None:
                try:
                    connection.execute(reading.splits[0].relation).fetchall()
                except duckdb.Error as error:
                    failed.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            assert waiting.wait(10)
            assert not isinstance(wire, Databricks) or wire.asked_after.wait(10)
            try:
                source.interrupt(reading)
                wire.cancelled.wait(10 if system.cancels else 0)
            finally:
                over.set()
                thread.join(20)
                connection.close()
        assert wire.cancelled.is_set() is system.cancels
        assert failed
