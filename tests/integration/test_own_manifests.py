"""Sources that an operator describes: the example of the documents, and manifests that cannot be used."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from headgate.api.listening import listening
from headgate.cli.commands import cli
from headgate.config import Settings
from headgate.service.examining import examined
from headgate.sources import connection_specs, take_manifests
from tests.deployment import Deployment

ROOT = Path(__file__).parents[2]
TOKEN = "t0ken-of-the-help-desk"
TICKETS = [
    {
        "id": place,
        "updated_at": f"2026-03-01T{place // 60:02}:{place % 60:02}:00Z",
        "subject": f"ticket {place}",
        "tags": ["a", "b"][: place % 3],
        "requester": {"name": "Ada", "email": None, "more": 1},
    }
    for place in range(1440)
]


def _example() -> str:
    found = re.search(r"```yaml\n(.*?)```", (ROOT / "docs/how-to/own-source.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def _tickets(request: Request) -> JSONResponse:
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        return JSONResponse({"error": "unauthorised"}, 401)
    query = request.query_params
    first = int(query.get("cursor", "0"))
    found = [ticket for ticket in TICKETS if query["since"] <= str(ticket["updated_at"]) < query["until"]]
    following = first + int(query["per_page"])
    return JSONResponse({"tickets": found[first:following], "next": following if following < len(found) else None})


@contextmanager
def _api() -> Iterator[str]:
    routes = [Route("/api/v1/tickets", _tickets), Route("/api/v1/me", lambda _: JSONResponse({"name": "me"}))]
    app = Starlette(routes=[Mount("/desk", routes=routes)])
    server = uvicorn.Server(listening(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/desk"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def manifests(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "acme.yaml").write_text(_example())
    yield folder
    take_manifests(None)


def test_the_example_of_the_documents_lands_a_window(manifests: Path, tmp_path: Path) -> None:
    take_manifests(manifests)
    spec = next(spec for spec in connection_specs() if spec.name == "acme-tickets")
    assert (spec.verified, spec.kind, spec.public_id) == ("documented", "table", False)
    assert spec.secrets == {"token"}
    deployment = Deployment(tmp_path, manifests=manifests)
    try:
        with _api() as address:
            auth = {"host": "help.example.org", "token": TOKEN, "serviceUrl": address}
            flow = deployment.flow(spec.id, auth, {"tableName": "tickets"})
            for _ in range(2):
                run = deployment.run(flow, "2026-03-01T02:00:00.5", "2026-03-01T14:00", "updated_at")
        [copy] = [each for each in run.activities if each["id"] == "copyActivity"]
        told = ["1 records came that lie outside of the window, and were passed over."]
        assert copy["statusSummary"]["extensions"]["notes"] == told
        rows = deployment.rows()
        assert sorted(row[0] for row in rows) == list(range(121, 840))
        assert {str(row[3]) for row in rows} == {"[]", "['a']", "['a', 'b']"}
        assert rows[0][4] == {"name": "Ada", "email": None}
    finally:
        deployment.close()


def test_it_is_as_short_as_it_says() -> None:
    assert len(_example().splitlines()) <= 33  # the id, the name, the title and the description are not the work


def test_one_that_cannot_be_used_is_named_and_the_others_work(manifests: Path, tmp_path: Path) -> None:
    (manifests / "broken.yaml").write_text(_example().replace("kind: cursor", "kind: curser"))
    (manifests / "twice.yaml").write_text(_example())
    findings = list(examined(Settings(data=tmp_path, manifests=manifests)))
    told = [finding.found for finding in findings if finding.check == "sources"]
    assert re.search(r"'broken\.yaml' .* is not used: BadManifest: line 2\d, streams\.tickets\.paging", told[0]), told
    assert "another connection spec has" in told[1]
    assert told[2].endswith(": acme-tickets")
    assert any(
        finding.check == "manifests" and finding.state == "problem"
        for finding in examined(Settings(data=tmp_path, manifests=tmp_path / "nowhere"))
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{host}/api", "{hots}/api", r"line \d+, base: .*'hots'; known here: host, serviceUrl, token"),
        ("|iso}", "|isso}", r"streams\.tickets\.windows\.updated_at: .*'isso'"),
        ("window.start|iso", "window.start", "does not say how a time is written"),
        ("id: long", "id: lnog", r"streams\.tickets\.columns\.id: 'lnog' is no type"),
        ("updated_at: timestamptz", "updated_at: string", "timestamptz, timestamp, date"),
        ("key: [id]", "key: [nr]", "'nr' is not one of the columns"),
        ("sides: both", "sides: both\n        sides: none", r"line \d+: 'sides' stands here twice"),
        ("records: tickets", "recods: tickets", "'recods' is not known here. Did you mean 'records'"),
        ("records: tickets", "records: tickets..all", "a step without a name"),
        ("verified: documented", "verified: certain", r"verified: 'certain' is none of these"),
        ("spec:\n", "spec: [\n", "It is no YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = tmp_path / "own.yaml"
    text = _example()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    done = CliRunner().invoke(cli, ["specs", "check", str(file)])
    assert done.exit_code == 1, done.output
    assert re.search(said, done.output.replace("\n", " ")), done.output


def test_one_that_is_well_is_described(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(_example())
    done: Any = CliRunner().invoke(cli, ["specs", "check", str(file)])
    assert done.exit_code == 0
    assert "tickets: 5 columns, windows the API filters by: updated_at (both, by second)" in done.output
