"""How much may be asked for: requests, runs, waiting runs, and the size of a request's header."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.config import Settings
from headgate.errors import TooManyRequests
from headgate.model.scope import Caller, Principal, Scope
from headgate.service import limits
from headgate.service.limits import Limits
from tests.integration.face import BASE, Face, refused, second_org, serving

CODE = "FLOW-EXT-LIMIT-429"
DELTA = {"name": "updated_at"}


@pytest.fixture
def narrow(tmp_path: Path, own_metadata: str) -> Iterator[Face]:
    with serving(tmp_path, own_metadata, runs_per_minute=5, waiting_runs=8) as face:
        yield face


def stored(face: Face) -> int:
    return len(face.get("/runs", limit=100).json()["items"])


def test_more_runs_than_allowed_are_refused_before_anything_is_stored(narrow: Face) -> None:
    flow = narrow.flow()
    answers = [narrow.run(flow, deltaColumn=DELTA) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429] * 3
    assert "5 runs by this principal within a minute" in refused(answers[-1], 429, CODE)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert stored(narrow) == 5
    other = second_org(narrow)
    assert other.run(flow, deltaColumn=DELTA).status_code == 400  # its own allowance; the flow is not its own
    assert narrow.get("/flows").status_code == 200


def test_a_repeated_request_with_its_key_is_answered_all_the_same(narrow: Face) -> None:
    flow = narrow.flow()
    body = {"flowId": flow, "params": {"windowStartTime": 1, "windowEndTime": 2, "deltaColumn": DELTA}}
    first = narrow.post("/runs", body, **{"Idempotency-Key": "k"})
    while narrow.run(flow).status_code == 201:
        pass
    again = narrow.post("/runs", body, **{"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])


def test_a_full_queue_takes_no_more(tmp_path: Path, own_metadata: str) -> None:
    with serving(tmp_path, own_metadata, waiting_runs=4) as face:
        flow = face.flow()
        runs = [face.run(flow, deltaColumn=DELTA) for _ in range(5)]
        assert [answer.status_code for answer in runs] == [201] * 4 + [429]
        assert "4 runs of this organisation wait" in refused(runs[-1], 429, CODE)
        assert runs[-1].headers["retry-after"] == "10"
        assert stored(face) == 4
        assert face.post(f"/runs/{runs[0].json()['id']}/action?op=cancel", None).status_code == 200
        assert face.run(flow).status_code == 201


def test_requests_are_counted_by_principal_and_by_organisation(tmp_path: Path) -> None:
    with serving(tmp_path, requests_per_minute=20) as face:
        codes = [face.get("/flows").status_code for _ in range(30)]
        assert codes[:20] == [200] * 20
        assert codes[-1] == 429
        assert second_org(face).get("/flows").status_code == 200
        assert face.http.get("/health/live").status_code == 200


def caller(user: str, org: str) -> Caller:
    return Caller(Principal(user, "client", "user", frozenset({org})), Scope(org, "s", "prod"), frozenset())


def test_buckets_fill_again_steadily(monkeypatch: pytest.MonkeyPatch) -> None:
    present = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: present[0])
    found = Limits(Settings(requests_per_minute=60, org_requests_per_minute=90))
    for _ in range(60):
        found.request(caller("a", "o"))
    with pytest.raises(TooManyRequests) as failure:
        found.request(caller("a", "o"))
    assert failure.value.retry_after == 1
    for _ in range(30):
        found.request(caller("b", "o"))
    with pytest.raises(TooManyRequests, match="90 requests of this organisation"):
        found.request(caller("c", "o"))
    found.request(caller("a", "p"))
    present[0] += 10
    for _ in range(10):
        found.request(caller("a", "o"))
    with pytest.raises(TooManyRequests):
        found.request(caller("a", "o"))


def test_buckets_of_many_principals_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    present = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: present[0])
    monkeypatch.setattr(limits, "_MOST", 50)
    found = Limits(Settings())
    for number in range(500):
        present[0] += 1
        found.request(caller(str(number), "o"))
    assert len(found._requests._full_at) <= 51


# -- headers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"x-big": "a" * 20_000},
        {f"x-{number}": "a" for number in range(200)},
        {"authorization": "Bearer " + "a" * 100_000},
    ],
)
def test_a_header_that_is_too_large(face: Face, headers: dict[str, str]) -> None:
    answer = face.http.get(f"{BASE}/flows", headers={**face.headers, **headers})
    refused(answer, 431, "FLOW-1100-431")


def raw(face: Face, text: bytes) -> tuple[int, dict[str, str], bytes]:
    """The answer to bytes that are sent as they are."""
    address = (face.http.base_url.host, face.http.base_url.port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(text)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nx-sandbox-name: a\rb\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nx\0y: a\r\n\r\n",
        b"GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_json(face: Face, text: bytes) -> None:
    status, headers, body = raw(face, text)
    assert (status, headers["content-type"]) == (400, "application/json")
    assert json.loads(body)["error_code"] == "400000"


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:99", "[::1]:80", ""])
def test_the_host_header_leads_nowhere(face: Face, host: str) -> None:
    body = b'{"name": "by host"}'
    lines = [
        f"POST /data/foundation/catalog/dataSets?requestDataSource=true HTTP/1.1\r\nHost: {host}",
        *(f"{name}: {value}" for name, value in face.headers.items()),
        "X-Forwarded-Host: evil.example.com",
        "X-Forwarded-Proto: https",
        "X-Forwarded-For: 10.0.0.1",
        "Forwarded: host=evil.example.com;proto=https",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    text = "\r\n".join(lines).replace("by host", host).encode() + b"\r\n\r\n"
    status, headers, answer = raw(face, text + json.dumps({"name": f"h{len(host)}"}).ljust(len(body)).encode())
    assert status == 201, answer
    assert headers["location"].startswith("/data/foundation/catalog/dataSets/")
    assert b"evil" not in answer


@pytest.mark.parametrize("host", ["evil/../x?", "a?b", "a#b", "a@b", "a b", "é"])
def test_a_host_that_is_none(face: Face, host: str) -> None:
    text = f"GET /health/live HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    status, headers, body = raw(face, text)
    assert (status, headers["content-type"]) == (400, "application/json")
    assert b"Traceback" not in body


def test_browsers_are_told_to_keep_off(face: Face) -> None:
    for answer in (face.get("/flows"), face.get("/nothing"), face.http.get("/health/live")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers
