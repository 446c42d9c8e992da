"""The connection strings and parameters of the databases that are reached through a driver of their own."""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import BadParameter, InvalidRequest, ParameterMissing
from headgate.sources.sql import address
from headgate.sources.sql.bigquery.address import Address as BigQuery
from headgate.sources.sql.clickhouse.address import Address as ClickHouse
from headgate.sources.sql.databricks.address import Address as Databricks
from headgate.sources.sql.oracle.address import Address as Oracle
from headgate.sources.sql.snowflake.address import Address as Snowflake
from headgate.sources.sql.sqlserver.address import Address as SqlServer
from headgate.sources.sql.trino.address import Address as Trino

SQLSERVER = "Data Source=db;Initial Catalog=shop;User ID=etl;Password=s3cret"
ORACLE = "Host=db;User Id=etl;Password=s3cret"
JDBC = "jdbc:snowflake://ab1234.eu-central-1.snowflakecomputing.com/"
SNOWFLAKE = f"{JDBC}?user=etl&password=s3cret&db=SHOP&warehouse=WH"
KEY = rsa.generate_private_key(65537, 2048)


def string(of: Callable[[Mapping[str, Any]], Any], text: str) -> Any:
    return of({"connectionString": text})


@pytest.mark.parametrize(
    "text",
    [
        SQLSERVER,
        f"{SQLSERVER};Integrated Security=False",
        " server = tcp:db,1433 ; DATABASE='shop'; uid=etl ; PWD=\"s3cret\" ;; ",
        "Addr=db,1433;Initial  Catalog=shop;User=etl;Password=s3cret;Encrypt=True;TrustServerCertificate=no;"
        "Persist Security Info=False;MultipleActiveResultSets=False;Connection Timeout=30;Pooling=true",
    ],
)
def test_every_form_of_sql_server(text: str) -> None:
    assert string(SqlServer.of, text) == SqlServer("db", "shop", "etl", "s3cret", 1433)


def test_what_a_sql_server_string_says_of_encryption_and_routing() -> None:
    said = f"{SQLSERVER};Encrypt=Strict;TrustServerCertificate=true;ApplicationIntent=readonly"
    found = string(SqlServer.of, said)
    assert (found.encrypt, found.trusting, found.intent) == ("Strict", True, "ReadOnly")
    assert "HostnameInCertificate" not in found.connection_string("10.0.0.1")
    plain = string(SqlServer.of, f"{SQLSERVER};Encrypt=no")
    assert plain.connection_string("10.0.0.1") == (
        "Server={tcp:10.0.0.1,1433};Database={shop};UID={etl};PWD={s3cret};Encrypt={Optional};"
        "TrustServerCertificate={no};HostnameInCertificate={db};"
    )


def test_azure_is_reached_by_its_name_and_others_by_the_judged_address() -> None:
    azure = string(SqlServer.of, SQLSERVER.replace("=db;", "=tcp:shop.database.windows.net,1433;"))
    assert "Server={tcp:shop.database.windows.net,1433}" in azure.connection_string("20.0.0.1")
    other = string(SqlServer.of, SQLSERVER.replace("=db;", "=x.database.windows.net.example.org;"))
    assert "Server={tcp:20.0.0.1,1433}" in other.connection_string("20.0.0.1")
    assert "HostnameInCertificate={x.database.windows.net.example.org}" in other.connection_string("20.0.0.1")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ("AttachDbFilename=/etc/passwd", "AttachDbFilename"),
        ("Driver={SQLite3}", "Driver"),
        ("DSN=other", "DSN"),
        ("Integrated Security=SSPI", "Integrated Security"),
        ("Trusted_Connection=yes", "Integrated Security"),
        ("Authentication=Active Directory Interactive", "Authentication"),
        ("ServerCertificate=/etc/ssl/key.pem", "ServerCertificate"),
        ("Failover Partner=elsewhere", "Failover Partner"),
        ("Encrypt=perhaps", "Encrypt"),
        ("TrustServerCertificate=perhaps", "trustServerCertificate"),
        ("Server=other", "server"),
        ("Column Encryption Setting=Enabled", "Column Encryption Setting"),
    ],
)
def test_options_that_sql_server_may_not_be_given(more: str, field: str) -> None:
    with pytest.raises(BadParameter) as caught:
        string(SqlServer.of, f"{SQLSERVER};{more}")
    assert caught.value.report["field"] == field
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "server", ["db\\SQLEXPRESS", "(local)", "np:\\\\db\\pipe", "db,70000", "db;Server=b", "a b", "db:1433x"]
)
def test_servers_that_are_no_host_and_port(server: str) -> None:
    with pytest.raises(BadParameter):
        string(SqlServer.of, SQLSERVER.replace("=db;", f"={server};"))


def test_oracle_by_sid_and_by_service() -> None:
    assert string(Oracle.of, f"{ORACLE};Port=1522;Sid=ORCL") == Oracle("db", "etl", "s3cret", 1522, sid="ORCL")
    found = string(Oracle.of, f"{ORACLE};ServiceName=shop.example.com;EncryptionMethod=1")
    assert found == Oracle("db", "etl", "s3cret", 1521, service="shop.example.com", encrypted=True)


@pytest.mark.parametrize(
    "more",
    [
        "Sid=A;ServiceName=B",
        "Port=1521",
        "Sid=A)(ADDRESS=(HOST=evil)",
        "Sid=A;Wallet_Location=/etc/wallet",
        "Sid=A;TrustStore=/etc/wallet",
        "Sid=A;Config_Dir=/etc",
        "Sid=A;Port=0",
        "Sid=A;EncryptionMethod=5",
        "Sid=A;Password=twice",
        "Sid=A;Role=SYSDBA",
    ],
)
def test_what_an_oracle_string_may_not_say(more: str) -> None:
    with pytest.raises(BadParameter) as caught:
        string(Oracle.of, f"{ORACLE};{more}")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(BadParameter):
        string(Oracle.of, f"Host=a)(HOST=evil;Sid=X;{ORACLE.partition(';')[2]}")


def test_snowflake_by_password() -> None:
    found = string(Snowflake.of, f"{SNOWFLAKE}&schema=PUBLIC&role=READER&ssl=on&application=x&authenticator=snowflake")
    assert found == Snowflake(
        "ab1234.eu-central-1",
        "ab1234.eu-central-1.snowflakecomputing.com",
        "etl",
        "SHOP",
        "WH",
        "s3cret",
        schema="PUBLIC",
        role="READER",
    )


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), st.booleans())
def test_a_snowflake_password_is_what_was_encoded(password: str, plus: bool) -> None:
    written = (quote_plus if plus else quote)(password, safe="")
    found = string(Snowflake.of, f"{JDBC}?user=etl&db=SHOP&warehouse=WH&password={written}")
    assert found.password == password


@pytest.mark.parametrize(
    "text",
    [
        f"{SNOWFLAKE}&authenticator=externalbrowser",
        f"{SNOWFLAKE}&authenticator=https://okta.example.org",
        f"{SNOWFLAKE}&private_key_file=/etc/key.pem",
        f"{SNOWFLAKE}&useProxy=true",
        f"{SNOWFLAKE}&ssl=off",
        f"{SNOWFLAKE}&DB=OTHER",
        SNOWFLAKE.replace("snowflakecomputing.com", "example.org"),
        SNOWFLAKE.replace("snowflakecomputing.com", "snowflakecomputing.com.example.org"),
        SNOWFLAKE.replace("snowflakecomputing.com/", "snowflakecomputing.com:8080/"),
        SNOWFLAKE.replace("ab1234", "etl:s3cret@ab1234"),
        SNOWFLAKE.replace("jdbc:snowflake", "jdbc:postgresql"),
        JDBC,
        "jdbc:snowflake://[/?user=a",
    ],
)
def test_what_a_snowflake_string_may_not_say(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        string(Snowflake.of, text)
    assert "s3cret" not in str(caught.value)


def pem(form: serialization.PrivateFormat, passphrase: str | None = None) -> str:
    encryption = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    return KEY.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


PAIR = {"account": "myorg-acct", "username": "etl", "database": "SHOP", "warehouse": "WH"}
OPEN = pem(serialization.PrivateFormat.PKCS8)
DER = KEY.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@pytest.mark.parametrize(
    ("key", "passphrase"),
    [
        (OPEN, None),
        (OPEN.replace("\n", " "), None),
        (OPEN.replace("\n", "\\n"), None),
        (base64.b64encode(OPEN.encode()).decode(), None),
        (base64.b64encode(DER).decode(), None),
        (pem(serialization.PrivateFormat.TraditionalOpenSSL), None),
        (pem(serialization.PrivateFormat.PKCS8, "pass phrase"), "pass phrase"),
        (base64.b64encode(pem(serialization.PrivateFormat.PKCS8, "pp").encode()).decode(), "pp"),
        (pem(serialization.PrivateFormat.TraditionalOpenSSL, "pp"), "pp"),
    ],
)
def test_every_form_of_a_snowflake_key(key: str, passphrase: str | None) -> None:
    found = Snowflake.of({**PAIR, "privateKey": key, "privateKeyPassphrase": passphrase})
    assert (found.host, found.key) == ("myorg-acct.snowflakecomputing.com", OPEN)
    assert {key, OPEN} <= set(found.secrets)
    assert "BEGIN" not in repr(found)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"privateKey": "none"}, "privateKey"),
        ({"privateKey": "/etc/key.pem"}, "privateKey"),
        ({"privateKey": pem(serialization.PrivateFormat.PKCS8, "pp")}, "privateKey"),
        ({"privateKey": pem(serialization.PrivateFormat.PKCS8, "pp"), "privateKeyPassphrase": "no"}, "privateKey"),
        ({"privateKey": OPEN, "account": "evil.example.org/"}, "account"),
        ({"privateKey": OPEN, "host": "example.org"}, "host"),
        ({"privateKey": OPEN, "warehouse": None}, "warehouse"),
    ],
)
def test_what_a_snowflake_key_pair_may_not_be(params: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Snowflake.of({**PAIR, **params})
    assert caught.value.report["field"] == field


CONSENT = {"project": "my-project-1", "clientSecret": "s3cret", "refreshToken": "t0ken"}


def test_bigquery() -> None:
    expected = BigQuery("my-project-1", "id", "s3cret", "t0ken")
    assert BigQuery.of({**CONSENT, "clientId": "id", "largeResultsDataSetId": "x"}) == expected
    assert BigQuery.of({**CONSENT, "clientID": "id"}) == expected
    assert "s3cret" not in repr(expected)
    for wrong in ({"clientId": ""}, {"project": "a/b"}, {"credentials": "/etc/key.json"}):
        with pytest.raises(InvalidRequest):
            BigQuery.of({**CONSENT, "clientId": "id", **wrong})


WORKSPACE = {"accessToken": "t0ken", "database": "shop"}


@pytest.mark.parametrize(
    ("domain", "cluster", "host", "path"),
    [
        (
            "https://adb-1234567890123456.7.azuredatabricks.net",
            "0131-100000-abcdefgh",
            "adb-1234567890123456.7.azuredatabricks.net",
            "/sql/protocolv1/o/1234567890123456/0131-100000-abcdefgh",
        ),
        (
            "dbc-1.cloud.databricks.com/",
            "0131-100000-a1",
            "dbc-1.cloud.databricks.com",
            "/sql/protocolv1/o/0/0131-100000-a1",
        ),
        ("x.gcp.databricks.com", "0123456789abcdef", "x.gcp.databricks.com", "/sql/1.0/warehouses/0123456789abcdef"),
        (
            "x.gcp.databricks.com",
            "/sql/1.0/warehouses/ab12cd34",
            "x.gcp.databricks.com",
            "/sql/1.0/warehouses/ab12cd34",
        ),
    ],
)
def test_databricks(domain: str, cluster: str, host: str, path: str) -> None:
    found = Databricks.of({**WORKSPACE, "domain": domain, "clusterId": cluster})
    assert (found.host, found.path, found.token, found.database) == (host, path, "t0ken", "shop")


@pytest.mark.parametrize(
    "wrong",
    [
        {"domain": "https://evil.example.org"},
        {"domain": "https://evil.example.org/x.azuredatabricks.net"},
        {"domain": "http://adb-1.2.azuredatabricks.net"},
        {"domain": "azuredatabricks.net.example.org"},
        {"clusterId": "../../../api"},
        {"clusterId": "0131-100000-abc/../x"},
        {"accessToken": "a\nb"},
        {"httpPath": "/x"},
    ],
)
def test_what_databricks_may_not_be_given(wrong: dict[str, str]) -> None:
    right = {**WORKSPACE, "domain": "adb-1.2.azuredatabricks.net", "clusterId": "0131-100000-abcdefgh"}
    Databricks.of(right)
    with pytest.raises(BadParameter):
        Databricks.of({**right, **wrong})


def test_clickhouse_and_trino() -> None:
    assert ClickHouse.of({"host": "db", "username": "u"}) == ClickHouse("db", "u", "", "default", 8443, True)
    found = ClickHouse.of({"host": "db", "username": "u", "password": "p", "ssl": False, "database": "shop"})
    assert found == ClickHouse("db", "u", "p", "shop", 8123, False)
    assert Trino.of({"host": "t", "username": "u", "catalog": "hive", "password": "p"}) == Trino("t", "u", "hive", "p")
    open_ = Trino.of({"host": "t", "username": "u", "catalog": "hive", "ssl": "false", "port": "8081", "schema": "s"})
    assert open_ == Trino("t", "u", "hive", "", "s", 8081, False)
    with pytest.raises(BadParameter, match="over TLS only"):
        Trino.of({"host": "t", "username": "u", "catalog": "hive", "password": "p", "ssl": False})
    for of in (ClickHouse.of, Trino.of):
        with pytest.raises(BadParameter):
            of({"host": "db", "username": "u", "catalog": "c", "verify": "false"})
        with pytest.raises(ParameterMissing):
            of({"username": "u", "catalog": "c"} if of == Trino.of else {"username": "u"})


def test_a_missing_part_is_named() -> None:
    for of, text, missing in (
        (SqlServer.of, "Server=db;UID=a;PWD=b", "database"),
        (Oracle.of, "Host=db;Sid=x;UID=a;PWD=", "password"),
        (Snowflake.of, f"{JDBC}?user=a&db=b&warehouse=c", "password"),
    ):
        with pytest.raises(ParameterMissing) as caught:
            string(of, text)
        assert caught.value.report["field"] == missing
        with pytest.raises(ParameterMissing):
            string(of, "")


def written(value: str) -> str:
    """A value as ADO.NET's own builder writes it."""
    if re.fullmatch(r"[^\"'=;\s\x00-\x1f\x7f-\x9f]*", value):
        return value
    if '"' in value and "'" not in value:
        return f"'{value}'"
    return '"' + value.replace('"', '""') + '"'


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(VALUES, VALUES, st.sampled_from(["", " ", ";", " ; "]), st.sampled_from(["", " ", "  "]))
def test_what_the_builder_writes_is_read_back(one: str, two: str, end: str, space: str) -> None:
    text = f"{space}A{space}={space}{written(one)}{space};{space}B b={written(two)}{end}"
    assert address.pairs(text, {"a": "a", "b b": "b"}) == {"a": one, "b": two}


@given(st.text(alphabet="ab=;'\" {}\\\n", max_size=30))
def test_no_string_says_more_than_its_pairs(text: str) -> None:
    try:
        found = address.pairs(text, {"a": "a", "b": "b"})
    except BadParameter:
        return
    # What was read, written again by the builder's rules, is read as the same.
    assert (
        address.pairs(";".join(f"{key}={written(value)}" for key, value in found.items()), {"a": "a", "b": "b"})
        == found
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=x y", "x y"),
        ("a= x  y  ;", "x  y"),
        ("a=x'y\"z", "x'y\"z"),
        ("a={x;", "{x"),
        ("a='x;''y'", "x;'y"),
        ('a="x;""y" ;', 'x;"y'),
        ("a=x=y", "x=y"),
        ("a=b==c", "b==c"),
    ],
)
def test_quotes_as_in_ado_net(text: str, value: str) -> None:
    assert address.pairs(text, {"a": "a"}) == {"a": value}


@pytest.mark.parametrize("text", ["a", "=x", "a='x", 'a="x"y', "a='x'y", "a=x'", 'a=x"', "a='x' 'y'", "a=x;b", "a==b"])
def test_text_that_is_no_connection_string(text: str) -> None:
    with pytest.raises(BadParameter, match="cannot be read"):
        address.pairs(text, {"a": "a", "b": "b"})


def test_spellings_come_longest_first() -> None:
    assert address.spellings("a'b}c", None, "") == ("a''b}c", "a'b}}c", "a\\'b}c", "a'b}c")
