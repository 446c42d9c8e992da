"""Object stores on this machine: moto for S3, Azurite for Azure, and a small S3 of our own that can be told to fail."""

import base64
import hashlib
import hmac
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn
from xml.sax.saxutils import escape

import httpx
import pytest

Json = dict[str, Any]

S3, BLOB = "ecadc60c-7455-4d87-84dc-2a0e293d997b", "4c10e202-c428-4796-9208-5f1f5732b1cf"
AZURITE = "azurite@3.35.0"
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headgate" / "azurite"


@dataclass(frozen=True)
class Bucket:
    """A bucket, or container, of an emulator: how a connection names it, and what others do to it."""

    name: str
    spec: str
    auth: Json
    root: str
    send: Callable[..., httpx.Response]

    def put(self, key: str, body: bytes, **headers: str) -> None:
        answer = self.send("PUT", key, body, **headers)
        assert answer.status_code in (200, 201), answer.text

    def delete(self, key: str) -> None:
        assert self.send("DELETE", key).status_code in (202, 204)


@contextmanager
def moto() -> Iterator[str]:
    """The address of a moto server."""
    with _running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p"]) as address:
        yield address


@contextmanager
def azurite() -> Iterator[str]:
    """The address of an Azurite blob service."""
    program = shutil.which("azurite-blob") or str(FOLDER / "node_modules" / ".bin" / "azurite-blob")
    if not Path(program).exists():
        absent(f"Azurite is not installed: npm install --prefix {FOLDER} {AZURITE}")
    options = ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with _running([program, *options, "--blobPort"]) as address:
        yield address


def absent(means: str) -> NoReturn:
    """Skip a test whose means are not here; on the machine that decides what lands, that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(means)
    pytest.skip(means)


def s3_bucket(address: str, name: str) -> Bucket:
    """A new bucket of S3."""

    def send(method: str, key: str, body: bytes = b"", **headers: str) -> httpx.Response:
        url = f"{address}/{name}/{urllib.parse.quote(key)}"
        sent = {"Authorization": "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, Signature=any"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.request(method, url, content=body, headers=sent, timeout=60)

    assert httpx.put(f"{address}/{name}").status_code == 200
    params = {"s3AccessKey": "AKIDEXAMPLE", "s3SecretKey": "canary-secret", "serviceUrl": address}
    return Bucket(name, S3, {"specName": "Access Key", "params": params}, f"s3://{name}", send)


def blob_container(address: str, name: str) -> Bucket:
    """A new container of Azure."""

    def send(method: str, key: str, body: bytes = b"", query: str = "", **headers: str) -> httpx.Response:
        path = f"/{ACCOUNT}/{name}" + (f"/{urllib.parse.quote(key)}" if key else "")
        sent = {"x-ms-version": "2023-11-03", "x-ms-date": formatdate(usegmt=True), **headers}
        if method == "PUT" and key:
            sent["x-ms-blob-type"] = "BlockBlob"
        named = "".join(f"{header}:{sent[header]}\n" for header in sorted(sent))
        length = str(len(body)) if body else ""
        asks = f"{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{named}/{ACCOUNT}{path}{query}"
        proof = hmac.new(base64.b64decode(ACCOUNT_KEY), asks.encode(), hashlib.sha256).digest()
        sent["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(proof).decode()}"
        url = f"{address}{path}" + ("?" + query.strip().replace(":", "=") if query else "")
        return httpx.request(method, url, content=body, headers=sent, timeout=60)

    assert send("PUT", "", query="\nrestype:container").status_code == 201
    auth = {"specName": "ConnectionString", "params": {"connectionString": connection_string(address)}}
    return Bucket(name, BLOB, auth, f"{address}/{ACCOUNT}/{name}", send)


def connection_string(address: str, key: str = ACCOUNT_KEY) -> str:
    """How Azure names an account of Azurite."""
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={address}/{ACCOUNT};"


def account_signature(rights: str) -> str:
    """A signature of the account that gives `rights` to whoever has it."""
    fields = {"sv": "2021-06-08", "ss": "b", "srt": "sco", "sp": rights, "se": "2099-01-01T00:00:00Z"}
    asks = f"{ACCOUNT}\n{rights}\nb\nsco\n\n{fields['se']}\n\n\n{fields['sv']}\n\n"
    proof = hmac.new(base64.b64decode(ACCOUNT_KEY), asks.encode(), hashlib.sha256).digest()
    return urllib.parse.urlencode({**fields, "sig": base64.b64encode(proof).decode()})


@contextmanager
def _running(command: list[str]) -> Iterator[str]:
    """The address of a server that is told its port as its last argument."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, f"{command[0]} ended at once"
            assert time.monotonic() < end, f"{command[0]} did not listen in time"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()  # there is nothing to save, and Azurite would wait for every open connection
        process.wait()


@dataclass
class SmallS3:
    """What a small S3 holds, by bucket and key; what it was asked; and what it does in place of an answer.

    Each of `acts` is called with the next request, and says whether it has answered it. `page` is the most that it
    lists at a time.
    """

    address: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    acts: list[Callable[[BaseHTTPRequestHandler], bool]] = field(default_factory=list)
    page: int = 1000

    def params(self, **more: str) -> Json:
        """`auth.params` of a connection to it."""
        return {"s3AccessKey": "AKIDEXAMPLE", "s3SecretKey": "canary-secret", "serviceUrl": self.address, **more}


@contextmanager
def small_s3(tls: ssl.SSLContext | None = None) -> Iterator[SmallS3]:
    """A server that lists objects and gives them out, the way S3 does."""
    held = SmallS3()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else every answer waits for an acknowledgement

        def do_GET(self) -> None:
            held.asked.append((self.command, self.path, {name.lower(): text for name, text in self.headers.items()}))
            if held.acts and held.acts.pop(0)(self):
                return
            parts = urllib.parse.urlsplit(self.path)
            path, query = urllib.parse.unquote(parts.path).lstrip("/"), dict(urllib.parse.parse_qsl(parts.query))
            if "list-type" in query:
                answer(self, 200, _listing(held, path, query))
            elif path not in held.objects:
                answer(self, 404, fault("NoSuchKey", "The specified key does not exist."))
            else:
                self._give(held.objects[path])

        do_HEAD = do_POST = do_GET  # noqa: N815 - as the library calls them

        def _give(self, body: bytes) -> None:
            tag = f'"{hashlib.md5(body).hexdigest()}"'  # noqa: S324 - as S3 does
            if self.headers.get("If-Match", tag) != tag:
                answer(self, 412, fault("PreconditionFailed", "At least one of the preconditions did not hold"))
                return
            status, more = 200, {"ETag": tag, "Last-Modified": formatdate(1_700_000_000, usegmt=True)}
            if asks := self.headers.get("Range", ""):
                first, _, last = asks.removeprefix("bytes=").partition("-")
                more["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
                status, body = 206, body[int(first) : int(last) + 1]
            answer(self, status, body, **more)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.address = f"http://127.0.0.1:{server.server_port}"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        held.address = f"https://localhost:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> bool:
    """Answer a request; true, for it is answered then."""
    handler.send_response(status)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in {"Content-Length": str(len(body)), **named}.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        with suppress(BrokenPipeError, ConnectionResetError):  # a client may leave as soon as it knows enough
            handler.wfile.write(body)
    return True


def half(held: SmallS3, handler: BaseHTTPRequestHandler) -> bool:
    """Break off in the middle of an object."""
    body = held.objects[urllib.parse.unquote(handler.path).lstrip("/")]
    more = {"ETag": f'"{hashlib.md5(body).hexdigest()}"', "Last-Modified": formatdate(1_700_000_000, usegmt=True)}  # noqa: S324
    answer(handler, 200, body[: len(body) // 2], Content_Length=str(len(body)), **more)
    handler.close_connection = True
    return True


def fault(code: str, message: str) -> bytes:
    """An error as S3 writes it."""
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def _listing(held: SmallS3, bucket: str, query: dict[str, str]) -> bytes:
    start = f"{bucket.strip('/')}/"
    prefix, after = query.get("prefix", ""), query.get("continuation-token", query.get("start-after", ""))
    keys = sorted(path.removeprefix(start) for path in held.objects if path.startswith(start + prefix))
    keys = [key for key in keys if key > after]
    page, folders = keys[: held.page], set()
    if query.get("delimiter"):
        folders = {f"{prefix}{key[len(prefix) :].split('/')[0]}/" for key in page if "/" in key[len(prefix) :]}
        shown = [key for key in page if "/" not in key[len(prefix) :]]
    else:
        shown = page
    more = len(keys) > len(page)
    items = [
        f"<Contents><Key>{escape(key)}</Key><LastModified>2023-11-14T22:13:20.000Z</LastModified>"
        f"<ETag>&quot;{hashlib.md5(held.objects[start + key]).hexdigest()}&quot;</ETag>"  # noqa: S324
        f"<Size>{len(held.objects[start + key])}</Size></Contents>"
        for key in shown
    ]
    items += [f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in sorted(folders)]
    token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
    return (
        f"<?xml version='1.0'?><ListBucketResult><KeyCount>{len(shown)}</KeyCount>"
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{''.join(items)}</ListBucketResult>"
    ).encode()
