"""What each system behind an ODBC driver is sent, and what becomes of what its driver tells: no server, no driver."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from headgate.config import Settings
from headgate.errors import BadParameter, HeadgateError, HostNotAllowed, MissingExtra, ParameterMissing, SourceError
from headgate.model.lake import LakeType
from headgate.model.scope import Tenancy
from headgate.sources import connection_specs, open_source
from headgate.sources.sql.dialect import CatalogueColumn
from headgate.sources.sql.odbc.address import Address
from headgate.sources.sql.odbc.dialect import OdbcDialect
from headgate.sources.sql.odbc.driver import OdbcSession
from headgate.sources.sql.odbc.systems import DB2, HIVE, PHOENIX, STANDARD, TERADATA, VERTICA, System, system_of
from headgate.sources.sql.selection import Name

LISTED = (
    *("PostgreSQL Unicode", "Vertica", "Teradata Database ODBC Driver 17.20", "IBM DB2 ODBC DRIVER"),
    *("Cloudera ODBC Driver for Apache Hive 64-bit", "Hortonworks Phoenix ODBC Driver"),
)
NAMED: Mapping[str, dict[str, Any]] = {
    "hp-vertica": {"connectionString": "Server=127.0.0.1;Port=5434;Database=d;UID=u;PWD=s3cret"},
    "teradata-vantage": {"connectionString": "DBCName=127.0.0.1;Uid=u;Pwd=s3cret"},
    "ibm-db2": {"server": "127.0.0.1:50001", "database": "d", "username": "u", "password": "s3cret"},
    "apache-hive": {"host": "127.0.0.1", "username": "u", "password": "s3cret"},
    "phoenix": {"host": "127.0.0.1", "username": "u", "password": "s3cret", "enableSsl": False},
}


class Told(OdbcSession):
    """A session whose driver tells what the test has it tell, and that keeps the queries."""

    def __init__(self, dbms: str, rows: Sequence[Sequence[Any]] = (), quote: str = '"', **facts: str) -> None:
        about = {"dbms": dbms, "quote": quote, "database": "", "user": "", **facts}
        self._told: dict[str, Any] = {"facts": about, "rows": rows}
        self.queries: list[str] = []

    def catalogue(self, ask: str, **about: str | None) -> dict[str, Any]:
        del ask, about
        return self._told

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        self.queries.append(query)
        return [(1,)]


def told(dbms: str, system: System = STANDARD, **facts: str) -> tuple[OdbcDialect, Told]:
    dialect, session = OdbcDialect(system), Told(dbms, **facts)
    dialect.answer(session)
    return dialect, session


def column(code: int, type_: str, size: int | None = None, digits: int | None = None) -> CatalogueColumn:
    return CatalogueColumn("c", type_, type_, True, size, digits, size, about=code)


def source_of(name: str, auth: Mapping[str, Any], drivers: tuple[str, ...] = LISTED) -> Any:
    spec = next(spec for spec in connection_specs() if spec.name == name)
    return open_source(spec.id, auth, Settings(odbc_drivers=drivers), Tenancy("org", shared=False))


@pytest.mark.parametrize(
    ("driver", "system"),
    [
        ("Vertica", VERTICA),
        ("HPE Vertica", VERTICA),
        ("Teradata", TERADATA),
        ("Db2", DB2),
        ("IBM DB2 ODBC DRIVER", DB2),
        ("Simba Hive ODBC Driver", HIVE),
        ("Hive", HIVE),
        ("SimbaPhoenix ODBC Driver", PHOENIX),
        ("Devart ODBC Driver for Db2 and Vertica", STANDARD),
        ("FreeTDS", STANDARD),
    ],
)
def test_a_driver_is_known_by_how_its_name_begins(driver: str, system: System) -> None:
    assert system_of(driver) is system


def test_every_driver_is_told_in_its_own_words_where_it_leads() -> None:
    told = {name: source_of(name, auth)._driver._address.connection_string("10.0.0.9") for name, auth in NAMED.items()}
    assert told == {
        "hp-vertica": "Driver={Vertica};Server=10.0.0.9;Port=5434;Database=d;UID=u;PWD=s3cret;ReadOnly=1",
        "teradata-vantage": "Driver={Teradata Database ODBC Driver 17.20};DBCName=10.0.0.9;TDMSTPortNumber=1025;UID=u;"
        "PWD=s3cret;CharacterSet=UTF8",
        "ibm-db2": "Driver={IBM DB2 ODBC DRIVER};Hostname=10.0.0.9;Port=50001;Database=d;UID=u;PWD=s3cret;"
        "Protocol=TCPIP",
        "apache-hive": "Driver={Cloudera ODBC Driver for Apache Hive 64-bit};Host=10.0.0.9;Port=10000;UID=u;PWD=s3cret;"
        "HiveServerType=2;UseNativeQuery=1;DefaultStringColumnLength=32767;AuthMech=3",
        "phoenix": "Driver={Hortonworks Phoenix ODBC Driver};Host=10.0.0.9;Port=8765;UID=u;PWD=s3cret;AuthMech=1;SSL=0",
    }


def test_a_password_stands_in_braces_where_it_needs_them() -> None:
    auth = {"host": "127.0.0.1", "username": "u", "password": "a;Driver={/x}"}
    assert ";PWD={a;Driver={/x}}};" in Address.of_params(HIVE, auth, LISTED).connection_string("10.0.0.9")


def test_the_same_systems_are_reached_by_the_spec_odbc() -> None:
    string = "Driver=Teradata Database ODBC Driver 17.20;DBCName=127.0.0.1;DefaultDatabase=d;UID=u"
    found = source_of("odbc", {"connectionString": string})._driver._address.connection_string("10.0.0.9")
    assert found.startswith("Driver={Teradata Database ODBC Driver 17.20};DBCName=10.0.0.9;TDMSTPortNumber=1025;Def")
    with pytest.raises(ParameterMissing, match="database"):
        source_of("odbc", {"connectionString": "Driver=Vertica;Server=127.0.0.1;UID=u"})
    with pytest.raises(ParameterMissing, match="port"):
        source_of("odbc", {"connectionString": "Driver=Any;Server=127.0.0.1;Database=d;UID=u"}, ("Any",))


def test_a_cluster_of_azure_is_reached_by_its_name() -> None:
    auth = {"host": "c.azurehdinsight.net", "username": "u", "password": "p"}
    hive = Address.of_params(HIVE, auth, LISTED).connection_string("10.0.0.9")
    assert "Host=c.azurehdinsight.net;Port=443;" in hive
    assert hive.endswith("AuthMech=6")
    more = {**auth, "enableSsl": "true", "httpPath": "/hbasephoenix0"}
    assert "SSL=1;HTTPPath=/hbasephoenix0" in Address.of_params(PHOENIX, more, LISTED).connection_string("10.0.0.9")
    with pytest.raises(BadParameter, match="httpPath"):
        Address.of_params(PHOENIX, {**more, "httpPath": "/x;Driver=/tmp/evil.so"}, LISTED)
    elsewhere = {**auth, "host": "c.azurehdinsight.net.evil.example"}
    assert "Host=10.0.0.9;" in Address.of_params(HIVE, elsewhere, LISTED).connection_string("10.0.0.9")


@pytest.mark.parametrize("name", NAMED)
def test_a_driver_that_is_not_listed_is_asked_for_by_name(name: str) -> None:
    source = source_of(name, NAMED[name], ("PostgreSQL Unicode",))
    with pytest.raises(MissingExtra, match=r"install .* HEADGATE_ODBC_DRIVERS"):
        source.check()


@pytest.mark.parametrize("name", NAMED)
def test_nothing_but_what_is_published_is_taken(name: str) -> None:
    def opened(**more: str) -> None:
        auth = dict(NAMED[name])
        if "connectionString" in auth:
            auth["connectionString"] += "".join(f";{key}={value}" for key, value in more.items())
        else:
            auth |= more
        source_of(name, auth)

    opened()
    for option in ("Driver", "DSN", "LogPath", "SSLTrustStore", "Trace"):
        with pytest.raises(BadParameter, match="not allowed"):
            opened(**{option: "/x"})
    where = {"ibm-db2": "server", "apache-hive": "host", "phoenix": "host"}.get(name)
    if where is not None:
        with pytest.raises(HostNotAllowed):
            opened(**{where: "169.254.169.254"})
        with pytest.raises((BadParameter, HostNotAllowed)):
            opened(**{where: "h;Driver=/x"})


@pytest.mark.parametrize(
    ("dbms", "probe", "first"),
    [
        ("DB2/LINUXX8664", "SELECT 1 FROM SYSIBM.SYSDUMMY1", "SELECT c FROM t WHERE w FETCH FIRST 3 ROWS ONLY"),
        ("Teradata", "SELECT 1", "SELECT TOP 3 c FROM t WHERE w"),
        ("Vertica Database", "SELECT 1", "SELECT c FROM t WHERE w LIMIT 3"),
        ("Hive", "SELECT 1", "SELECT c FROM t WHERE w LIMIT 3"),
        ("Phoenix", "SELECT 1", "SELECT c FROM t WHERE w LIMIT 3"),
        ("Impala", "SELECT 1", "SELECT c FROM t WHERE w LIMIT 3"),
        ("Something else", None, "SELECT c FROM t WHERE w FETCH FIRST 3 ROWS ONLY"),
    ],
)
def test_what_a_driver_calls_its_system_says_how_it_is_asked(dbms: str, probe: str | None, first: str) -> None:
    dialect, session = told(dbms)
    assert session.queries == ([probe] if probe else [])
    assert dialect.limited("c", "t", "w", 3) == first


def test_constants_are_written_as_the_system_reads_them() -> None:
    at = datetime(2024, 1, 31, 10, 0, 0, 1)
    db2, hive, teradata = told("DB2")[0], told("Hive")[0], told("Teradata")[0]
    assert db2.constant(at, "timestamp", column(93, "timestamp")) == "{ts '2024-01-31 10:00:00.000001'}"
    assert db2.constant(date(2024, 1, 31), "date", column(91, "date")) == "{d '2024-01-31'}"
    assert db2.constant(time(10, 0, 0, 5), "time", column(92, "time")) == "TIME '10:00:00.000005'"
    assert hive.constant(at, "timestamp", column(93, "timestamp")) == "TIMESTAMP '2024-01-31 10:00:00.000001'"
    assert hive.constant(date(2024, 1, 31), "date", column(91, "date")) == "DATE '2024-01-31'"
    zoned = column(93, "timestamp with time zone")
    utc = at.replace(tzinfo=UTC)
    assert teradata.constant(utc, "timestamptz", zoned) == "TIMESTAMP '2024-01-31 10:00:00.000001+00:00'"
    assert db2.constant(1.5, "double", column(8, "double")) == "1.5E0"
    assert hive.constant(1e-300, "float", column(7, "float")) == "CAST(1e-300 AS float)"
    assert db2.constant(Decimal("0.10"), "decimal", column(3, "decimal")) == "0.10"
    hostile = "x\\' OR '1'='1"
    assert db2.text(hostile) == "'x\\'' OR ''1''=''1'"
    assert hive.text(hostile) == "'x\\\\\\' OR \\'1\\'=\\'1'"
    assert told("Phoenix")[0].text("it's \\") == "'it\\'s \\\\'"
    assert told("Phoenix")[0].constant(date(2024, 1, 31), "date", column(91, "date")) == "DATE '2024-01-31'"
    with pytest.raises(BadParameter, match="backslash"):
        told("MySQL")[0].text("\\")
    unknown = told("Something else")[0]
    assert unknown.text("it's") == "'it''s'"
    assert unknown.like("c", "'a%'") == "c LIKE 'a%'"
    with pytest.raises(BadParameter, match="backslash"):
        unknown.text(hostile)
    assert hive.like("c", "'a\\\\%'") == "c LIKE 'a\\\\%'"
    assert db2.like("c", "'a\\%'") == "c LIKE 'a\\%' ESCAPE '\\'"


def test_names_stand_in_the_quotes_that_the_driver_names() -> None:
    assert told("Hive", quote="`")[0].quote('a`b"') == '`a``b"`'
    assert told("DB2")[0].quote('a`b"') == '"a`b"""'
    without = told("Something else", quote=" ")[0]
    assert without.quote("plain_1") == "plain_1"
    with pytest.raises(SourceError, match="needs quotes"):
        without.quote("a b")
    assert (told("DB2")[0].fold("Orders"), told("Vertica")[0].fold("Orders")) == ("ORDERS", "orders")


@pytest.mark.parametrize(
    ("dbms", "found", "lake", "travels"),
    [
        ("DB2", column(4, "integer"), "int", "int64"),
        ("DB2", column(-5, "bigint"), "long", "int64"),
        ("MySQL", column(4, "integer unsigned"), "long", "int64"),
        ("MySQL", column(-5, "bigint unsigned"), "decimal(20,0)", "string"),
        ("DB2", column(3, "decimal", 31, 6), "decimal(31,6)", "string"),
        ("Teradata", column(3, "number", 40, 0), None, None),
        ("DB2", column(-99, "clob"), "string", "string"),
        ("Vertica", column(-99, "clob"), None, None),
        ("DB2", column(-98, "blob"), "binary", "binary"),
        ("DB2", column(93, "timestamp", 32, 12), "timestamp", "string"),
        ("DB2", column(93, "timestamp", 26, 6), "timestamp", "timestamp[us]"),
        ("Hive", column(93, "timestamp", 29, 9), "timestamp", "string"),
        ("Vertica", column(93, "timestamptz", 26, 6), "timestamptz", "timestamp[us, tz=UTC]"),
        ("Something else", column(93, "timestamp with time zone", 26, 6), None, None),
        ("Vertica", column(92, "timetz", 15, 6), None, None),
        ("Vertica", column(92, "time", 15, 6), "time", "time64[us]"),
        ("Something else", column(-11, "uniqueidentifier", 36), "uuid", "string"),
        ("Vertica", column(110, "interval day to second"), None, None),
    ],
)
def test_types_by_their_codes(dbms: str, found: CatalogueColumn, lake: str | None, travels: str | None) -> None:
    rule = told(dbms)[0].rule(found)
    assert (rule and str(rule.lake), rule and str(rule.travels)) == (lake, travels)


def test_a_number_of_no_size_takes_the_decimal_that_is_declared() -> None:
    dialect, wanted = told("Teradata")[0], LakeType("decimal", 38, 4)
    rule = dialect.declared_decimal(column(3, "number", 40, 0), wanted)
    assert rule is not None
    assert rule.lake == wanted
    assert dialect.declared_decimal(column(8, "float"), wanted) is None


def test_only_tables_and_views_of_people_are_shown() -> None:
    rows = [
        *(("D", "DBC", "Tables", "VIEW"), ("D", "sales", "orders", "TABLE"), ("D", "sales", "by day", "VIEW")),
        *(("D", "sales", "x", "SYSTEM TABLE"), ("D", "sales", "t", "GLOBAL TEMPORARY"), ("D", "sales", "i", "INDEX")),
        *(("other", "sales", "elsewhere", "TABLE"), ("D", "INFORMATION_SCHEMA", "tables", "VIEW")),
    ]
    dialect = OdbcDialect(STANDARD)
    entries = dialect.entries(Told("Teradata", rows, database="D"), None)
    assert entries is not None
    assert [entry.path for entry in entries] == ["sales.by day", "sales.orders"]
    assert dialect.entries(Told("Teradata"), "folder") is None


def test_a_table_that_several_schemas_have_is_the_one_of_the_account_or_has_to_be_named() -> None:
    def row(schema: str) -> tuple[Any, ...]:
        return (None, schema, "T", "ID", 4, "INTEGER", 10, 0, 0)

    both, name = [row("A"), row("B")], Name("T")
    dialect = OdbcDialect(DB2)
    with pytest.raises(BadParameter, match=r"say which: A\.T, B\.T"):
        dialect.table(Told("DB2", both), name)
    table = dialect.table(Told("DB2", both, user="b"), name)
    assert table is not None
    assert table.name == Name("T", "B")
    assert [(c.name, c.nullable, c.declared) for c in table.columns] == [("ID", False, "INTEGER")]
    assert dialect.table(Told("DB2"), name) is None


def test_no_error_of_the_words_holds_the_password() -> None:
    for name, auth in NAMED.items():
        with pytest.raises(HeadgateError) as caught:
            source_of(name, {**auth, "Trace": "1"})
        assert "s3cret" not in str(caught.value)
        assert "s3cret" not in repr(source_of(name, auth)._driver._address)
