"""Every route of the console by itself: whom it lets in, and which forms it takes."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.routing import Route

from headgate.console import sign_in
from headgate.console.pages import GROUPS
from headgate.model.orgs import Grant
from headgate.model.permissions import Permission
from tests.docs.reference import addresses
from tests.integration.visitor import Visitor, visiting

ROUTES: list[Route] = [*(route for pages in GROUPS for route in pages.routes), *sign_in.routes]
OPEN = {"/sign-in", "/sign-in/with/{number:int}", "/sign-in/return", "/theme"}
NO_SESSION = {"/sign-in", "/theme"}  # forms of who need not be signed in, so without a token
PAGES = [route.path for route in ROUTES if "GET" in (route.methods or ()) and route.path not in OPEN]
FORMS = [route.path for route in ROUTES if "POST" in (route.methods or ())]
API = {
    "/connections/{id}": "PATCH /data/foundation/flowservice/connections/{id}",
    "/connections/{id}/test": "GET /data/foundation/flowservice/connections/{id}/test",
    "/connections/{id}/publish": "POST /data/foundation/flowservice/connections/{id}/action",
    "/connections/{id}/delete": "DELETE /data/foundation/flowservice/connections/{id}",
    "/connections/{id}/credentials": "PATCH /data/foundation/flowservice/connections/{id}",
    "/sources/{spec}": "POST /data/foundation/flowservice/connections",
    "/wizard": "POST /data/foundation/flowservice/flows",
    "/wizard/finish": "POST /data/foundation/flowservice/flows",
    "/flows/{id}/schedule": "PATCH /data/foundation/flowservice/flows/{id}",
    "/flows/{id}/enable": "POST /data/foundation/flowservice/flows/{id}/action",
    "/flows/{id}/disable": "POST /data/foundation/flowservice/flows/{id}/action",
    "/flows/{id}/delete": "DELETE /data/foundation/flowservice/flows/{id}",
    "/runs/new": "POST /data/foundation/flowservice/runs",
    "/runs/cancel": "POST /data/foundation/flowservice/runs/{id}/action",
    "/runs/re-trigger": "POST /data/foundation/flowservice/runs/{id}/action",
    "/runs/{id}/cancel": "POST /data/foundation/flowservice/runs/{id}/action",
    "/runs/{id}/re-trigger": "POST /data/foundation/flowservice/runs/{id}/action",
    "/datasets/{id}/query": "POST /headgate/queries",
    "/people/grants": "POST /headgate/grants",
    "/people/grants/{id}/revoke": "DELETE /headgate/grants/{id}",
    "/people/clients": "POST /headgate/clients",
    "/people/clients/{id:path}/rotate": "POST /headgate/clients/{id}/rotate",
    "/people/clients/{id:path}/remove": "DELETE /headgate/clients/{id}",
    "/people/codes": "POST /headgate/clients/{id}/code",
    "/people/roles": "POST /headgate/roles",
    "/people/roles/{id:path}/remove": "DELETE /headgate/roles/{id}",
}


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Who may do everything, at a service with a flow that has a run waiting."""
    with visiting(tmp_path_factory.mktemp("console")) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def ids(visitor: Visitor) -> dict[str, str]:
    """What there is to be changed, by the first part of a page's address."""
    face = visitor.face
    connection, dataset = face.connection(), face.dataset()
    flow = face.flow(sourceConnectionIds=[face.source(connection)], targetConnectionIds=[face.target(dataset)])
    run = face.run(flow, deltaColumn={"name": "updated_at"}).json()["id"]
    return {"connections": connection, "datasets": dataset, "flows": flow, "runs": run}


def at(path: str, ids: dict[str, str]) -> str:
    """An address of a route, of something that is there where it can be."""
    return re.sub(r"\{[^}]+\}", ids.get(path.split("/")[1], "made-up"), path)


def stored(visitor: Visitor) -> dict[str, list[Any]]:
    """All that the metadata hold, but for the audit log, which tells of refusals too."""
    with closing(sqlite3.connect(str(sa.make_url(visitor.face.metadata).database))) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert "resources" in names
        return {name: database.execute(f'SELECT * FROM "{name}"').fetchall() for name in names if "audit" not in name}


def test_every_page_and_form_sends_who_is_not_signed_in_to_sign_in(visitor: Visitor, ids: dict[str, str]) -> None:
    stranger, before = visitor.other(), stored(visitor)
    answers = {("GET", path): stranger.get(at(path, ids)) for path in PAGES}
    answers |= {("POST", path): stranger.post(at(path, ids)) for path in FORMS if path not in NO_SESSION}
    assert len(answers) > 40
    for route, answer in answers.items():
        assert answer.status_code == 303, route
        assert answer.headers["location"].split("?")[0] == "/sign-in", route
        assert not answer.text, route
    assert stored(visitor) == before


@pytest.mark.parametrize(
    ("headers", "form", "code"),
    [
        ({}, {"csrf": None}, "CONSOLE-PAGE-403"),
        ({}, {"csrf": "made-up"}, "CONSOLE-PAGE-403"),
        ({"origin": "https://evil.example"}, {}, "CONSOLE-SITE-403"),
        ({"sec-fetch-site": "cross-site"}, {}, "CONSOLE-SITE-403"),
    ],
)
def test_no_form_is_taken_from_elsewhere(
    visitor: Visitor, ids: dict[str, str], headers: dict[str, str], form: dict[str, Any], code: str
) -> None:
    token = re.findall(r'<meta name="csrf-token" content="([^"]+)"', visitor.page("/"))[0]
    fields = {"csrf": token, "id": ids["runs"], "name": "changed", **form}
    sent = {name: value for name, value in fields.items() if value is not None}
    before = stored(visitor)
    for path in FORMS:
        if path in NO_SESSION and form:
            continue
        answer = visitor.http.post(at(path, ids), data=sent, headers={"origin": visitor.base, **headers})
        assert (answer.status_code, code in answer.text) == (403, True), path
    assert stored(visitor) == before
    assert visitor.get("/").status_code == 200


def test_a_form_needs_what_the_address_of_the_api_needs(visitor: Visitor, ids: dict[str, str]) -> None:
    """Of each permission that a form may need, somebody has all the others: refused by those forms and no more."""
    face = visitor.face
    guarded = set(FORMS) - NO_SESSION - {"/sign-out", "/switch"}
    assert set(API) == guarded, "Say which address of the API does what a new form of the console does."
    needs = {}
    for path, operation in API.items():
        method, address = operation.split(" ")
        needs[path] = addresses()[address][method.lower()]["x-permission"]
    for lacking in sorted(set(needs.values())):
        name = f"no-{lacking}"
        others = [str(each) for each in Permission if each != lacking]
        assert face.post("/headgate/roles", {"name": name, "permissions": others}).status_code == 201
        user = f"{name}@example.com"
        face.store.tenants.grant(face.credentials.org_id, Grant(user, "user", name, None))
        person = visitor.other().sign_in(user)
        # A page that all may see has the token; the home page does not show without view-sources.
        person.get("/workers")
        before = stored(visitor)
        for path in (path for path, needed in needs.items() if needed == lacking):
            answer = person.post(at(path, ids), {"id": ids["runs"]})
            assert (answer.status_code, "FLOW-2121-403" in answer.text) == (403, True), (path, lacking, answer.text)
        assert stored(visitor) == before


def test_a_viewer_is_refused_what_only_others_may(visitor: Visitor, ids: dict[str, str]) -> None:
    face = visitor.face
    face.store.tenants.grant(face.credentials.org_id, Grant("view@example.com", "user", "viewer", None))
    viewer = visitor.other().sign_in("view@example.com")
    viewer.page("/")
    before = stored(visitor)
    may = {"/connections/{id}/test", "/datasets/{id}/query"}
    for path in API:
        answer = viewer.post(at(path, ids), {"sql": "SELECT 1", "id": ids["runs"]})
        assert (answer.status_code == 403) == (path not in may), (path, answer.status_code)
    assert stored(visitor) == before
