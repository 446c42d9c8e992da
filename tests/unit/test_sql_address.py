"""The parser of PostgreSQL's connection parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from headgate.errors import BadParameter, InvalidRequest, ParameterMissing
from headgate.sources.sql.postgres_address import Address

BASE = {"server": "db", "database": "shop", "username": "etl"}


def of(text: str) -> Address:
    return Address.of({"connectionString": text})


@pytest.mark.parametrize(
    "text",
    [
        "Server=db;Database=shop;Port=5433;UID=etl;Password=s3",
        "server = db ; DATABASE = shop ; port=5433; uid=etl; pwd=s3 ;",
        "Port=5433;Server={db};Database={shop};User ID=etl;Password={s3};",
        "host=db dbname=shop port=5433 user=etl password=s3",
        "host='db' dbname = 'shop' port=5433 user=etl password='s3'",
        "postgresql://etl:s3@db:5433/shop",
        "postgres://etl:s3@db:5433/shop",
    ],
)
def test_every_form_gives_the_same_address(text: str) -> None:
    single = Address.of({**BASE, "password": "s3", "port": "5433"})
    assert of(text) == single == Address("db", "shop", "etl", "s3", 5433)


def test_sockets_and_defaults() -> None:
    address = of("postgresql://postgres:@/postgres?host=/run/x")
    assert (address.host, address.port, address.password, address.secrets) == ("/run/x", 5432, "", ())
    assert of("Server=/var/run/pg;Database=a;UID=b").host == "/var/run/pg"
    assert Address.of({**BASE, "port": 6000, "sslMode": "require"}).sslmode == "require"


@pytest.mark.parametrize(
    ("flags", "mode"),
    [
        ("", None),
        ("EncryptionMethod=0", "disable"),
        ("EncryptionMethod=1", "verify-full"),
        ("EncryptionMethod=1;ValidateServerCertificate=1", "verify-full"),
        ("EncryptionMethod=1;ValidateServerCertificate=0", "require"),
        ("EncryptionMethod=6;ValidateServerCertificate=1", "prefer"),
        ("ValidateServerCertificate=0", None),
    ],
)
def test_the_encryption_flags(flags: str, mode: str | None) -> None:
    assert of(f"Server=db;Database=shop;UID=etl;{flags}").sslmode == mode


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Server=db;Database=a;UID=b;Options=-c x=1", "Options"),
        ("Server=db;Database=a;UID=b;service=x", "service"),
        ("host=db dbname=a user=b options='-c x=1'", "options"),
        ("host=db dbname=a user=b passfile=/etc/x", "passfile"),
        ("host=db dbname=a user=b sslrootcert=/etc/x", "sslrootcert"),
        ("host=db dbname=a user=b sslkey=/etc/x", "sslkey"),
        ("host=db dbname=a user=b service=x", "service"),
        ("host=db dbname=a user=b hostaddr=10.0.0.1", "hostaddr"),
        ("postgresql://b@db/a?options=-csearch_path%3Dx", "options"),
        ("postgresql://b@db/a?passfile=/etc/passwd", "passfile"),
        ("postgresql://b@db/a?replication=1", "replication"),
    ],
)
def test_other_parameters_are_refused_by_name(text: str, key: str) -> None:
    with pytest.raises(BadParameter, match=f"'{key}'"):
        of(text)


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({**BASE, "options": "-c x=1"}, "options"),
        ({**BASE, "host": "other"}, "host"),
        ({"connectionString": "host=a dbname=b user=c", "server": "x"}, "server"),
        ({**BASE, "sslMode": "maybe"}, "sslmode"),
        ({**BASE, "port": "x"}, "port"),
        ({**BASE, "port": "0"}, "port"),
        ({**BASE, "port": "65536"}, "port"),
        ({**BASE, "password": "a\0b"}, "password"),
        ({"connectionString": "Server=db;Database=a;UID=b;EncryptionMethod=7"}, "encryptionmethod"),
        ({"connectionString": "Server=db;Server=x;Database=a;UID=b"}, "twice"),
        ({"connectionString": "host=db dbname=a user=b connect_timeout=99"}, "connect_timeout"),
    ],
)
def test_bad_values_are_refused(params: dict[str, str], word: str) -> None:
    with pytest.raises(BadParameter, match=word):
        Address.of(params)


@pytest.mark.parametrize("name", ["server", "database", "username"])
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(ParameterMissing, match=name):
        Address.of({key: value for key, value in BASE.items() if key != name})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h0pe",
        "Server=db;Database=a;UID=b;Password",
        "host=db password='h0pe",
        "host=db h0pe",
        "postgresql://u:h0pe@db:99999999/x",
        "postgresql://u:h0pe@[db/x",
        "Server=db;Database=a;UID=b;Password={h0pe",
    ],
)
def test_an_unreadable_string_shows_nothing_of_itself(text: str) -> None:
    with pytest.raises(InvalidRequest) as failure:
        of(text)
    assert "h0pe" not in str(failure.value)
    assert "h0pe" not in str(failure.value.report)
    assert failure.value.__cause__ is None


def test_the_password_file_of_the_service_is_not_used() -> None:
    assert conninfo_to_dict(Address.of(BASE).conninfo())["passfile"] == "/dev/null/none"


anything = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=20)


@given(anything)
def test_any_password_survives(password: str) -> None:
    address = Address.of({**BASE, "password": password})
    assert conninfo_to_dict(address.conninfo())["password"] == password
    braced = password.replace("}", "}}")
    assert of(f"Server=db;Database=shop;UID=etl;Password={{{braced}}}") == address
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    if ";" not in password:
        assert of(f"host=db dbname=shop user=etl password='{escaped}'") == address
    assert password in address.secrets
    if len(password) > 8:
        assert password not in repr(address)


@given(st.text(max_size=60))
def test_no_string_makes_the_parser_fail_otherwise(text: str) -> None:
    try:
        address = of(text)
    except InvalidRequest:
        return
    assert address.host
    assert address.user
