"""Rows of the table that take more than one request: each function gives back the answers that the row expects."""

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from headgate.api import bodies as incoming
from headgate.model.orgs import Client, Grant, Org
from headgate.store import engines
from tests.integration import test_api_gateway as tokens
from tests.integration import test_issuers as issuers
from tests.integration.bad_inputs.bodies import patch, postgresql
from tests.integration.bad_inputs.cases import World
from tests.integration.face import BASE, serving
from tests.receiving import receiving

DELTA = {"name": "updated_at"}


def unknown_keys(folder: Path) -> list[httpx.Response]:
    """1,000 tokens, each by another key that the issuer does not know; its keys are asked for once a minute."""
    with issuers.issuing(issuers.Issuer()) as issuer:
        trusted = {"url": issuer.url, "audience": issuers.AUDIENCE, "org": issuers.ORG}
        with serving(folder, issuers=(trusted,)) as face:
            client = Client("spa", issuers.ORG, "web application", issuer.url)
            face.store.tenants.ensure_org(Org(issuers.ORG, "Third"), client, "-")
            began, claims = time.monotonic(), issuers.claims(issuer)
            answers = [
                issuers.asking(face, issuers.raw({"alg": "RS256", "kid": f"unknown {number}"}, claims, b"x" * 256))
                for number in range(1000)
            ]
        minutes = 1 + int((time.monotonic() - began) // 60)
        assert issuer.asked[:2] == ["/.well-known/openid-configuration", "/keys"]
        assert len(issuer.asked) <= 2 * minutes
    assert {answer.status_code for answer in answers} == {401}
    return answers[-1:]


def only_reading(world: World) -> list[httpx.Response]:
    """A principal with the role of a viewer reads, and makes three things."""
    face, base = world.face, BASE
    viewer = tokens.signed(face, sub="viewer@headgate")
    headers = {**face.headers, "Authorization": f"Bearer {viewer}"}
    face.store.tenants.grant(face.credentials.org_id, Grant("viewer@headgate", "user", "viewer", "prod"))
    made = [face.http.post(f"{base}/{path}", json={}, headers=headers) for path in ("connections", "flows", "runs")]
    return [face.http.get(f"{base}/flows?limit=1", headers=headers), *made]


def slow_body(world: World) -> list[httpx.Response]:
    """A body of which one byte of a hundred arrives."""
    address = world.face.http.base_url
    lines = [
        f"POST {BASE}/runs HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        "Content-Length: 100",
        "Connection: close",
        *(f"{name}: {value}" for name, value in world.face.headers.items()),
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(incoming, "MAX_SECONDS", 0.2)
        with socket.create_connection((address.host, address.port), timeout=10) as connection:
            connection.sendall("\r\n".join([*lines, "", "{"]).encode())
            told = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = told.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    split = [line.partition(": ")[::2] for line in headers]
    return [httpx.Response(int(status.split()[1]), headers=split, content=content)]


def rebinding(folder: Path) -> list[httpx.Response]:
    """A connection by a name that resolves to a public address, and to the metadata address when it is used."""
    real, addresses = socket.getaddrinfo, ["93.184.216.34", "169.254.169.254"]

    def resolved(host: object, *rest: object, **more: object) -> object:
        if host != "rebind.example.com":
            return real(host, *rest, **more)  # type: ignore[arg-type]
        return [(0, 0, 0, "", (addresses.pop(0) if len(addresses) > 1 else addresses[0], 0))]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", resolved)
        with serving(folder) as face:
            made = face.post("/connections", postgresql(server="rebind.example.com"))
            return [made, face.get(f"/connections/{made.json()['id']}/explore", objectType="root")]


def redirecting_webhook(folder: Path) -> list[httpx.Response]:
    """A receiver answers the challenge with a redirect to where it would be repeated; nobody goes there."""
    with receiving() as receiver, serving(folder) as face:
        receiver.challenged = "redirect"
        answer = face.post("/webhooks", {"name": "w", "url": receiver.address})
    assert len(receiver.asked) == 1
    return [answer]


def redirected_odata(world: World) -> list[httpx.Response]:
    """A service sends whoever asks for its description to the metadata address; nobody goes there."""
    return [_explored(world, 302, b"", Location="http://169.254.169.254/latest/$metadata")]


def odata_bomb(world: World) -> list[httpx.Response]:
    """A service's description whose entities would grow without an end."""
    entities = b'<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    return [_explored(world, 200, b"<!DOCTYPE x [" + entities + b"]><Edmx Version='4.0'>&b;</Edmx>")]


def _explored(world: World, status: int, content: bytes, **headers: str) -> httpx.Response:
    """What is told of the tables of an OData service that answers everything so."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Nothing is written."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            params = {"url": f"http://127.0.0.1:{server.server_address[1]}"}
            auth = {"specName": "Anonymous Authentication", "params": params}
            spec = {"id": "8e6b41a8-d998-4545-ad7d-c6a9fff406c3"}
            made = world.face.made("/connections", {"name": "odata", "connectionSpec": spec, "auth": auth})
            return world.face.get(f"/connections/{made}/explore", objectType="root")
        finally:
            server.shutdown()
            thread.join()


def two_changes(world: World) -> list[httpx.Response]:
    """Two changes of a flow at once, both of the version that was read before."""
    path = f"/flows/{world.ids['fresh']}"
    etag = world.face.get(path).json()["items"][0]["etag"]
    return _at_once(
        *(
            lambda name=name: world.face.send(
                "PATCH",
                path,
                json.dumps(patch("replace", "/name", name)).encode(),
                Content_Type="application/json",
                If_Match=etag,
            )
            for name in ("one", "two")
        )
    )


def two_first_runs(world: World) -> list[httpx.Response]:
    """Two first runs of a flow at once, by different delta columns."""
    shared = {"sourceConnectionIds": [world.ids["source"]], "targetConnectionIds": [world.ids["target"]]}
    flow = world.face.flow(name="two first runs", **shared)
    return _at_once(
        *(lambda name=name: world.face.run(flow, deltaColumn={"name": name}) for name in ("updated_at", "created"))
    )


def many_runs(folder: Path) -> list[httpx.Response]:
    """Four runs where two a minute are allowed; what was refused is not stored."""
    with serving(folder, runs_per_minute=2) as face:
        flow = face.flow()
        answers = [face.run(flow, deltaColumn=DELTA) for _ in range(4)]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert len(face.get("/runs").json()["items"]) == 2
    return answers


def markup(world: World) -> list[httpx.Response]:
    """A name with markup, colours of a terminal and a formula stays data."""
    name = "<script>alert(1)</script>\x1b[31m =cmd()"
    made = world.face.connection(name)
    answer = world.face.get(f"/connections/{made}")
    assert answer.json()["items"][0]["name"] == name
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    return [answer]


def storage_down(folder: Path) -> list[httpx.Response]:
    """The database of the metadata is held by another; what is asked for meanwhile is not stored."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engines, "_BUSY_MS", 200)
        with serving(folder) as face:
            flow = face.flow()
            other = sqlite3.connect(face.settings.data / "metadata.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            answers = [face.run(flow, deltaColumn=DELTA), face.delete(f"/flows/{flow}")]
            other.execute("ROLLBACK")
            other.close()
            assert {answer.headers["retry-after"] for answer in answers} == {"1"}
            assert face.get("/runs").json()["items"] == []
            assert face.run(flow, deltaColumn=DELTA).status_code == 201
    return answers


def _at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """What calls that begin at the same moment are answered, by status."""
    barrier = threading.Barrier(len(calls))

    def call(ask: Callable[[], httpx.Response]) -> httpx.Response:
        barrier.wait(timeout=10)
        return ask()

    with ThreadPoolExecutor(len(calls)) as pool:
        return sorted(pool.map(call, calls), key=lambda answer: answer.status_code)
