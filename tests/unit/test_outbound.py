"""Where connections may reach: every disguise of a forbidden address, and what the setting lists."""

import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from headgate.config import Settings
from headgate.errors import BadSetting, HostNotAllowed, InvalidRequest, PathNotAllowed, SourcePathForbidden
from headgate.model.scope import Tenancy
from headgate.outbound import Outbound
from headgate.service.local import remember_address, settings_for
from headgate.sources import open_source
from headgate.sources.roots import Roots

SQLITE = "6f2d5c0e-7c1b-4d0a-9a53-0b7e4f1c2a11"
LOCAL_FILES = "c3a1b7e4-5d92-4f86-8e0b-2a6d91f47c52"
POSTGRESQL = "74a1c565-4e59-48d7-9d67-7c03b8a13137"


def outbound(folder: Path, allowed: str = "", *, shared: bool = False) -> Outbound:
    return Outbound(Settings(data=folder, allowed_hosts=allowed), shared=shared)  # type: ignore[arg-type]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names that this machine resolves, each with the answers of its next resolutions."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def answer(host: str, port: object, *rest: object, **more: object) -> object:
        if host not in known:
            return real(host, port, *rest, **more)  # type: ignore[arg-type]
        first = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return [(0, 0, 0, "", (address, 0)) for address in first.split()]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return known


ALWAYS = [
    "169.254.169.254",
    "169.254.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "::ffff:a9fe:a9fe",
    "::ffff:169.254.169.254",
    "::a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fe80::1",
    "fe80::1%lo",
    "fd00:ec2::254",
    "100.100.100.200",
    "0",
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
]


@pytest.mark.parametrize("host", ALWAYS)
def test_what_is_refused_always(tmp_path: Path, host: str) -> None:
    for policy in (outbound(tmp_path), outbound(tmp_path, "0.0.0.0/0,::/0", shared=True)):
        with pytest.raises(HostNotAllowed, match="refused always"):
            policy.judge(host, 5432)


@pytest.mark.parametrize(
    "host", ["", " ", "a b", "a\r\nX: y", "a,b", "a/b", "@abstract", "①⑥⑨.254.169.254", "[::1]", "x" * 300]
)
def test_what_is_no_host(tmp_path: Path, host: str) -> None:
    with pytest.raises(HostNotAllowed, match="no host"):
        outbound(tmp_path).judge(host, 5432)


LOCAL = [
    "localhost",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "::1",
    "::ffff:127.0.0.1",
    "10.1.2.3",
    "fd12::1",
]


@pytest.mark.parametrize("host", LOCAL)
def test_this_network_is_open_to_one_organisation_alone(tmp_path: Path, host: str) -> None:
    assert outbound(tmp_path).judge(host, 5432)
    with pytest.raises(HostNotAllowed, match="HEADGATE_ALLOWED_HOSTS"):
        outbound(tmp_path, shared=True).judge(host, 5432)
    with pytest.raises(HostNotAllowed, match="HEADGATE_ALLOWED_HOSTS"):
        outbound(tmp_path, "db.example.com").judge(host, 5432)


def test_a_name_is_judged_by_all_its_addresses(tmp_path: Path, names: dict[str, list[str]]) -> None:
    names["two.example.com"] = ["93.184.216.34 169.254.169.254"]
    with pytest.raises(HostNotAllowed, match=r"'two\.example\.com' may not be reached: it is a link-local"):
        outbound(tmp_path).judge("two.example.com", 443)


def test_a_listed_name_opens_public_addresses_only(tmp_path: Path, names: dict[str, list[str]]) -> None:
    names["127.0.0.1.nip.example.com"] = ["127.0.0.1"]
    names["a.example.com"] = ["93.184.216.34"]
    names["a.example.com.evil.org"] = ["93.184.216.34"]
    names["inner.example.com"] = ["10.1.2.3"]
    policy = outbound(tmp_path, ".example.com:443, 10.1.0.0/16", shared=True)
    assert policy.judge("a.example.com", 443) == ("93.184.216.34",)
    names["A.Example.COM."] = ["93.184.216.34"]
    assert policy.judge("A.Example.COM.", 443) == ("93.184.216.34",)
    assert policy.judge("inner.example.com", 5432) == ("10.1.2.3",)
    for host, port in [
        ("127.0.0.1.nip.example.com", 443),
        ("a.example.com", 80),
        ("a.example.com.evil.org", 443),
        ("example.com", 443),
        ("93.184.216.34", 443),
    ]:
        with pytest.raises(HostNotAllowed, match="is not listed in HEADGATE_ALLOWED_HOSTS"):
            policy.judge(host, port)


def test_a_name_that_does_not_resolve_is_judged_by_its_name(tmp_path: Path) -> None:
    assert outbound(tmp_path).judge("db.invalid", 5432) == ()
    assert outbound(tmp_path, "db.invalid", shared=True).judge("db.invalid", 5432) == ()
    with pytest.raises(HostNotAllowed):
        outbound(tmp_path, "10.0.0.0/8", shared=True).judge("db.invalid", 5432)


def test_the_service_itself_is_never_reached(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    remember_address(settings, "http://127.0.0.1:8080")
    policy = Outbound(settings, shared=False)
    here = socket.gethostbyname(socket.gethostname())
    for host in ("localhost", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", here):
        with pytest.raises(HostNotAllowed, match="this service's own"):
            policy.judge(host, 8080)
        assert policy.judge(host, 8081)
    for url in ("http://127.0.0.1:8080/data", "http://user@127.0.0.1:8081/"):
        with pytest.raises(HostNotAllowed):
            policy.judge_url(url)


URLS = [
    "file:///etc/passwd",
    "gopher://example.com/",
    "jdbc:postgresql://db/x",
    "ftp://example.com",
    "//example.com",
    "http://",
    "http://[::ffff:a9fe:a9fe]/latest",
    "http://169.254.169.254/latest",
    "http://2852039166/",
    "http://example.com\\@169.254.169.254/",
    "http://a@b/",
    "http://:p@b/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:22;rm/",
    "http://example.com/\r\nX: y",
    "http://exa mple.com/",
    "http://ex\u2100mple.com/",
]


@pytest.mark.parametrize("url", URLS)
def test_urls_that_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(HostNotAllowed):
        outbound(tmp_path).judge_url(url)


def test_a_url_gives_where_to_connect_and_what_to_call_it(tmp_path: Path) -> None:
    endpoint = outbound(tmp_path).judge_url("https://127.0.0.1/hook?x=1")
    assert (endpoint.scheme, endpoint.host, endpoint.port) == ("https", "127.0.0.1", 443)
    assert endpoint.addresses == ("127.0.0.1",)
    assert outbound(tmp_path).judge_url("http://[::1]:9000/").addresses == ("::1",)


def test_socket_folders(tmp_path: Path) -> None:
    outbound(tmp_path).judge_socket("/run/postgresql")
    outbound(tmp_path, "/run/postgresql", shared=True).judge_socket("/run//postgresql/")
    for folder in ("/run/postgresql/../x", "/tmp"):  # noqa: S108
        with pytest.raises(HostNotAllowed, match="HEADGATE_ALLOWED_HOSTS"):
            outbound(tmp_path, "/run/postgresql", shared=True).judge_socket(folder)


@pytest.mark.parametrize("entry", ["a b", "10.0.0.0/33", "a:0", "a:65536", "http://a", "[::1", "a..b", "*.*"])
def test_an_entry_that_cannot_be_read_stops_the_start(entry: str) -> None:
    with pytest.raises(ValidationError, match="is no host name"):
        Settings(allowed_hosts=entry)  # type: ignore[arg-type]


def test_a_bad_setting_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_ALLOWED_HOSTS", "db:0")
    monkeypatch.setenv("HEADGATE_LEASE", "h0pe")
    with pytest.raises(BadSetting) as failure:
        settings_for(None)
    assert "HEADGATE_ALLOWED_HOSTS: 'db:0' is no host name" in failure.value.detail
    assert "HEADGATE_LEASE: " in failure.value.detail
    assert "h0pe" not in failure.value.detail


def test_every_form_of_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "HEADGATE_ALLOWED_HOSTS", "db, *.example.com:5432,10.0.0.0/8:22,fd00::/8,[fd00::1]:5432,::1,/run"
    )
    rules = Settings().allowed_hosts
    assert [(rule.name, str(rule.network), rule.port, rule.folder) for rule in rules] == [
        ("db", "None", None, ""),
        (".example.com", "None", 5432, ""),
        ("", "10.0.0.0/8", 22, ""),
        ("", "fd00::/8", None, ""),
        ("", "fd00::1/128", 5432, ""),
        ("", "::1/128", None, ""),
        ("", "None", None, "/run"),
    ]


OWN = "postgresql+psycopg://hg:pw@localhost:5433/headgate"


@pytest.mark.parametrize(
    ("url", "host", "port", "name", "own"),
    [
        (OWN, "localhost", 5433, "headgate", True),
        (OWN, "127.0.0.1", 5433, "headgate", True),
        (OWN, "127.1", 5433, "headgate", True),
        (OWN, "::1", 5433, "headgate", True),
        (OWN, "/run/postgresql", 5433, "headgate", True),
        (OWN, "localhost", 5433, "shop", False),
        (OWN, "localhost", 5432, "headgate", False),
        (OWN, "192.0.2.1", 5433, "headgate", False),
        ("postgresql+psycopg://hg@/headgate?host=/run/pg", "/run/pg", 5432, "headgate", True),
        ("postgresql+psycopg://hg@/head%20gate?host=/run/pg&port=5", "localhost", 5, "head gate", True),
        ("postgresql+psycopg://hg@/headgate", "/var/run/postgresql", 5432, "headgate", True),
        ("postgresql+psycopg://hg@192.0.2.1/headgate", "192.0.2.1", 5432, "headgate", True),
        ("postgresql+psycopg://hg@192.0.2.1/headgate", "localhost", 5432, "headgate", False),
        ("", "localhost", 5432, "headgate", False),
    ],
)
def test_the_metadata_database_is_no_source(url: str, host: str, port: int, name: str, own: bool) -> None:
    policy = Outbound(Settings(metadata_url=url), shared=False)
    if not own:
        policy.judge_database(host, port, name)
        return
    with pytest.raises(HostNotAllowed, match="this service's own"):
        policy.judge_database(host, port, name)
    with pytest.raises(HostNotAllowed):
        open_source(
            POSTGRESQL,
            {"server": host, "port": str(port), "database": name, "username": "u"},
            Settings(metadata_url=url),
            Tenancy("o", shared=False),
        )


def test_a_sqlite_metadata_file_elsewhere_is_no_source(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", file_roots=(tmp_path,), metadata_url=f"sqlite:///{tmp_path}/own.db")
    (tmp_path / "own.db").touch()
    with pytest.raises(SourcePathForbidden, match="belongs to the service"):
        Roots.of(settings, Tenancy("o", shared=False)).real(str(tmp_path / "own.db"))


def test_files_of_an_organisation(tmp_path: Path) -> None:
    """With several, only folders that are named are open; one may be each organisation's own."""
    alone, shared = Tenancy("A1@AdobeOrg", shared=False), Tenancy("A1@AdobeOrg", shared=True)
    for org in ("A1@AdobeOrg", "B2@AdobeOrg"):
        (tmp_path / org).mkdir()
        (tmp_path / org / "own.db").touch()
    unnamed, named = Settings(data=tmp_path), Settings(data=tmp_path / "data", file_roots=(tmp_path / "{org}",))
    Roots.of(unnamed, alone).real(str(tmp_path / "B2@AdobeOrg" / "own.db"))
    for spec in (SQLITE, LOCAL_FILES):
        with pytest.raises(PathNotAllowed, match="HEADGATE_FILE_ROOTS"):
            open_source(spec, {"path": "own.db"} if spec == SQLITE else {}, unnamed, shared)
    for odd in ("..", "../B2@AdobeOrg", "/", ""):
        with pytest.raises(SourcePathForbidden):
            Roots.of(named, Tenancy(odd, shared=True)).real(str(tmp_path / "B2@AdobeOrg" / "own.db"))
    for tenancy in (alone, shared):
        Roots.of(named, tenancy).real(str(tmp_path / "A1@AdobeOrg" / "own.db"))
        with pytest.raises(SourcePathForbidden, match="outside"):
            Roots.of(named, tenancy).real(str(tmp_path / "B2@AdobeOrg" / "own.db"))


CONNECTION = {"database": "d", "username": "u"}


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "0", "a,169.254.169.254", "@x"])
def test_a_source_is_judged_when_it_is_opened(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidRequest, match="host"):
        open_source(POSTGRESQL, {"server": host, **CONNECTION}, Settings(data=tmp_path), Tenancy("o", shared=False))


def test_postgresql_connects_to_the_judged_address_and_not_to_the_name(
    tmp_path: Path, names: dict[str, list[str]]
) -> None:
    """A name that answers publicly first and with the metadata address afterwards."""
    names["rebind.example.com"] = ["93.184.216.34", "169.254.169.254"]
    params = {"server": "rebind.example.com", **CONNECTION}
    source = open_source(POSTGRESQL, params, Settings(data=tmp_path), Tenancy("o", shared=False))
    assert "hostaddr=93.184.216.34" in source._conninfo()  # type: ignore[attr-defined]
    with pytest.raises(HostNotAllowed):
        open_source(POSTGRESQL, params, Settings(data=tmp_path), Tenancy("o", shared=False))
