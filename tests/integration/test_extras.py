"""Libraries that are extras: without one its connections can be made, and a test and a run say how to get it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.sources import connection_specs
from tests.integration.face import DATALAKE, FILES, Face, serving
from tests.integration.lake_story import ended, working

DRIVERS = "headgate.sources.sql"
SERVED = {"server": "db.example", "database": "d", "username": "u", "password": "p"}
S3 = {"s3AccessKey": "k", "s3SecretKey": "s", "region": "eu-central-1", "bucketName": "b"}
KEYS = {"accessKeyId": "k", "secretAccessKey": "s", "bucketName": "b"}
ORACLE = {"accessKey": "k", "secretKey": "s", "serviceUrl": "https://a.example", "bucketName": "b"}
AZURE = {"sasUri": "https://a.blob.core.windows.net/c?sv=1&sig=s"}
LAKE = {"url": "https://a.dfs.core.windows.net/c", "accountKey": "a2V5"}
FILE_HOST = {"host": "files.example", "userName": "u", "password": "p"}
SHARE = {"host": "\\\\files.example\\share", "userId": "u", "password": "p"}
SQL_SERVER = {"connectionString": "Server=db.example;Database=d;User ID=u;Password=p"}
ODBC = {"connectionString": "Driver=Some;Server=127.0.0.1;Port=1;Database=d;UID=u;PWD=p"}
BIG_QUERY = {"project": "my-project", "clientId": "i", "clientSecret": "s", "refreshToken": "r"}
DATABRICKS = {
    "domain": "https://adb-1.azuredatabricks.net",
    "clusterId": "0131-100000-abcdefgh",
    "accessToken": "t",
    "database": "d",
}
SNOWFLAKE = {"connectionString": "jdbc:snowflake://a.snowflakecomputing.com/?user=u&password=p&db=d&warehouse=w"}
ORACLE_DB = {"connectionString": "Host=db.example;Port=1521;Service Name=s;User Id=u;Password=p"}
LACKING: list[tuple[str, str, dict[str, str], str, str]] = [  # spec, how it authenticates, with what; package, extra
    ("amazon-s3", "Access Key", S3, "obstore", "cloud"),
    ("google-cloud-storage", "Basic Authentication for google-cloud", KEYS, "obstore", "cloud"),
    ("oracle-object-storage", "Access Key", ORACLE, "obstore", "cloud"),
    ("azure-blob", "SAS URI Authentication", AZURE, "obstore", "cloud"),
    ("azure-data-lake-storage-gen2", "Account Key Authentication for adls-gen2", LAKE, "obstore", "cloud"),
    ("sftp", "Basic Authentication for sftp", FILE_HOST, "paramiko", "sftp"),
    ("azure-file-storage", "Basic Authentication", SHARE, "smbprotocol", "smb"),
    ("mysql", "Basic Authentication", SERVED, "PyMySQL", "mysql"),
    ("mariadb", "Basic Authentication", SERVED, "PyMySQL", "mysql"),
    ("microsoft-sql-server", "Connection String Based Authentication", SQL_SERVER, "mssql-python", "sqlserver"),
    ("odbc", "Connection String Based Authentication", ODBC, "arrow-odbc", "odbc"),
    ("google-big-query", "Basic Authentication", BIG_QUERY, "its ADBC driver", "bigquery"),
    ("azure-databricks", "Access Token Authentication", DATABRICKS, "its SQL connector", "databricks"),
    ("snowflake", "ConnectionString", SNOWFLAKE, "its ADBC driver", "snowflake"),
    ("oracle", "ConnectionString", ORACLE_DB, "python-oracledb", "oracle"),
]


@pytest.fixture(scope="module")
def bare_face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    folder: Path = tmp_path_factory.mktemp("extras")
    with serving(folder, odbc_drivers=("Some",)) as face:
        yield face


@pytest.fixture
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no extra were installed."""
    for library in ("paramiko", "smbclient"):
        monkeypatch.setitem(sys.modules, library, None)
    for module in ("sftp", "smb"):
        monkeypatch.delitem(sys.modules, f"headgate.sources.files.stores.{module}", raising=False)
    for place in (
        *("mysql.driver.pymysql", "sqlserver.driver.mssql_python", "snowflake.driver.snowflake"),
        *("databricks.driver.sql", "oracle.driver.oracledb", "bigquery.driver.bigquery"),
    ):
        monkeypatch.setattr(f"{DRIVERS}.{place}", None)
    for place in (f"{DRIVERS}.odbc.driver.find_spec", "headgate.sources.files.clouds.find_spec"):
        monkeypatch.setattr(place, lambda _: None)


def connected(face: Face, name: str, auth: str, params: dict[str, str]) -> tuple[str, str]:
    """The ids of a spec and of a connection of it."""
    spec = next(spec.id for spec in connection_specs() if spec.name == name)
    about: dict[str, Any] = {"name": name, "connectionSpec": {"id": spec}}
    return spec, face.made("/connections", {**about, "auth": {"specName": auth, "params": params}})


@pytest.mark.usefixtures("_bare")
@pytest.mark.parametrize(("name", "auth", "params", "package", "extra"), LACKING, ids=[each[0] for each in LACKING])
def test_all_say_the_same_at_the_same_moment(
    bare_face: Face, name: str, auth: str, params: dict[str, str], package: str, extra: str
) -> None:
    _, id_ = connected(bare_face, name, auth, params)
    answer = bare_face.get(f"/connections/{id_}/test").json()
    says = f"needs {package}, which is not installed. Run: pip install 'headgate[{extra}]'"
    assert answer.pop("reason").endswith(says)
    assert answer == {"result": False}


@pytest.mark.usefixtures("_bare")
def test_a_run_says_so_too(bare_face: Face) -> None:
    face = bare_face
    spec, connection = connected(face, *LACKING[0][:3])
    body = {"name": "in", "connectionSpec": {"id": spec}, "data": {"format": "json"}, "params": {"path": "a.json"}}
    target = {"connectionSpec": {"id": DATALAKE}, "params": {"dataSetId": face.dataset("Lacking")}}
    flow = face.flow(
        flowSpec={"id": FILES},
        sourceConnectionIds=[face.made("/sourceConnections", {**body, "baseConnectionId": connection})],
        targetConnectionIds=[face.made("/targetConnections", target)],
    )
    with working(face) as worker:
        run = face.run(flow, windowStartTime="0", windowEndTime="4102444800")
        answer = face.get(f"/runs/{ended(face, worker, run)}")
    assert "An object store needs obstore, which is not installed. Run: pip install 'headgate[cloud]'" in answer.text
