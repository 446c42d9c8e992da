"""Files of a web server, by their addresses."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from headgate.config import Settings
from headgate.errors import (
    BadParameter,
    HostNotAllowed,
    SourceAccessDenied,
    SourceChanged,
    SourceError,
    SourceObjectMissing,
    SourcePathForbidden,
    SourceUnreachable,
)
from headgate.model.runs import RunState
from headgate.outbound import Outbound
from headgate.sources.files.stores.web import WebAddresses, WebFiles
from tests.deployment import Deployment, multiset
from tests.emulators import answer

WEB = "6b0f5a3c-7d21-4e58-9c4f-1a83e2d7b096"
MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"


class Server:
    """A web server with some files; `acts` answer the next requests in its place."""

    def __init__(self) -> None:
        self.address = ""
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.acts: list[Callable[[BaseHTTPRequestHandler], bool]] = []
        self.ranges = self.tags = True

    def reply(self, request: BaseHTTPRequestHandler) -> bool:
        self.asked.append((request.command, request.path, {k.lower(): v for k, v in request.headers.items()}))
        if self.acts and self.acts.pop(0)(request):
            return True
        body = self.files.get(request.path)
        if body is None:
            return answer(request, 404)
        tag = f'"{hashlib.md5(body).hexdigest()}"'  # noqa: S324
        headers = {"Last-Modified": MODIFIED, **({"ETag": tag} if self.tags else {})}
        if self.tags and request.headers.get("If-Match", tag) != tag:
            return answer(request, 412)
        asks = request.headers.get("Range", "")
        if not asks or not self.ranges:
            return answer(request, 200, body, **headers)
        first, _, last = asks.removeprefix("bytes=").partition("-")
        of = f"bytes {first}-{last}/{len(body)}"
        return answer(request, 206, body[int(first) : int(last) + 1], **headers, Content_Range=of)


@pytest.fixture
def server() -> Iterator[Server]:
    held = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            held.reply(self)

        do_HEAD = do_GET  # noqa: N815 - as the library calls it

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.address = f"http://127.0.0.1:{listening.server_port}"
    thread = Thread(target=listening.serve_forever, args=(0.02,))
    thread.start()
    yield held
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def outbound(tmp_path: Path) -> Outbound:
    return Outbound(Settings(data=tmp_path), shared=False)


def opened(outbound: Outbound, *urls: str, **more: str) -> WebFiles:
    return WebFiles(WebAddresses.of({"urls": list(urls), **more}), outbound)


def test_the_files_are_those_that_the_connection_names(server: Server, outbound: Outbound) -> None:
    server.files = {"/2023/a%20b.csv?x=1": b"n\n1\n", "/in/c.csv": b"n\n2\n"}
    one, folder = f"{server.address}/2023/a%20b.csv?x=1", f"{server.address}/in/"
    store = opened(outbound, one, folder)
    store.check()
    listed = {entry.name: entry for entry in store.listed("")}
    assert set(listed) == {"a b.csv", "in"}
    assert listed["in"].folder == folder
    assert [name for name, _ in store.below("")] == ["a b.csv"]
    assert store.address("a b.csv") == store.address(one) == one.removesuffix("?x=1")
    assert store.address("c.csv") == f"{folder}c.csv"
    assert store.pin(folder) is None
    file = store.pin(store.address("c.csv"))
    assert file is not None
    assert (file.size, file.modified_us) == (4, 1_700_000_000_000_000)
    assert b"".join(store.read(file)) == b"n\n2\n"
    with pytest.raises(SourceError, match="HTTP has no folders"):
        list(store.listed(folder))
    with pytest.raises(SourceObjectMissing):
        store.pin(f"{folder}none.csv")
    for path in (f"{server.address}/other.csv", f"{folder}../x", f"{folder}%2e%2e/x", "http://elsewhere/in/c.csv"):
        with pytest.raises(SourcePathForbidden):
            store.address(path)


def test_what_may_be_a_signature_is_asked_with_and_told_nobody(server: Server, outbound: Outbound) -> None:
    server.files = {"/a.csv?sig=canary": b"n\n1\n", "/get?id=1": b"n\n2\n", "/get?id=2": b"n\n3\n"}
    urls = [server.address + path for path in (*server.files, "/gone.csv?sig=canary")]
    folder = f"{server.address}/"
    store = opened(outbound, *urls, folder)
    store.check()
    [signed, one, two] = [store.pin(store.address(url)) for url in urls[:3]]
    assert signed is not None
    assert one is not None
    assert two is not None
    assert (signed.path, store.address(signed.path)) == (f"{server.address}/a.csv", f"{server.address}/a.csv")
    assert b"".join(store.read(signed)) == b"n\n1\n"
    assert one.path != two.path  # nothing but the query tells them apart
    assert [b"".join(store.read(file)) for file in (one, two)] == [b"n\n2\n", b"n\n3\n"]
    assert store.address(one.path) == one.path
    assert {found.path for _, found in [("", signed), ("", one), ("", two)]}.isdisjoint(urls)
    server.files["/below.csv?sig=canary"] = b"n\n4\n"
    below = store.pin(store.address("below.csv?sig=canary"))
    assert below is not None
    assert below.path == f"{server.address}/below.csv"
    with pytest.raises(SourceObjectMissing, match=r"gone\.csv \(404\)") as told:
        store.pin(store.address(urls[3]))
    others = [str(told.value), str(told.value.report)]
    server.acts = [lambda request: answer(request, 302, Location="http://elsewhere/?sig=canary")]
    with pytest.raises(SourceError, match="leads on") as led:
        store.pin(signed.path)
    with pytest.raises(SourcePathForbidden) as outside:
        store.address("http://elsewhere/a.csv?sig=canary")
    server.acts = [lambda request: answer(request, 500)]
    with pytest.raises(SourceUnreachable) as failed:
        store.pin(signed.path)
    with pytest.raises(BadParameter) as bad:
        WebAddresses.of({"urls": ["ftp://a/b?sig=canary"]})
    for error in (led, outside, failed, bad):
        others += [str(error.value), str(error.value.report)]
    assert not [text for text in others if "canary" in text]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("tags", [True, False])
def test_what_breaks_off_is_asked_for_again(server: Server, outbound: Outbound, ranges: bool, tags: bool) -> None:
    body = bytes(range(256)) * 8192
    server.files, server.ranges, server.tags = {"/a.bin": body}, ranges, tags
    store = opened(outbound, f"{server.address}/a.bin")
    file = store.pin(f"{server.address}/a.bin")
    assert file is not None

    headers = {
        "Content-Length": str(len(body)),
        "Last-Modified": MODIFIED,
        **({"ETag": str(file.version)} if tags else {}),
    }

    def cut(request: BaseHTTPRequestHandler) -> bool:
        answer(request, 200, b"", **headers)
        request.wfile.write(body[: 1 << 20])
        request.close_connection = True
        return True

    server.acts = [cut, lambda request: answer(request, 503)]
    assert b"".join(store.read(file)) == body
    assert b"".join(store.read(file, 1000, 50)) == body[1000:1050]
    server.acts = [lambda request: answer(request, 503)] * 3
    with pytest.raises(SourceUnreachable, match="503"):
        list(store.read(file))
    server.files["/a.bin"] = body[::-1] if tags else body + b"x"
    with pytest.raises(SourceChanged):
        list(store.read(file))


def test_what_cannot_be_pinned_or_is_not_there_is_refused(server: Server, outbound: Outbound) -> None:
    url = f"{server.address}/a.csv"
    store = opened(outbound, url, userName="me", password="canary")
    cases: list[tuple[int, dict[str, str], type[SourceError], str]] = [
        (200, {}, SourceError, "Last-Modified"),
        (200, {"Last-Modified": MODIFIED, "Content-Encoding": "gzip"}, SourceError, "how large"),
        (302, {"Location": "http://169.254.169.254/"}, SourceError, "not followed"),
        (401, {}, SourceAccessDenied, "refuses access"),
        (410, {}, SourceObjectMissing, "There is no"),
        (429, {}, SourceUnreachable, "just now"),
    ]
    for status, headers, kind, says in cases:
        server.acts = [partial(_answering, status, headers)]
        with pytest.raises(kind, match=says) as caught:
            store.pin(url)
        assert "canary" not in caught.value.detail
    assert server.asked[0][2]["authorization"].startswith("Basic ")
    server.files["/a.csv"] = b"n\n"
    server.acts = [lambda request: answer(request, 405)]
    assert store.pin(url) is not None  # by GET
    gone = opened(outbound, "http://127.0.0.1:1/a.csv")
    with pytest.raises(SourceUnreachable, match="Connection refused"):
        gone.check()
    for urls in ([], ["ftp://h/a"], ["http://h/a#b"], ["a.csv"], ["http://h/a"] * 1001, [7]):
        with pytest.raises(BadParameter if urls else Exception, match="urls"):
            WebAddresses.of({"urls": urls})
    with pytest.raises(HostNotAllowed):
        opened(outbound, "http://169.254.169.254/latest/meta-data")


def test_they_land_once(server: Server, tmp_path: Path) -> None:
    server.files = {"/a.csv": b"n\n1\n", "/b.csv": b"n\n2\n", "/in/c.csv": b"n\n3\n"}
    deployment = Deployment(tmp_path)
    urls = [f"{server.address}/{name}" for name in ("a.csv", "b.csv", "in/")]
    try:
        csv = {"format": "delimited"}
        whole = deployment.flow(WEB, {"urls": urls}, {"path": "*.csv"}, data=csv, kind="file")
        for _ in range(2):
            run = deployment.run(whole, "2023-01-01", "2024-01-01")
            assert run.state is RunState.SUCCESS, run.metrics
        assert multiset(deployment.rows()) == multiset([(1,), (2,)])
        one = deployment.flow(WEB, {"urls": urls}, {"path": f"{urls[2]}c.csv"}, data=csv, kind="file", table="other")
        assert deployment.run(one, "2023-01-01", "2024-01-01").state is RunState.SUCCESS
        assert deployment.rows("other") == [(3,)]
    finally:
        deployment.close()


def _answering(status: int, headers: dict[str, str], request: BaseHTTPRequestHandler) -> bool:
    return answer(request, status, b"", **headers)
