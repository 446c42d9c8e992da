"""Addresses, methods, bodies and error envelopes, whatever the resource."""

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import structlog

from headgate.api import bodies
from headgate.errors import Unavailable
from headgate.service.service import Service
from tests.integration.face import BASE, CATALOG, NOBODY, Face, refused

BAD_REQUEST = "BadRequestError"
JSON = {"Content_Type": "application/json"}


def test_every_path_answers_with_and_without_a_slash_and_without_redirect(face: Face) -> None:
    flow = face.flow()
    run = face.run(flow, deltaColumn={"name": "updated_at"}).json()["id"]
    source = face.get(f"/flows/{flow}").json()["items"][0]["sourceConnectionIds"][0]
    paths = [
        "/connectionSpecs",
        "/connectionSpecs/6f2d5c0e-7c1b-4d0a-9a53-0b7e4f1c2a11",
        "/flowSpecs",
        "/flowSpecs/14518937-270c-4525-bdec-c2ba7cce3860",
        "/connections",
        "/sourceConnections",
        f"/sourceConnections/{source}",
        "/targetConnections",
        "/flows",
        f"/flows/{flow}",
        f"/flows/{flow}/runs",
        "/runs",
        f"/runs/{run}",
        f"{CATALOG}/dataSets",
        "/health/live",
        "/health/ready",
    ]
    for path in paths:
        plain, slashed = face.get(path), face.get(path + "/")
        assert plain.status_code == slashed.status_code == 200, path
        assert plain.json().keys() == slashed.json().keys()
    posted = face.post("/runs/", {"flowId": flow, "params": {"windowStartTime": 1, "windowEndTime": 2}})
    assert posted.status_code == 201
    assert posted.headers["location"] == f"{BASE}/runs/{posted.json()['id']}"
    assert face.post(f"/runs/{run}/action/?op=cancel", None).status_code == 200
    assert face.delete(f"/flows/{flow}/").status_code == 204


def test_unknown_address_and_method(face: Face) -> None:
    refused(face.get("/nothing"), 404, "FLOW-1101-404")
    refused(face.http.get("/"), 404, "FLOW-1101-404")
    answer = face.send("PUT", "/runs")
    refused(answer, 405, "FLOW-1100-405")
    assert answer.headers["allow"] == "GET, POST"
    assert face.send("GET", "/flows/search").status_code == 404
    assert face.send("PUT", "/flows/search").headers["allow"] == "POST"
    refused(face.get("//flows"), 404, "FLOW-1101-404")


@pytest.mark.parametrize("kind", ["connections", "sourceConnections", "targetConnections", "flows", "runs"])
@pytest.mark.parametrize("id_", [NOBODY, "nonsense", "%00", "5A0F4C1E-0004-4000-8000-000000000004", "x" * 3000])
def test_id_that_is_no_resource(face: Face, kind: str, id_: str) -> None:
    refused(face.get(f"/{kind}/{id_}"), 404, "FLOW-1439-404")
    if kind != "runs":
        refused(face.delete(f"/{kind}/{id_}"), 404, "FLOW-1439-404")


def test_an_encoded_slash_stays_in_the_id(face: Face) -> None:
    refused(face.get("/flows/..%2f..%2fetc"), 404, "FLOW-1439-404")


def test_unknown_spec(face: Face) -> None:
    refused(face.get(f"/connectionSpecs/{NOBODY}"), 404, "FLOW-1439-404")
    refused(face.get("/flowSpecs/nonsense"), 404, "FLOW-1439-404")


REFUSED_BODIES = {
    "malformed": b'{"name": ',
    "two values": b"{} {}",
    "array": b"[]",
    "text": b'"x"',
    "number": b"1",
    "duplicate key": b'{"name": "a", "name": "b"}',
    "duplicate key inside": b'{"name": "a", "auth": {"x": 1, "x": 2}}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "float too large": b'{"name": 1e400}',
    "5000 digits": b'{"name": ' + b"9" * 5000 + b"}",
    "65 bits": b'{"name": 18446744073709551616}',
    "lone surrogate": rb'{"name": "\ud800"}',
    "lone surrogate in a key": rb'{"\udc00": 1}',
    "NUL": rb'{"name": "a\u0000b"}',
    "raw control character": b'{"name": "a\x01b"}',
    "invalid UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "65 levels": b'{"name": ' + b"[" * 64 + b"]" * 64 + b"}",
    "100 000 levels": b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("body", REFUSED_BODIES.values(), ids=REFUSED_BODIES.keys())
def test_body_that_is_no_json_object(face: Face, body: bytes) -> None:
    answer = face.send("POST", "/connections", body, **JSON)
    refused(answer, 400, BAD_REQUEST)
    assert answer.json()["title"] == "BadRequestError"
    assert answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b" \n", b"null"])
def test_empty_body(face: Face, body: bytes) -> None:
    refused(face.send("POST", "/flows", body, **JSON), 400, "FLOW-1405-400")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_body_needs_its_content_type(face: Face, content_type: str) -> None:
    sent = {"Content_Type": content_type} if content_type else {}
    refused(face.send("POST", "/connections", b"{}", **sent), 400, BAD_REQUEST)


def test_content_type_with_parameters_and_any_case(face: Face) -> None:
    answer = face.send("POST", "/connections", b"{}", Content_Type="Application/JSON; charset=utf-8")
    refused(answer, 400, "CONNECTOR-1304-400")


def test_body_on_a_get_is_ignored(face: Face) -> None:
    answer = face.send("GET", "/flows", b"a=b", Content_Type="application/x-www-form-urlencoded")
    assert answer.status_code == 200


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 2 * 1024 * 1024])
def test_body_too_large(face: Face, size: int) -> None:
    refused(face.send("POST", "/connections", b" " * size, **JSON), 413, "FLOW-1100-413")


def test_endless_body_is_cut(face: Face) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        while sent < 1024:
            sent += 1
            yield b" " * 65536

    headers = {**face.headers, "Content-Type": "application/json"}
    try:
        answer = face.http.post(f"{BASE}/connections", content=chunks(), headers=headers)
    except (httpx.WriteError, httpx.RemoteProtocolError):
        pass  # the service hung up while the client was still sending
    else:
        refused(answer, 413, "FLOW-1100-413")
    assert sent < 1024


def test_body_of_just_one_mebibyte_is_read(face: Face) -> None:
    body = b'{"name": "' + b"a" * (1024 * 1024 - 12) + b'"}'
    assert len(body) == 1024 * 1024
    refused(face.send("POST", "/connections", body, **JSON), 400, "CONNECTOR-1312-400")


def test_every_answer_has_its_own_request_id(face: Face) -> None:
    ids = {face.get(path).headers["x-request-id"] for path in ("/flows", "/flows", "/nothing", "/health/live")}
    assert len(ids) == 4


def test_health_needs_no_token(face: Face) -> None:
    assert face.http.get("/health/live").json() == {"status": "live"}
    assert face.http.get("/health/ready").json() == {"status": "ready"}


def test_nothing_serves_other_origins_or_pages_with_foreign_scripts(face: Face) -> None:
    answer = face.send("OPTIONS", "/flows", Origin="http://evil.example", Access_Control_Request_Method="GET")
    assert "access-control-allow-origin" not in answer.headers
    assert face.http.get("/docs").status_code == 404
    assert face.http.get("/redoc").status_code == 404


def test_openapi_describes_every_route_and_body(face: Face) -> None:
    described = face.http.get("/openapi.json").json()
    paths = described["paths"]
    for name in ("connections", "sourceConnections", "targetConnections", "flows", "runs"):
        post = paths[f"{BASE}/{name}"]["post"]
        schema = post["requestBody"]["content"]["application/json"]["schema"]
        assert schema["type"] == "object"
        assert schema["properties"]
    assert "post" in paths[f"{CATALOG}/dataSets"]
    assert {"get"} <= set(paths[f"{BASE}/flows/{{id}}/runs"])
    identifiers = [about["operationId"] for path in paths.values() for about in path.values()]
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize(
    ("route", "parameters"),
    [
        ("get /flows", {"property", "orderby", "limit", "count", "continuationToken"}),
        ("get /flowSpecs", {"property"}),
        ("post /flows/search", {"continuationToken"}),
        ("post /connectionSpecs/search", {"continuationToken"}),
    ],
)
def test_openapi_names_the_parameters_of_listings(face: Face, route: str, parameters: set[str]) -> None:
    method, _, path = route.partition(" ")
    described = face.http.get("/openapi.json").json()["paths"][BASE + path][method]
    assert {about["name"] for about in described["parameters"] if about["in"] == "query"} == parameters


def test_unexpected_exception_is_logged_and_answered_without_its_text(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Service) -> None:
        raise RuntimeError("secret path /etc/shadow")

    monkeypatch.setattr(Service, "ready", broken)
    with structlog.testing.capture_logs() as logs:
        answer = face.http.get("/health/ready")
    refused(answer, 500, "FLOW-1400-500")
    assert "shadow" not in answer.text
    [line] = [line for line in logs if line["event"] == "request.crashed"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert str(line["exc_info"]) == "secret path /etc/shadow"


def test_database_down_is_503_and_worth_another_try(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(self: Service) -> None:
        raise Unavailable

    monkeypatch.setattr(Service, "ready", down)
    answer = face.http.get("/health/ready")
    refused(answer, 503, "FLOW-1103-503")
    assert answer.headers["retry-after"] == "1"


def test_secrets_appear_in_no_answer_log_or_file(face: Face, capfd: pytest.CaptureFixture[str]) -> None:
    secret = "hunter2-4711"
    connection = f"Server=127.0.0.1;Port=1;Database=shop;UID=etl;Password={secret}"
    address = f"postgresql://etl:{secret}@127.0.0.1:1/shop"
    bodies = [
        ("Connection String Based Authentication", {"connectionString": connection}),
        ("Connection String Based Authentication", {"connectionString": address}),
        (
            "Basic Authentication",
            {"server": "127.0.0.1", "port": 1, "database": "shop", "username": "etl", "password": secret},
        ),
        ("Connection String Based Authentication", {"connectionString": f"{address}?options=-c%20x"}),
        ("Connection String Based Authentication", {"connectionString": f"{secret} {secret}"}),
        ("Connection String Based Authentication", {"connectionString": [secret]}),
        ("Basic Authentication", {"server": "h", "database": "d", "username": "u", "password": {"is": secret}}),
        ("Basic Authentication", {"server": "h", "database": "d", "username": "u", "Password": secret}),
        (secret, {"connectionString": address}),
    ]
    texts, made = [], []
    spec = {"id": "74a1c565-4e59-48d7-9d67-7c03b8a13137"}
    with structlog.testing.capture_logs() as logs:
        for name, params in bodies:
            auth = {"specName": name, "params": params}
            answer = face.post("/connections", {"name": "pg", "connectionSpec": spec, "auth": auth})
            if answer.status_code == 201:
                made.append(answer.json()["id"])
            elif name != secret:  # a name is not a secret, and is named in the error
                texts.append(answer.text)
        assert len(made) == 3
        texts.append(face.get("/connections").text)
        for id_ in made:
            texts.append(face.get(f"/connections/{id_}").text)
            body = {"name": "t", "connectionSpec": spec, "baseConnectionId": id_, "params": {"tableName": "x"}}
            flow = face.flow(sourceConnectionIds=[face.made("/sourceConnections", body)])
            texts.append(face.get(f"/flows/{flow}").text)
            answer = face.run(flow, deltaColumn={"name": "updated_at"})
            assert "cannot be read" in refused(answer, 400, "CONNECTOR-1380-400")
            texts.append(answer.text)
    output = capfd.readouterr()
    for text in (*texts, str(logs), output.out, output.err):
        assert secret not in text
    assert '"password":"xxxx"' in texts[-2] or any('"password":"xxxx"' in text for text in texts)
    for path in files_of(face.folder / "data"):
        assert secret.encode() not in path.read_bytes()


def test_two_hundred_clients_at_once_get_answers(face: Face) -> None:
    # A connection each: a pool of httpx that closes idle ones may close one that another thread was just given.
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    with httpx.Client(base_url=face.http.base_url, headers=face.headers, timeout=60, limits=unlimited) as http:

        def ask(_: int) -> int:
            return http.get(f"{BASE}/flows").status_code

        with ThreadPoolExecutor(200) as clients:
            statuses = Counter(clients.map(ask, range(200)))
    assert statuses == {200: 200}


def files_of(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_a_body_that_does_not_arrive_is_given_up(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_SECONDS", 0.2)
    address = face.http.base_url
    lines = [
        f"POST {BASE}/runs HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        "Content-Length: 100",
        "Connection: close",
    ]
    lines += [f"{name}: {value}" for name, value in face.headers.items()]
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", "{"]).encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 400 ")
    assert BAD_REQUEST in answer


def test_an_error_is_not_as_long_as_what_it_speaks_of(face: Face) -> None:
    flow = face.flow()
    params = {"windowStartTime": ["x" * 100_000], "windowEndTime": "1"}
    answer = face.post("/runs", {"flowId": flow, "params": params})
    refused(answer, 400, "CONNECTOR-1340-400")
    assert len(answer.text) < 2000
