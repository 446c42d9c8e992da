"""The engine behind manifests, on servers that answer what a test says: pages, refusals, tokens, faults and jobs."""

import gzip
import threading
import time
import tracemalloc
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
import yaml

from headgate.config import Settings
from headgate.errors import (
    BadParameter,
    HostNotAllowed,
    ParameterMissing,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.model.scope import Tenancy
from headgate.model.windows import DeltaColumn
from headgate.rejects import Rejects
from headgate.sources import Selection, Source
from headgate.sources.context import Context
from headgate.sources.rest import asking, opened
from headgate.sources.rest.loading import loaded
from tests.sql_tables import read, read_rejecting, window

SECRET = "s3cret-of-the-api"
DAY = window("2026-03-01T00:00", "2026-03-02T00:00")
AUTH = {"properties": {"host": {}, "token": {"format": "password"}, "serviceUrl": {}}, "required": ["host"]}
ROWS = [{"id": place, "at": f"2026-03-01T{place:02}:00:00Z"} for place in range(24)]
STREAM: dict[str, Any] = {
    "request": {"path": "/rows"},
    "records": "data",
    "windows": {"at": {"query": {"since": "{window.start|iso}"}, "grain": "second", "sides": "start"}},
    "columns": {"id": "long", "at": "timestamptz"},
}


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Said:
    """An answer: JSON unless `body` is bytes; `cut` gives less than it announces, `late` seconds of silence first."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    late: float = 0.0


@dataclass
class Api:
    """A server, what came to it, and what is to be stopped with it."""

    address: str = ""
    asked: list[Asked] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self) -> list[str]:
        return [one.path for one in self.asked]


@contextmanager
def api(answer: Callable[[Asked], Said]) -> Iterator[Api]:
    made = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            one = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers.items()), body)
            made.asked.append(one)
            said = answer(one)
            made.ended.wait(said.late)
            content = said.body if isinstance(said.body, bytes) else orjson.dumps(said.body)
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) + said.cut))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = said.cut

        do_GET = do_POST = _answer  # noqa: N815 - the names are http.server's

        def log_message(self, *_: Any) -> None:
            """Nothing is said."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.ended.set()
        server.shutdown()
        server.server_close()


def source(
    tmp_path: Path, address: str, stream: Any = None, values: Any = None, settings: Any = None, **more: Any
) -> Source:
    """A source of one stream, `rows`."""
    about = {
        "spec": "acme",
        "verified": "documented",
        "base": "{host}",
        "auth": {"kind": "bearer", "token": "{token}"},
        "streams": {"rows": {**STREAM, **(stream or {})}},
        **more,
    }
    manifest = loaded(yaml.safe_dump(about, sort_keys=False), [AUTH])
    context = Context(Settings(data=tmp_path, **(settings or {})), Tenancy("ORG", shared=False))
    return opened(manifest, "Acme", [("Token", AUTH)], {"host": address, "token": SECRET, **(values or {})}, context)


def ids(source: Source, span: Any = DAY, delta: str | None = "at", **params: Any) -> list[int]:
    return sorted(row[0] for row in read(source, Selection({"tableName": "rows", **params}), span, delta))


Beside = Callable[[int], dict[str, Any]]


def paged(size: int, first: Callable[[Asked], int], beside: Beside) -> Callable[[Asked], Said]:
    """An answer of ROWS by pages: `first` says which record a request begins with, `beside` what stands by the list."""

    def answer(asked: Asked) -> Said:
        begins = first(asked)
        more = beside(begins + size)
        return Said({"data": ROWS[begins : begins + size], **more}, headers=more.pop("headers", {}))

    return answer


def by_cursor(asked: Asked) -> int:
    return int(asked.query.get("c", 0))


def _next(following: int) -> dict[str, Any]:
    return {"next": following if following < len(ROWS) else None}


def _flags(following: int) -> dict[str, Any]:
    return {"at": following, "more": following < len(ROWS), "end": following >= len(ROWS)}


def _link(following: int) -> dict[str, Any]:
    if following >= len(ROWS):
        return {}
    address = f"/rows?c={following}"
    return {"@odata.next": address, "headers": {"Link": f'<{address}>; rel="next", </rows>; rel="first"'}}


def _header(following: int) -> dict[str, Any]:
    return {"headers": {"X-Next": str(following) if following < len(ROWS) else ""}}


def _body(asked: Asked) -> int:
    return int(orjson.loads(asked.body or "{}").get("page", {}).get("after", 0))


TEN = {"parameter": "n", "value": 10}
PAGING: list[tuple[Any, Callable[[Asked], int], Beside, int]] = [
    ({"kind": "page", "parameter": "p", "size": TEN}, lambda a: (int(a.query["p"]) - 1) * 10, lambda _: {}, 4),
    (
        {"kind": "page", "parameter": "p", "first": 0, "total": "pages"},
        lambda a: int(a.query["p"]) * 10,
        lambda _: {"pages": 3},
        3,
    ),
    ({"kind": "offset", "parameter": "o", "limit": TEN}, lambda a: int(a.query["o"]), lambda _: {}, 4),
    (
        {"kind": "offset", "parameter": "o", "limit": TEN, "total": "of"},
        lambda a: int(a.query["o"]),
        lambda _: {"of": 24},
        3,
    ),
    ({"kind": "cursor", "from": "next", "into": "query:c"}, by_cursor, _next, 3),
    (
        {"kind": "cursor", "from": "header:X-Next", "into": "header:X-Cursor"},
        lambda a: int(a.headers.get("X-Cursor", 0)),
        _header,
        3,
    ),
    ({"kind": "cursor", "from": "next", "into": "body:page.after"}, _body, _next, 3),
    ({"kind": "cursor", "from": "at", "into": "c", "more": "more"}, by_cursor, _flags, 3),
    ({"kind": "cursor", "from": "at", "into": "c", "stop": "end"}, by_cursor, _flags, 3),
    ({"kind": "link", "from": "'@odata.next'"}, by_cursor, _link, 3),
    ({"kind": "link", "from": "header:link"}, by_cursor, _link, 3),
    (
        {"kind": "last_id", "parameter": "c", "field": "id", "more": "more"},
        lambda a: int(a.query.get("c", -1)) + 1,
        _flags,
        3,
    ),
]


@pytest.mark.parametrize(("paging", "first", "beside", "requests"), PAGING)
def test_pages_are_turned_to_the_last(tmp_path: Path, paging: Any, first: Any, beside: Any, requests: int) -> None:
    with api(paged(10, first, beside)) as there:
        method = "POST" if str(paging.get("into", "")).startswith("body") else "GET"
        stream = {"paging": paging, "request": {"path": "/rows", "method": method}}
        assert ids(source(tmp_path, there.address, stream)) == list(range(24))
        assert len(there.asked) == requests
    if paging["kind"] != "link":
        assert {one.query["since"] for one in there.asked} == {"2026-03-01T00:00:00Z"}


def test_a_page_after_itself_is_an_error_and_no_loop(tmp_path: Path) -> None:
    for paging, beside in (
        ({"kind": "cursor", "from": "next", "into": "c"}, {"next": 5}),
        ({"kind": "link", "from": "next"}, {"next": "/rows?since=x"}),
        ({"kind": "last_id", "parameter": "c", "field": "id"}, {}),
    ):
        with api(lambda _, beside=beside: Said({"data": ROWS[:3], **beside})) as there:  # type: ignore[misc]
            with pytest.raises(SourceError, match="after itself"):
                ids(source(tmp_path, there.address, {"paging": paging}))
            assert len(there.asked) <= 3


def test_pages_that_go_round_in_a_circle_are_no_loop(tmp_path: Path) -> None:
    circle = {"a": "b", "b": "c", "c": "a"}
    with api(lambda asked: Said({"data": ROWS[:3], "next": circle.get(asked.query.get("c", ""), "a")})) as there:
        with pytest.raises(SourceError, match="never end"):
            ids(source(tmp_path, there.address, {"paging": {"kind": "cursor", "from": "next", "into": "c"}}))
        assert len(there.asked) < 12


def test_an_empty_page_is_the_last_unless_it_is_said_not_to_be(tmp_path: Path) -> None:
    pages = {0: ROWS[:5], 1: [], 2: ROWS[5:7]}

    def answer(asked: Asked) -> Said:
        at = int(asked.query.get("c", 0))
        return Said({"data": pages[at], "next": at + 1 if at < 2 else None})

    paging = {"kind": "cursor", "from": "next", "into": "c"}
    with api(answer) as there:
        assert len(ids(source(tmp_path, there.address, {"paging": paging}))) == 5
        assert len(ids(source(tmp_path, there.address, {"paging": {**paging, "empty": "goes_on"}}))) == 7


def test_a_record_that_moves_to_a_later_page_lands_once(tmp_path: Path) -> None:
    pages = [ROWS[:10], [ROWS[9], *ROWS[10:19]], ROWS[18:]]  # one came before the others meanwhile, twice
    with api(lambda asked: Said({"data": pages[int(asked.query["p"])]})) as there:
        paging = {"kind": "page", "parameter": "p", "first": 0, "total": "pages"}
        stream = {"paging": {**paging, "total": "none"}, "key": ["id"]}
        pages.append([])
        assert ids(source(tmp_path, there.address, stream)) == list(range(24))


# -- windows


def test_the_window_is_cut_to_the_microsecond_whatever_came(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "at": "2026-02-28T23:59:59.999999Z"},
        {"id": 2, "at": "2026-03-01T00:00:00Z"},
        {"id": 3, "at": "2026-03-02T01:59:59.999999+02:00"},
        {"id": 4, "at": "2026-03-02T00:00:00Z"},
    ]
    with api(lambda _: Said({"data": [*rows, rows[1]]})) as there:
        found = source(
            tmp_path, there.address, {"key": ["id"], "columns": {**STREAM["columns"], "made": "timestamptz"}}
        )
        with found.plan(Selection({"tableName": "rows"}), DAY, DeltaColumn("at"), parallel=1) as reading:
            assert reading.notes == ()
        rejects = Rejects()
        assert ids(found) == [2, 3]
        found.account(reading.splits[0], rejects)
        assert (rejects.outside, rejects.repeated) == (2, 1)
        with found.plan(Selection({"tableName": "rows"}), DAY, DeltaColumn("made"), parallel=1) as reading:
            assert "cannot be asked for a window of made: all of it is read. It can filter by: at." in reading.notes[0]
        assert ids(source(tmp_path, there.address)) == [2, 2, 3]
        assert ids(source(tmp_path, there.address), delta=None) == [1, 2, 2, 3, 4]
        assert "since" not in there.asked[-1].query


def test_a_bad_record_counts_where_it_may_lie_in_the_window(tmp_path: Path) -> None:
    rows = [
        {"id": "x", "at": "2026-02-01T00:00:00Z"},  # bad, and outside
        {"id": "x", "at": "2026-03-01T00:00:00Z"},
        {"id": 3, "at": None},
        {"id": 4, "at": "never"},
        "no record",
        {"id": 5, "at": "2026-03-01T00:00:00Z"},
    ]
    with api(lambda _: Said({"data": rows})) as there:
        found, rejects = read_rejecting(
            source(tmp_path, there.address), Selection({"tableName": "rows"}), tmp_path, DAY
        )
        assert [row[0] for row in found] == [5]
        assert rejects.count == 4
        assert [reject.column for reject in rejects.kept] == ["id", "at", "at", "at"]
        assert orjson.loads(rejects.kept[0].record or "") == rows[1]
        with pytest.raises(SourceError, match='The column "id" holds "x"'):
            ids(source(tmp_path, there.address))


def test_slices_are_disjoint_where_the_vendors_filter_is_coarse(tmp_path: Path) -> None:
    by_day = {
        "query": {"day": "{window.start|date}", "to": "{window.end|date_before}"},
        "grain": "day",
        "sides": "both",
        "longest_days": 1,
    }
    with api(lambda _: Said({"data": ROWS})) as there:  # whatever is asked, everything comes
        found = source(tmp_path, there.address, {"windows": {"at": by_day}})
        assert ids(found, window("2026-02-27T12:00", "2026-03-03T12:00")) == list(range(24))
        assert sorted(one.query["day"] for one in there.asked) == [
            "2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03",
        ]  # fmt: skip


def test_halves_of_a_window_keep_what_both_are_given(tmp_path: Path) -> None:
    by_time = {
        "query": {"since": "{window.start|iso}", "to": "{window.end|iso}"},
        "grain": "second",
        "sides": "both",
    }

    def answer(asked: Asked) -> Said:  # the end that is asked for is part of what comes
        since, to = asked.query["since"], asked.query["to"]
        found = [row for row in ROWS if since <= str(row["at"]) <= to]
        return Said({"data": found}) if len(found) < 10 else Said({"name": "MANY"}, 400)

    limits = {"too_many": {"path": "name", "equals": "MANY"}}
    with api(answer) as there:
        found = source(tmp_path, there.address, {"windows": {"at": by_time}, "key": ["id"]}, limits=limits)
        assert ids(found) == list(range(24))


def test_a_stream_that_needs_a_window_says_so_or_begins_when_it_is_told(tmp_path: Path) -> None:
    needs = {"request": {"path": "/rows", "query": {"from": "{window.start|date}"}}}
    with api(lambda _: Said({"data": ROWS})) as there:
        with pytest.raises(SourceError, match="by a window of at only"):
            ids(source(tmp_path, there.address, needs), delta=None)
        assert len(ids(source(tmp_path, there.address, {**needs, "since": "2020-01-01"}), delta=None)) == 24
        assert there.asked[-1].query["from"] == "2020-01-01"


def test_parameters_of_a_stream_go_where_the_request_says(tmp_path: Path) -> None:
    stream = {
        "request": {"path": "/lists/{list}/rows", "query": {"kind": "{kind}", "sort": "{sort}"}},
        "parameters": {"list": {"required": True, "alias": ["listId"]}, "kind": {"default": "all"}, "sort": {}},
    }
    with api(lambda _: Said({"data": ROWS})) as there:
        found = source(tmp_path, there.address, stream)
        ids(found, listId="a/b?c")
        assert (there.asked[-1].path, there.asked[-1].query["kind"]) == ("/lists/a%2Fb%3Fc/rows", "all")
        assert "sort" not in there.asked[-1].query
        assert ids(found, tableName="rows?list=l&sort=id") == list(range(24))
        assert (there.asked[-1].path, there.asked[-1].query["sort"]) == ("/lists/l/rows", "id")
        with pytest.raises(ParameterMissing, match=r"params\.list is missing"):
            ids(found)
        with pytest.raises(BadParameter, match="'other'; it has: list, kind, sort"):
            ids(found, tableName="rows?list=l&other=1")
        with pytest.raises(SourceObjectMissing, match="no stream 'nothing'"):
            ids(found, tableName="nothing")


# -- refusals, faults and waits


@contextmanager
def failing(*first: Said) -> Iterator[Api]:
    """An API that gives these answers, and then its rows."""
    coming = list(first)
    with api(lambda _: coming.pop(0) if coming else Said({"data": ROWS})) as there:
        yield there


def test_what_passes_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(asking.Asking, "wait", lambda _, seconds: waits.append(seconds))
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    with failing(
        Said({}, 429, {"Retry-After": "7"}),
        Said({}, 503, {"Retry-After": soon}),
        Said({}, 500),
        Said({"data": ROWS}, cut=True),
        Said(b"", 502),
    ) as there:
        assert len(ids(source(tmp_path, there.address))) == 24
        assert len(there.asked) == 6
    assert waits[0] == 7
    assert 80 < waits[1] <= 90
    assert waits[2:] == [1.0, 2.0, 4.0]


def test_how_long_to_wait_is_read_where_the_manifest_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(asking.Asking, "wait", lambda _, seconds: waits.append(seconds))
    limits = {"retry_after": "X-Wait", "retry": [420], "attempts": 2}
    with failing(Said({}, 420, {"X-Wait": "9", "Retry-After": "7"})) as there:
        assert len(ids(source(tmp_path, there.address, limits=limits))) == 24
    assert waits == [9]
    with failing(Said({}, 420), Said({}, 420)) as there, pytest.raises(SourceError):
        ids(source(tmp_path, there.address, limits=limits))


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (Said({"error": "no such key"}, 401), SourceAccessDenied, "401 to GET /rows: .*no such key"),
        (Said({}, 403), SourceAccessDenied, "403"),
        (Said({}, 404), SourceObjectMissing, "404"),
        (Said({"m": "bad since"}, 400), SourceError, "bad since"),
        (Said(b"<html><body>Login</body></html>"), SourceError, "an HTML page"),
        (Said(b"<!DOCTYPE html>", 500), SourceUnreachable, "an HTML page"),
        (Said({}, 429, {"Retry-After": "3600"}), SourceUnreachable, "asks to wait 3600 seconds"),
        (Said(b"\x1f\x8bnot gzip", headers={"Content-Encoding": "gzip"}), SourceError, "cannot be unpacked"),
        (Said({"data": [], "problem": {"text": "half a failure"}}), SourceError, "half a failure"),
        (Said({"data": f"see {SECRET}"}), SourceError, "where the records were to be"),
        (Said({}, 302, {"Location": "http://127.0.0.2:1/rows"}), SourceError, "another host"),
    ],
)
def test_what_does_not_pass_is_an_error_that_tells_no_secret(tmp_path: Path, said: Said, kind: Any, words: str) -> None:
    with api(lambda _: said) as there, pytest.raises(kind, match=words) as caught:
        ids(source(tmp_path, there.address, {"error": "problem"}, limits={"attempts": 2 if "wait" in words else 1}))
    assert SECRET not in str(caught.value)
    assert type(caught.value) is kind


@pytest.mark.parametrize("end", ["\n", "\r\nX-Other: 1", "\u00f6"])
def test_what_no_header_can_hold_is_refused_without_telling_it(tmp_path: Path, end: str) -> None:
    with api(lambda _: Said({"data": ROWS})) as there:
        with pytest.raises(SourceAccessDenied, match="'Authorization' would hold a line break") as caught:
            ids(source(tmp_path, there.address, values={"token": SECRET + end}))
        assert SECRET not in str(caught.value)
        assert there.asked == []


def test_an_answer_that_repeats_what_let_it_in_is_told_without(tmp_path: Path) -> None:
    auth = {"kind": "basic", "username": "a", "password": "{token}"}
    with api(lambda asked: Said({"had": asked.headers["Authorization"]}, 400)) as there:
        with pytest.raises(SourceError, match="had") as caught:
            ids(source(tmp_path, there.address, auth=auth))
        assert b64encode(f"a:{SECRET}".encode()).decode() not in str(caught.value)


@pytest.mark.parametrize("body", [{"error": "you may not"}, {"errors": [{"message": "you may not"}]}])
def test_an_error_in_place_of_records_is_no_empty_page(tmp_path: Path, body: Any) -> None:
    with api(lambda _: Said(body)) as there, pytest.raises(SourceError, match="you may not"):
        ids(source(tmp_path, there.address))


def test_redirects_stay_on_the_host(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Said:
        return Said({}, 307, {"Location": "/moved?since=1"}) if asked.path == "/rows" else Said({"data": ROWS})

    with api(answer) as there:
        assert len(ids(source(tmp_path, there.address))) == 24
        assert there.asked[-1].headers["Authorization"] == f"Bearer {SECRET}"


def test_no_host_is_reached_that_may_not_be(tmp_path: Path) -> None:
    with api(lambda _: Said({"data": ROWS, "next": "http://169.254.169.254/latest"})) as there:
        with pytest.raises(SourceError, match="another host"):
            ids(source(tmp_path, there.address, {"paging": {"kind": "link", "from": "next"}}))
        closed = {"allowed_hosts": "api.example.org"}
        with pytest.raises(HostNotAllowed):
            ids(source(tmp_path, there.address, settings=closed))
        auth = {"kind": "oauth2", "grant": "client_credentials", "token_url": "http://169.254.169.254/token"}
        with pytest.raises(HostNotAllowed, match="link-local"):
            ids(source(tmp_path, there.address, auth=auth))
    for host in ("http://user@127.0.0.1", "ftp://127.0.0.1", "127.0.0.1/#x"):
        with pytest.raises((SourceError, HostNotAllowed)):
            ids(source(tmp_path, host))


def test_an_answer_is_bounded_however_small_it_travels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LARGEST", 1 << 20)
    bomb = gzip.compress(b'{"data": [' + b" " * (64 << 20) + b"]}")
    said = Said(bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})
    for more in ({}, {"errors": {"code": "error.code"}}):
        tracemalloc.start()
        with api(lambda _: said) as there, pytest.raises(SourceError, match="larger than 1 MB"):
            ids(source(tmp_path, there.address, **more))
        assert tracemalloc.get_traced_memory()[1] < 160 << 20
        tracemalloc.stop()


@pytest.mark.parametrize("said", [Said({}, 429, {"Retry-After": "600"}), Said({"data": ROWS}, late=60)])
def test_a_cancelled_read_waits_for_nothing(tmp_path: Path, said: Said) -> None:
    with api(lambda _: said) as there:
        found = source(tmp_path, there.address)
        reader: Any = found._reader  # type: ignore[attr-defined]
        failed: list[Exception] = []

        def work() -> None:
            try:
                list(reader.read("rows", "all", DAY, "at", ["id", "at"]))
            except SourceUnreachable as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        until = time.monotonic() + 10
        while not there.asked and time.monotonic() < until:
            time.sleep(0.01)
        reader.stop()
        thread.join(10)
        assert not thread.is_alive()
        assert "stopped" in str(failed[0])


def test_requests_keep_to_the_budget_of_their_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(asking.Asking, "wait", lambda _, seconds: waits.append(seconds))
    with api(paged(10, by_cursor, _next)) as there:
        stream = {"paging": {"kind": "cursor", "from": "next", "into": "c"}}
        one, two = (source(tmp_path, there.address, stream, limits={"per_second": 0.001}) for _ in range(2))
        ids(one)
        ids(two)
    assert len(waits) == 5  # of 6 requests, as nobody else had asked
    assert waits[-1] > 4000


# -- tokens


def tokens(asked: Asked, given: list[str], valid: Callable[[str], bool]) -> Said | None:
    """What a token endpoint gives, and the refusal of a token that is not `valid`; None for what is let in."""
    if asked.path == "/token":
        given.append(f"token-{len(given)}")
        return Said({"access_token": given[-1], "expires_in": 3600, "refresh_token": f"again-{len(given)}"})
    return None if valid(asked.headers.get("Authorization", "").removeprefix("Bearer ")) else Said({}, 401)


ME = {"client_id": "me", "client_secret": "{token}"}
GRANTS: list[tuple[Any, dict[str, str]]] = [
    (
        {"grant": "client_credentials", **ME, "scopes": "read"},
        {"grant_type": "client_credentials", "client_id": "me", "client_secret": SECRET, "scope": "read"},
    ),
    ({"grant": "client_credentials", "client": "basic", **ME}, {"grant_type": "client_credentials"}),
    (
        {"grant": "refresh_token", "refresh_token": "{token}", "client": "none", "body": {"more": "1"}},
        {"grant_type": "refresh_token", "refresh_token": SECRET, "more": "1"},
    ),
    (
        {"grant": "password", "username": "ada", "password": "{token}", "client": "none"},
        {"grant_type": "password", "username": "ada", "password": SECRET},
    ),
]


@pytest.mark.parametrize(("about", "form"), GRANTS)
def test_a_token_is_fetched_and_renewed_once_when_it_is_refused(tmp_path: Path, about: Any, form: Any) -> None:
    given: list[str] = []
    pages = paged(10, by_cursor, _next)
    served: list[str] = []

    def answer(asked: Asked) -> Said:
        # The first token is good for one page only.
        refusal = tokens(asked, given, lambda token: token == given[-1] and not (len(given) == 1 and served))
        if refusal is None:
            served.append(asked.path)
        return refusal or pages(asked)

    with api(answer) as there:
        auth = {"kind": "oauth2", "token_url": "{host}/token", **about}
        stream = {"paging": {"kind": "cursor", "from": "next", "into": "c"}}
        assert ids(source(tmp_path, there.address, stream, auth=auth)) == list(range(24))
        assert there.paths.count("/token") == 2
        first, second = (dict(parse_qsl(one.body.decode())) for one in there.asked if one.path == "/token")
        assert first == form
        assert second.get("refresh_token") == ("again-1" if about["grant"] == "refresh_token" else None)
        basic = there.asked[0].headers.get("Authorization", "").startswith("Basic ")
        assert basic is (about.get("client") == "basic")


def test_a_token_that_is_refused_anew_is_not_fetched_for_ever(tmp_path: Path) -> None:
    given: list[str] = []
    with api(lambda asked: tokens(asked, given, lambda _: False) or Said()) as there:
        auth = {
            "kind": "oauth2",
            "grant": "password",
            "token_url": "{host}/token",
            "username": "a",
            "password": "{token}",
        }
        with pytest.raises(SourceAccessDenied) as caught:
            ids(source(tmp_path, there.address, auth=auth))
        assert there.paths.count("/token") == 2
    assert not any(token in str(caught.value) for token in given)


def test_a_token_stands_where_the_manifest_says_and_is_fetched_anew_when_it_has_ended(tmp_path: Path) -> None:
    given: list[str] = []
    pages = paged(10, by_cursor, _next)

    def answer(asked: Asked) -> Said:
        if asked.path == "/token":
            given.append(f"token-{len(given)}")
            return Said({"data": {"jwt": given[-1], "lives": 0}})
        assert asked.headers["Authorization"] == f"Bearer {given[-1]}"
        return pages(asked)

    auth = {"kind": "oauth2", "grant": "client_credentials", "token_url": "{host}/token", "client": "none"}
    auth |= {"token_path": "data.jwt", "expires_path": "data.lives"}
    stream = {"paging": {"kind": "cursor", "from": "next", "into": "c"}}
    with api(answer) as there:
        assert ids(source(tmp_path, there.address, stream, auth=auth)) == list(range(24))
    assert len(given) == 3, "each page had a token of its own"


@pytest.mark.parametrize("token_url", ["{host}/token", "/token"])
def test_what_the_token_says_becomes_the_base(tmp_path: Path, token_url: str) -> None:
    def answer(asked: Asked) -> Said:
        if asked.path == "/token":
            return Said({"access_token": "t", "instance_url": f"{there.address}/eu1"})
        return Said({"data": ROWS}) if asked.path == "/eu1/rows" else Said({}, 404)

    with api(answer) as there:
        auth = {
            "kind": "oauth2",
            "grant": "client_credentials",
            "token_url": token_url,
            "base_path": "instance_url",
        }
        assert len(ids(source(tmp_path, there.address, auth=auth))) == 24


@pytest.mark.parametrize(
    ("auth", "seen"),
    [
        ({"kind": "basic", "username": "a", "password": "{token}"}, lambda a: "Basic " in a.headers["Authorization"]),
        ({"kind": "headers", "headers": {"X-Key": "{token}"}}, lambda a: a.headers["X-Key"] == SECRET),
        ({"kind": "query", "query": {"key": "{token}"}}, lambda a: a.query["key"] == SECRET and "since" in a.query),
        ({"kind": "none"}, lambda a: "Authorization" not in a.headers),
        (
            {"Token": {"kind": "bearer", "token": "{token}", "prefix": "Zoho"}},
            lambda a: a.headers["Authorization"] == f"Zoho {SECRET}",
        ),
    ],
)
def test_every_kind_lets_a_request_in(tmp_path: Path, auth: Any, seen: Any) -> None:
    with api(lambda _: Said({"data": ROWS})) as there:
        assert len(ids(source(tmp_path, there.address, auth=auth, headers={"X-Version": "7"}))) == 24
        assert seen(there.asked[0])
        assert there.asked[0].headers["X-Version"] == "7"


# -- jobs and formats


JOB: dict[str, Any] = {
    "create": {"method": "POST", "path": "/jobs", "body": {"columns": "{columns}"}},
    "id": "job.id",
    "poll": {
        "request": {"path": "/jobs/{job.id}"},
        "state": "state",
        "done": ["done"],
        "failed": ["broken"],
        "every": "1ms",
    },
    "download": {"address": "file", "format": {"csv": {"delimiter": ";"}}},
}


def _job(states: list[str], file: str) -> Callable[[Asked], Said]:
    def answer(asked: Asked) -> Said:
        if asked.path == "/jobs":
            return Said({"job": {"id": 77}})
        if asked.path == "/jobs/77":
            return Said({"state": states.pop(0), "file": file})
        return Said(b"id;at\n1;2026-03-01T00:00:00Z\n2;2026-03-01T01:00:00Z\n")

    return answer


def test_a_job_is_made_waited_for_and_fetched_without_secrets_from_elsewhere(tmp_path: Path) -> None:
    with api(lambda _: Said(b"id;at\n9;2026-03-01T00:00:00Z\n")) as other:
        with api(_job(["queued", "running", "done"], "/file")) as there:
            stream = {name: value for name, value in STREAM.items() if name != "request"}
            about = {"acme": {**stream, "records": "", "job": JOB}}
            found = source(tmp_path, there.address, streams=about)
            rows = read(found, Selection({"tableName": "acme"}), DAY, "at")
            assert sorted(row[0] for row in rows) == [1, 2]
            assert orjson.loads(there.asked[0].body) == {"columns": "id,at"}
            assert there.asked[0].query == {"since": "2026-03-01T00:00:00Z"}
            assert "Authorization" in there.asked[-1].headers
        with api(_job(["done"], f"{other.address}/file")) as there:
            found = source(tmp_path, there.address, streams=about)
            assert [row[0] for row in read(found, Selection({"tableName": "acme"}), DAY, "at")] == [9]
            assert "Authorization" not in other.asked[0].headers
        with api(_job(["broken"], "")) as there, pytest.raises(SourceError, match="77 ended as 'broken'"):
            read(source(tmp_path, there.address, streams=about), Selection({"tableName": "acme"}), DAY, "at")


def test_lines_are_read_as_they_come_and_a_cut_is_no_end(tmp_path: Path) -> None:
    lines = b"".join(orjson.dumps(row) + b"\n" for row in ROWS)
    stream = {"format": "ndjson", "records": ""}
    with api(lambda _: Said(lines)) as there:
        assert ids(source(tmp_path, there.address, stream)) == list(range(24))
    with api(lambda _: Said(lines, cut=True)) as there, pytest.raises(SourceUnreachable):
        ids(source(tmp_path, there.address, stream))


# -- what is shown


def test_a_stream_is_tested_shown_and_described(tmp_path: Path) -> None:
    with api(lambda asked: Said({"data": ROWS} if asked.path == "/rows" else {}, 200)) as there:
        found = source(tmp_path, there.address)
        found.check()
        assert [entry.name for entry in found.explore(None)] == ["rows"]
        preview = found.preview(Selection({"tableName": "rows"}), 3)
        assert preview.rows[0] == (0, "2026-03-01T00:00:00+00:00")
        assert len(preview.rows) == 3
        assert found.describe(Selection({"tableName": "rows"})).delta == "at"
    with api(lambda _: Said({}, 401)) as there, pytest.raises(SourceAccessDenied):
        source(tmp_path, there.address, check={"path": "/me"}).check()
