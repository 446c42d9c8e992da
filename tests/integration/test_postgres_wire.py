"""Redshift and Greenplum, with a PostgreSQL server in their place that lacks or refuses what they do not have."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from headgate.errors import (
    BadParameter,
    HostNotAllowed,
    ParameterMissing,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
    UnholdableValue,
    UnsupportedType,
)
from headgate.sources import Source
from headgate.testing.source_suite import TableKit, TableSuite
from tests.conformance.kits import PostgresKit, opened, unused_port
from tests.sql_tables import read, read_rejecting, selection, window

ROLE = "strange"
# What a server of PostgreSQL 8 does not have, as far as a younger one can be kept from it.
_LACKING = (
    "pg_export_snapshot()",
    "pg_current_snapshot()",
    "to_regclass(text)",
    "pg_relation_size(regclass, text)",
    "row_to_json(record)",
    "row_to_json(record, boolean)",
    "to_json(anyelement)",
)


@pytest.fixture
def server(database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Somebody who may do everything, on a database where the others may do less than usual."""
    with psycopg.connect(database, autocommit=True) as session:
        session.execute(f"DROP ROLE IF EXISTS {ROLE}")
        session.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 's3cret-of-the-tests'")
        for function in _LACKING:
            session.execute(f"REVOKE EXECUTE ON FUNCTION pg_catalog.{function} FROM PUBLIC")
        session.execute(f"ALTER ROLE {ROLE} SET standard_conforming_strings = off")  # Redshift knows no other way
        session.execute(f"ALTER ROLE {ROLE} SET escape_string_warning = off")
        session.execute(f"ALTER ROLE {ROLE} SET default_transaction_read_only = off")
        session.execute(f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {ROLE}")
        yield session
        session.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


def _folder(address: str) -> str:
    return parse_qs(urlsplit(address).query)["host"][0]


def _database(address: str) -> str:
    return urlsplit(address).path[1:]


class RedshiftKit(PostgresKit):
    types = PostgresKit.types[:-1]  # all but binary

    def open(self) -> Source:
        return self._opened(_folder(self._address), 5432)

    def broken(self) -> Source:
        return self._opened("127.0.0.1", unused_port())

    def _opened(self, host: str, port: int) -> Source:
        auth = {
            "server": host,
            "port": port,
            "database": _database(self._address),
            "username": ROLE,
            "password": self.secrets[0],
        }
        return opened("amazon-redshift", auth, self._folder)


class GreenplumKit(PostgresKit):
    def open(self) -> Source:
        return self._opened(f"HOST={_folder(self._address)};PORT=5432")

    def broken(self) -> Source:
        return self._opened(f"HOST=127.0.0.1;PORT={unused_port()}")

    def _opened(self, where: str) -> Source:
        text = f"{where};DB={_database(self._address)};UID={ROLE};PWD={self.secrets[0]}"
        return opened("greenplum", {"connectionString": text}, self._folder)


@pytest.mark.usefixtures("server")
class TestRedshift(TableSuite):
    @pytest.fixture
    def kit(self, database: str, tmp_path: Path) -> TableKit:
        return RedshiftKit(database, tmp_path)


@pytest.mark.usefixtures("server")
class TestGreenplum(TableSuite):
    @pytest.fixture
    def kit(self, database: str, tmp_path: Path) -> TableKit:
        return GreenplumKit(database, tmp_path)


@pytest.fixture(params=[RedshiftKit, GreenplumKit])
def source(request: pytest.FixtureRequest, server: object, database: str, tmp_path: Path) -> Source:
    kit: RedshiftKit | GreenplumKit = request.param(database, tmp_path)
    return kit.open()


Server = psycopg.Connection[tuple[Any, ...]]


def test_values_of_every_type_arrive_or_are_refused_by_name(server: Server, source: Source, tmp_path: Path) -> None:
    server.execute(
        "CREATE TABLE t (at timestamp, s smallint, i int, f real, n numeric, d numeric(38,10), c char(5), tm time)"
    )
    server.execute(
        "INSERT INTO t VALUES ('2013-01-01', 1, 2, 'nan', 1.50, 1234567890123456789012345678.0123456789, 'a b', "
        "'23:59:59.9')"
    )
    (row,) = read(source)
    assert (row[1], row[2], row[4]) == (1, 2, "1.50")
    assert row[5] == Decimal("1234567890123456789012345678.0123456789")
    assert (row[6], row[7]) == ("a b", datetime(2013, 1, 1, 23, 59, 59, 900000).time())
    names = [{"name": "at"}, {"name": "n", "type": "decimal(5,1)"}]
    assert read(source, selection(columns=names)) == [(datetime(2013, 1, 1), Decimal("1.5"))]
    server.execute("UPDATE t SET d = 'nan'")
    with pytest.raises(UnholdableValue, match="'d'"):
        read(source)
    server.execute("CREATE TABLE days (at timestamp, v date)")
    server.execute("INSERT INTO days VALUES ('2013-01-01', 'infinity'), ('2013-01-01', '0044-03-15 BC')")
    server.execute(
        "INSERT INTO days VALUES ('2013-01-01', '10000-01-01'), ('2013-01-01', '2013-01-01'), ('infinity', NULL)"
    )
    with pytest.raises(UnholdableValue, match='"v" holds'):
        read(source, selection("days"))
    rows, rejects = read_rejecting(source, selection("days"), tmp_path)
    assert rows == [(datetime(2013, 1, 1), date(2013, 1, 1))]
    assert rejects.count == 3  # and infinity lies in no window
    assert ("infinity" in str(source.preview(selection("days"), 10).rows)) is True
    server.execute("CREATE TABLE odd (at date, p point)")
    with pytest.raises(UnsupportedType, match=r"'p'.*point"):
        source.describe(selection("odd"))


@pytest.mark.parametrize("value", ["it's", "50%", "a\\'b", "\\", "a\\\\' OR true --", "%s é"])
def test_a_backslash_ends_no_constant(server: Server, source: Source, value: str) -> None:
    server.execute("CREATE TABLE t (at date, v varchar(50))")
    server.cursor().executemany("INSERT INTO t VALUES ('2013-01-01', %s)", [(value,), ("other",)])
    for operator, literal in (("=", value), ("like", value.replace("\\", "\\\\").replace("%", "\\%"))):
        node = {
            "nodeType": "fnApply",
            "fnName": operator,
            "params": [{"nodeType": "fieldLookup", "fieldName": "v"}, {"nodeType": "literal", "value": literal}],
        }
        chosen = selection(filters={"type": "PQL", "format": "pql/json", "value": node})
        assert read(source, chosen) == [(date(2013, 1, 1), value)]


def test_tables_are_found_by_schema_or_path_and_with_the_account_s_rights(server: Server, source: Source) -> None:
    server.execute("CREATE SCHEMA other; CREATE TABLE other.t (at date); CREATE TABLE t (at timestamp)")
    server.execute("CREATE VIEW v AS SELECT * FROM t; CREATE TABLE secret (at date)")
    server.execute(f"GRANT USAGE ON SCHEMA other TO {ROLE}; REVOKE ALL ON secret FROM {ROLE}")
    entries = {entry.path: entry.readable for entry in source.explore(None)}
    assert entries == {"other.t": True, "public.t": True, "public.v": True, "public.secret": False}
    assert str(source.describe(selection("other.t")).columns[0].type) == "date"
    assert str(source.describe(selection("T")).columns[0].type) == "timestamp"
    with pytest.raises(SourceAccessDenied, match="permission denied"):
        read(source, selection("secret"))
    for name in ("nope", "pg_catalog.pg_class", "nowhere.t"):
        with pytest.raises(SourceObjectMissing, match=name):
            source.describe(selection(name))


def test_sessions_cannot_write_and_read_one_state(server: Server, source: Source) -> None:
    server.execute("CREATE TABLE t (at timestamp)")
    server.execute(
        "CREATE FUNCTION writes() RETURNS int LANGUAGE sql SECURITY DEFINER "
        "AS 'INSERT INTO t VALUES (now()) RETURNING 1'"
    )
    server.execute("CREATE VIEW w AS SELECT now()::timestamp AS at, writes() AS n")
    with pytest.raises(SourceError, match="read-only transaction"):
        read(source, selection("w"))
    assert server.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_partitions_of_greenplum_are_read_through_their_table(server: Server, database: str, tmp_path: Path) -> None:
    source = GreenplumKit(database, tmp_path).open()
    server.execute("CREATE TABLE t (at date) PARTITION BY RANGE (at)")
    server.execute("CREATE TABLE t_2013 PARTITION OF t FOR VALUES FROM ('2013-01-01') TO ('2014-01-01')")
    server.execute("INSERT INTO t VALUES ('2013-01-01')")
    assert [entry.path for entry in source.explore(None)] == ["public.t"]
    assert read(source, selection("t"), window("2013-01-01", "2013-01-02")) == [(date(2013, 1, 1),)]


@pytest.mark.parametrize(
    ("auth", "kind"),
    [
        ({}, ParameterMissing),
        ({"server": "h", "database": "d", "username": "u", "sslrootcert": "/etc/passwd"}, BadParameter),
        ({"server": "169.254.169.254", "database": "d", "username": "u"}, HostNotAllowed),
        ({"connectionString": "HOST=h;DB=d;UID=u;PWD=p;Options=x"}, BadParameter),
    ],
)
@pytest.mark.parametrize("spec", ["amazon-redshift", "greenplum"])
def test_addresses_are_judged(spec: str, auth: dict[str, Any], kind: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(kind):
        opened(spec, auth, tmp_path)


def test_redshift_is_looked_for_at_its_own_port(tmp_path: Path) -> None:
    auth = {"server": "127.0.0.1", "database": "d", "username": "u", "password": "s3cr3t"}
    with pytest.raises(SourceUnreachable, match=r"Amazon Redshift: .*5439") as failure:
        opened("amazon-redshift", auth, tmp_path).check()
    assert "s3cr3t" not in failure.value.detail
